import json
import logging
import random
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.errors import UserError
from distill.problems import LeftOut, ProblemSet, problem_set, read_problems
from distill.problems.golds import NUMBER, SURE, own_verdicts
from distill.problems.questions import normal
from distill.problems.read import TABLE
from distill.recipes.load import load
from distill.recipes.prompts import PromptsRecipe
from distill.rows import PROBLEM_SCHEMA, Problem, row_id
from tests.builders.benchmark_rows import GSM8K, MATH

SUMS = "reasoning_gym: [{name: chain_sum, size: 5, seed: %d}]"


def recipe(folder: Path, problems: str = "file: p.jsonl") -> Path:
    path = folder / "r.yaml"
    path.write_text(f"problems: {{{problems}}}\nserve: {{}}\n")
    return path


def problems_of(path: Path, *overrides: str) -> list[Problem]:
    return read_problems(load(str(path), PromptsRecipe, overrides))


def set_of(folder: Path, *sets: str) -> ProblemSet:
    return problem_set(load(str(recipe(folder)), PromptsRecipe, sets))


def write(folder: Path, *objects: dict[str, Any]) -> None:
    (folder / "p.jsonl").write_text("".join(json.dumps(o) + "\n" for o in objects))


def left_out_of(folder: Path, *sets: str) -> tuple[list[str], list[LeftOut]]:
    """The questions that are asked, and what is left out."""
    noted: list[LeftOut] = []
    try:
        tables = list(set_of(folder, *sets).tables(note=noted.append))
    except UserError:
        tables = []
    return [question for table in tables for question in table["question"]], noted


def read(folder: Path, *objects: dict[str, Any], sets: tuple[str, ...] = ()) -> list[Problem]:
    write(folder, *objects)
    return problems_of(recipe(folder), *sets)


def mistake(path: Path, *overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        problems_of(path, *overrides)
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


def mistake_in(folder: Path, *objects: dict[str, Any], sets: tuple[str, ...] = ()) -> str:
    write(folder, *objects)
    return mistake(recipe(folder), *sets)


def asked(question: object = "1 + 1?", answer: object = "2", **other: object) -> dict[str, Any]:
    return {"question": question, "answer": answer, **other}


def test_a_problem_is_what_its_file_and_recipe_say(tmp_path: Path) -> None:
    assert read(tmp_path, asked(), sets=("domain=logic", "verify=exact")) == [
        Problem(
            id=row_id("p", "1 + 1?"),
            question="1 + 1?",
            domain="logic",
            source="p",
            gold="2",
            verify="exact",
            fields=None,
        )
    ]


def test_the_source_may_be_named_and_is_part_of_the_id(tmp_path: Path) -> None:
    (problem,) = read(tmp_path, asked(), sets=("problems.source=mine",))
    assert (problem.source, problem.id) == ("mine", row_id("mine", "1 + 1?"))


@pytest.mark.parametrize("name", ["p.parquet", "p.csv", "p.jsonl"])
def test_a_file_of_any_kind_beside_the_recipe_gives_the_same_problems(
    tmp_path: Path, name: str
) -> None:
    table = pl.DataFrame([asked(), asked("2 + 2?", "4")])
    kinds: dict[str, Callable[[Path], object]] = {
        ".parquet": table.write_parquet,
        ".csv": table.write_csv,
        ".jsonl": table.write_ndjson,
    }
    kinds[Path(name).suffix](tmp_path / name)
    found = problems_of(recipe(tmp_path, f"file: {name}"))
    assert [(p.question, p.gold, p.source) for p in found] == [
        ("1 + 1?", "2", "p"),
        ("2 + 2?", "4", "p"),
    ]


def test_a_map_is_sql_over_the_columns(tmp_path: Path) -> None:
    line = {"q": "1 + 1?", "solution": "one and one #### 2", "n": 7}
    gold = "problems.map.gold=TRIM(SPLIT_PART(solution, '####', 2))"
    sets = ("problems.map.question=q", gold, "problems.map.id=n")
    (problem,) = read(tmp_path, line, sets=sets)
    assert (problem.id, problem.question, problem.gold) == ("7", "1 + 1?", "2")


def test_where_leaves_rows_out(tmp_path: Path) -> None:
    lines = [asked(str(i), "0", level=i) for i in range(5)]
    found = read(tmp_path, *lines, sets=("problems.where=level >= 3",))
    assert [p.question for p in found] == ["3", "4"]


def test_a_repeated_question_is_asked_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "distill"):
        found = read(tmp_path, asked(), asked(" 1  +\n1? "), asked("e\u0301"), asked("\u00e9"))
    assert [p.question for p in found] == ["1 + 1?", "e\u0301"]
    assert "2 problems left out: the same question is in the set" in caplog.text


