"""Whatever is fed in: each row ends in one place with a reason, or one line says what to mend."""

import gzip
import json
import pickle
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard

import distill
from distill.errors import UserError
from distill.files import lines
from distill.files.write import read_json
from distill.filtering import hashes
from tests.builders.rows import filters, jsonl, row


def split(tmp_path: Path, data: Path, **more: Any) -> dict[str, str | None]:
    """The reason of each row, None for those that were kept; nothing is lost on the way."""
    out = tmp_path / "out"
    distill.filter(filters(tmp_path, **more), data, out=out)
    kept, dropped = (pl.read_parquet(out / name / "*.parquet") for name in ("kept", "dropped"))
    report = read_json(out / "report.json")
    assert report["read"] == kept.height + dropped.height == report["kept"] + report["dropped"]
    assert not dropped["reason"].has_nulls()
    reasons: dict[str, str | None] = dict.fromkeys(kept["id"])
    return reasons | dict(zip(dropped["id"], dropped["reason"], strict=True))


ODD: dict[str, tuple[dict[str, Any], str | None]] = {
    "null texts": ({"reasoning": None, "response": None}, "malformed"),
    "null finish": ({"finish_reason": None}, "truncated_unknown"),
    "null messages": ({"messages": None}, None),
    "null source and domain": ({"source": None, "domain": None}, None),
    "null gold": ({"gold": None}, "wrong"),
    "numbers for texts": ({"reasoning": 7, "response": 2, "gold": 2}, None),
    "lists for texts": ({"response": ["2"]}, "malformed"),
    "not a number": ({"cost_usd": float("nan"), "completion_tokens": float("nan")}, None),
    "infinity": ({"cost_usd": float("inf")}, None),
    "negative counts": ({"completion_tokens": -4, "prompt_tokens": 2**40}, None),
    "half a character": ({"reasoning": "half \ud83d of one"}, None),
    "zero characters": ({"reasoning": "a\0b", "source": "a\0b"}, None),
    "zero width": ({"response": "\u200b\\boxed{2}\ufeff", "reasoning": "\u200d\u2060"}, None),
    "right to left": ({"reasoning": "\u202eenO \u05d0\u05d7\u05d3"}, None),
    "windows lines": ({"reasoning": "One\r\nand\r\none.\r\n"}, None),
    "think tags in the prompt": (
        {"messages": [{"role": "user", "content": "What is </think> 1 + 1? <think>"}]},
        None,
    ),
    "think tags in the answer": ({"response": "<think>no</think>\\boxed{2}"}, "malformed"),
    "chat tokens": ({"response": "\\boxed{2}<|im_end|><|im_start|>user"}, "malformed"),
    "nested boxes": ({"response": "\\boxed{\\boxed{2}}"}, None),
    "a box that does not end": ({"response": "\\boxed{2"}, "wrong"),
    "unknown check": ({"verify": "astrology"}, "wrong"),
    "unknown domain": ({"domain": "../../etc/passwd"}, None),
    "a path as source": ({"source": "/etc/passwd"}, None),
    "an empty turn": ({"messages": [{"role": "user", "content": ""}]}, None),
}


def test_odd_rows_end_in_one_place_each_and_leave_the_others_alone(tmp_path: Path) -> None:
    rows = [row(f"{i:02} {name}", **values) for i, (name, (values, _)) in enumerate(ODD.items())]
    data = jsonl(tmp_path / "data.jsonl", *rows, row("good"))
    reasons = split(tmp_path, data)
    expected = {r["id"]: why for r, (_, why) in zip(rows, ODD.values(), strict=True)}
    assert reasons == expected | {"good": None}


@pytest.mark.parametrize("name", ["../../escape", "/tmp/escape", "CON", "a" * 300, "é\u0301", " "])
def test_a_key_never_becomes_a_path(name: str, tmp_path: Path) -> None:
    inside = tmp_path / "deep" / "er"
    data = jsonl(inside / "data.jsonl", row(name, source=name, teacher=name))
    assert split(inside, data) == {name: None}
    assert {p.name for p in tmp_path.rglob("*.parquet")} == {"part-00000.parquet"}
    assert not [p for p in tmp_path.rglob("*") if "escape" in p.name]


def test_one_question_in_two_unicode_forms_is_one_prompt(tmp_path: Path) -> None:
    asked = [[{"role": "user", "content": f"caf{e}  1 + 1?"}] for e in ("\u00e9", "e\u0301")]
    rows = [row(str(i), messages=messages) for i, messages in enumerate(asked)]
    data = jsonl(tmp_path / "data.jsonl", *rows)
    assert split(tmp_path, data, select={"dedupe": "exact"}) == {"0": None, "1": "duplicate"}


