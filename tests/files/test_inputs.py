import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from distill.errors import UserError
from distill.files.inputs import Input, inputs_of
from distill.files.read import frames


def put(path: Path, *lines: Mapping[str, object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_an_input_may_have_a_name() -> None:
    assert inputs_of("a.jsonl") == (Input("a.jsonl"),)
    assert inputs_of(["r1=a.jsonl", "b.jsonl"]) == (Input("a.jsonl", "r1"), Input("b.jsonl"))
    assert inputs_of({"r1": "a.jsonl"}) == (Input("a.jsonl", "r1"),)
    assert inputs_of("m:1.5-x=hf://datasets/a/b=c") == (Input("hf://datasets/a/b=c", "m:1.5-x"),)
    assert inputs_of("hf://datasets/a/b") == (Input("hf://datasets/a/b"),)
    assert inputs_of(Path("r1=a.jsonl")) == (Input(Path("r1=a.jsonl")),)


def test_a_file_with_that_whole_name_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "lr=1" / "a.jsonl", {"response": "2"})
    for text in ("lr=1", "lr=1/a.jsonl", "lr=1/*.jsonl", "lr=[1]/a.jsonl"):
        assert inputs_of(text) == (Input(text),)


def test_two_inputs_of_one_name_are_refused() -> None:
    with pytest.raises(UserError, match="a=: names two inputs"):
        inputs_of(["a=x.jsonl", "a=y.jsonl"])
    for nothing in ([], "", " ", ["a.jsonl", ""], {"a": ""}):  # "$DATA" of a shell; not this folder
        with pytest.raises(UserError, match="no input"):
            inputs_of(nothing)


def test_rows_of_named_inputs_have_the_name_as_source_and_never_the_same_id(tmp_path: Path) -> None:
    line = {"id": 7, "source": "s", "question": "1 + 1?", "response": "2"}
    ours = {
        "id": "7",
        "sample": 0,
        "source": "s",
        "messages": None,
        "reasoning": "",
        "response": "2",
    }
    data = {"a": put(tmp_path / "a.jsonl", line), "b": put(tmp_path / "b.jsonl", ours)}
    rows = [row for frame in frames(data) for row in frame.to_dicts()]
    found = [(row["id"], row["sample"], row["source"]) for row in rows]
    assert found == [("a:7", 0, "a"), ("b:7", 0, "b")]


def test_several_inputs_without_names_are_read_like_one_folder(tmp_path: Path) -> None:
    line = {"question": "1 + 1?", "response": "2"}
    paths = [put(tmp_path / "d" / name, line, line) for name in ("a.jsonl", "b.jsonl")]
    together = [frame.to_dicts() for frame in frames(paths)]
    assert together == [frame.to_dicts() for frame in frames(tmp_path / "d")]
    with pytest.raises(UserError, match=r"a.jsonl, .*b.jsonl: id 'x' with sample 3 appears twice"):
        list(frames([put(path, line | {"id": "x", "sample": 3}) for path in paths]))