def test_a_question_with_two_reference_answers_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "distill"):
        found = read(tmp_path, asked(), asked(answer="3"), asked("2 + 2?", "4"))
    assert [p.question for p in found] == ["2 + 2?"]
    assert "2 problems left out: their reference answers contradict" in caplog.text


def test_without_a_check_no_reference_is_needed(tmp_path: Path) -> None:
    (problem,) = read(tmp_path, {"question": "Why?"}, sets=("verify=null",))
    assert (problem.gold, problem.verify) == (None, None)


def test_numbers_are_read_as_text(tmp_path: Path) -> None:
    found = read(tmp_path, asked(5, 3), asked("six", "x"))
    assert [(p.question, p.gold) for p in found] == [("5", "3"), ("six", "x")]


MISTAKES = [
    ([], (), "p is empty"),
    ([{"x": 1, "y": 2}], (), "p has no question column; found x, y; use map"),
    (
        [{"question": "q", "y": 2}],
        (),
        "p has no gold column; found question, y; use map, or verify",
    ),
    ([asked(problem="p")], (), "question and problem could both be the question; say which in map"),
    ([asked(gold="p")], (), "gold and answer could both be the gold; say which in map"),
    ([asked(id=1), asked("b", id=1)], ("problems.map.id=id",), "id '1' appears twice"),
    ([asked("  ")], (), "no usable problem is left"),
    ([asked(answer=" ")], (), "no usable problem is left"),
    ([asked()], ("problems.where=1 = 2",), "no usable problem is left"),
    # SQL that is none, or names what is not there, or makes no text
    (
        [asked()],
        ("problems.where=level > 3",),
        "problems.where: level > 3: names a column that is n",
    ),
    ([asked()], ("problems.where=level > 3",), "found question, answer"),
    (
        [asked()],
        ("problems.where=SELECT (",),
        "problems.where: SELECT (: not a polars SQL expressi",
    ),
    ([asked()], ("problems.where=question",), "problems.where: question: makes String, not a cond"),
    ([asked()], ("problems.map.gold=oops",), "problems.map.gold: oops: names a column that is not"),
    ([asked()], ("problems.map.gold=FOO(answer)",), "unsupported function"),
    ([asked(answer=["2"])], (), 'problems.map.gold: "answer": makes List(String), not text'),
    ([asked(answer={"a": 1})], (), "makes Struct({'a': Int64}), not text"),
    ([asked(answer={"a": 1}), asked(answer="2")], (), "p.jsonl: its lines do not make one table"),
    (
        [asked(answer="x")],
        ("problems.map.gold=CAST(answer AS INT)",),
        "cannot be computed on p: con",
    ),
    (
        [asked(answer="x")],
        ("problems.where=CAST(answer AS INT) = 2",),
        "cannot be computed on p: co",
    ),
    ([asked()], ("problems.file=none.jsonl",), "problems.file: none.jsonl: no such file"),
    ([asked()], ("problems.file=r.yaml",), "problems.file: r.yaml: give JSONL(.gz, .zst), Parquet"),
]


@pytest.mark.parametrize(("lines", "sets", "said"), MISTAKES)
def test_an_unusable_set_is_one_line(
    tmp_path: Path, lines: list[dict[str, Any]], sets: tuple[str, ...], said: str
) -> None:
    assert said in mistake_in(tmp_path, *lines, sets=sets)


CELLS = st.none() | st.text("ab 12", max_size=3) | st.integers(0, 9)