def turns(*texts: str) -> list[dict[str, str]]:
    """A conversation that begins with the user."""
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


def test_a_prompt_is_the_whole_conversation_but_for_what_the_system_says(tmp_path: Path) -> None:
    last = "Please solve it step by step."
    system = [{"role": "system", "content": "Be brief."}]
    asked = {
        "a": turns("1 + 1?", "2", last),
        "b": turns("Two minus nothing?", "2", last),
        "c": turns("1 + 1?", "Why do you ask?", last),
        "d": system + turns("1 + 1?", "2", last),
    }
    rows = [
        row(name, messages=messages, response=f"{name} \\boxed{{2}}")
        for name, messages in asked.items()
    ]
    data = jsonl(tmp_path / "data.jsonl", *rows)
    reasons = split(tmp_path, data, select={"per_prompt": {"at_most": 1}, "prefer": "id ASC"})
    assert reasons == {"a": None, "b": None, "c": None, "d": "per_prompt"}


QUESTION = (
    "Janet has sixteen ducks that lay eggs every morning and she bakes muffins for her seven "
    "friends every single day"
)
ANSWER = {"answer": "2", "output": "<think>One and one.</think>\\boxed{2}", "finish_reason": "stop"}
TRACE = {"sample": 0, "reasoning": "One.", "response": "\\boxed{2}", "finish_reason": "stop"}
SAID = {"finish_reason": "stop", "answer": "2"}
LAST = [{"role": "assistant", "content": ANSWER["output"]}]
MET: dict[str, dict[str, Any]] = {
    "a question beside our columns": TRACE | {"id": "x", "question": QUESTION, "answer": "2"},
    "content in parts": SAID
    | {"messages": [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}, *LAST]},
    "an input of an instruction": ANSWER | {"instruction": "Solve.", "input": QUESTION},
    "a capital letter": ANSWER | {"Question": QUESTION},
    "an input": ANSWER | {"input": QUESTION},
    "an earlier turn": SAID | {"messages": [*turns(QUESTION, "2", "Are you sure?"), *LAST]},
}


@pytest.mark.parametrize("name", MET)
@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_benchmark_is_met_wherever_the_question_stands(
    name: str, kind: str, tmp_path: Path
) -> None:
    benchmark = jsonl(tmp_path / "benchmark.jsonl", {"question": QUESTION})
    data = jsonl(tmp_path / "data.jsonl", MET[name])
    if kind == "parquet":
        data = tmp_path / "data.parquet"
        pl.DataFrame([MET[name]], strict=False).write_parquet(data)
    if name == "content in parts" and kind == "parquet":
        parts = [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}]
        pl.DataFrame([TRACE | {"id": "x", "messages": parts}]).write_parquet(data)
    reasons = split(tmp_path, data, decontaminate={"against": [str(benchmark)]})
    assert list(reasons.values()) == ["contaminated"]


def test_a_row_of_many_megabytes_is_dropped_unread_with_a_reason(tmp_path: Path) -> None:
    large = row("large", reasoning="x" * (hashes.LARGEST + 1))
    asked = row("asked", messages=[{"role": "user", "content": "y " * hashes.LARGEST}])
    for name in ("data.jsonl", "data.parquet"):
        folder = tmp_path / name
        folder.mkdir()
        data = jsonl(folder / "data.jsonl", row("good"), large, asked)
        if name.endswith(".parquet"):
            pl.read_ndjson(data).write_parquet(folder / name)
        reasons = split(folder, folder / name)
        assert reasons == {"good": None, "large": "oversized", "asked": "oversized"}
        whole = pl.read_parquet(folder / "out/dropped/*.parquet").filter(pl.col("id") == "large")
        assert whole["reasoning"].str.len_bytes().item() == hashes.LARGEST + 1


def test_a_hundred_megabytes_on_one_line_are_read_in_pieces(tmp_path: Path) -> None:
    text = b"x" * 100_000_000
    (tmp_path / "a.jsonl.zst").write_bytes(zstandard.compress(b'{"a": 1}\n' + text + b"\n{}"))
    tracemalloc.start()
    sizes = [len(line) for line in lines.text_lines(tmp_path / "a.jsonl.zst")]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sizes == [8, 100_000_000, 2]
    assert peak < 2.5 * len(text)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"])
