"""What a server is started with: its command line and its environment."""

import sys
from pathlib import Path

import pytest

from distill.local_models.serve import child_env, command
from distill.recipes.teachers import Engine, Serve

FLAGS = {
    "llama.cpp": "--threads",
    "vllm": "--seed",
    "sglang": "--random-seed",
    "transformers": "--default-seed",
}


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        (
            "llama.cpp",
            "PYTHON -P -m distill.local_models.llamacpp --model /m --port 9 --alias name "
            "--slots 4 --context 512",
        ),
        (
            "vllm",
            "vllm serve /m --host 127.0.0.1 --port 9 --served-model-name name "
            "--max-model-len 512 --max-num-seqs 4",
        ),
        (
            "sglang",
            "PYTHON -P -m sglang.launch_server --model-path /m --host 127.0.0.1 --port 9 "
            "--served-model-name name --context-length 512 --max-running-requests 4",
        ),
        (
            "transformers",
            "transformers serve /m --host 127.0.0.1 --port 9 --continuous-batching",
        ),
    ],
)
def test_each_engine_gets_its_own_flags_then_the_recipes(engine: Engine, expected: str) -> None:
    flag = FLAGS[engine]
    serve = Serve(engine=engine, concurrency=4, context=512, args=(flag, "1"))
    line = command(serve, "/m", port=9, name="name")
    line[0] = "PYTHON" if line[0] == sys.executable else Path(line[0]).name
    assert line == [*expected.split(), flag, "1"]


@pytest.mark.parametrize("engine", ["llama.cpp", "vllm", "sglang", "transformers"])
def test_no_engine_is_told_to_trust_remote_code(engine: Engine) -> None:
    assert not [
        word for word in command(Serve(engine=engine), "/m", port=9, name="m") if "trust" in word
    ]


def test_threads_are_told_to_the_engine_that_has_a_flag_before_the_recipes_arguments() -> None:
    serve = Serve(engine="llama.cpp", args=("--threads", "9"))
    line = command(serve, "/m", port=9, name="m", threads=3)
    assert line[-4:] == ["--threads", "3", "--threads", "9"]
    others: list[Engine] = ["vllm", "sglang", "transformers"]
    for engine in others:
        assert "3" not in command(Serve(engine=engine), "/m", port=9, name="m", threads=3)


def test_a_servers_threads_are_few_and_sleep_while_they_wait() -> None:
    env = child_env({}, threads=3)
    assert env["OMP_NUM_THREADS"] == "3"
    assert int(env["GOMP_SPINCOUNT"]) <= 1000
    assert "GOMP_SPINCOUNT" not in child_env({"OMP_WAIT_POLICY": "ACTIVE"}, threads=3)
    assert "OMP_NUM_THREADS" not in child_env({})


def test_the_cache_of_transformers_is_bounded() -> None:
    serve = Serve(engine="transformers")
    flags = ["--cb-num-blocks", "16"]
    assert command(serve, "m", port=9, name="m", bounds=flags)[-2:] == flags


def test_a_servers_environment_holds_no_keys() -> None:
    parent = {
        "OPENAI_API_KEY": "a",
        "HF_TOKEN": "b",
        "db_secret": "c",
        "HF_HOME": "/h",
        "PATH": "/",
    }
    env = child_env(parent)
    assert {"OPENAI_API_KEY", "db_secret", "HF_TOKEN"}.isdisjoint(env)
    assert env["HF_HOME"] == "/h"


def test_a_server_fetches_nothing_from_the_hub() -> None:
    env = child_env({"HF_HUB_OFFLINE": "0", "USE_HUB_KERNELS": "YES"})
    assert (env["HF_HUB_OFFLINE"], env["USE_HUB_KERNELS"]) == ("1", "NO")
