"""What each signal measures, case by case, and what all of them promise."""

from hashlib import blake2b
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.rows import SCHEMA, Row, to_frame
from distill.signals import MODULES, Signal, all_columns, language, owner
from distill.signals.repetition import measure as repetition
from distill.signals.settings import PLAIN
from tests.builders.rows import trace

NAMES = [module.__name__.rpartition(".")[2] for module in MODULES]


def row(
    reasoning: str = "", response: str = "", *, question: str | None = "How many?", **values: Any
) -> Row:
    plain = {"gold": None, "verify": None, "completion_tokens": None}
    asked = {"messages": None} if question is None else {"asked": [("user", question)]}
    return trace(reasoning=reasoning, response=response, **{**plain, **asked, **values})


def value(column: str, of: Row) -> object:
    module = owner(column)
    assert module is not None
    return module.measure(to_frame([of]), PLAIN)[column].item()


ENGLISH = "We count the apples, then the pears. "
CHINESE = "这道题很简单"
JAPANESE = "これは簡単な問題です"

# (column, row, value)
CASES = [
    ("finished", row(finish_reason="stop"), True),
    ("finished", row(finish_reason=" EOS_Token "), True),  # what TGI says
    ("finished", row(finish_reason="length"), False),
    ("finished", row(finish_reason=None), None),  # not told: not known
    ("finished", row(finish_reason=" "), None),  # nor here
    ("finished", row(finish_reason="STOP"), True),
    ("looks_whole", row("So 2.", "It is 2."), True),
    ("looks_whole", row("So 2.", "2"), True),
    ("looks_whole", row("So 2.", r"Hence\n\n$$x = \frac{1}{2}$$"), True),
    ("looks_whole", row("So 2.", "So:\n```py\nprint(2)\n```"), True),
    ("looks_whole", row("So 2.", "Thus\n**Answer: 42**"), True),
    ("looks_whole", row("So 2.", "It follows at once.\n\nAnswer: x = 4"), True),
    ("looks_whole", row("So 2.", "Buy these:\n- milk\n- a loaf of bread"), True),
    ("looks_whole", row("So 2.", "因此答案是二。"), True),
    ("looks_whole", row("So 2.", "Dear Ann,\nit works.\n\nYours\nBob"), True),
    ("looks_whole", row("So 2.", ""), False),
    ("looks_whole", row("So 2.", "It is 2. Now we have that the"), False),
    (
        "looks_whole",
        row("So 2.", "The number of apples that Tom bought in the morning is mo"),
        False,
    ),
    ("looks_whole", row("So 2.", "So:\n```py\nprint(2)"), False),
    ("looks_whole", row("So 2.", r"Hence \boxed{\frac{1}{2}"), False),
    ("looks_whole", row("So 2.", "Hence\n\\[\nx = 4"), False),
    ("looks_whole", row("So 2.", "1. It is so.\n2. **The sec"), False),
    ("thought_closed", row("So 2.", "2"), True),
    ("thought_closed", row("So 2 and", ""), False),  # all thought, no end
    ("thought_closed", row("So 2 and", " \n"), False),
    ("thought_closed", row("", "2"), True),  # no thought, nothing to close
    ("thought_closed", row("a <think> b", "2"), False),  # nested
    ("thought_closed", row("a", "b </think> 2"), False),  # a second end
    ("thought_closed", row("I think > that", "x < think"), True),  # not a tag
    ("response_chars", row("", "  ab "), 2),
    ("response_chars", row("", "日本"), 2),  # letters, not bytes
    ("response_code_fences", row("```\n1\n```", "So:\n```py\n2\n```\nor `x`."), 2),
    ("think_tags", row("<THINK> a </Thinking>", "</think>"), 3),
    ("think_tags", row("[THINK]a[/THINK]", "<thought> ◁think▷ <|end_of_thought|>"), 5),
    ("think_tags", row("a [think], thought>", "<reasoned>"), 0),
    ("thought_closed", row("", "[THINK]hm[/THINK]2"), False),
    ("think_shape", row("a ◁think▷ b", "2"), "nested"),
    ("chat_tokens", row("a", "b<|im_end|>\n<|im_start|>user"), 2),
    ("chat_tokens", row("a", "[INST] b [/INST] <｜end▁of▁sentence｜>"), 3),
    ("chat_tokens", row("a", "if a <|b| or |c|>: [list]"), 0),  # absolute values
    ("chat_tokens", row("<|eot_id|><start_of_turn>model", "<|assistant|></s>"), 4),
    ("chat_tokens", row("", 'Was <s>3</s>, <s class="x">4</s>, is 5.'), 0),  # HTML's
    ("chat_tokens", row("", "It is 5.</s> Or <s>3</s> it was."), 1),
    ("chat_tokens", row("a -> b </span> <answer>", "[INSTANCE] <eosin>"), 0),
    ("think_shape", row("So 2.", "2"), "closed"),
    ("think_shape", row("So 2 and", ""), "open"),
    ("think_shape", row("", "2"), "none"),
    ("think_shape", row("a <think> b", "2"), "nested"),
    ("think_shape", row("a </think> b", "2"), "repeated"),
    ("think_shape", row("a", "b </think> 2"), "leaked"),
    ("think_shape", row("", "<think>\n\n</think>\n\n2"), "empty"),
    ("think_shape", row("a", "2", question="What is <think>?"), "closed"),  # asked, not answered
    ("reasoning_chars", row("abc"), 3),
    ("total_tokens", row("a" * 36, "b" * 36), 20),  # estimated
    ("total_tokens", row("a" * 36, "b" * 36, completion_tokens=7), 7),  # counted
    ("total_tokens", row("a" * 36, completion_tokens=0), 10),  # a server that does not count
    ("tokens_by", row("a" * 36), "estimate"),
    ("tokens_by", row("a" * 36, completion_tokens=7), "server"),
    ("question_chars", row(question="How many?"), 9),
    ("question_chars", row(question=None), None),
    ("question_figure", row(question="In the figure, find x."), True),
    ("question_figure", row(question="[asy] draw((0,0)--(1,1)); [/asy] Find x."), True),
    ("question_figure", row(question="How many figures has 1000?"), False),
    ("question_figure", row(question=None), None),  # not known
    ("question_parts", row(question="(a) Find x. (b) Find y."), True),
    ("question_parts", row(question="Find f(b) and (b + 1)."), False),
    ("question_proof", row(question="Prove that 2 is even."), True),
    ("question_proof", row(question="A water-proof show that costs 5."), False),
    ("foreign_chars", row("вдва раза", question="In English?"), 8),
    ("foreign_chars", row("α + β = 𝑥, naïve", "∑ ≤ ∞"), 0),  # Greek and signs are at home
    ("foreign_chars", row("By Чебышёв's inequality", "Марков’s."), 0),  # a name
    ("foreign_chars", row("By Чебышёв это", "2"), 10),
    ("script_switches", row("By Чебышёв's inequality"), 0),
    ("foreign_chars", row(CHINESE, CHINESE, question=CHINESE), 0),  # asked in Chinese
    ("foreign_chars", row(CHINESE, question="Why 好?"), 0),  # a third of the question's letters
    ("foreign_chars", row(CHINESE, question="Why " + "so " * 20 + "好?"), 0),  # a quoted word
    ("foreign_chars", row(CHINESE, question="Why " + "so " * 20 + "да?"), 6),  # in another script
    ("foreign_chars", row("Это да.", question='Translate "it is" into Russian.'), 0),
    ("foreign_chars", row("Это да.", question="What is the Russian word for yes?"), 0),
    ("foreign_chars", row("Это да.", question="How do you say yes in Russian"), 0),
    ("foreign_chars", row("Это да.", question="Wie sagt man ja auf Russisch?"), 0),
    ("foreign_chars", row("Это да.", question="“是的”用俄语怎么说？"), 0),
    ("foreign_chars", row("これは", question="Write yes in Japanese, please."), 0),
    ("foreign_chars", row("日本", question="Write yes in Japanese, please."), 0),
    ("foreign_chars", row("да 是 نعم", question="Say yes in ten languages."), 0),
    ("foreign_chars", row("да", question="Say yes in Arabic."), 2),  # another language's script
    ("foreign_chars", row("これは", question="Write a haiku in Japanese about rain."), 0),
    ("foreign_chars", row(CHINESE, question="Give five Chinese surnames."), 0),
    ("foreign_chars", row("Это", question="Was ist das russische Wort für ja?"), 0),
    ("foreign_chars", row("Это", question="Quel est le mot russe pour oui ?"), 0),
    ("foreign_chars", row("Это", question="¿Cuál es la palabra rusa para sí?"), 0),
    ("foreign_chars", row(CHINESE, question="Use the Chinese remainder theorem."), 6),
    ("foreign_chars", row(CHINESE, question="Utilise le théorème des restes chinois."), 6),
    ("foreign_chars", row("Это", question="Der russische Zug fährt 3 Stunden."), 3),
    ("foreign_chars", row(CHINESE, question="How many Chinese people are there?"), 6),
    ("foreign_chars", row("Это", question="A Russian plane flies to Paris."), 3),
    ("foreign_chars", row(CHINESE, question="Write 3 in Arabic numerals."), 6),
    ("foreign_chars", row(JAPANESE, question=JAPANESE), 0),  # kana bring Han
    ("foreign_chars", row(JAPANESE, question=CHINESE), 6),  # Han does not bring kana
    ("foreign_chars", row(CHINESE, "ok", question=None), 0),  # mostly Chinese by itself
    ("foreign_chars", row(ENGLISH, CHINESE, question=None), 6),
    ("foreign_chars", row("ქართული"), 7),  # a script without an entry of its own
    ("foreign_chars", row(r"\\frac{a}{b}, naïve café", "```py\\nx = 1```"), 0),  # LaTeX and code
    ("foreign_share", row("ab日本"), 0.5),
    ("foreign_share", row(), None),
    ("script_switches", row("So 2 日本, 語 and 3 then да."), 2),  # signs and digits end none
    ("script_switches", row("So 2.", "日本 a 日本"), 0),  # of the thought
    ("script_switches", row(CHINESE, question=CHINESE), 0),
    ("home_share", row(ENGLISH, question=CHINESE), 0.0),  # asked in Chinese, thought in English
    ("home_share", row(CHINESE + r" $abc = \\frac{x}{y}$, AB", question=CHINESE), 1.0),
    ("home_share", row(CHINESE + " abcdef", question=CHINESE), 0.5),
    ("home_share", row(ENGLISH), 1.0),  # asked in Latin letters
    ("home_share", row(ENGLISH, question="翻译成英文：" + CHINESE), 1.0),
    ("home_share", row(ENGLISH, question="Translate to English: " + CHINESE * 9), 1.0),
    ("home_share", row("123", question=CHINESE), 1.0),  # no letters
    ("repeat_20gram", row(ENGLISH), 0.0),  # too short to repeat
    ("repeat_20gram", row(" ".join(map(str, range(200)))), 0.0),
    (
        "repeat_20gram",
        row(" ".join(map(str, range(40))) + "\n" + " ".join(map(str, range(40)))),
        21 / 61,
    ),
    ("tail_zstd_ratio", row(), None),
    ("most_repeats", row((ENGLISH * 9) + " ".join(map(str, range(900)))), 7),  # in the middle, too
    ("most_repeats", row(" ".join(map(str, range(200)))), 1),
    ("most_repeats", row(ENGLISH), 0),  # too short
    ("total_words", row("one\u2003two\nthree", "four"), 4),
    ("total_words", row("我有3个苹果，5 apples", "ทำ"), 9),  # characters without spaces, each
    ("most_repeats", row("让我再想一想这个问题，前二十项的和是多少呢。" * 12 + CHINESE), 12),
    ("tail_period", row("Done>" + (ENGLISH * 4).strip()), len(ENGLISH)),
    ("tail_period", row(ENGLISH), 0),
    ("tail_loop", row("Done. " + ENGLISH * 2), 0),  # said twice
    ("tail_loop", row("So it is 3.", "日本の" * 40), 120),  # in the response, in characters
    ("tail_loop", row("Done>" + (ENGLISH * 4).strip()), 4 * len(ENGLISH) - 1),
    ("tail_loop", row("Done>" + (ENGLISH * 4)[:-9], "5"), 4 * len(ENGLISH) - 9),  # cut in a turn
    ("longest_paragraph_chars", row("ab\n \ncdef\r\n\r\ng", "h" * 99), 4),  # of the thought
    ("longest_paragraph_chars", row("a\nb\nc"), 5),  # lines are not paragraphs
    ("longest_paragraph_chars", row("", "h" * 99), 0),
    ("longest_paragraph_chars", row("日本\n\nb"), 2),  # characters, not bytes
    ("longest_line_chars", row("ab\ncdefg\n\nh", "i" * 9), 5),
    ("longest_line_chars", row(), 0),
    ("mean_line_chars", row("ab\n\ncdef"), 3.0),  # empty lines do not count
    ("mean_line_chars", row(), None),
    ("thought_code_fences", row("x\n```python\n1\n```\n", "```\n```"), 2),
    ("thought_code_fences", row("write ``` in a line"), 0),
    ("teacher_named", row("I am DeepSeek-R1, made by a company.", "2"), 1),
    ("teacher_named", row("ok", "As an AI developed by OpenAI, I cannot."), 1),
    ("teacher_named", row("ok", "我是由深度求索开发的助手"), 1),
    ("teacher_named", row("This goes against OpenAI's usage policies."), 1),
    ("teacher_named", row("GPT-4 was made by OpenAI, Claude by Anthropic."), 0),  # knowledge
    ("teacher_named", row("I am sure. Google has 3 offices."), 0),  # another sentence
    ("teacher_named", row("I'm reminded of Claude Shannon's theorem."), 0),
    ("teacher_named", row("I'm a fan of Claude Shannon. I was trained to use Microsoft Excel."), 0),
    ("teacher_named", row("I was thinking of Microsoft Excel columns, made me use Google."), 0),
    ("teacher_named", row("I am Claude. I'm Qwen, a model", "my name is Gemini and"), 3),
    ("teacher_named", row("I was trained by a team at Google. OpenAI made me."), 2),
    ("teacher_named", row("I'm a Qwen language model", "I am an AI assistant by DeepSeek"), 2),
    ("ai_phrases", row("as an AI language model", "I'm just an AI."), 2),
    ("ai_phrases", row("", "作为一个人工智能，我没有感情"), 1),
    ("ai_phrases", row("as an aid, an AI model helps"), 0),
    ("refused", row("", "I'm sorry, but I can't help with that."), True),
    ("refused", row("", "抱歉，我不能提供"), True),
    ("refused", row("", "I can't find a mistake; the answer is 2."), False),
    ("refused", row("", "Sorry for the confusion: it is 2."), False),
    ("thought_headings", row("# Plan\nthen\n### Step", "# Answer"), 2),
    ("thought_headings", row("#1 is 5, and C# too"), 0),
    ("thought_bold", row("**Final** is 2**3 ** 4"), 1),
    ("thought_bullets", row("- a\n * b\n-3 is less"), 2),
    ("thought_tables", row("| a | b |\n|---|:---:|\n|1|2|\n\n|x| + |y|\n---"), 1),
    ("thought_waits", row("Wait, hmm. I waited."), 2),
    ("thought_waits", row("等等，再想想"), 1),
    ("thought_checks", row("Let me double-check. 验证一下"), 2),
    ("thought_checks", row("a checkbook"), 0),
    ("thought_turns", row("Alternatively, that's not right."), 2),
    ("thought_turns", row("an alternative"), 0),
    ("gibberish_chars", row("ok \ufffd\ufffd", "a\x01"), 3),
    ("gibberish_chars", row("x " + "QUJD" * 20), 80),
    ("gibberish_chars", row("hmm, strengths \\sqrt{2} https://a.b/c\n\t e\u0301"), 0),
    ("gibberish_share", row("a\ufffd"), 0.5),
    ("gibberish_share", row(), None),
    ("emails", row("to ann@uni.edu.tr, bob@example.com"), 1),  # one is nobody's
    ("emails", row("a @ b, x@y"), 0),
    ("phones", row("call +49 30 901820 or (212) 555-0123"), 2),
    ("phones", row("3 + 49 30 = 5, f(212) 555, 2024-01-02, 5 +37.05 +0.1367"), 0),
    ("cards", row("4111 1111 1111 1111 and 4111 1111 1111 1112"), 1),  # Luhn
    ("ibans", row("DE89 3704 0044 0532 0130 00, DE88 3704 0044 0532 0130 00"), 1),
    ("secret_keys", row("sk-" + "a1" * 20, "-----BEGIN RSA PRIVATE KEY-----"), 2),
    ("secret_keys", row("hf_" + "aB" * 17 + " AKIA" + "A1" * 8 + " ghp_" + "a" * 36), 3),
    ("secret_keys", row("sk-learn, task-oriented, hf_hub"), 0),
    ("verdict", row("", r"\boxed{2}", gold="2", verify="math"), "correct"),
    ("verdict", row("2", "", gold="2", verify="math"), "no_answer"),  # the thought does not count
    ("verdict", row("", "2", gold=None, verify="math"), "unverifiable"),
    ("verdict", row("", "2", gold="2", verify=None), "unverifiable"),
    ("verdict_method", row("", "2", gold="2", verify="judge"), "no_checker"),  # no check for it yet
    ("verdict_answer", row("", r"\boxed{ 2}", gold="2", verify="math"), "2"),
    ("verdict_detail", row("", "The answer is 2.", gold="2", verify="math"), "stated"),
]


