"""What only the whole set can decide: copies, benchmarks, quotas, order; and how it is shown."""

import json
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import distill
from distill.cli import main
from distill.errors import UserError
from distill.files.write import read_json
from distill.rows import SCHEMA
from tests.builders import rows

ASKED = "A farmer has {n} red hens, {n} white ducks and one very old goat; how many animals in all?"
WORDS = [w for w in Path(__file__).read_text(encoding="utf-8").split() if w.isalpha()]


def prose(seed: int, words: int = 300) -> str:
    draw = random.Random(seed)
    return " ".join(draw.choice(WORDS) for _ in range(words))


def row(name: str, **values: Any) -> dict[str, Any]:
    """A row whose texts are like no other's."""
    asked = [{"role": "user", "content": f"Question {name}: {prose(len(name))[:80]}"}]
    text = prose(hash(name) % 2**32)
    return rows.row(name, **({"messages": asked, "reasoning": text} | values))


def run(tmp_path: Path, rows: list[dict[str, Any]], **recipe: Any) -> tuple[dict[str, Any], Path]:
    """The report and the folder of a result."""
    data, out = tmp_path / "data.parquet", tmp_path / "out"
    pl.DataFrame(rows, schema=SCHEMA).write_parquet(data)
    (tmp_path / "recipe.yaml").write_text(
        json.dumps({"rules": {"truncated": "finish_reason = 'stop'"}} | recipe)
    )
    distill.filter(str(tmp_path / "recipe.yaml"), data, out=out)
    return read_json(out / "report.json"), out


def fates(out: Path) -> dict[str, str | None]:
    kept, dropped = (pl.read_parquet(out / n / "*.parquet") for n in ("kept", "dropped"))
    found: dict[str, str | None] = dict.fromkeys(kept["id"])
    return found | dict(zip(dropped["id"], dropped["reason"], strict=True))


def changed(text: str, every: int) -> str:
    words = text.split()
    return " ".join("otherwise" if i % every == 0 else w for i, w in enumerate(words))


def test_near_copies_go_and_the_preferred_stays(tmp_path: Path) -> None:
    text = prose(1)
    same = row("a")["messages"]
    rows = [
        row("a", reasoning=text, completion_tokens=90),
        row("near", reasoning=changed(text, 100), completion_tokens=80, messages=same),
        row("exact", reasoning=text + " ", completion_tokens=85, messages=same),
        row("far", reasoning=changed(text, 4), messages=same),
        row("other"),
        row("lost", reasoning=text, messages=same, finish_reason="length", completion_tokens=1),
    ]
    select = {"dedupe": "near", "prefer": "completion_tokens ASC"}
    report, out = run(tmp_path, rows, select=select)
    gone = {"a": "duplicate", "exact": "duplicate", "lost": "truncated"}
    assert fates(out) == {"near": None, "far": None, "other": None} | gone
    copies = pl.read_parquet(out / "duplicates.parquet")
    assert copies.select("id", "keeps_id").rows() == [("a", "near"), ("exact", "near")]
    assert copies["jaccard"].is_between(0.85, 0.999).all()
    assert report["duplicates"] == {"groups": 1, "exact": 0, "near": 2}
    assert not [p for p in out.iterdir() if p.name not in RESULT]


RESULT = {"kept", "dropped", "signals", "report.json", "duplicates.parquet", ".lock"}


def test_copies_are_found_across_units(tmp_path: Path) -> None:
    texts = [prose(i, 60) for i in range(30)]
    rows = [row(str(i), reasoning=texts[i % 30] + f" {i}") for i in range(4_100)]
    for r in rows:
        r["messages"] = None
        r["id"] = f"{r['id']:>05}"
    report, out = run(
        tmp_path, rows, select={"dedupe": "near", "near": {"jaccard": 0.8, "words": 3}}
    )
    assert report["kept"] == 30
    assert {p.name for p in (out / "signals").iterdir()} == {
        f"part-{i:05}.parquet" for i in range(3)
    }
    assert set(fates(out)) == {r["id"] for r in rows}