def test_a_line_without_end_is_refused_before_it_fills_the_memory(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "LONGEST", 1 << 20)
    content = b'{"a": 1}\n' + b"x" * (3 << 20)
    packs: dict[str, Callable[[bytes], bytes]] = {
        ".jsonl": bytes,
        ".gz": gzip.compress,
        ".zst": zstandard.compress,
    }
    (tmp_path / name).write_bytes(packs[Path(name).suffix](content))
    with pytest.raises(UserError, match=rf"{name}:2: longer than 1 MB; cut or remove the line"):
        split(tmp_path, tmp_path / name)


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
def test_a_file_that_expands_beyond_measure_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "EXPANSION_FROM", 1 << 20)
    pack = gzip.compress if name.endswith("gz") else zstandard.compress
    (tmp_path / name).write_bytes(pack(b" " * (20 << 20)))
    with pytest.raises(UserError, match="expands to more than 200 times its size"):
        split(tmp_path, tmp_path / name)
    assert not list(tmp_path.glob("out/**/*.parquet"))


@pytest.mark.parametrize("name", ["data.pkl", "data.py", "data.pt"])
def test_what_runs_code_when_it_is_read_is_never_opened(name: str, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "exploded",)

    (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
    for data in (tmp_path / name, tmp_path):
        with pytest.raises(UserError, match=r"runs code when it is read|no data in it"):
            split(tmp_path, data)
    assert not (tmp_path / "exploded").exists()


def cut_parquet(path: Path) -> None:
    pl.DataFrame([row(str(i)) for i in range(50)]).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])


def damaged_parquet(path: Path) -> None:
    texts = [row(str(i), reasoning=f"{i} " * 2000) for i in range(400)]
    pl.DataFrame(texts).write_parquet(path)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle - 800 : middle + 800] = bytes(1600)
    path.write_bytes(content)


def cut_gzip(path: Path) -> None:
    path.write_bytes(gzip.compress(json.dumps(row("a")).encode())[:-12])


def cut_line(path: Path) -> None:
    path.write_text(json.dumps(row("a")) + "\n" + json.dumps(row("b"))[:-30])


SHARDS = {
    "cut.parquet": (cut_parquet, "not a readable Parquet file"),
    "damaged.parquet": (damaged_parquet, "not a readable Parquet file"),
    "cut.jsonl.gz": (cut_gzip, "cannot be read to its end"),
    "cut.jsonl": (cut_line, "cut.jsonl:2: not JSON"),
    "empty.parquet": (lambda path: path.write_bytes(b""), "not a readable Parquet file"),
}


@pytest.mark.parametrize("name", SHARDS)
@pytest.mark.parametrize("first", ["good.parquet", "good.jsonl"])
def test_a_damaged_shard_is_one_line_that_names_it_and_no_result(
    first: str, name: str, tmp_path: Path
) -> None:
    make, said = SHARDS[name]
    folder = tmp_path / "set"
    data = jsonl(folder / "good.jsonl", row("good"))
    if first.endswith(".parquet"):
        pl.read_ndjson(data).write_parquet(folder / first)
        data.unlink()
    make(folder / name)
    with pytest.raises(UserError) as refused:
        split(tmp_path, folder)
    assert said in str(refused.value)
    assert name in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out/report.json").exists()


def test_an_empty_shard_among_others_is_no_matter(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    jsonl(folder / "a.jsonl", row("a"))
    (folder / "b.jsonl").write_bytes(b"")
    assert split(tmp_path, folder) == {"a": None}
    other = tmp_path / "other" / "set"
    other.mkdir(parents=True)
    pl.DataFrame([row("a")]).write_parquet(other / "a.parquet")
    pl.DataFrame([row("a")]).clear().write_parquet(other / "b.parquet")
    assert split(tmp_path / "other", other) == {"a": None}


def test_a_shard_that_the_manifest_names_and_is_gone_is_one_line(tmp_path: Path) -> None:
    traces = tmp_path / "run" / "traces"
    jsonl(traces / "part-00000.jsonl", row("a"))
    shards = {"part-00000.jsonl": 1, "part-00001.parquet": 9}
    (traces / "manifest.json").write_text(json.dumps({"rows": 10, "shards": shards, "plan": "p"}))
    with pytest.raises(UserError, match=r"part-00001.parquet: missing, but manifest.json names it"):
        split(tmp_path, tmp_path / "run")


def test_two_shards_of_one_key_are_refused_before_anything_is_measured(tmp_path: Path) -> None:
    for name in ("a", "b"):
        pl.DataFrame([row("same")]).write_parquet(tmp_path / f"{name}.parquet")
    with pytest.raises(UserError, match="id 'same' with sample 0 appears twice"):
        split(tmp_path, tmp_path / "*.parquet")
    assert not list(tmp_path.glob("out/**/*.parquet"))
