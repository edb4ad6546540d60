"""Runs a model's server while a block runs."""

import importlib.util
import logging
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

from distill.credentials.environment import ENDINGS
from distill.errors import UserError, missing_extra
from distill.local_models import leash
from distill.local_models.cache import bounds
from distill.local_models.llamacpp import OURS
from distill.local_models.open import OR_ADAPTER, open_model
from distill.local_models.servable import servable, served_name
from distill.local_models.threads import chosen, patient
from distill.local_models.weights import SHIPPED, resolve
from distill.recipes.teachers import Engine, Serve
from distill.teachers.endpoint import Endpoint

log = logging.getLogger("distill")
HOST = "127.0.0.1"  # never on a network
PREPARED = ".serve-"  # prefix of temporary folders with a prepared model
LOOK_S = 0.2  # between two health checks
HEALTH_S = 1.0  # an idle server answers in ms; llama.cpp accepts, then drops early requests
# /health of sglang and vllm is 503 until the weights are loaded; servers without it have models.
HEALTH = ("/health", "/v1/models")


@contextmanager
def serving(serve: Serve, *, model: str, log_file: Path) -> Iterator[Endpoint]:
    """An endpoint on loopback that answers while the block runs, and stops however it ends.

    Args:
        serve: the recipe's block; its ``model`` is not used.
        model: a shipped name, a GGUF file, a Hugging Face folder (even an adapter's) or a Hub id.
        log_file: for the server's output; replaced.

    Raises:
        UserError: the engine is not installed, the model is not there, or the server ended or was
            not healthy within ``serve.start_timeout_s``; the text then quotes the log's last line.
    """
    _check_installed(serve.engine)
    found = resolve(model, engine=serve.engine)
    opened = (
        None if _is_gguf(found) else open_model(str(found), at="serve.model", needed=OR_ADAPTER)
    )
    folder = log_file.resolve().parent
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob(f"{PREPARED}*"):  # left by a kill; the caller has locked the folder
        shutil.rmtree(stale, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=PREPARED) as work:
        name, source = model, str(found)
        if opened is not None:
            source = str(servable(opened, engine=serve.engine, work=Path(work)))
            name = model if model in SHIPPED else served_name(opened)
        elif model not in SHIPPED:
            name = Path(source).name
        # transformers reports its model argument as the model's name, so it is started in the
        # folder above, where the path is just the name.
        beside = serve.engine == "transformers"
        port, threads = _free_port(), _threads(serve)
        env = child_env(os.environ, threads=threads)
        line = command(
            serve,
            name if beside else source,
            port=port,
            name=name,
            threads=threads,
            bounds=bounds(serve, Path(source)) if beside else (),
        )
        cwd = Path(work) if beside else None
        with _running(line, env=env, cwd=cwd, log_file=log_file) as process:
            _wait_until_healthy(process, port=port, serve=serve, log_file=log_file)
            yield Endpoint(
                base_url=f"http://{HOST}:{port}/v1",
                model=name,
                concurrency=serve.concurrency,
                timeout_s=serve.timeout_s,
            )


def command(
    serve: Serve,
    model: str,
    *,
    port: int,
    name: str,
    threads: int | None = None,
    bounds: Sequence[str] = (),
) -> list[str]:
    """The engine's exact command line.

    Args:
        serve: the recipe's block.
        model: what the engine loads.
        port: of 127.0.0.1.
        name: what requests call the model.
        threads: None: the engine, or ``serve.args``, decides.
        bounds: of the cache of transformers.
    """
    slots, context = str(serve.concurrency), str(serve.context)
    match serve.engine:
        case "llama.cpp":
            line = [sys.executable, "-P", "-m", "distill.local_models.llamacpp", "--model", model]
            line += ["--port", str(port), "--alias", name, "--slots", slots, "--context", context]
            line += [] if threads is None else ["--threads", str(threads)]
        case "vllm":
            line = [_script("vllm"), "serve", model, "--host", HOST, "--port", str(port)]
            line += ["--served-model-name", name, "--max-model-len", context]
            line += ["--max-num-seqs", slots]
        case "sglang":
            line = [sys.executable, "-P", "-m", "sglang.launch_server", "--model-path", model]
            line += ["--host", HOST, "--port", str(port), "--served-model-name", name]
            line += ["--context-length", context, "--max-running-requests", slots]
        case "transformers":
            line = [_script("transformers"), "serve", model, "--host", HOST, "--port", str(port)]
            line += ["--continuous-batching", *bounds]
    return [*line, *serve.args]