def test_contaminated_rows_name_what_they_met_and_are_never_verified(tmp_path: Path) -> None:
    questions = [ASKED.format(n=n) for n in (3, 4)]
    lines = [json.dumps({"id": f"b{i}", "problem": q}) for i, q in enumerate(questions)]
    (tmp_path / "bench.jsonl").write_text("\n".join(lines))
    rows = [
        row("asks", messages=[{"role": "user", "content": "Please help. " + questions[1]}]),
        row("quotes", reasoning=f"This is like: {questions[0].lower()} So, two."),
        row("clean"),
    ]
    against = {"against": [str(tmp_path / "bench.jsonl")], "words": 10}
    rules = {"truncated": "finish_reason = 'stop'", "wrong": "verdict = 'correct'"}
    report, out = run(tmp_path, rows, rules=rules, decontaminate=against)
    assert fates(out) == {"clean": None, "asks": "contaminated", "quotes": "contaminated"}
    found = report["contaminated"]
    assert (found["rows"], found["benchmarks"]) == (2, {"bench.jsonl": 2})
    met = {hit["id"]: (hit["benchmark"], hit["row"]) for hit in found["hits"]}
    assert met == {"asks": ("bench.jsonl", "b1"), "quotes": ("bench.jsonl", "b0")}
    dropped = pl.read_parquet(out / "dropped/*.parquet")
    assert dropped["verdict"].null_count() == 2
    assert set(dropped["contaminated_row"]) == {"b0", "b1"}


@pytest.mark.parametrize(
    "shape",
    [
        lambda q: {"Question": q},
        lambda q: {"instruction": "Solve this.", "input": q},
        lambda q: {"messages": [{"role": "user", "content": [{"type": "text", "text": q}]}]},
        lambda q: {
            "conversations": [
                {"from": "human", "value": q},
                {"from": "gpt", "value": "Do you want hints?"},
                {"from": "human", "value": "No."},
            ]
        },
    ],
)
def test_a_benchmarks_question_is_found_in_whatever_shape_it_is_kept(
    tmp_path: Path, shape: Callable[[str], dict[str, Any]]
) -> None:
    question = ASKED.format(n=3)
    (tmp_path / "bench.jsonl").write_text(json.dumps(shape(question)))
    rows = [row("asks", messages=[{"role": "user", "content": question}]), row("clean")]
    against = {"against": [str(tmp_path / "bench.jsonl")], "words": 10, "fuzzy": None}
    _, out = run(tmp_path, rows, rules={"short": "total_tokens < 99999"}, decontaminate=against)
    assert fates(out) == {"asks": "contaminated", "clean": None}


def test_a_benchmark_may_be_a_pattern_of_prompts_recipes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts" / "eval").mkdir(parents=True)
    for n in (3, 5):
        (tmp_path / f"prompts/eval/q{n}.jsonl").write_text(
            json.dumps({"question": ASKED.format(n=n), "answer": "2"})
        )
        recipe = {"problems": {"file": f"q{n}.jsonl"}, "template": "{{ question }}", "samples": 1}
        teacher = {"model": "m", "base_url": "http://127.0.0.1:9", "key_env": "NO_KEY"}
        (tmp_path / f"prompts/eval/q{n}.yaml").write_text(json.dumps(recipe | {"teacher": teacher}))
    rows = [row(f"r{n}", messages=[{"role": "user", "content": ASKED.format(n=n)}]) for n in (3, 5)]
    wanted = {"against": ["prompts/eval/*.yaml"], "fuzzy": None}
    report, out = run(tmp_path, [*rows, row("clean")], decontaminate=wanted)
    assert report["contaminated"]["benchmarks"] == {"q3": 1, "q5": 1}
    assert fates(out) == {"clean": None, "r3": "contaminated", "r5": "contaminated"}


