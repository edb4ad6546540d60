"""What the fault tests share: recipes for several teachers, servers that break HTTP, and the secret
that must not be found anywhere afterwards."""

import json
import logging
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import zstandard

from distill.errors import DistillError
from distill.ledger import readable
from tests.builders import recipes
from tests.builders.runs import shorten_waits
from tests.builders.teacher_server import completion

CANARY = "canary-51ab9e77c04d2f36-3f"
KEY_ENV = "TEST_TEACHER_KEY"
GOOD = json.dumps(completion()).encode()
PRICE = {"price": {"input": 1.0, "output": 1000.0}}


@pytest.fixture(autouse=True, name="heard")
def listen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[list[str]]:
    """Runs a test with a key in the environment and short waits; then looks for the key.

    It must be in no file, no log line of any library, no output, and none of the texts that a test
    puts into the list, such as the tracebacks of ``stops``.
    """
    monkeypatch.setenv(KEY_ENV, CANARY)
    shorten_waits(monkeypatch)
    texts: list[str] = []
    log, logged = logging.getLogger(), StringIO()
    handler, level = logging.StreamHandler(logged), log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    yield texts
    log.removeHandler(handler)
    log.setLevel(level)
    out, err = capfd.readouterr()
    for text in (*texts, logged.getvalue(), out, err):
        assert CANARY[:12] not in text
    for path in tmp_path.rglob("*"):
        if path.is_file():
            for data in (path.read_bytes(), *answers_in(path)):
                assert CANARY[:12].encode() not in data, path


def answers_in(path: Path) -> Iterator[bytes]:
    """The answers of a ledger as they came, also of a damaged one; they lie there compressed."""
    if path.suffix != ".sqlite":
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy")
        readable.copy(path, copy)
        for _, body in readable.numbered(copy, "answers", {"attempt": int, "body": bytes}):
            with suppress(zstandard.ZstdError):
                yield zstandard.ZstdDecompressor().decompress(body, max_output_size=2**24)


@contextmanager
def stops(heard: list[str], kind: type[DistillError], match: str) -> Iterator[None]:
    """The run ends with one line that matches; its traceback is searched for the key."""
    with pytest.raises(kind, match=match) as caught:
        yield
    assert "\n" not in str(caught.value)
    heard.extend(traceback.format_exception(caught.value))


def recipe(folder: Path, *urls: str, teacher: dict[str, Any] | None = None, **values: Any) -> str:
    """A recipe whose teachers are sent the key."""
    return recipes.recipe(folder, *urls, teacher={"key_env": KEY_ENV, **(teacher or {})}, **values)
