"""No kind of credential passes a push, wherever it is, and none is repeated."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from distill.commands.push import push
from distill.errors import Exit, UserError
from distill.files.write import write_json, write_parquet
from distill.rows import Message, to_frame
from tests.builders.credential_samples import PLACEHOLDERS, samples
from tests.builders.hub_state import Hub
from tests.builders.pushed import row, write_set, write_student

SAMPLES = samples()
KEY = SAMPLES["gitlab"]


def refused(at: Hub, path: Path, *secrets: str) -> str:
    with pytest.raises(UserError, match="holds what looks like an API key or password") as stopped:
        push(path, "ada/thing")
    said = str(stopped.value)
    assert "\n" not in said
    assert not [secret for secret in secrets if secret in said]
    assert at.requests == []
    return said


@pytest.mark.parametrize("name", SAMPLES)
def test_no_kind_passes_in_a_row(at: Hub, tmp_path: Path, name: str) -> None:
    rows = [row(0), row(1, reasoning=f"I see\n{SAMPLES[name]}\nthere"), row(2)]
    said = refused(at, write_set(tmp_path / "set", rows), SAMPLES[name])
    assert f"row 1 (from 0; id {row(1).id}, sample 1), column reasoning" in said


@pytest.mark.parametrize("name", SAMPLES)
def test_no_kind_passes_in_a_file(at: Hub, tmp_path: Path, name: str) -> None:
    student = write_student(tmp_path / "student", "ada/base", trained_on="ada/base")
    (student / "chat_template.jinja").write_text(f"{{# {SAMPLES[name]} #}}")
    assert "chat_template.jinja: holds" in refused(at, student, SAMPLES[name])


def test_what_only_looks_like_one_passes(at: Hub, tmp_path: Path) -> None:
    made = write_set(tmp_path / "set", [row(i, response=t) for i, t in enumerate(PLACEHOLDERS)])
    assert push(made, "ada/set") == Exit.DONE


NESTED: dict[str, Callable[[str], pl.Series]] = {
    "lists of lists": lambda key: pl.Series([[["a"]], [["b", key]]]),
    "an array": lambda key: pl.Series([["a", "b"], ["c", key]], dtype=pl.Array(pl.String, 2)),
    "a struct in a list": lambda key: pl.Series([[{"x": {"y": "a"}}], [{"x": {"y": key}}]]),
    "bytes": lambda key: pl.Series([b"a", b"\xff\xfe\x00" + key.encode()]),
    "UTF-16 in a list of bytes": lambda key: pl.Series([[b"a"], [key.encode("utf-16-le")]]),
    "a category": lambda key: pl.Series(["a", key], dtype=pl.Categorical),
    "an enumeration": lambda key: pl.Series(["a", key], dtype=pl.Enum(["a", key])),
    "a map": lambda key: pl.Series([[{"key": "a", "value": 1}], [{"key": key, "value": 2}]]),
}


@pytest.mark.parametrize("kind", NESTED)
def test_no_column_hides_one(at: Hub, tmp_path: Path, kind: str) -> None:
    made = write_set(tmp_path / "set", [row(0), row(1)])
    shard = made / "kept" / "part-00000.parquet"
    write_parquet(shard, pl.read_parquet(shard).with_columns(NESTED[kind](KEY).alias("more")))
    assert "row 1 (from 0; id" in refused(at, made, KEY)


@pytest.mark.parametrize("place", ["column", "field", "metadata key", "metadata value"])
def test_no_name_or_note_of_a_table_hides_one(at: Hub, tmp_path: Path, place: str) -> None:
    made = write_set(tmp_path / "set", [row(0)])
    shard = made / "kept" / "part-00000.parquet"
    frame, notes = pl.read_parquet(shard), {}
    if place == "column":
        frame = frame.with_columns(pl.lit(1).alias(KEY))
    elif place == "field":
        frame = frame.with_columns(pl.struct(pl.lit(1).alias(KEY)).alias("more"))
    else:
        notes = {KEY: "a"} if place == "metadata key" else {"a": KEY}
    write_parquet(shard, frame, notes)
    assert "part-00000.parquet" in refused(at, made, KEY)


def test_what_no_row_uses_any_more_is_looked_through_too(at: Hub, tmp_path: Path) -> None:
    made = write_set(tmp_path / "set", [row(0)])
    shard = made / "kept" / "part-00000.parquet"
    data = shard.read_bytes()
    shard.write_bytes(data[:4] + KEY.encode() + data[4:])  # no column begins there
    with pytest.raises(UserError):
        push(made, "ada/set")
    assert at.requests == []


@pytest.mark.parametrize(
    "written",
    [
        json.dumps({"note": KEY}),
        json.dumps({"note": {KEY: 1}}),
        json.dumps({"note": f"a\n{KEY}"}),
        json.dumps({"note": KEY}).replace("g", "\\u0067", 1),
        json.dumps({"note": SAMPLES["address"]}).replace("/", "\\/"),
        json.dumps({"note": KEY}).replace("g", "\\u0067", 1)[:-1] + ', "note": "the last one"}',
        "﻿",  # no JSON
        "root:x:0:0:root:/root:/bin/bash\n",
        "[" * 100_000,
    ],
)
def test_json_hides_none_and_is_json(at: Hub, tmp_path: Path, written: str) -> None:
    student = write_student(tmp_path / "student", "ada/base", trained_on="ada/base")
    (student / "vocab.json").write_text(written)
    with pytest.raises(UserError, match=r"vocab\.json: (holds|not JSON)") as stopped:
        push(student, "ada/student")
    assert KEY not in str(stopped.value)
    assert at.requests == []


@pytest.mark.parametrize("place", ["header", "escaped", "numbers", "end", "border", "no header"])
def test_weights_hide_none(at: Hub, tmp_path: Path, place: str) -> None:
    student = write_student(tmp_path / "student", "ada/base", trained_on="ada/base")
    header = json.dumps({"__metadata__": {"run": KEY if place == "header" else "1"}}).encode()
    if place == "escaped":
        header = header.replace(b'"1"', json.dumps(KEY).replace("g", "\\u0067", 1).encode())
    size = (4 << 20) - 8 - len(header) - 10 if place == "border" else 1_000
    numbers = bytes(size) + (KEY.encode() + b"\xff" if place in ("numbers", "border") else b"")
    end = b"\xff" + KEY.encode() if place == "end" else b"\0" * 8
    length = 1 << 40 if place == "no header" else len(header)
    weights = length.to_bytes(8, "little") + header + numbers + end
    (student / "adapter_model.safetensors").write_bytes(weights)
    with pytest.raises(UserError, match=r"safetensors: (holds|not safetensors)"):
        push(student, "ada/student")
    assert at.requests == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_json_in_another_encoding_hides_none(at: Hub, tmp_path: Path, encoding: str) -> None:
    student = write_student(tmp_path / "student", "ada/base", trained_on="ada/base")
    written = json.dumps({"note": KEY}).replace("g", "\\u0067", 1)
    (student / "vocab.json").write_bytes(written.encode(encoding))
    refused(at, student, KEY)


def test_names_hide_none(at: Hub, tmp_path: Path) -> None:
    student = write_student(tmp_path / "student", "ada/base", trained_on="ada/base")
    weights = (student / "adapter_model.safetensors").read_bytes()
    (student / f"{KEY}.safetensors").write_bytes(weights)
    assert "the name of a file" in refused(at, student, KEY)
    with pytest.raises(UserError, match="not a repository's name") as stopped:
        push(student, f"ada/{KEY}")
    assert KEY not in str(stopped.value)


def test_an_error_about_the_base_repeats_none(at: Hub, tmp_path: Path) -> None:
    base = SAMPLES["address"]
    student = write_student(tmp_path / "student", base, trained_on="mine")
    with pytest.raises(UserError, match=r"nobody else could load.* distill merge") as stopped:
        push(student, "ada/student")
    assert base.split(":")[2].split("@")[0] not in str(stopped.value)


OWN = "quite plain words for a canary"


@pytest.mark.parametrize("place", ["row", "id", "report", "metadata"])
def test_the_values_of_ones_own_secret_variables_are_refused(
    at: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    rows = [row(0, id=OWN if place == "id" else "a", response=OWN if place == "row" else "b")]
    made = write_set(tmp_path / "set", rows)
    if place == "report":
        write_json(made / "report.json", {"read": 1, "kept": 1, "dropped": 0, "note": OWN})
    if place == "metadata":
        write_parquet(made / "kept" / "part-00000.parquet", to_frame(rows), {"note": OWN})
    assert push(made, "ada/set", dry_run=True) == Exit.DONE
    monkeypatch.setenv("VENDOR_SECRET", OWN)
    assert "the value of VENDOR_SECRET" in refused(at, made, OWN)


@pytest.mark.parametrize("place", ["name", "escaped", "other script"])
def test_ones_own_secrets_are_found_however_they_are_written(
    at: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    student = write_student(tmp_path / "student", "ada/base", trained_on="ada/base")
    own = {"name": "canary-of-mine", "escaped": 'a "quoted" \\ one', "other script": "wörtlich"}
    value = f"{own[place]} and then some more"
    if place == "name":
        weights = (student / "adapter_model.safetensors").read_bytes()
        (student / f"{value}.safetensors").write_bytes(weights)
    else:
        write_json(student / "proof.json", {"note": value})
    assert push(student, "ada/student", dry_run=True) == Exit.DONE
    monkeypatch.setenv("PGPASSWORD", f"{value}\n")
    said = refused(at, student, value)
    assert "the value of PGPASSWORD" in said
    assert "or unset PGPASSWORD if it is no secret" in said


@pytest.mark.parametrize("column", ["id", "messages", "gold", "response"])
def test_the_way_out_that_is_named_drops_the_row(at: Hub, tmp_path: Path, column: str) -> None:
    value = (Message(role="user", content=KEY),) if column == "messages" else f"a {KEY}"
    made = write_set(tmp_path / "set", [row(0), row(1, **{column: value})])
    said = refused(at, made, KEY)
    rule = said.split("--set '")[1].split("'")[0]
    (tmp_path / "mine.yaml").write_text("rules: {any: sample >= 0}\n")
    filtered = [str(tmp_path / "mine.yaml"), str(made), "-o", str(tmp_path / "out"), "--set", rule]
    command = [sys.executable, "-m", "distill", "filter", *filtered]
    subprocess.run(command, check=True, capture_output=True)
    assert push(tmp_path / "out", "ada/set", dry_run=True) == Exit.DONE
    assert json.loads((tmp_path / "out" / "report.json").read_text())["kept"] == 1


def test_a_row_is_named_without_what_its_id_or_column_hides(at: Hub, tmp_path: Path) -> None:
    made = write_set(tmp_path / "set", [row(0, id=KEY)])
    assert "id …" in refused(at, made, KEY)


def test_all_rows_with_one_are_counted(at: Hub, tmp_path: Path) -> None:
    rows = [row(i, response=KEY if i % 50 == 7 else "2") for i in range(400)]
    said = refused(at, write_set(tmp_path / "set", rows), KEY)
    assert "row 7 (from 0; " in said
    assert "and 7 more rows" in said


def test_a_dry_run_refuses_as_well(at: Hub, tmp_path: Path) -> None:
    made = write_set(tmp_path / "set", [row(0, messages=(Message(role="user", content=KEY),))])
    with pytest.raises(UserError, match=r"column messages\[\]\.content"):
        push(made, "ada/set", dry_run=True)


def test_a_hundred_thousand_rows_take_bounded_memory(at: Hub, tmp_path: Path) -> None:
    """160 MB of text in one file; a process that does nothing else has about 250 MB."""
    made = write_set(tmp_path / "set", [row(0)])
    text = "one and one is two, as everybody knows and nobody denies. " * 28
    frame = pl.concat([to_frame([row(0, reasoning=text)])] * 100_000)
    frame = frame.with_columns(pl.concat_str("id", pl.int_range(pl.len())).alias("id"))
    write_parquet(made / "kept" / "part-00000.parquet", frame)
    report: dict[str, Any] = {"read": 100_000, "kept": 100_000, "dropped": 0}
    write_json(made / "report.json", report)
    code = (
        "from distill.commands.push import push\n"
        f"push({str(made)!r}, 'ada/set', dry_run=True)\n"
        # VmHWM, in kB: what getrusage says counts the process that started this one, too
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(done.stdout) < 900 << 10