def test_another_benchmark_under_the_same_name_is_another_result(tmp_path: Path) -> None:
    bench = tmp_path / "bench.jsonl"
    bench.write_text(json.dumps({"question": ASKED.format(n=3)}))
    rows = [row("asks", messages=[{"role": "user", "content": ASKED.format(n=5)}])]
    wanted = {"against": [str(bench)], "fuzzy": None}
    run(tmp_path, rows, decontaminate=wanted)
    assert fates(tmp_path / "out") == {"asks": None}
    bench.write_text(json.dumps({"question": ASKED.format(n=5)}))
    again = (str(tmp_path / "recipe.yaml"), tmp_path / "data.parquet")
    with pytest.raises(UserError, match="another recipe, input, option or version"):
        distill.filter(*again, out=tmp_path / "out")
    distill.filter(*again, out=tmp_path / "out", force=True)
    assert fates(tmp_path / "out") == {"asks": "contaminated"}


BENCHMARKS = [
    ("nowhere.jsonl", "nowhere.jsonl"),
    ("answers.jsonl", "no column of questions: found label"),
    ("eval/gsm9k", "did you mean 'eval/gsm8k'"),
    ("empty.jsonl", "no question in it"),
    ("*.nothing", "no such file"),
]


@pytest.mark.parametrize(("name", "said"), BENCHMARKS)
def test_a_benchmark_that_cannot_be_read_is_one_line(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "answers.jsonl").write_text('{"label": 3}')
    (tmp_path / "empty.jsonl").write_text('{"question": ""}\n{"other": 3}')
    with pytest.raises(UserError) as refused:
        run(tmp_path, [row("a")], decontaminate={"against": [name]})
    assert "decontaminate.against.0" in str(refused.value)
    assert said in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_the_report_says_what_to_ask_for_where_a_quota_is_short(tmp_path: Path) -> None:
    rows = [row(f"m{i}", finish_reason="stop" if i % 4 else "length") for i in range(40)]
    rows += [row(f"c{i}", domain="code", source="s") for i in range(8)]
    rows += [row("t", domain="code", source="t", finish_reason="length")]
    rows += [row(f"g{i}", domain="logic", finish_reason="length") for i in range(3)]
    quota = {"math": 60, "code": {"total": 5, "sources": {"s": 20, "t": 7}}, "logic": 2}
    report, _ = run(tmp_path, rows, select={"quota": quota})
    named = {(q["domain"], q["source"]): q for q in report["quotas"]}
    short = {key: (q["kept"], q["short"], q["keep_rate"], q["ask"]) for key, q in named.items()}
    assert short == {
        ("math", None): (30, 30, 0.75, 40),
        ("code", None): (5, 0, 0.8889, 0),
        ("code", "s"): (5, 15, 1.0, 15),
        ("code", "t"): (0, 7, 0.0, None),
        ("logic", None): (0, 2, 0.0, None),
    }


def test_prompts_that_are_too_easy_or_too_hard_go_whole(tmp_path: Path) -> None:
    verdicts = {"easy": "22", "hard": "33", "fine": "23"}
    rows = [
        row(name, sample=i, response=f"\\boxed{{{answer}}}")
        for name, answers in verdicts.items()
        for i, answer in enumerate(answers)
    ]
    window = {"at_least": 0.1, "at_most": 0.9}
    report, out = run(tmp_path, rows, select={"difficulty": window})
    assert report["reasons"] == {"too_easy": 2, "too_hard": 2}
    assert pl.read_parquet(out / "kept/*.parquet")["id"].to_list() == ["fine", "fine"]


