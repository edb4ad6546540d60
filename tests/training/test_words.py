"""The fast way to encode gives the tokenizer's own ids, or says that it cannot."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("transformers")

import tokenizers
import transformers

from distill.training.words import GPT2, Words, words_of
from tests.builders.models import CONTROL, TEXT, chat_format_of

# As tokenizer.json of Qwen2.5 and of Llama 3 have them.
QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA = QWEN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")


def trained(pattern: str, *, composes: bool = False, tokens: tuple[str, ...] = ()) -> object:
    """A small tokenizer that cuts with the pattern, as a Hugging Face one."""
    split = tokenizers.pre_tokenizers
    inner = tokenizers.Tokenizer(tokenizers.models.BPE())
    inner.pre_tokenizer = split.Sequence(
        [
            split.Split(tokenizers.Regex(pattern), "isolated"),
            split.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    inner.decoder = tokenizers.decoders.ByteLevel()
    if composes:
        inner.normalizer = tokenizers.normalizers.NFC()
    inner.train_from_iterator(
        [*TEXT, "l'été  中文 で  don't I'LL 12345 \n\n  x"],
        tokenizers.trainers.BpeTrainer(
            vocab_size=450,
            special_tokens=CONTROL,
            initial_alphabet=sorted(split.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    made = transformers.PreTrainedTokenizerFast(tokenizer_object=inner)
    made.add_tokens([tokenizers.AddedToken(name, normalized=False) for name in tokens])
    return made


KINDS = {
    "qwen": trained(QWEN),
    "llama": trained(LLAMA, composes=True),
    "thinks": trained(QWEN, tokens=("<think>", "</think>", "<tool_call>")),
    "gpt2": trained(GPT2),
    "digits": chat_format_of("lossy").tokenizer,
    "composing": chat_format_of("composing").tokenizer,
}
ODD = st.text(
    st.one_of(
        st.sampled_from(
            " \n\t\r'sSſtTdDmMvelLrR019²Ⅷ٣_-!.<>{}\\é\u0301中の한ก🙂\u200d\ufeff\u00a0\u3000"
        ),
        st.sampled_from(
            "\x00\x1c\x1d\x1e\x1f\x85\u180e\u200b\u2028\u2029\u1e9eﬁßKİı\u0378\U000e0001"
        ),
        st.characters(codec="utf-8"),
    ),
    max_size=80,
)


def exact(tokenizer: object, text: str) -> list[int]:
    found: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]  # type: ignore[operator]
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_these_tokenizers_are_encoded_word_by_word(kind: str) -> None:
    words = words_of(KINDS[kind])
    assert words is not None
    text = "<think>\nDon't  add 12 and 345.\n\n</think>\n\n Well: l'été, 中文."
    assert list(words.encode(text) or ()) == exact(KINDS[kind], text)


@pytest.mark.parametrize("kind", KINDS)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(parts=st.lists(st.one_of(ODD, st.sampled_from([*CONTROL, "<think>", "</think>"]))))
def test_any_text_has_the_tokenizers_own_ids(kind: str, parts: list[str]) -> None:
    words, text = words_of_once(kind), "".join(parts)
    found = words.encode(text)
    assert found is None or found.tolist() == exact(KINDS[kind], text)


FOUND: dict[str, Words] = {}


def words_of_once(kind: str) -> Words:
    if kind not in FOUND:
        made = words_of(KINDS[kind])
        assert made is not None
        FOUND[kind] = made
    return FOUND[kind]


@pytest.mark.parametrize("text", ["a\x1cb", "a\x1f\x1f b", "'ſ x", "\u0378", "e\u0301"])
def test_a_letter_that_the_two_cut_differently_is_left_to_the_tokenizer(text: str) -> None:
    found = words_of_once("llama").encode(text)
    assert found is None or found.tolist() == exact(KINDS["llama"], text)


def test_a_word_that_is_not_written_again_is_left_to_the_tokenizer() -> None:
    assert words_of_once("digits").encode("a \U00040000") is None  # it lacks the byte F1


def test_a_tokenizer_that_does_not_cut_into_words_has_none() -> None:
    pieces = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>"))
    pieces.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    pieces.train_from_iterator(TEXT, tokenizers.trainers.BpeTrainer(special_tokens=["<unk>"]))
    assert words_of(transformers.PreTrainedTokenizerFast(tokenizer_object=pieces)) is None
    assert words_of(trained(QWEN, tokens=())) is not None
    stripping = trained(QWEN)
    stripping.add_tokens([tokenizers.AddedToken("<x>", lstrip=True)])  # type: ignore[attr-defined]
    assert words_of(stripping) is None


def test_a_pattern_that_leaves_something_out_loses_nothing() -> None:
    gappy = words_of(trained(r"\p{L}+|\p{N}"))
    assert gappy is None or gappy.encode("a, b") is None