def child_env(parent: Mapping[str, str], *, threads: int | None = None) -> dict[str, str]:
    """The server's environment: the parent's without keys, telemetry and the Hub.

    What a model needs from the Hub has already been fetched and checked; kernels, which are code,
    are not fetched. ``threads``: for OpenMP; None: the server decides.
    """
    env = {name: value for name, value in parent.items() if not name.upper().endswith(ENDINGS)}
    quiet = {"DO_NOT_TRACK": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "PYTHONUNBUFFERED": "1"}
    few = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    return env | quiet | patient(env) | few | {"HF_HUB_OFFLINE": "1", "USE_HUB_KERNELS": "NO"}


def _threads(serve: Serve) -> int | None:
    """How many threads the server computes with, said in one line; None: it decides itself.

    vllm and sglang leave the processor to what they start for each GPU, and know what that needs.
    """
    ours = serve.engine in ("llama.cpp", "transformers")
    if serve.threads is None and (not ours or any(a.startswith("--threads") for a in serve.args)):
        return None
    found = chosen(serve.threads, key="serve.threads")
    log.info("serves with %s", found)
    return found.count


def _is_gguf(found: Path | str) -> bool:
    return isinstance(found, Path) and found.is_file()


def _check_installed(engine: Engine) -> None:
    if engine == "llama.cpp" and importlib.util.find_spec("xllamacpp") is None:
        raise missing_extra(module="xllamacpp", extra="local")
    if engine == "transformers" and not _installed("transformers", "fastapi", "uvicorn"):
        raise missing_extra(module="transformers[serving]", extra="train")
    missing_vllm = engine == "vllm" and not shutil.which(_script("vllm"))
    if missing_vllm or (engine == "sglang" and not _installed("sglang")):
        msg = f"serve.engine: {engine} is not installed here; next: pip install {engine}"
        raise UserError(msg)


def _installed(*modules: str) -> bool:
    return all(importlib.util.find_spec(module) for module in modules)


def _script(name: str) -> str:
    """The script of this Python environment, active or not; else the one on PATH."""
    return shutil.which(name, path=sysconfig.get_path("scripts")) or name


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _running(
    line: list[str], *, env: dict[str, str], cwd: Path | None, log_file: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """The leash with the server, which ends when our end of its standard input closes."""
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-I", leash.__file__, "--", *line],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            start_new_session=True,  # keeps Ctrl-C from it, so that answers in flight can finish
        )
    try:
        yield process
    finally:
        _let_go(process)


def _let_go(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None, "it was opened with a pipe"
    process.stdin.close()
    try:
        process.wait(2 * leash.GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until_healthy(
    process: "subprocess.Popen[bytes]", *, port: int, serve: Serve, log_file: Path
) -> None:
    deadline = time.monotonic() + serve.start_timeout_s
    while True:
        healthy = _healthy(port)
        try:
            status = process.wait(0 if healthy else LOOK_S)
        except subprocess.TimeoutExpired:
            if healthy:
                return
        else:
            msg = f"serve: {serve.engine} ended while starting (exit {status}); "
            raise UserError(msg + _last_words(log_file))
        if time.monotonic() >= deadline:
            limit = f"start_timeout_s, {serve.start_timeout_s:g} s"
            msg = f"serve: {serve.engine} was not ready within {limit}; "
            raise UserError(msg + _last_words(log_file))


def _healthy(port: int) -> bool:
    opener = build_opener(ProxyHandler({}))  # loopback is never behind a proxy
    for path in HEALTH:
        try:
            with opener.open(f"http://{HOST}:{port}{path}", timeout=HEALTH_S):
                return True
        except HTTPError as error:
            error.close()
            if error.code != 404:
                return False
        except (OSError, HTTPException):  # not listening yet, or not answering properly yet
            return False
    return False


def _last_words(log_file: Path) -> str:
    with log_file.open("rb") as log:
        log.seek(max(0, log_file.stat().st_size - 8192))
        lines = log.read().decode("utf-8", "replace").split("\n")
    found = [line.strip() for line in lines if line.strip()] or ["nothing"]
    # llama.cpp writes its log in a thread of its own, so its lines may follow ours
    words = next((line for line in reversed(found) if line.startswith(OURS)), found[-1])
    return f"see {log_file}, which ends with: {words.removeprefix(OURS)[:500]}"
