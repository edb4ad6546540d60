"""Instructions that a rule can check: IFEval's 25, on references as google/IFEval writes them."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.verify.instructions import LONGEST, instructions, usable
from distill.verify.instructions.table import TABLE
from distill.verify.verdict import LABELS

WORDS = "length_constraints:number_words"
SENTENCES = "length_constraints:number_sentences"
CAPITALS = "change_case:capital_word_frequency"
LANGUAGE = "language:response_language"
FIRST = "length_constraints:nth_paragraph_first_word"


def gold(*asked: tuple[str, dict[str, Any] | None]) -> str:
    names, kwargs = [name for name, _ in asked], [values for _, values in asked]
    return json.dumps({"instruction_id_list": names, "kwargs": kwargs})


def label(name: str, response: str, **kwargs: Any) -> str:
    return instructions(gold((name, kwargs)), response).label


# (instruction, its kwargs, a response that follows it, one that does not)
PAIRS: list[tuple[str, dict[str, Any], str, str]] = [
    ("keywords:existence", {"keywords": ["Mom", "c++"]}, "My mom writes C++.", "My mom."),
    (
        "keywords:frequency",
        {"keyword": "war", "frequency": 2, "relation": "at least"},
        "War and war",
        "War",
    ),
    (
        "keywords:frequency",
        {"keyword": "war", "frequency": 2, "relation": "less than"},
        "War",
        "War, toward",
    ),
    ("keywords:forbidden_words", {"forbidden_words": ["rock"]}, "It is rocky.", "Let's ROCK!"),
    (
        "keywords:letter_frequency",
        {"letter": "T", "let_frequency": 2, "let_relation": "less than"},
        "Ten",
        "Tat",
    ),
    (
        "keywords:letter_frequency",
        {"letter": "#", "let_frequency": 2, "let_relation": "at least"},
        "#a #b",
        "#a",
    ),
    (WORDS, {"num_words": 3, "relation": "at least"}, "One, two, three.", "one two"),
    (WORDS, {"num_words": 3.0, "relation": "less than"}, "one two", "one two three"),
    (
        SENTENCES,
        {"num_sentences": 2, "relation": "at least"},
        "It rains. We stay.",
        "It rains",
    ),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n***\nb", "a\n\nb"),
    (
        FIRST,
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Later"},
        "a\n\n'Later,' he said.",
        "later\n\na",
    ),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[a] [b]", "[a [b\n]"),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "Hi\np. p. s. x", "P.S. x"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Hi\nP. S. x", "PS x"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n - b\n***", "* a\n+ b"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 3}, "*\n- b\n* c", "*\n* b\n* c"),
    ("detectable_format:constrained_response", {}, "My answer is no.", "My answer is no"),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a* **b**", "**a**"),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "SECTION", "num_sections": 2},
        "SECTION 1\na\nSECTION 2",
        "SECTION 1\nSECTION II",
    ),
    ("detectable_format:json_format", {}, '```json\n{"a": [1, null]}\n```', "{'a': 1}"),
    ("detectable_format:title", {}, "<<A poem>>\nx", "<< >>"),
    ("combination:two_responses", {}, "a\n******\nb", "a\n******\na"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say x. "}, "say X.\nx", "OK. Say x."),
    ("startend:end_checker", {"end_phrase": "The end."}, '"x. THE END."', "The end. Bye"),
    (
        CAPITALS,
        {"capital_frequency": 2, "capital_relation": "at least"},
        "I AM here",
        "Am I?",
    ),
    ("change_case:english_capital", {}, "THIS IS WHAT YOU AND THEY HAVE.", "This IS IT"),
    ("change_case:english_lowercase", {}, "this is what you and they have.", "Это не то, что"),
    ("punctuation:no_comma", {}, "one two", "one, two"),
    ("startend:quotation", {}, '"yes"', '"yes" he said'),
    (LANGUAGE, {"language": "kn"}, "ಇದು ಕನ್ನಡದ ವಾಕ್ಯ ಆಗಿದೆ ಎಂದು.", "This is no Kannada."),
    (LANGUAGE, {"language": "ja"}, "これは日本語の文章です。", "This is no Japanese."),
    (LANGUAGE, {"language": "en"}, "What you have is this and that.", "Это не английский."),
]


@pytest.mark.parametrize(("name", "kwargs", "right", "wrong"), PAIRS)
def test_a_response_that_follows_is_correct_and_one_that_does_not_is_wrong(
    name: str, kwargs: dict[str, Any], right: str, wrong: str
) -> None:
    assert label(name, right, **kwargs) == "correct"
    verdict = instructions(gold((name, kwargs)), wrong)
    assert (verdict.label, verdict.method, verdict.detail) == ("wrong", "instructions", name)


def test_each_of_ifevals_instructions_has_a_pair_here() -> None:
    assert len(TABLE) == 25
    assert {name for name, *_ in PAIRS} == set(TABLE)


UNCLEAR = [
    ("Dr. No came. e.g. this", SENTENCES, {"num_sentences": 2, "relation": "at least"}),
    ("A title\n\nOne line. Two.", SENTENCES, {"num_sentences": 3, "relation": "less than"}),
    ("STATE-OF-THE-ART", CAPITALS, {"capital_frequency": 2, "capital_relation": "at least"}),
    ("NASA's new plan", CAPITALS, {"capital_frequency": 1, "capital_relation": "at least"}),
    ("नमस्ते दुनिया, यह एक वाक्य है", LANGUAGE, {"language": "hi"}),
    ("Dies ist ein deutscher Satz.", LANGUAGE, {"language": "de"}),
    ("Dies ist ein deutscher Satz.", LANGUAGE, {"language": "en"}),
    ("漢字文章漢字文章漢字文章", LANGUAGE, {"language": "ja"}),
    ("xy", LANGUAGE, {"language": "en"}),
    ("Some words in a language.", LANGUAGE, {"language": "tlh"}),
    ("ES IST EIN DEUTSCHER SATZ", "change_case:english_capital", {}),
    ("[" * 100_000, "detectable_format:json_format", {}),
]


@pytest.mark.parametrize(("response", "name", "kwargs"), UNCLEAR)
def test_what_takes_a_model_of_language_is_not_guessed(
    response: str, name: str, kwargs: dict[str, Any]
) -> None:
    verdict = instructions(gold((name, kwargs)), response)
    assert verdict.label == "unverifiable"
    assert verdict.method.endswith("_unclear") or verdict.method == "too_deep"
    assert verdict.detail == name


def test_a_text_that_is_surely_english_is_no_german() -> None:
    text = "What you have is this and that."
    assert label(LANGUAGE, text, language="de") == "wrong"


def test_all_must_hold_and_the_first_that_does_not_is_named() -> None:
    asked = gold(("punctuation:no_comma", {}), ("startend:quotation", {}), (LANGUAGE, {}))
    three = gold(*zip(("punctuation:no_comma", "startend:quotation"), ({}, {}), strict=True))
    assert instructions(three, '"a"').label == "correct"
    assert instructions(three, "a").detail == "startend:quotation"
    assert instructions(three, "a,").detail == "punctuation:no_comma"
    assert instructions(asked, "a").label == "unverifiable"  # which language, it does not say


def test_one_that_is_broken_decides_although_another_is_unclear() -> None:
    unclear = (LANGUAGE, {"language": "fr"})
    both = gold(unclear, ("punctuation:no_comma", {}))
    assert instructions(both, "Oui, mais pas ceci").label == "wrong"
    assert instructions(both, "Oui mais pas ceci").method == "language_unclear"


def test_no_response_is_no_answer() -> None:
    assert label("punctuation:no_comma", " \n") == "no_answer"


def test_a_reference_with_ifevals_gaps_is_read() -> None:
    """google/IFEval has a column for every key of every instruction, null where it is unused."""
    values = dict.fromkeys(("keywords", "relation", "num_words", "end_phrase", "language"))
    asked = gold(("punctuation:no_comma", values), ("startend:quotation", None))
    assert instructions(asked, '"a"').label == "correct"


UNUSABLE = [
    "",
    "[]",
    "{",
    "null",
    "[" * 50_000,
    '{"instruction_id_list": [], "kwargs": []}',
    '{"instruction_id_list": ["punctuation:no_comma"], "kwargs": []}',
    '{"instruction_id_list": [1], "kwargs": [{}]}',
    '{"instruction_id_list": "punctuation:no_comma", "kwargs": [{}]}',
    gold(("punctuation:no_comma", {}), *[("startend:quotation", {})] * 64),
    gold((WORDS, {"relation": "at least"})),
    gold((WORDS, {"num_words": 3, "relation": "about"})),
    gold((WORDS, {"num_words": -1, "relation": "at least"})),
    gold((WORDS, {"num_words": True, "relation": "at least"})),
    gold((WORDS, {"num_words": float("nan"), "relation": "at least"})),
    gold((WORDS, {"num_words": "3", "relation": "at least"})),
    gold(("keywords:existence", {"keywords": []})),
    gold(("keywords:existence", {"keywords": [1]})),
    gold(("keywords:existence", {"keywords": ["x" * 501]})),
    gold(("keywords:letter_frequency", {"letter": "ab", "let_frequency": 1})),
    gold((FIRST, {"num_paragraphs": 1, "nth_paragraph": 2, "first_word": "a"})),
    gold(("startend:end_checker", {"end_phrase": "x" * 100_001})),
]


@pytest.mark.parametrize("text", UNUSABLE)
def test_an_unusable_reference_is_unverifiable_and_never_wrong(text: str) -> None:
    for verdict in (instructions(text, "Some words."), usable(text)):
        assert (verdict.label, verdict.method) == ("unverifiable", "unreadable_gold")


def test_an_instruction_of_another_set_is_unverifiable() -> None:
    asked = gold(("punctuation:no_comma", {}), ("count:numbers", {}))
    assert instructions(asked, "a").method == usable(asked).method == "unknown_instruction"
    assert instructions(asked, "a,").label == "wrong"


@pytest.mark.parametrize(("name", "kwargs", "right", "wrong"), PAIRS)
def test_a_usable_reference_is_known_without_an_answer(
    name: str, kwargs: dict[str, Any], right: str, wrong: str
) -> None:
    assert usable(gold((name, kwargs))).label == "correct"


def test_a_keyword_is_a_text_and_never_a_pattern() -> None:
    assert label("keywords:existence", "aaaa", keywords=["a+"]) == "wrong"
    assert label("keywords:forbidden_words", "anything", forbidden_words=[".*"]) == "correct"
    assert label("keywords:existence", "what (a+)+$ is", keywords=["(a+)+$"]) == "correct"
    kwargs = {"section_spliter": "(a+)+", "num_sections": 1}
    assert label("detectable_format:multiple_sections", "aaaaaaaa 1", **kwargs) == "wrong"


HOSTILE = ("[", "<<", "*", "**", "\n", " ", ". A", "!?", "***", "a", "* \n", "P.", "Section ", "{")


@pytest.mark.parametrize("bit", HOSTILE)
def test_the_longest_response_takes_no_more_than_its_length(bit: str) -> None:
    """All 25 at once; one that takes time with the square of the length would need minutes."""
    asked = gold(*[(name, kwargs) for name, kwargs, *_ in PAIRS])
    response = "x" + (bit * LONGEST)[: LONGEST - 1]
    began = time.process_time()
    assert instructions(asked, response).label in LABELS
    assert time.process_time() - began < 5


MANY = ["a" * (9 + n) for n in range(64)]
SPACED = [f"{'a ' * 190}{n}" for n in range(64)]
SECTIONS = "detectable_format:multiple_sections"


@pytest.mark.parametrize(
    ("name", "kwargs", "bit"),
    [
        ("keywords:forbidden_words", {"forbidden_words": MANY}, "a"),
        ("keywords:forbidden_words", {"forbidden_words": SPACED}, "a "),
        (SECTIONS, {"section_spliter": MANY[-1], "num_sections": 1}, "a"),
        (SENTENCES, {"num_sentences": 9, "relation": "less than"}, "A. It. "),
    ],
)  # fmt: skip
def test_many_instructions_do_not_multiply_the_time(
    name: str, kwargs: dict[str, Any], bit: str
) -> None:
    asked = gold(*[(name, kwargs | {"n": n}) for n in range(4 if "forbidden" in name else 64)])
    began = time.process_time()
    assert instructions(asked, (bit * LONGEST)[:LONGEST]).label in ("correct", "wrong")
    assert time.process_time() - began < 3


def test_a_response_whose_time_is_over_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distill.verify.instructions.LIMIT_S", 0.0)
    asked = gold(*[("punctuation:no_comma", {})] * 3)
    found = instructions(asked, "No")
    assert (found.label, found.method) == ("timeout", "killed")


def test_a_longer_response_is_not_looked_at() -> None:
    asked = gold(("punctuation:no_comma", {}))
    assert instructions(asked, "," * (LONGEST + 1)).method == "too_long"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
KEYS = sorted({key for _, kwargs, *_ in PAIRS for key in kwargs})


@given(
    st.lists(st.sampled_from(sorted(TABLE)), max_size=3),
    st.dictionaries(st.sampled_from(KEYS), JSON, max_size=4),
    st.text(alphabet=st.sampled_from("aA.,*-[]<>\"\n 1'`{}:é漢"), max_size=60),
)
def test_whatever_a_reference_says_there_is_a_verdict(
    names: list[str], kwargs: dict[str, Any], response: str
) -> None:
    verdict = instructions(gold(*[(name, kwargs) for name in names]), response)
    assert verdict.label in LABELS
    assert (verdict.label == "no_answer") == (bool(names) and not response.strip())