@pytest.mark.parametrize(("column", "of", "expected"), CASES)
def test_signals_measure_what_they_say(column: str, of: Row, expected: object) -> None:
    found = value(column, of)
    assert found == (pytest.approx(expected) if isinstance(expected, float) else expected)


def test_every_signal_has_a_case() -> None:
    assert {column for column, _, _ in CASES} == set(all_columns()) - {
        "zstd_ratio",
        *("nll_per_token", "student_fit", "unscored"),  # test_score.py, with a real model
    }


WORDS = [blake2b(bytes([n % 256, n // 256])).hexdigest()[: 3 + n % 5] for n in range(6_000)]


def ratio(text: str) -> float:
    found = value("zstd_ratio", row(text))
    assert isinstance(found, float)
    return found


def test_the_ratio_tells_a_loop_from_text() -> None:
    text = " ".join(WORDS[:600])
    assert ratio("Wait, let me check that once more. " * 100) < 0.17 < ratio(text)
    assert value("zstd_ratio", row()) is None


def test_a_late_loop_with_other_numbers_shows_in_the_tail_alone() -> None:
    loop = " ".join(f"Let me try x = {n}, which does not work." for n in range(250))
    late = row(" ".join(WORDS) + "\n\n" + loop, "2")
    assert value("tail_zstd_ratio", late) < 0.2 < 0.3 < value("zstd_ratio", late)  # type: ignore[operator]
    assert value("repeat_20gram", late) == 0 == value("tail_loop", late)


def tail_loop(text: str) -> int:
    return int(repetition(to_frame([row(text)]), PLAIN)["tail_loop"].item())


@given(st.text(alphabet="ab c", min_size=13, max_size=90), st.integers(3, 9), st.integers(0, 12))
def test_a_tail_loop_is_found_whole(turn: str, turns: int, cut: int) -> None:
    text = ("x" * 50 + "#" + turn * turns)[: -cut or None].rstrip()
    found = tail_loop(text)
    # at least what was repeated after the mark, unless that is too short or not three turns
    looped = len(text) - 51
    if looped >= 3 * len(turn) and looped >= 80 and turn.strip():
        assert found >= looped
    assert found <= len(text)


def counted(text: str) -> float:
    words = text.split()
    grams = [tuple(words[i : i + 20]) for i in range(len(words) - 19)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "b", "é\n", "\u2003c"]), max_size=80), min_size=1, max_size=4
    )
)
def test_hashed_20grams_count_as_real_ones(texts: list[list[str]]) -> None:
    rows = [row(" ".join(words)) for words in texts]
    module = owner("repeat_20gram")
    assert module is not None
    found = module.measure(to_frame(rows), PLAIN)["repeat_20gram"].to_list()
    assert found == pytest.approx([counted(of.reasoning) for of in rows])