def test_a_shuffled_set_is_the_same_rows_in_an_order_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row(f"{i:04}") for i in range(500)]
    _, out = run(tmp_path, rows)
    plain = pl.read_parquet(out / "kept/*.parquet")
    monkeypatch.setattr("distill.filtering.shuffle.PART", 100_000)  # several files
    folder = tmp_path / "shuffled"
    folder.mkdir()
    _, out = run(folder, rows, select={"shuffle": True})
    assert len(list((out / "kept").iterdir())) > 3
    mixed = pl.read_parquet(out / "kept/*.parquet")
    assert mixed["id"].to_list() != plain["id"].to_list()
    assert mixed.sort("id").equals(plain)
    ids = mixed["id"].to_list()
    assert sum(a < b for a, b in pairwise(ids)) in range(200, 300)


RULES = {"truncated": "finish_reason = 'stop'", "short": "response_chars > 9"}
EXPLAINED = [
    ([], "measured now", "not filtered yet"),
    (["-o", "out"], "stored", "dropped: truncated"),
]


@pytest.mark.parametrize(("more", "source", "fate"), EXPLAINED)
def test_one_row_is_explained_step_by_step(
    more: list[str],
    source: str,
    fate: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    rows = [row("a"), row("b", sample=0), row("b", sample=1, finish_reason="length")]
    run(tmp_path, rows, rules=RULES)
    arguments = ["filter", "recipe.yaml", "data.parquet", "--explain", "b", "1", *more]
    assert main(arguments) == 0
    shown = {
        line.split("│")[1].strip(): [part.strip() for part in line.split("│")[2:4]]
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("│")
    }
    assert shown["response_chars"] == ["9", source]
    assert shown["truncated"] == ["broken", RULES["truncated"]]
    assert shown["short"] == ["broken", RULES["short"]]  # also after the first that is broken
    assert shown["sample"][0] == "1"
    assert shown["result"][0] == fate


def test_a_row_of_another_text_is_not_explained_by_what_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run(tmp_path, [row("a")], rules=RULES)
    other = json.dumps(row("a", response="\\boxed{12345}"))
    (tmp_path / "other.jsonl").write_text(other)
    assert main(["filter", "recipe.yaml", "other.jsonl", "-o", "out", "--explain", "a"]) == 0
    assert "measured now" in capsys.readouterr().out


def test_a_row_is_found_by_its_id_also_where_ids_are_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run(tmp_path, [row(str(i)) for i in range(9)], rules=RULES)
    numbers = pl.read_parquet("data.parquet").with_columns(pl.col("id").cast(pl.Int64))
    numbers.write_parquet("numbers.parquet")
    assert main(["filter", "recipe.yaml", "numbers.parquet", "-o", "out", "--explain", "7"]) == 0
    assert "stored" in capsys.readouterr().out


def test_examples_of_a_reason_are_always_the_same_and_cannot_move_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [row(f"{i}", response=f"\x1b[2J{i}", finish_reason="length") for i in range(30)]
    run(tmp_path, [*rows, row("good")])
    said = []
    for _ in range(2):
        assert (
            main(
                ["filter", "recipe.yaml", "data.parquet", "-o", "out", "--sample", "truncated", "3"]
            )
            == 0
        )
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert said[0].count("┌") == 3
    assert "\x1b[2J" not in said[0]
    assert main(["filter", "recipe.yaml", "data.parquet", "-o", "out", "--sample", "kept"]) == 0
    assert "good" in capsys.readouterr().out


WORDING = [
    (["--sample", "trunkated"], "no row was dropped as 'trunkated'; did you mean 'truncated'?"),
    (["--sample", "truncated", "many"], "write --sample REASON [N]"),
    (["--explain", "nobody"], "no row with id 'nobody'"),
    (["--explain", "a", "7"], "no row with id 'a' and sample 7"),
]


@pytest.mark.parametrize(("more", "said"), WORDING)
def test_a_question_that_has_no_answer_is_one_line(
    more: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    run(tmp_path, [row("a"), row("b", finish_reason="length")])
    assert main(["filter", "recipe.yaml", "data.parquet", "-o", "out", *more]) == 2
    assert said in capsys.readouterr().err
    assert main(["filter", "recipe.yaml", "data.parquet"]) == 2
    assert "-o FOLDER is missing" in capsys.readouterr().err
