"""A served model is up while the block runs, and gone afterwards, however that comes about."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from distill.errors import UserError
from distill.local_models import serve as module
from distill.local_models.serve import command, serving
from distill.recipes.teachers import Engine, Serve
from distill.teachers.endpoint import Endpoint
from tests.builders.models import shipped_weights

SHIPPED = "smollm2-135m-instruct"
# A server that notes how it was started, then answers on one path only.
STUB = """#!{python}
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "{path}" else {other})
        self.end_headers()

with open("{note}", "w") as note:
    json.dump({{"argv": sys.argv[1:], "env": dict(os.environ)}}, note)
{first}
port = int(sys.argv[sys.argv.index("--port") + 1])
HTTPServer(("127.0.0.1", port), Answer).serve_forever()
"""
# A program that serves, says where, and waits; what the tests kill.
HOLDER = """
import signal, sys
from pathlib import Path
from distill.recipes.prompts import Serve
from distill.local_models.serve import serving
engine, model, log = sys.argv[1:]
with serving(Serve(engine=engine), model=model, log_file=Path(log)) as endpoint:
    print(endpoint.base_url, flush=True)
    signal.pause()
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "student"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").touch()
    return folder


def stub(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    path: str = "/health",
    other: int = 404,
    first: str = "",
) -> Path:
    """A vllm on PATH; returns the file in which it notes its command line and environment."""
    if shutil.which("vllm", path=str(Path(sys.executable).parent)):
        pytest.skip("the real vllm is installed here")
    note = tmp_path / "note.json"
    script = tmp_path / "bin" / "vllm"
    script.parent.mkdir()
    text = STUB.format(python=sys.executable, path=path, other=other, note=note, first=first)
    script.write_text(text)
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    return note


@pytest.fixture(scope="module")
def gguf() -> Path:
    pytest.importorskip("xllamacpp")
    return shipped_weights()


def chat(endpoint: Endpoint, **fields: Any) -> dict[str, Any]:
    message = {"role": "user", "content": "What is 1 + 1?"}
    body = {"model": endpoint.model, "messages": [message], "max_tokens": 16, **fields}
    url = f"{endpoint.base_url}/chat/completions"
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with build_opener(ProxyHandler({})).open(request, timeout=60) as reply:
        answer: dict[str, Any] = json.load(reply)
    return answer


def port_of(base_url: str) -> tuple[str, int]:
    host, _, port = base_url.removeprefix("http://").removesuffix("/v1").partition(":")
    return host, int(port)


def refuses(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=5).close()
    except ConnectionRefusedError:
        return True
    except OSError:  # reset while it was being closed
        return False
    return False


def ends(address: tuple[str, int], connection: socket.socket) -> bool:
    """Whether the server at the other end of an idle connection goes away; blocks until then.

    An ending process may let go of the connection an instant before its listening socket.
    """
    with connection, suppress(ConnectionResetError):
        assert connection.recv(1) == b""
    deadline = time.monotonic() + 30
    while not refuses(address):
        if time.monotonic() > deadline:
            return False
    return True


# --- the protocol, with a stub in vllm's place ---