ODD = [
    row(),
    row("a", "b", question=None, verify="math", gold="1"),
    row("\x00\u200b\ufeff", "\U0010ffff\u0301" * 9, question=""),
    row("x" * 2_000_000, "1" * 300_000, gold="1" * 300_000, verify="math"),  # huge
    row("word " * 100_000, "\\boxed{" * 50_000, gold="{", verify="exact"),
    row("日本" * 5_000, "```" * 5_000, verify="made up", gold=""),
    row("\n" * 50_000, "\r\n" * 9, finish_reason=""),
    row("\ufeffa\r\nb\u200d\u200f", "שלום \u202e2\u202c", question="מה?"),  # marks of direction
    row("</think>", "<think>" * 99, question="<think>\x00</think>"),
    row(
        r"\boxed{\boxed{\boxed{2}}}",
        r"\boxed{\frac{\boxed{1}}{\boxed{2}}}",
        gold="0.5",
        verify="math",
    ),
]


def nulls(height: int) -> pl.DataFrame:
    """Rows in which everything that can be missing is."""
    return pl.DataFrame({name: [None] * height for name in SCHEMA}, schema=SCHEMA)


TABLES = {
    "empty": to_frame([]),
    "one row": to_frame([row(ENGLISH, "2")]),
    "odd": to_frame(ODD),
    "nulls": nulls(3),
    "nulls among rows": pl.concat([nulls(1), to_frame(ODD[:3]), nulls(2)]),
    "many": to_frame([row(ENGLISH * 9, str(n)) for n in range(600)]),
    "lone surrogates": to_frame(  # as a JSON file may hold them: read as replacement characters
        [row("a\ud800b".encode("utf-8", "surrogatepass").decode("utf-8", "replace"), "2")]
    ),
}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("module", MODULES, ids=NAMES)
def test_a_module_keeps_its_contract(module: Signal, table: str) -> None:
    frame = TABLES[table]
    found = module.measure(frame, PLAIN)
    assert found.schema == pl.Schema(module.COLUMNS)
    assert found.height == frame.height
    assert found.equals(module.measure(frame, PLAIN))


