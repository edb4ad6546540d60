import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from distill.errors import UserError
from distill.files.find import data_files, left_out
from distill.files.read import frames, is_own, own_columns
from distill.files.slices import BATCH
from distill.files.write import write_bytes, write_parquet
from distill.rows import SCHEMA, Message, Row, from_frame, to_frame

OWN: dict[str, Any] = {
    "id": "a",
    "sample": 1,
    "domain": "math",
    "source": "s",
    "messages": [{"role": "user", "content": "1 + 1?"}],
    "gold": "2",
    "verify": "math",
    "reasoning": "one and one",
    "response": "2",
    "finish_reason": "stop",
    "teacher": "t",
    "prompt_tokens": 5,
    "reasoning_tokens": 3,
    "completion_tokens": 4,
    "cost_usd": 0.25,
}


def lines(*objects: object) -> bytes:
    return b"".join(json.dumps(o).encode() + b"\n" for o in objects)


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def read(data: str | Path, *, limit: int | None = None) -> list[dict[str, Any]]:
    found = []
    for frame in frames(data, limit=limit):
        assert frame.schema == SCHEMA
        assert frame.height <= BATCH
        found += frame.to_dicts()
    return found


def mistake(data: str | Path) -> str:
    with pytest.raises(UserError) as caught:
        read(data)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def as_csv(row: dict[str, Any]) -> bytes:
    table = pl.DataFrame([{k: v for k, v in row.items() if k != "messages"}])
    return table.write_csv().encode()


def as_parquet(row: dict[str, Any]) -> bytes:
    path = Path("table.parquet")
    pl.DataFrame([row]).write_parquet(path)
    return path.read_bytes()


