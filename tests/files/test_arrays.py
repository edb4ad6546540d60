import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from distill.errors import UserError
from distill.files.find import data_files, left_out
from distill.files.read import frames, records

ROWS = [{"question": f"{i}?", "response": f'{i} [x], {{y}} "z" \\'} for i in range(3)]


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [line for part in records(path) for line in part]  # type: ignore[misc]


def put(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
OBJECTS = st.lists(st.dictionaries(st.text(max_size=4), VALUES, max_size=4), max_size=5)


@given(
    rows=OBJECTS,
    indent=st.none() | st.integers(0, 3),
    ascii_only=st.booleans(),
    piece=st.integers(1, 9),
)
def test_an_array_in_any_layout_and_pieces_is_its_rows(
    tmp_path_factory: Any,
    rows: list[dict[str, Any]],
    indent: int | None,
    ascii_only: bool,
    piece: int,
) -> None:
    whole = json.dumps(rows, indent=indent, ensure_ascii=ascii_only)
    path = tmp_path_factory.getbasetemp() / "array.json"
    path.write_bytes(whole.encode("utf-8", "replace"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("distill.files.lines.PIECE", piece)
        assert lines_of(path) == json.loads(path.read_bytes())


LAYOUTS: dict[str, str | bytes] = {
    "array": json.dumps(ROWS),
    "indented": json.dumps(ROWS, indent=4),
    "byte order mark": b"\xef\xbb\xbf" + json.dumps(ROWS).encode(),
    "space before": "\n  " + json.dumps(ROWS) + "\n\n",
    "data": json.dumps({"version": 1, "data": ROWS}),
    "rows, indented": json.dumps({"rows": ROWS}, indent=1),
    "the only key": json.dumps({"whatever": ROWS}),
    "the viewer": json.dumps(
        {"features": {}, "rows": [{"row_idx": 0, "row": row} for row in ROWS]}
    ),
    "JSON lines after all": "\n".join(map(json.dumps, ROWS)) + "\n",
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_rows_are_found_in_any_usual_layout(name: str, tmp_path: Path) -> None:
    text = LAYOUTS[name]
    whole = text if isinstance(text, bytes) else text.encode()
    assert lines_of(put(tmp_path / "a.json", whole)) == ROWS
    assert lines_of(put(tmp_path / "a.json.gz", gzip.compress(whole))) == ROWS
    assert lines_of(put(tmp_path / "a.JSON.zst", zstandard.compress(whole))) == ROWS


def test_one_object_alone_is_one_row(tmp_path: Path) -> None:
    talk = {"messages": [{"role": "user", "content": "1?"}, {"role": "assistant", "content": "1"}]}
    for row in (talk, ROWS[0]):
        for indent in (None, 2):
            assert lines_of(put(tmp_path / "a.json", json.dumps(row, indent=indent))) == [row]


BROKEN = [
    ("", "no rows in it"),
    ("[]", "no rows in it"),
    ("[1, 2]", "a.json: element 1: each element must be a JSON object; found int"),
    ('[{"a": 1}, {"a": ]', "not a whole JSON array"),
    ('[{"a": 1}', "not a whole JSON array"),
    ('[{"a": "1}]', "not a whole JSON array"),
    ('[{"a": 1}] x', "not a whole JSON array"),
    ('[{"a": 1},]', "not a whole JSON array"),
    ('[{"a": 1},, {"a": 2}]', "not a whole JSON array"),
    ('[{"a": 1}, {a: 2}]', "a.json: element 2: not JSON"),
    ('{"a": 1}\n\n{"a": 2}\n\n{"a": }', "a.json:5: not JSON"),
    ('{"a": 1', "a.json:1: not JSON"),
    ('{\n"a": 1', "a.json:1: not JSON"),
    ("hello", "a.json:1: not JSON"),
    ("null", "a.json:1: each line must be a JSON object; found NoneType"),
    (json.dumps({"train": ROWS, "test": ROWS}), "train and test could both be the rows; next: "),
    (json.dumps({"question": ["a", "b"], "response": ["1", "2"]}), "holds a table by columns or"),
    (json.dumps({"question": {"0": "a"}, "response": {"0": "1"}}), "holds a table by columns or"),
    (json.dumps({"7": ROWS[0], "8": ROWS[1]}), "holds a table by columns or by keys, not rows"),
]


@pytest.mark.parametrize(("text", "said"), BROKEN)
def test_what_holds_no_rows_is_one_line(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        list(frames(put(tmp_path / "a.json", text)))
    assert str(caught.value).startswith(str(tmp_path / "a.json"))
    assert said in str(caught.value)


def test_an_array_is_read_in_tables_of_bounded_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distill.files.read.BYTES", 50_000)
    rows = [{"question": str(i), "response": "x" * 2_000} for i in range(300)]
    parts = list(records(put(tmp_path / "a.json", json.dumps(rows))))
    assert max(map(len, parts)) <= 25
    assert [line for part in parts for line in part] == rows


def test_an_element_that_never_ends_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distill.files.arrays.LONGEST", 1_000)
    monkeypatch.setattr("distill.files.lines.PIECE", 100)
    with pytest.raises(UserError, match="an element is longer than"):
        lines_of(put(tmp_path / "a.json", '[{"a": "' + "x" * 5_000 + '"}]'))


def test_json_in_a_folder_is_read_only_where_it_is_named(tmp_path: Path) -> None:
    """There it may be anything: a description, a password."""
    json_file = put(tmp_path / "a.json", json.dumps(ROWS))
    put(tmp_path / "manifest.json", '{"shards": {}}')
    with pytest.raises(UserError, match=r"no data in it; .*for its .json: give .*/\*.json"):
        data_files(tmp_path)
    assert data_files(tmp_path / "a*.json") == data_files(json_file) == [json_file]
    lines = put(tmp_path / "b.jsonl", json.dumps(ROWS[0]))
    assert data_files(tmp_path) == [lines]
    assert left_out(tmp_path) == [str(json_file)]


def test_a_folder_of_a_student_has_no_data_in_it() -> None:
    with pytest.raises(UserError, match=r"no data in it; looked for .*\.csv$"):
        data_files(Path(__file__).parent.parent / "stored" / "student")
