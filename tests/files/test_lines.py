import gzip
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distill.errors import UserError
from distill.files import lines

PACK: dict[str, Any] = {
    "a.jsonl": bytes,
    "a.jsonl.gz": gzip.compress,
    "a.jsonl.zst": zstandard.compress,
}
CONTENT = st.lists(st.binary(max_size=9) | st.just(b"\r"), max_size=9).map(b"\n".join)


@pytest.mark.parametrize("name", PACK)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=CONTENT, piece=st.integers(1, 12))
def test_lines_are_the_same_however_they_are_read(
    name: str, content: bytes, piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "PIECE", piece)
    monkeypatch.setattr(lines, "ZSTD_PIECE", piece)
    (tmp_path / name).write_bytes(PACK[name](content))
    assert list(lines.text_lines(tmp_path / name)) == content.split(b"\n")


@given(content=CONTENT, cut=st.integers(1, 20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
def test_a_compressed_file_cut_anywhere_is_never_taken_for_a_whole_one(
    name: str, content: bytes, cut: int, tmp_path: Path
) -> None:
    whole = PACK[name](content)
    if cut < len(whole):
        (tmp_path / name).write_bytes(whole[:-cut])
        with pytest.raises(UserError, match="cannot be read to its end"):
            list(lines.text_lines(tmp_path / name))