FORMATS: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "a.jsonl": lines,
    "a.ndjson": lines,
    "A.JSONL": lines,
    "a.jsonl.gz": lambda row: gzip.compress(lines(row)),
    "a.jsonl.zst": lambda row: zstandard.compress(lines(row)),
    "a.parquet": as_parquet,
    "a.csv": as_csv,
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_row_of_our_own_schema_is_the_same_in_every_format(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    expected = OWN | ({"messages": None} if name.endswith(".csv") else {})
    assert read(put(tmp_path / "data" / name, FORMATS[name](OWN))) == [expected]


# What stands in a column of our own that cannot stand there, and what it is read as.
WRONG = [
    ("id", 5, "5"),
    ("sample", "x", 0),
    ("sample", -1, 0),
    ("sample", 2**33, 0),
    ("sample", [1], 0),
    ("sample", None, 0),
    ("domain", None, "math"),
    ("source", None, ""),
    ("messages", "hi", None),
    ("messages", ["hi"], None),
    ("messages", [{"role": "user"}], None),
    ("messages", [None], None),
    ("messages", [], []),
    (
        "messages",
        [{"role": "user", "content": "q", "name": "n"}],
        [{"role": "user", "content": "q"}],
    ),
    ("gold", 42, "42"),
    ("gold", {"a": 1}, None),
    ("reasoning", None, ""),
    ("reasoning", ["r"], ""),
    ("response", {"text": "r"}, ""),
    ("response", None, ""),
    ("prompt_tokens", "many", None),
    ("prompt_tokens", 12.0, 12),  # as pandas writes it beside nulls
    ("prompt_tokens", 12.5, None),
    ("prompt_tokens", 10**30, None),
    ("cost_usd", "free", None),
    ("cost_usd", 1, 1.0),
]


@pytest.mark.parametrize(("name", "value", "expected"), WRONG)
def test_a_value_of_a_wrong_type_makes_no_row_unreadable(
    tmp_path: Path, name: str, value: object, expected: object
) -> None:
    good = OWN | {"id": "good"}
    path = put(tmp_path / "a.jsonl", lines(good, OWN | {name: value}))
    assert read(path) == [good, OWN | {name: expected}]


def test_columns_of_a_wrong_type_make_no_table_unreadable(tmp_path: Path) -> None:
    wrong = {"messages": [[1]], "gold": [["2"]], "response": [{"a": 1}], "prompt_tokens": ["x"]}
    pl.DataFrame({"id": [7], "sample": [-1], "reasoning": [["r"]]} | wrong).write_parquet(
        tmp_path / "a.parquet"
    )
    empty = dict.fromkeys(OWN) | {"domain": "general", "source": "", "reasoning": ""}
    assert read(tmp_path) == [empty | {"id": "7", "sample": 0, "response": ""}]


def test_a_table_of_ours_may_hold_its_columns_and_fields_in_any_order(tmp_path: Path) -> None:
    table = to_frame([row_of(OWN)]).select(sorted(SCHEMA))
    turned = pl.struct(content=pl.element().struct["content"], role=pl.element().struct["role"])
    table = table.with_columns(pl.col("messages").list.eval(turned), extra=pl.lit(1))
    table.write_parquet(tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet") == [OWN]


def row_of(values: dict[str, Any]) -> Row:
    return from_frame(pl.DataFrame([values], schema=SCHEMA))[0]


def test_white_space_byte_order_mark_and_windows_lines_are_no_content(tmp_path: Path) -> None:
    data = b"\xef\xbb\xbf" + lines(OWN, OWN | {"id": "b"}).replace(b"\n", b"\r\n") + b"\r\n  \n"
    assert [row["id"] for row in read(put(tmp_path / "a.jsonl", data))] == ["a", "b"]
    table = b"\xef\xbb\xbfquestion,response\r\nq,r\r\n"
    assert [row["response"] for row in read(put(tmp_path / "a.csv", table))] == ["r"]


def test_the_last_line_needs_no_end(tmp_path: Path) -> None:
    data = lines(OWN, OWN | {"id": "b"}).rstrip()
    assert len(read(put(tmp_path / "a.jsonl", data))) == 2
    assert len(read(put(tmp_path / "a.jsonl.zst", zstandard.compress(data)))) == 2


BROKEN = [
    # name, content, what is said
    ("a.jsonl", b"", "no rows in it"),
    ("a.jsonl", b"\n \n", "no rows in it"),
    ("a.jsonl.gz", b"", "no rows in it"),
    ("a.jsonl.zst", b"", "no rows in it"),
    ("a.csv", b"", "no rows in it"),
    ("a.csv", b"question,response\n", "no rows in it"),
    ("a.parquet", b"", "not a readable Parquet file"),
    ("a.parquet", b"PAR1" + b"x" * 30 + b"PAR1", "not a readable Parquet file"),
    ("a.csv", b"question,response\na,b,c\n", "not a readable CSV file"),
    ("a.csv", b"question,response\na,\xe9\n", "not a readable CSV file: invalid utf-8"),
    ("a.jsonl", lines(OWN) + b'{"a": "\xe9"}', "a.jsonl:2: not UTF-8; fix or remove the line"),
    ("a.jsonl", lines(OWN) + b"\n{oops", "a.jsonl:3: not JSON"),
    (
        "a.jsonl",
        lines(OWN) + lines([OWN]),
        "a.jsonl:2: each line must be a JSON object; found list",
    ),
    ("a.jsonl", b"null", "a.jsonl:1: each line must be a JSON object; found NoneType"),
    ("a.jsonl", b'{"a":' * 2000, "a.jsonl:1: not JSON"),
    ("a.jsonl.gz", lines(OWN), "cannot be read to its end: Not a gzipped file"),
    ("a.jsonl.zst", lines(OWN), "cannot be read to its end: zstd"),
    ("a.jsonl.gz", gzip.compress(lines(OWN))[:-9], "cannot be read to its end: Compressed file"),
    ("a.jsonl.zst", zstandard.compress(lines(OWN))[:-3], "cannot be read to its end: it ends with"),
    ("a.jsonl", lines({}), "no column holds the answers; found none; wanted one of response"),
    ("a.jsonl", lines({"question": "q", "answer": "4"}), "answers; found question, answer; wanted"),
    ("a.jsonl", lines(OWN | {"id": None}), "1 rows have no id"),
    ("a.jsonl", lines(OWN, OWN), "id 'a' with sample 1 appears twice"),
    ("a.txt", lines(OWN), "this kind of file cannot be read; give one of .parquet"),
]


def test_what_only_python_writes_as_json_is_read(tmp_path: Path) -> None:
    half = json.dumps(OWN | {"response": "2\ud800", "cost_usd": float("nan")}).encode()
    found = read(put(tmp_path / "a.jsonl", half))
    assert found == [OWN | {"response": "2\ufffd", "cost_usd": None}]


def test_a_number_beyond_all_measure_is_null(tmp_path: Path) -> None:
    line = lines(OWN).replace(b"0.25", b"1e999")
    assert read(put(tmp_path / "a.jsonl", line)) == [OWN | {"cost_usd": None}]


@pytest.mark.parametrize("digits", ["9223372036854775808", "12345678901234567890123", "7" * 5000])
@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("more", ["", ', "extra": NaN', ', "extra": {"a": [1e30]}'])
def test_a_whole_number_of_any_size_is_every_digit_of_it(
    tmp_path: Path, digits: str, sign: str, more: str
) -> None:
    line = lines(OWN).replace(b'"gold": "2"', f'"gold": {sign}{digits}{more}'.encode())
    assert read(put(tmp_path / "a.jsonl", line)) == [OWN | {"gold": sign + digits}]


def test_a_number_that_is_none_is_null_in_a_parquet_file_too(tmp_path: Path) -> None:
    nan, inf = float("nan"), float("inf")
    wrong = {
        "cost_usd": [nan, inf, 0.5],
        "gold": [nan, inf, 2.0],
        "completion_tokens": [nan, inf, 4.0],
    }
    texts = {
        "id": ["a", "b", "c"],
        "sample": [0] * 3,
        "reasoning": ["r"] * 3,
        "response": ["2"] * 3,
    }
    pl.DataFrame(texts | wrong).write_parquet(tmp_path / "a.parquet")
    found = [(row["cost_usd"], row["gold"], row["completion_tokens"]) for row in read(tmp_path)]
    assert found == [(None, None, None), (None, None, None), (0.5, "2.0", 4)]


def test_one_value_that_is_no_text_leaves_the_column_its_others(tmp_path: Path) -> None:
    texts = {"id": ["a", "b", "c"], "sample": [0] * 3, "reasoning": ["r"] * 3}
    pl.DataFrame(texts | {"response": [b"2", b"3\xff", None]}).write_parquet(tmp_path / "a.parquet")
    assert [row["response"] for row in read(tmp_path)] == ["2", "3\ufffd", ""]
    numbers = {"response": ["2"] * 3, "cost_usd": [b"2", b"3", b"x"], "messages": [b"m"] * 3}
    pl.DataFrame(texts | numbers).write_parquet(tmp_path / "a.parquet")
    assert [row["cost_usd"] for row in read(tmp_path)] == [None] * 3


TURNS: list[Any] = [
    [{"role": "user", "content": "q"}],
    [None],
    [{"role": "user", "content": None}],
    [{"role": None, "content": "q"}, {"role": "user", "content": "q"}],
    [],
    None,
]


def test_a_conversation_with_a_turn_that_is_none_is_not_known(tmp_path: Path) -> None:
    rows = [OWN | {"id": str(i), "messages": turns} for i, turns in enumerate(TURNS)]
    pl.DataFrame(rows, schema=SCHEMA).write_parquet(tmp_path / "a.parquet")
    found = [row for frame in frames(tmp_path) for row in from_frame(frame)]
    asked = (Message(role="user", content="q"),)
    assert [row.messages for row in found] == [asked, None, None, None, (), None]


@pytest.mark.parametrize("name", ["a[1]", "b*", "c?", "[d]"])
def test_a_name_with_a_sign_of_patterns_is_a_name(tmp_path: Path, name: str) -> None:
    pl.DataFrame([OWN], schema=SCHEMA).write_parquet(tmp_path / "other.parquet")
    for path in (tmp_path / name / "a.parquet", tmp_path / f"{name}.parquet"):
        path.parent.mkdir(exist_ok=True)
        pl.DataFrame([OWN], schema=SCHEMA).write_parquet(path, mkdir=True)
        assert is_own(path)
        assert read(path) == [OWN]
        assert own_columns(path, ["id"])["id"].to_list() == ["a"]
    assert read(tmp_path / name) == [OWN]


def test_ours_in_a_parquet_file_is_read_line_by_line_where_its_turns_are_not(
    tmp_path: Path,
) -> None:
    shared = OWN | {"messages": [{"from": "human", "value": "1 + 1?"}]}
    parts = OWN | {"messages": [{"role": "user", "content": [{"type": "text", "text": "1 + 1?"}]}]}
    renamed = {k: v for k, v in OWN.items() if k != "messages"} | {"question": "1 + 1?"}
    for i, row in enumerate((shared, parts, renamed)):
        path = tmp_path / f"{i}.parquet"
        pl.DataFrame([row]).write_parquet(path)
        assert not is_own(path)
        assert read(path) == [OWN]


@pytest.mark.parametrize(("name", "content", "said"), BROKEN)
def test_an_unusable_file_is_one_line_that_names_it(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    path = put(tmp_path / name, content)
    assert mistake(path).startswith(str(path))
    assert said in mistake(path)


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl"])
def test_the_larger_the_rows_the_fewer_are_in_a_table(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = "slices" if name.endswith(".parquet") else "read"
    monkeypatch.setattr(f"distill.files.{place}.BYTES", 50_000)
    rows = [OWN | {"id": str(i), "reasoning": str(i) * 2_000} for i in range(300)]
    put(tmp_path / "a.jsonl", lines(*rows))
    if name.endswith(".parquet"):
        pl.DataFrame(rows, schema=SCHEMA).write_parquet(tmp_path / name)
    found = list(frames(tmp_path / name))
    assert pl.concat(found)["id"].to_list() == [row["id"] for row in rows]
    assert max(table.height for table in found[1:]) <= 25


def test_a_compressed_file_cut_between_two_lines_is_not_taken_for_a_whole_one(
    tmp_path: Path,
) -> None:
    # blocks are flushed after each line, so the cut falls between two of them
    engine = zstandard.ZstdCompressor().compressobj()
    first = engine.compress(lines(OWN)) + engine.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    engine.compress(lines(OWN | {"id": "b"}))
    assert "it ends within a frame" in mistake(put(tmp_path / "a.jsonl.zst", first))


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
def test_compressed_files_laid_end_to_end_are_all_read(tmp_path: Path, name: str) -> None:
    parts = [FORMATS[name](OWN | {"id": str(i)}) for i in range(3)]
    assert [row["id"] for row in read(put(tmp_path / name, b"".join(parts)))] == ["0", "1", "2"]


def test_a_folder_is_its_shards_in_order_of_name(tmp_path: Path) -> None:
    for name in ("part-1.jsonl", "part-0.jsonl", "deeper/part-2.jsonl"):
        put(tmp_path / name, lines(OWN | {"id": Path(name).stem}))
    put(tmp_path / "README.md", b"x")
    put(tmp_path / ".part-3.jsonl.part.jsonl", b"half written")
    assert sorted(row["id"] for row in read(tmp_path)) == ["part-0", "part-1", "part-2"]
    assert [row["id"] for row in read(tmp_path / "part-*.jsonl")] == ["part-0", "part-1"]
    assert [row["id"] for row in read(tmp_path / "part-*.jsonl", limit=1)] == ["part-0"]


def test_a_glob_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "d" / "a.jsonl", lines(OWN))
    assert len(read("d/*.jsonl")) == 1
    assert len(read("**/*.jsonl")) == 1


@pytest.mark.parametrize("name", ["nothing", "nothing-*.jsonl", "a**", "[", "nothing/a.jsonl"])
def test_data_that_is_not_there_is_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert mistake(path).startswith(f"{path}: no such file, folder or pattern")


def test_an_empty_folder_is_one_line(tmp_path: Path) -> None:
    assert mistake(tmp_path).startswith(f"{tmp_path}: no data in it; looked for .parquet")


def test_the_same_key_in_two_shards_is_refused(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        put(tmp_path / name, lines(OWN))
    assert "id 'a' with sample 1 appears twice" in mistake(tmp_path)


def test_a_run_is_its_traces_and_a_filtered_set_its_kept_rows(tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    put(run / "traces" / "a.jsonl", lines(OWN))
    put(run / "traces" / "manifest.json", b"{}")
    put(run / "ledger.sqlite", b"")
    put(run / "other.jsonl", b"not a trace")
    assert len(read(run)) == 1
    put(out / "kept" / "a.jsonl", lines(OWN))
    put(out / "dropped" / "a.jsonl", lines(OWN | {"id": "dropped"}))
    put(out / "signals" / "a.jsonl", b"")
    put(out / "report.json", b"{}")
    assert [row["id"] for row in read(out)] == ["a"]


def test_a_run_or_filtered_set_that_is_not_finished_is_refused(tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    put(run / "traces" / "a.jsonl", lines(OWN))
    put(run / "ledger.sqlite", b"")
    assert "no exported traces yet; next: finish its distill generate" in mistake(run)
    put(out / "kept" / "a.jsonl", lines(OWN))
    put(out / ".unfinished", b"")
    assert "unfinished; next: run its distill filter again" in mistake(out)


@pytest.mark.parametrize("part", ["traces", "kept"])
@pytest.mark.parametrize("other", ["new.jsonl", "dropped/a.jsonl"])
def test_a_folder_that_could_be_a_run_or_any_other_is_refused(
    tmp_path: Path, part: str, other: str
) -> None:
    put(tmp_path / part / "a.jsonl", lines(OWN))
    assert len(read(tmp_path)) == 1
    put(tmp_path / other, lines(OWN | {"id": "b"}))
    said = f"{tmp_path}: is {part}/ meant, or {other} beside it too? give {tmp_path / part}, or a"
    assert mistake(tmp_path).startswith(said)


def test_what_is_hidden_is_not_read(tmp_path: Path) -> None:
    hidden = tmp_path / ".hidden" / "set"
    for place in ("a.jsonl", "out/.rows/b.jsonl", ".c/d.jsonl", ".e.jsonl"):
        put(hidden / place, lines(OWN))
    first = [hidden / "a.jsonl"]
    assert data_files(hidden) == data_files(hidden / "**" / "*.jsonl") == first
    assert data_files(hidden / ".c" / "*.jsonl") == [hidden / ".c" / "d.jsonl"]
    assert data_files(hidden / ".*.jsonl") == [hidden / ".e.jsonl"]


def test_a_linked_file_is_read_and_a_linked_folder_refused(tmp_path: Path) -> None:
    put(tmp_path / "far" / "a.jsonl", lines(OWN))
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.jsonl").symlink_to(tmp_path / "far" / "a.jsonl")
    assert len(read(data)) == 1
    (data / "more").symlink_to(tmp_path / "far", target_is_directory=True)
    assert mistake(data).startswith(f"{data / 'more'}: a link to a folder is not followed; give")


def test_data_that_is_not_read_can_be_named(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.jsonl.xz", "c.json", "deep/d.txt", "README.md", ".e.txt"):
        put(tmp_path / name, lines(OWN))
    assert left_out(tmp_path) == [str(tmp_path / n) for n in ("b.jsonl.xz", "c.json", "deep/d.txt")]
    assert left_out(tmp_path / "a.jsonl") == left_out("hf://datasets/a/b") == []


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
ROLE = st.sampled_from(["system", "user", "assistant", "tool"])
COUNT = st.none() | st.integers(0, 2**32 - 1)
ROWS = st.builds(
    Row,
    id=TEXT,
    sample=st.integers(0, 2**32 - 1),
    domain=TEXT,
    source=TEXT,
    messages=st.none() | st.lists(st.builds(Message, role=ROLE, content=TEXT)).map(tuple),
    gold=st.none() | TEXT,
    verify=st.none() | TEXT,
    reasoning=TEXT,
    response=TEXT,
    finish_reason=st.none() | TEXT,
    teacher=st.none() | TEXT,
    prompt_tokens=COUNT,
    reasoning_tokens=COUNT,
    completion_tokens=COUNT,
    cost_usd=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)
TABLES = st.lists(ROWS, min_size=1, max_size=5, unique_by=lambda row: (row.id, row.sample))


@given(rows=TABLES)
def test_rows_come_back_from_parquet_as_they_were(tmp_path_factory: Any, rows: list[Row]) -> None:
    path = tmp_path_factory.getbasetemp() / "rows.parquet"
    write_parquet(path, to_frame(rows))
    assert [row for frame in frames(path) for row in from_frame(frame)] == rows


@given(rows=TABLES)
def test_rows_come_back_from_json_lines_as_they_were(
    tmp_path_factory: Any, rows: list[Row]
) -> None:
    path = tmp_path_factory.getbasetemp() / "rows.jsonl"
    write_bytes(path, to_frame(rows).write_ndjson().encode())
    assert [row for frame in frames(path) for row in from_frame(frame)] == rows


@given(
    line=st.dictionaries(
        st.sampled_from([*SCHEMA, "prompt", "generations"]),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers(-(2**70), 2**70)
            | st.floats(allow_nan=False)
            | TEXT,
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
            max_leaves=3,
        ),
    )
)
def test_any_line_is_rows_or_one_line_of_complaint(
    tmp_path_factory: Any, line: dict[str, Any]
) -> None:
    path = tmp_path_factory.getbasetemp() / "line.jsonl"
    path.write_bytes(lines(OWN | {"id": "good"} | line))
    try:
        said = str(read(path))
    except UserError as error:
        said = str(error)
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("name", ["../..", "a/b/../../c", "", "a/b@main", "%2e%2e/b", "/etc"])
def test_what_is_no_data_set_of_the_hub_is_said_with_its_address(name: str) -> None:
    with pytest.raises(UserError, match="cannot be read from the Hub: Repo id must"):
        data_files(f"hf://datasets/{name}")


@pytest.mark.parametrize(
    ("more", "turn", "said"),
    [
        ({"tools": [{"name": "f"}]}, {}, "1 rows call tools, answer them or offer them"),
        ({"images": ["a.png"]}, {}, "1 rows hold images, sound or files"),
        ({"weight": 0}, {}, "1 rows have a weight for training, which is not read"),
        ({}, {"weight": 0.5}, "1 rows have a weight for training"),
        ({"tools": [], "images": None, "weight": 1}, {"reasoning_content": "hm"}, None),
    ],
)
def test_what_training_would_need_and_nobody_else_reads_is_said(
    tmp_path: Path,
    more: dict[str, Any],
    turn: dict[str, Any],
    said: str | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    turns = [{"role": "user", "content": "1?"}, {"role": "assistant", "content": "2", **turn}]
    path = tmp_path / "d.jsonl"
    path.write_bytes(lines({"messages": turns, **more}))
    for beside in (True, False):
        caplog.clear()
        list(frames(path, beside=beside))
        told = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
        assert len(told) == (0 if beside or said is None else 1)
        assert said is None or beside or said in told[0]
