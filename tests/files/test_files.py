import os
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.errors import UserError
from distill.files.done import data_digest, fingerprint, is_done
from distill.files.find import data_files
from distill.files.lock import folder_lock
from distill.files.write import read_json, write_atomic, write_bytes, write_json, write_parquet

HOLD = """
import sys
from pathlib import Path
from distill.files.lock import folder_lock
with folder_lock(Path(sys.argv[1])):
    sys.stdout.write("held\\n")
    sys.stdout.flush()
    sys.stdin.read()
"""


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_appears_whole_with_its_folder(tmp_path: Path) -> None:
    write_bytes(tmp_path / "deep" / "er" / "a.bin", b"whole")
    assert (tmp_path / "deep" / "er" / "a.bin").read_bytes() == b"whole"
    assert names(tmp_path / "deep" / "er") == {"a.bin"}


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")

    def fail(part: Path) -> None:
        part.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, fail)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == {"a.bin"}


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")
    seen = []

    def write(part: Path) -> None:
        part.write_bytes(b"new")
        seen.append(path.read_bytes())

    with path.open("rb") as reader:
        write_atomic(path, write)
        assert reader.read() == b"old"  # who has it open goes on reading what it was
    assert seen == [b"old"]
    assert path.read_bytes() == b"new"


def test_what_a_killed_writer_left_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / ".a.json.part").write_bytes(b"half")
    write_json(tmp_path / "a.json", {"a": 1})
    assert names(tmp_path) == {"a.json"}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=5,
)


@given(value=JSON)
def test_json_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    path = tmp_path_factory.getbasetemp() / "value.json"
    write_json(path, value)
    assert read_json(path) == value


def test_json_that_is_missing_or_broken_is_none(tmp_path: Path) -> None:
    assert read_json(tmp_path / "none.json") is None
    (tmp_path / "half.json").write_text('{"a": ')
    assert read_json(tmp_path / "half.json") is None


def test_the_same_table_makes_the_same_bytes(tmp_path: Path) -> None:
    table = pl.DataFrame({"a": range(1000), "b": ["x", None] * 500})
    for name in ("a.parquet", "b.parquet"):
        write_parquet(tmp_path / name, table)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_folder_held_by_another_process_is_refused_with_its_id_until_it_is_killed(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(UserError) as caught, folder_lock(folder):
            pass
        said = f"{folder}: in use by another run (process {holder.pid}); wait for it or stop it"
        assert str(caught.value) == said
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with folder_lock(folder):
            assert (folder / ".lock").read_text() == str(os.getpid())


def test_a_folder_can_be_held_again_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), folder_lock(tmp_path):
        raise ZeroDivisionError
    with folder_lock(tmp_path), pytest.raises(UserError, match=f"process {os.getpid()}"):
        folder_lock(tmp_path).__enter__()


def test_a_place_that_cannot_be_a_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(UserError, match=r"cannot be written to: .*; choose another -o"):
            folder_lock(place).__enter__()


def test_a_result_is_done_only_when_its_manifest_says_so(tmp_path: Path) -> None:
    manifest = tmp_path / "report.json"
    assert not is_done(manifest, "f", force=False)
    write_json(manifest, {"fingerprint": "f"})
    assert is_done(manifest, "f", force=False)
    assert not is_done(manifest, "f", force=True)
    manifest.write_text('{"fingerprint": ')  # cut short: as good as none
    assert not is_done(manifest, "f", force=False)


@pytest.mark.parametrize("other", [{"fingerprint": "g"}, {}, []])
def test_another_result_is_replaced_only_by_force(tmp_path: Path, other: object) -> None:
    manifest = tmp_path / "report.json"
    write_json(manifest, other)
    with pytest.raises(
        UserError, match="holds a result of another recipe, input, option or version; "
    ):
        is_done(manifest, "f", force=False)
    assert not is_done(manifest, "f", force=True)


def test_a_fingerprint_depends_on_values_and_not_on_their_order() -> None:
    assert fingerprint(a={"x": 1, "y": 2}, b=1) == fingerprint(b=1, a={"y": 2, "x": 1})
    different = [fingerprint(a=1), fingerprint(a=2), fingerprint(b=1), fingerprint(a="1")]
    assert len(set(different)) == 4


def test_a_digest_of_data_is_of_bytes_and_not_of_names(tmp_path: Path) -> None:
    for folder, name, data in (("a", "x", b"1"), ("b", "y", b"1"), ("c", "x", b"2")):
        write_bytes(tmp_path / folder / f"{name}.jsonl", data)
    assert data_digest(tmp_path / "a") == data_digest(tmp_path / "b")
    assert data_digest(tmp_path / "a") != data_digest(tmp_path / "c")


def test_a_folder_that_datasets_saved_says_how_to_write_it(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "data-00000-of-00001.arrow").write_bytes(b"")
    (tmp_path / "train" / "state.json").write_text("{}")
    with pytest.raises(UserError, match=r"load_from_disk\('.*train'\)\.to_parquet\('rows.parquet'"):
        data_files(tmp_path)
