"""Every generation config that transformers loads, or refuses, becomes one that it saves."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")

from distill.local_models.generation import savable, stop_at

# what a base says → what its student says, without eos and pad
KINDS: list[tuple[dict[str, Any], dict[str, Any] | None]] = [
    # values for sampling turn it on
    *[
        ({key: value}, {"do_sample": True, key: value})
        for key, value in {
            "temperature": 0.6,
            "top_p": 0.95,
            "top_k": 20,
            "min_p": 0.05,
            "typical_p": 0.9,
            "top_h": 0.4,
            "epsilon_cutoff": 3e-4,
            "eta_cutoff": 3e-4,
        }.items()
    ],
    (
        {"temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.05},
        {"do_sample": True, "temperature": 0.7, "top_p": 0.8, "top_k": 20}
        | {"repetition_penalty": 1.05},
    ),
    # turned off by its author, or greedy in vLLM's spelling
    ({"do_sample": False, "temperature": 0.6, "top_p": 0.9}, {"do_sample": False}),
    ({"temperature": 0.0, "do_sample": True}, {"do_sample": False}),
    ({"top_k": -1, "temperature": 0.6}, {"do_sample": True, "top_k": 0, "temperature": 0.6}),
    # no effect
    ({"top_k": 0}, {}),
    ({"early_stopping": True, "length_penalty": 0.8}, {}),
    ({"use_cache": False, "cache_implementation": "static"}, {"use_cache": False}),
    ({"output_scores": True}, {}),
    ({"return_dict_in_generate": True, "output_logits": True}, {}),
    # no longer in transformers
    ({"penalty_alpha": 0.6, "top_k": 4}, {}),
    ({"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 0.5}, {"num_beams": 4}),
    # refused already when they are loaded
    ({"num_return_sequences": 4}, {}),
    ({"num_return_sequences": 4, "num_beams": 2}, {"num_beams": 2}),
    ({"early_stopping": "sometimes"}, {}),
    ({"max_new_tokens": 0}, {}),
    ({"max_new_tokens": "many"}, {}),
    ({"cache_implementation": "sink"}, {}),
    ({"watermarking_config": {"nonsense": 3}}, {}),
    ({"logits_processor": [], "synced_gpus": False}, {}),
    ({"suppress_tokens": [2, 5], "forced_eos_token_id": 2}, {"suppress_tokens": [5]}),
    ({"validate": 1, "to_json_file": 2}, {}),  # methods of the class
    ({"pad_token_id": -1, "eos_token_id": "</s>"}, {}),
    # nothing wrong
    ({"num_beams": 4, "early_stopping": True}, {"num_beams": 4, "early_stopping": True}),
    ({"chat_format": "chatml", "max_window_size": 24000}, None),
    ({"max_length": 4096, "bos_token_id": 1}, None),
]


@pytest.mark.parametrize(("said", "meant"), KINDS, ids=lambda v: "-".join(v or {})[:40])
def test_a_generation_config_is_saved_as_it_was_meant(
    said: dict[str, Any], meant: dict[str, Any] | None, tmp_path: Path
) -> None:
    from transformers import GenerationConfig

    stop_at(savable(said, of="base"), [2], pad=0).save_pretrained(tmp_path)
    found = json.loads((tmp_path / "generation_config.json").read_text())
    ends = {"eos_token_id": 2, "pad_token_id": 0}
    assert {key: found[key] for key in found if key != "transformers_version"} == {
        **(said if meant is None else meant),
        **ends,
    }
    GenerationConfig.from_pretrained(tmp_path).validate(strict=True)


def test_what_is_left_out_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "distill"):
        savable({"length_penalty": 0.8, "max_new_tokens": 0, "temperature": 0.6}, of="a/b")
    assert [line for line in caplog.messages if "a/b" in line and "temperature" not in line] == [
        "a/b: generation_config.json: left out, because it has no effect, or is not possible: "
        "length_penalty, max_new_tokens"
    ]


@pytest.mark.parametrize(
    ("before", "after"), [(None, 2), (0, [2, 0]), ([5, 2], [2, 5]), (2, 2), ([], 2)]
)
def test_the_end_of_turn_comes_first_and_the_bases_own_ends_stay(before: Any, after: Any) -> None:
    assert stop_at(savable({"eos_token_id": before}, of="b"), [2], pad=0).eos_token_id == after