@pytest.mark.parametrize("path", ["/health", "/v1/models"])
def test_a_healthy_server_is_an_endpoint(
    path: str, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = stub(tmp_path, monkeypatch, path=path)
    monkeypatch.setenv("SOME_API_KEY", "secret")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # loopback is asked directly
    log = tmp_path / "logs" / "serve.log"
    serve = Serve(engine="vllm", concurrency=3, timeout_s=7, args=("--enforce-eager",))
    with serving(serve, model=str(model), log_file=log) as endpoint:
        address = port_of(endpoint.base_url)
        assert endpoint == Endpoint(
            base_url=f"http://127.0.0.1:{address[1]}/v1",
            model="student",
            concurrency=3,
            timeout_s=7,
        )
        started = json.loads(note.read_text())
    (served,) = {word for word in started["argv"] if word.endswith("/student")}
    assert started["argv"] == command(serve, served, port=address[1], name="student")[1:]
    assert Path(served).is_relative_to(log.parent)  # a view of the model's folder
    assert "SOME_API_KEY" not in started["env"]
    assert refuses(address)
    assert [path.name for path in log.parent.iterdir()] == ["serve.log"]


@pytest.mark.parametrize(("asked", "told"), [(3, "3"), (None, None)])
def test_vllm_chooses_its_threads_unless_the_recipe_does(
    asked: int | None,
    told: str | None,
    tmp_path: Path,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    note = stub(tmp_path, monkeypatch)
    serve = Serve(engine="vllm", threads=asked)
    with serving(serve, model=str(model), log_file=tmp_path / "serve.log"):
        assert json.loads(note.read_text())["env"].get("OMP_NUM_THREADS") == told


def test_a_server_that_dies_while_starting_is_one_clear_error(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub(tmp_path, monkeypatch, first="sys.exit('CUDA out of memory')")
    log = tmp_path / "serve.log"
    with (
        pytest.raises(UserError) as caught,
        serving(Serve(engine="vllm"), model=str(model), log_file=log),
    ):
        pytest.fail("it never started")
    assert str(caught.value) == (
        f"serve: vllm ended while starting (exit 1); see {log}, which ends with: CUDA out of memory"
    )


def test_a_server_that_never_gets_ready_is_stopped_and_is_one_clear_error(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub(tmp_path, monkeypatch, path="/none", other=503, first="print('loading shard 1 of 9')")
    ports: list[int] = []
    real = module._free_port

    def noted() -> int:
        ports.append(real())
        return ports[-1]

    monkeypatch.setattr(module, "_free_port", noted)
    serve = Serve(engine="vllm", start_timeout_s=2)
    with (
        pytest.raises(UserError, match=r"not ready within start_timeout_s, 2 s; .*\n?.*") as caught,
        serving(serve, model=str(model), log_file=tmp_path / "serve.log"),
    ):
        pytest.fail("it was never ready")
    assert "\n" not in str(caught.value)
    assert refuses(("127.0.0.1", ports[0]))


def test_an_error_in_the_block_stops_the_server_and_is_not_hidden(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub(tmp_path, monkeypatch)
    where: list[str] = []

    def fail_while_serving() -> None:
        log = tmp_path / "serve.log"
        with serving(Serve(engine="vllm"), model=str(model), log_file=log) as endpoint:
            where.append(endpoint.base_url)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_while_serving()
    assert refuses(port_of(where[0]))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_the_parent_ends_its_server_ends_too(
    number: signal.Signals, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub(tmp_path, monkeypatch)
    line = [sys.executable, "-c", HOLDER, "vllm", str(model), str(tmp_path / "serve.log")]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout is not None
        address = port_of(parent.stdout.readline().decode().strip())
        connection = socket.create_connection(address)
        parent.send_signal(number)
        assert ends(address, connection)


@pytest.mark.parametrize(
    ("engine", "install"),
    [("vllm", "pip install vllm"), ("sglang", "pip install sglang")],
)
def test_a_missing_engine_says_how_to_get_it(
    engine: Engine, install: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_installed", lambda *_: False)
    monkeypatch.setattr(module, "_script", lambda name: str(tmp_path / name))
    with (
        pytest.raises(UserError, match=rf"serve\.engine: {engine} .* {install}"),
        serving(Serve(engine=engine), model="owner/name", log_file=tmp_path / "serve.log"),
    ):
        pytest.fail("there is nothing to start")


# --- the real llama.cpp ---


def test_llama_cpp_answers_under_the_shipped_name(gguf: Path, tmp_path: Path) -> None:
    serve = Serve(concurrency=2, context=256, threads=1)
    with serving(serve, model=SHIPPED, log_file=tmp_path / "serve.log") as endpoint:
        answer = chat(endpoint, temperature=0.6, seed=1)
        again = chat(endpoint, temperature=0.6, seed=1)
    assert answer["model"] == endpoint.model == SHIPPED
    assert answer["usage"]["completion_tokens"] > 0
    assert answer["choices"][0]["message"]["content"]
    assert "n_threads = 1" in (tmp_path / "serve.log").read_text()
    assert again["usage"]["prompt_tokens"] == answer["usage"]["prompt_tokens"]


def test_thinking_comes_back_verbatim_in_the_content(gguf: Path, tmp_path: Path) -> None:
    said = "<think>\\ntwo</think>\\n\\n4"
    with serving(
        Serve(concurrency=1, context=256), model=str(gguf), log_file=tmp_path / "serve.log"
    ) as endpoint:
        message = chat(endpoint, grammar=f'root ::= "{said}"', max_tokens=64)["choices"][0][
            "message"
        ]
    assert message["content"] == "<think>\ntwo</think>\n\n4"
    assert not message.get("reasoning_content")


def test_a_killed_parent_takes_its_llama_cpp_along(gguf: Path, tmp_path: Path) -> None:
    line = [sys.executable, "-c", HOLDER, "llama.cpp", str(gguf), str(tmp_path / "serve.log")]
    with subprocess.Popen(line, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        address = port_of(parent.stdout.readline().decode().strip())
        connection = socket.create_connection(address)
        parent.kill()
        assert ends(address, connection)


def test_what_we_say_is_told_whatever_a_server_logs_after_it(tmp_path: Path) -> None:
    log = tmp_path / "serve.log"
    log.write_text("loading\ndistill: a.gguf: llama.cpp cannot serve it\nsrv: exiting\n")
    assert module._last_words(log).endswith("ends with: a.gguf: llama.cpp cannot serve it")


def test_a_file_that_is_no_model_is_one_clear_error(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"not a model")
    with (
        pytest.raises(
            UserError, match=r"llama\.cpp ended while starting \(exit 2\); see .*cannot serve"
        ),
        serving(Serve(), model=str(bad), log_file=tmp_path / "serve.log"),
    ):
        pytest.fail("it is no model")