@given(lines=st.lists(st.builds(asked, question=CELLS, answer=CELLS), max_size=6))
def test_every_problem_has_one_question_and_one_reference(
    tmp_path_factory: Any, lines: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    try:
        found = read(folder, *lines)
    except UserError:
        found = []
    questions = [" ".join(p.question.split()) for p in found]
    assert all(questions)
    assert len(set(questions)) == len({p.id for p in found}) == len(found)
    for problem in found:
        same = " ".join(problem.question.split())
        given_golds = [o["answer"] for o in lines if " ".join(str(o["question"]).split()) == same]
        golds = {str(gold) for gold in given_golds if gold is not None and str(gold).strip()}
        assert golds == {problem.gold}


@given(lines=st.lists(st.builds(asked, question=CELLS, answer=CELLS), max_size=6))
def test_every_line_is_asked_or_left_out_with_a_reason(
    tmp_path_factory: Any, lines: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    write(folder, *lines)
    questions, noted = left_out_of(folder)
    assert len(questions) + len(noted) == len(lines)
    assert {one.reason for one in noted} <= {
        "no_question",
        "no_gold",
        "golds_contradict",
        "repeated_question",
    }
    assert all(one.id == row_id("p", one.question or "") for one in noted if one.id is not None)


def test_what_is_left_out_is_told_with_its_reason(tmp_path: Path) -> None:
    lines = [asked("", "1"), asked("a", None), asked("b", "1"), asked("b ", "2")]
    write(tmp_path, *lines, asked("c", "3"), asked(" c", "3"), asked("d", "$"), asked("e", "5"))
    questions, noted = left_out_of(tmp_path)
    assert questions == ["c", "e"]
    assert [(one.question, one.gold, one.reason) for one in noted] == [
        ("", "1", "no_question"),
        ("a", None, "no_gold"),
        ("b", "1", "golds_contradict"),
        ("b ", "2", "golds_contradict"),
        (" c", "3", "repeated_question"),
        ("d", "$", "uncheckable_gold:unverifiable/unreadable_gold"),
    ]
    assert [one.id for one in noted[:2]] == [None, row_id("p", "a")]


@given(text=st.text(st.characters(exclude_categories=["Cs", "Cn"])))
def test_two_questions_are_the_same_as_python_would_say(text: str) -> None:
    spaced = " ".join(unicodedata.normalize("NFC", text).split())
    assert pl.select(normal(pl.lit(text))).item() == spaced


def test_every_white_space_of_python_and_no_other_character_is_one() -> None:
    letters = [chr(i) for i in range(0x110000) if not 0xD800 <= i < 0xE000]
    found = pl.Series("question", letters).to_frame().select(normal(pl.col("question"))).to_series()
    assert {c for c, text in zip(letters, found, strict=True) if not text} == {
        c for c in letters if c.isspace()
    }


# Reference answers that no answer is found equal to.
UNCHECKABLE = ["$", "so it is #### 72", "\\boxed{"]


@pytest.mark.parametrize("gold", UNCHECKABLE)
def test_what_no_answer_could_be_right_for_is_not_asked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, gold: str
) -> None:
    with caplog.at_level(logging.WARNING, "distill"):
        found = read(tmp_path, asked("a", gold), asked("b", "1/2"), asked("c", gold))
    assert [p.question for p in found] == ["b"]
    (line,) = caplog.messages
    assert "2 problems left out: their reference answers are not right by their own check" in line
    assert f"2 unverifiable/unreadable_gold; such as {gold!r} of {row_id('p', 'a')}, " in line
    assert "keep_uncheckable" in line


def test_what_no_answer_could_be_right_for_is_asked_on_demand(tmp_path: Path) -> None:
    lines = [asked(str(i), gold) for i, gold in enumerate(UNCHECKABLE)]
    found = read(tmp_path, *lines, sets=("problems.keep_uncheckable=true",))
    assert [p.gold for p in found] == UNCHECKABLE


def test_without_a_check_every_reference_will_do(tmp_path: Path) -> None:
    assert len(read(tmp_path, asked(answer="$"), sets=("verify=null",))) == 1


def test_a_whole_solution_is_a_reference(tmp_path: Path) -> None:
    golds = ["One and one.\n#### 2", r"It is \boxed{2}.", r"\sqrt{2}", "x^2 + y", "(1, 2]"]
    found = read(tmp_path, *(asked(str(i), gold) for i, gold in enumerate(golds)))
    assert [p.gold for p in found] == golds


@pytest.mark.parametrize("kind", SURE)
@given(gold=st.from_regex(NUMBER.replace("$", r"\Z"), fullmatch=True))
def test_a_plain_number_is_right_by_its_own_check(kind: str, gold: str) -> None:
    assert own_verdicts([(gold, kind)])[0].label == "correct"


def numbered(count: int) -> list[dict[str, Any]]:
    return [asked(f"What is {i}?", str(i)) for i in range(count)]


@given(
    order=st.permutations(range(12)),
    fewer=st.integers(1, 12),
    more=st.integers(1, 12),
    seed=st.integers(-5, 5),
)
def test_a_sample_depends_on_the_seed_alone_and_a_larger_one_holds_it(
    tmp_path_factory: Any, order: list[int], fewer: int, more: int, seed: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    fewer, more = sorted((fewer, more))

    def drawn(count: int, lines: list[dict[str, Any]]) -> list[str]:
        sets = (f"problems.sample={count}", f"problems.seed={seed}")
        return [p.question for p in read(folder, *lines, sets=sets)]

    lines = numbered(12)
    shuffled = [lines[i] for i in order]
    small, large = drawn(fewer, lines), drawn(more, lines)
    assert (len(small), len(large)) == (fewer, more)
    assert set(small) <= set(large)
    assert small == [o["question"] for o in lines if o["question"] in small]
    again = drawn(fewer, shuffled)
    assert again == [o["question"] for o in shuffled if o["question"] in small]


def test_a_sample_is_the_same_on_every_machine_and_another_under_another_seed(
    tmp_path: Path,
) -> None:
    lines = numbered(100)

    def golds(seed: int) -> list[str | None]:
        sets = ("problems.sample=5", f"problems.seed={seed}")
        return [p.gold for p in read(tmp_path, *lines, sets=sets)]

    assert golds(0) == ["18", "56", "58", "92", "96"]
    assert golds(1) != golds(0)


def test_a_sample_is_drawn_of_what_can_be_used(tmp_path: Path) -> None:
    lines = [asked(str(i), "$" if i % 2 else str(i), level=i % 4) for i in range(40)]
    sets = ("problems.sample=7", "problems.where=level > 0")
    found = read(tmp_path, *lines, lines[2], asked("x", ""), sets=sets)
    assert len(found) == 7
    assert all(int(p.question) % 4 == 2 for p in found)


def test_a_sample_larger_than_the_set_is_the_set(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = numbered(3)
    with caplog.at_level(logging.WARNING, "distill"):
        assert read(tmp_path, *lines, sets=("problems.sample=4",)) == read(tmp_path, *lines)
    assert caplog.messages == [
        f"{tmp_path / 'r.yaml'}: problems.sample: 4: only 3 are there; all taken"
    ]


def test_a_set_is_tables_of_one_schema_in_the_order_of_its_file(tmp_path: Path) -> None:
    write(tmp_path, *numbered(TABLE + 1))
    tables = list(set_of(tmp_path).tables())
    assert [table.height for table in tables] == [TABLE, 1]
    assert all(table.schema == PROBLEM_SCHEMA for table in tables)
    assert [int(gold) for table in tables for gold in table["gold"]] == list(range(TABLE + 1))


def test_the_first_problems_are_those_of_the_tables(tmp_path: Path) -> None:
    write(tmp_path, *numbered(5))
    found = set_of(tmp_path)
    (table,) = found.tables()
    problems = [Problem(**row) for row in table.iter_rows(named=True)]
    assert list(found.first(None)) == list(found.first(9)) == problems
    assert list(found.first(2)) == problems[:2]
    assert list(found.first(0)) == []


def test_a_set_is_known_by_its_digest_before_it_is_read(tmp_path: Path) -> None:
    write(tmp_path, asked())
    known = set_of(tmp_path).digest
    (tmp_path / "p.jsonl").write_text("{")
    broken = set_of(tmp_path)  # and says nothing yet
    assert broken.digest != known
    with pytest.raises(UserError, match="not JSON"):
        list(broken.tables())
    write(tmp_path, asked())
    assert set_of(tmp_path).digest == known


def test_a_set_that_moves_with_its_recipe_keeps_its_digest(tmp_path: Path) -> None:
    digests = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, asked())
        digests.add(set_of(tmp_path / name).digest)
        digests.add(set_of(tmp_path / name, f"problems.file={tmp_path}/{name}/p.jsonl").digest)
    assert len(digests) == 1


def test_whatever_makes_other_problems_makes_another_digest(tmp_path: Path) -> None:
    write(tmp_path, asked())
    changes = [
        (),
        ("domain=logic",),
        ("verify=exact",),
        ("problems.where=question <> ''",),
        ("problems.sample=1",),
        ("problems.seed=1",),
        ("problems.map.gold=answer",),
        ("problems.source=x",),
        ("problems.keep_uncheckable=true",),
    ]
    digests = [set_of(tmp_path, *sets).digest for sets in changes]
    (tmp_path / "q.jsonl").write_bytes((tmp_path / "p.jsonl").read_bytes())
    digests.append(set_of(tmp_path, "problems.file=q.jsonl").digest)  # its name is the source
    assert len(set(digests)) == len(digests)
    # how they are asked is none of theirs
    assert set_of(tmp_path, "samples=4").digest == digests[0]


def test_columns_that_nothing_reads_may_hold_anything(tmp_path: Path) -> None:
    lines = [asked("a", "1", meta={"a": 1}), asked("b", "2", meta="x"), asked("c", "3", meta=[1])]
    assert len(read(tmp_path, *lines)) == 3


@pytest.mark.parametrize("key", ["question", "level"])
def test_a_column_may_first_appear_late_in_a_file(tmp_path: Path, key: str) -> None:
    early = [{"note": "x"}] * 4_000  # more than is read at once
    late = [asked("a", "1", level=1), asked("b", "2", level=2)]
    sets = ("problems.where=level IS NULL OR level > 1",) if key == "level" else ()
    found = read(tmp_path, *early, *late, sets=sets)
    assert [p.question for p in found] == (["b"] if key == "level" else ["a", "b"])
    assert "found note, question, answer, level" in mistake_in(
        tmp_path, *early, *late, sets=("problems.where=none = 1",)
    )


WHERES = [
    ("level IN (1, 3)", ["1", "3"]),
    ("level BETWEEN 2 AND 3", ["2", "3"]),
    ("COLUMNS('lev') > 2", ["3", "4"]),
    ("level > AVG(level)", ["3", "4"]),
    ("LENGTH(meta.kind) > 1", ["2", "4"]),
]


@pytest.mark.parametrize(("where", "questions"), WHERES)
@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_where_reads_whichever_columns_it_needs(
    tmp_path: Path, where: str, questions: list[str], suffix: str
) -> None:
    lines = [asked(str(i), "0", level=i, meta={"kind": "ab"[: 2 - i % 2]}) for i in range(1, 5)]
    write(tmp_path, *lines)
    pl.DataFrame(lines).write_parquet(tmp_path / "p.parquet")
    found = problems_of(
        recipe(tmp_path), f"problems.file=p.{suffix}", f"problems.where={json.dumps(where)}"
    )
    assert [p.question for p in found] == questions


def test_a_shuffled_file_has_the_same_problems(tmp_path: Path) -> None:
    lines = numbered(50)
    first = read(tmp_path, *lines)
    random.Random(0).shuffle(lines)
    assert sorted(read(tmp_path, *lines), key=lambda p: p.id) == sorted(first, key=lambda p: p.id)


def test_a_generated_set_is_the_same_again_and_another_under_another_seed(tmp_path: Path) -> None:
    pytest.importorskip("reasoning_gym")
    first = problems_of(recipe(tmp_path, SUMS % 1))
    assert first == problems_of(recipe(tmp_path, SUMS % 1))
    assert first != problems_of(recipe(tmp_path, SUMS % 2))
    assert [p.source for p in first] == ["reasoning-gym"] * 5


def test_a_generator_that_makes_another_set_than_recorded_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("reasoning_gym")
    path = recipe(tmp_path, SUMS % 1 + ", sha256: 0123456789abcdef")
    said = mistake(path)
    assert "the source now makes another set (" in said
    made = said.partition("another set (")[2].partition(",")[0]
    assert len(problems_of(path, f"problems.sha256='{made}'")) == 5


GENERATORS = [
    (
        "{name: chain_sums, size: 1, seed: 0}",
        "no generator 'chain_sums'; did you mean 'chain_sum'?",
    ),
    ("{name: chain_sum, size: 1, seed: 0, options: {terms: 2}}", "chain_sum: unusable options"),
    (
        "{name: chain_sum, size: 1, seed: 0, options: {min_terms: -1}}",
        "chain_sum: unusable options",
    ),
]


OPTIONS = [
    (
        "spell_backward",
        "{data_file: /etc/passwd}",
        "options.data_file: '/etc/passwd': a recipe",
    ),
    ("spell_backward", "{data_file: ../../../x}", "its own are 'words3to10.txt'"),
    ("figlet_font", "{static_font: ../../x}", "options.static_font: '../../x'"),
    ("basic_arithmetic", "{operators: ['+', '+[].append(1)+']}", "options.operators: '+[].append"),
    ("puzzle24", "{operators: [['+', 'exit()']]}", "its own are '*' or '+' or '-' or '/'"),
    ("simple_integration", "{symbols: ['__import__(1)']}", "options.symbols"),
    ("arc_agi", "{board_format_opts: {row_delimiter: x}}", "options.board_format_opts"),
    ("composite", "{datasets: [{name: codeio, weight: 1, config: {}}]}", "is made of other"),
    ("codeio", "{}", "runs programs that a model wrote"),
]


@pytest.mark.parametrize(("name", "options", "said"), OPTIONS)
def test_an_option_of_a_generator_is_a_number_or_a_word(
    tmp_path: Path, name: str, options: str, said: str
) -> None:
    pytest.importorskip("reasoning_gym")
    task = f"{{name: {name}, size: 1, seed: 0, options: {options}}}"
    assert said in mistake(recipe(tmp_path, f"reasoning_gym: [{task}]"))


def test_what_the_generators_offer_can_be_chosen(tmp_path: Path) -> None:
    pytest.importorskip("reasoning_gym")
    tasks = (
        "{name: basic_arithmetic, size: 2, seed: 0, options: {operators: ['+'], min_terms: 2}}",
        "{name: spell_backward, size: 1, seed: 0, options: {data_file: words3to10.txt}}",
        "{name: figlet_font, size: 1, seed: 0, options: {static_word: HELLO}}",
        "{name: caesar_cipher, size: 1, seed: 0, options: {delimiter: '.'}}",
    )
    assert len(problems_of(recipe(tmp_path, f"reasoning_gym: [{', '.join(tasks)}]"))) == 5


@pytest.mark.parametrize(("task", "said"), GENERATORS)
def test_an_unusable_generator_is_one_line(tmp_path: Path, task: str, said: str) -> None:
    pytest.importorskip("reasoning_gym")
    assert said in mistake(recipe(tmp_path, f"reasoning_gym: [{task}]"))


def test_a_generated_set_is_known_by_its_tasks(tmp_path: Path) -> None:
    pytest.importorskip("reasoning_gym")
    digests = [
        problem_set(load(str(recipe(tmp_path, SUMS % seed)), PromptsRecipe)).digest
        for seed in (1, 1, 2)
    ]
    assert digests[0] == digests[1] != digests[2]


EARLY = [
    ("file: none.jsonl", "problems.file: none.jsonl: no such file"),
    ("file: r.yaml", "problems.file: r.yaml: give JSONL"),
    ("file: p.jsonl, where: 'SELECT ('", "problems.where: SELECT (: not a polars SQL expression"),
    ("file: p.jsonl, map: {gold: FOO(x)}", "problems.map.gold: FOO(x): not a polars SQL expr"),
    ("reasoning_gym: [{name: chain_sums, size: 1, seed: 0}]", "did you mean 'chain_sum'?"),
]


@pytest.mark.parametrize(("problems", "said"), EARLY)
def test_what_is_cheap_to_see_is_said_before_anything_is_read(
    tmp_path: Path, problems: str, said: str
) -> None:
    if "gym" in problems:
        pytest.importorskip("reasoning_gym")
    (tmp_path / "p.jsonl").write_text("{")
    path = recipe(tmp_path, problems)
    with pytest.raises(UserError) as caught:
        problem_set(load(str(path), PromptsRecipe))
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "rows", "golds"),
    [
        ("gsm8k", GSM8K, ["18", "1,080", "-3", "2.5"]),
        ("eval/gsm8k", GSM8K, ["18", "1,080", "-3", "2.5"]),
        ("eval/math500", MATH, [row["answer"] for row in MATH]),
    ],
)
def test_the_shipped_recipes_make_golds_that_are_right_by_their_own_check(
    name: str, rows: list[dict[str, str]], golds: list[str], tmp_path: Path
) -> None:
    without = {key: "" if key == "answer" else "?" for key in rows[0]}
    write(tmp_path, *rows, rows[0], without)  # one is there twice, and one has no answer
    noted: list[LeftOut] = []
    found = problem_set(load(name, PromptsRecipe, [f"problems.file={tmp_path / 'p.jsonl'}"]))
    assert [g for table in found.tables(note=noted.append) for g in table["gold"]] == golds
    assert sorted(one.reason for one in noted) == ["no_gold", "repeated_question"]
