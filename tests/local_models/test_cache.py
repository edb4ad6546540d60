"""The cache of transformers serve holds what the recipe asks for, where that fits."""

import json
from pathlib import Path
from typing import Any

import pytest

from distill.local_models import cache
from distill.local_models.cache import bounds
from distill.recipes.teachers import Serve

SMALL = {  # SmolLM2-135M
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "hidden_size": 576,
    "vocab_size": 49152,
    "dtype": "bfloat16",
}
GB = 10**9


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "GPUS", ())
    monkeypatch.setattr(cache, "_memory", lambda: 16 * GB)


def asked(folder: Path, config: dict[str, Any], **serve: Any) -> list[str]:
    (folder / "config.json").write_text(json.dumps(config))
    return bounds(Serve(engine="transformers", **serve), folder)


def test_each_slot_gets_its_context(tmp_path: Path) -> None:
    flags = asked(tmp_path, SMALL, concurrency=8, context=512)
    assert flags == ["--cb-num-blocks", "16", "--cb-max-batch-tokens", "2048"]


def test_a_context_that_is_no_whole_number_of_blocks_is_rounded_up(tmp_path: Path) -> None:
    flags = asked(tmp_path, SMALL, concurrency=2, context=300)
    assert flags == ["--cb-num-blocks", "4", "--cb-max-batch-tokens", "1024"]


def test_a_model_with_parts_is_measured_by_its_text(tmp_path: Path) -> None:
    assert asked(tmp_path, {"text_config": SMALL}, context=512) == asked(
        tmp_path, SMALL, context=512
    )


@pytest.mark.parametrize(
    ("config", "serve"),
    [
        (SMALL, {"concurrency": 64, "context": 32768}),  # 48 GB: more than there is
        ({**SMALL, "dtype": "float32"}, {"concurrency": 16, "context": 16384}),  # fits in bfloat16
        ({"hidden_size": 576}, {}),  # another kind of model
        ({}, {}),
        (SMALL, {"args": ("--cb-num-blocks", "7")}),
        (SMALL, {"args": ("--cb-max-memory-percent=0.2",)}),
        (SMALL, {"args": ("--device", "cuda:0")}),
    ],
)
def test_else_transformers_decides(
    config: dict[str, Any], serve: dict[str, Any], tmp_path: Path
) -> None:
    assert asked(tmp_path, config, **serve) == []


def test_weights_leave_less_for_the_cache(tmp_path: Path) -> None:
    serve = {"concurrency": 8, "context": 8192}
    assert asked(tmp_path, SMALL, **serve)
    with (tmp_path / "model.safetensors").open("wb") as weights:
        weights.truncate(15 * GB)
    assert asked(tmp_path, SMALL, **serve) == []


def test_a_gpu_is_left_to_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "GPUS", (str(tmp_path),))
    assert asked(tmp_path, SMALL) == []