@pytest.mark.parametrize("module", MODULES, ids=NAMES)
def test_a_row_is_measured_alike_alone_and_among_others(module: Signal) -> None:
    frame = pl.concat([TABLES["odd"], TABLES["many"].head(5), nulls(1)])
    whole = module.measure(frame, PLAIN)
    alone = pl.concat([module.measure(frame.slice(at, 1), PLAIN) for at in range(frame.height)])
    assert whole.equals(alone)


@settings(max_examples=40, deadline=None)
@given(st.text(), st.text(), st.none() | st.text())
def test_no_text_makes_a_signal_raise(reasoning: str, response: str, question: str | None) -> None:
    frame = to_frame([row(reasoning, response, question=question, gold="1", verify="math")])
    for module in MODULES:
        assert module.measure(frame, PLAIN).height == 1


def test_modules_are_described_and_apart() -> None:
    for module in MODULES:
        assert (module.__doc__ or "").strip()
        assert int(module.VERSION) >= 1
        assert not set(module.COLUMNS) & set(SCHEMA)
    assert sum(len(module.COLUMNS) for module in MODULES) == len(all_columns())
    assert [module.COST for module in MODULES] == sorted(module.COST for module in MODULES)
    assert owner("id") is None


def test_every_signal_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "filters.md").read_text(encoding="utf-8")
    assert [name for name in all_columns() if f"`{name}`" not in text] == []


def test_each_foreign_letter_is_counted_once() -> None:
    letters = "日のハ한яعאहไქ"  # one of each script, and one without an entry
    assert value("foreign_chars", row("abc " + letters)) == len(letters)
    assert len(language.SCRIPTS) == len(letters) - 1  # both kana share an entry
