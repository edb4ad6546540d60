"""Data and recipes that cannot be trained on as they are: one line, or a counted reason."""

import json
import logging
from pathlib import Path
from typing import Any

import polars as pl
import pytest

pytest.importorskip("trl")
pytest.importorskip("peft")

from distill.commands.train import train
from distill.errors import Exit, UserError
from distill.training.quiet import quiet
from tests.builders.models import tiny
from tests.builders.recipes import naming

Rows = list[dict[str, Any]]
ASKED = {"role": "user", "content": "What is 1 + 1?"}
SAID = "<think>\nhm\n</think>\n\n2"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with quiet():
        return tiny(tmp_path_factory.mktemp("tiny"), hidden_size=64, max_position_embeddings=512)


def row(i: int, **values: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": f"What is {i} + 1?"}]
    texts = {"messages": turns, "reasoning": f"{i} and one", "response": str(i + 1)}
    return {"id": f"r{i}", "sample": 0, **texts, **values}


def rehearse(folder: Path, base: Path, data: Path | Rows, *more: str, sft: str = "") -> None:
    if isinstance(data, list):
        rows, data = data, folder / "data.jsonl"
        data.write_text("".join(json.dumps(each) + "\n" for each in rows))
    text = "\n".join([f"base: {base}", "lora: {r: 4}", *more, f"sft: {{{sft}}}"])
    (folder / "s.yaml").write_text(text)
    recipe = str(folder / "s.yaml")
    named = naming(recipe, "base")
    assert train(recipe, data, out=folder / "o", overrides=named, dry_run=True) is Exit.DONE


def refused(folder: Path, base: Path, data: Path | Rows, *more: str, sft: str = "") -> str:
    with pytest.raises(UserError) as caught:
        rehearse(folder, base, data, *more, sft=sft)
    assert "\n" not in str(caught.value)
    assert not (folder / "o").exists()
    return str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        {"instruction": "What is 1 + 1?", "input": "", "output": SAID},  # Alpaca
        {"instruction": "Add", "input": "1 + 1", "output": SAID},
        {"conversations": [{"from": "human", "value": "1?"}, {"from": "gpt", "value": SAID}]},
        {"messages": [ASKED, {"role": "assistant", "content": SAID}]},
        {"messages": [ASKED, {"role": "assistant", "content": "2", "reasoning_content": "hm"}]},
        {"prompt": "What is 1 + 1?", "completion": SAID},
        {"prompt": [ASKED], "completion": [{"role": "assistant", "content": SAID}]},
        {"prompt": "What is 1 + 1?", "chosen": SAID, "rejected": "3"},  # only the better one
    ],
)
def test_what_others_write_is_read_for_what_it_is(
    base: Path, tmp_path: Path, line: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "distill"):
        rehearse(tmp_path, base, [line])
    assert "train: 1 examples" in caplog.text
    assert "have no thought" not in caplog.text


@pytest.mark.parametrize(
    "line",
    [
        {"text": "Once upon a time"},  # for pretraining
        {"text": "Once", "meta": {"url": "x"}, "timestamp": "2020"},
        {"segments": [{"label": True, "text": "2</s>"}]},  # axolotl's input_output
        {"input_ids": [1, 2], "attention_mask": [1, 1], "labels": [1, 2]},
        {"chosen": [ASKED], "rejected": [ASKED]},
        {"question": "What is 1 + 1?"},
        {"question": "What is 1 + 1?", "answer": "2"},  # a reference is no answer to learn
        {"sentence": "good", "label": 1},
    ],
)
@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_data_without_answers_is_refused_with_the_columns_that_it_has(
    base: Path, tmp_path: Path, line: dict[str, Any], kind: str
) -> None:
    data = tmp_path / f"data.{kind}"
    if kind == "parquet":
        pl.DataFrame([line]).write_parquet(data)
    else:
        data.write_text(json.dumps(line) + "\n")
    said = refused(tmp_path, base, data)
    assert f"{data}: no column holds the answers; found {', '.join(line)}; wanted one of" in said


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("e.jsonl", b"", "no rows in it"),
        ("e.jsonl", b"\n\n  \n", "no rows in it"),
        ("e.csv", b"", "no rows in it"),
        ("e.csv", b"question,response\n", "no rows in it"),
        ("e.json", b"[]", "no rows in it"),
        ("e.parquet", b"", "not a readable Parquet file"),
        ("e.jsonl", b'["a"]\n', "each line must be a JSON object; found list"),
        ("e.txt", b"x", "this kind of file cannot be read"),
        ("e.pkl", b"x", "this kind of file runs code when it is read"),
        ("gone.jsonl", None, "no such file, folder or pattern"),
    ],
)
def test_a_file_without_rows_is_named(
    base: Path, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    said = refused(tmp_path, base, tmp_path / name)
    assert name in said
    assert message in said


def test_a_set_without_any_thought_is_an_error_with_a_way_out(
    base: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bare = [row(i, reasoning="") for i in range(3)]
    said = refused(tmp_path, base, bare)
    assert "none of the 3 examples has a thought" in said
    assert "map.reasoning=COLUMN" in said
    assert "thoughts: optional" in said
    rehearse(tmp_path, base, bare, "thoughts: optional")
    assert not caplog.records
    rehearse(tmp_path, base, [*bare, row(5)])
    assert "3 of 4 examples (75.0 %) have no thought" in caplog.text
    said = refused(tmp_path, base, bare, "thoughts: any")
    assert "thoughts: 'any' input should be 'optional'" in said


LONG = row(99, reasoning="and one " * 400)


@pytest.mark.parametrize(
    ("sft", "knob"),
    [
        ("", r"512 tokens and left out; the base has 512 positions"),
        ("max_length: 100", r"100 tokens and left out; next: a higher sft\.max_length than 100"),
    ],
)
def test_rows_that_are_too_long_are_counted_and_said_above_one_percent(
    base: Path, tmp_path: Path, sft: str, knob: str, caplog: pytest.LogCaptureFixture
) -> None:
    import re

    with caplog.at_level(logging.INFO, "distill"):
        rehearse(tmp_path, base, [*(row(i) for i in range(20)), LONG], sft=sft)
    assert "skipped: too_long 1" in caplog.text
    (said,) = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert "1 of 21 rows (4.8 %) are longer than" in said
    assert re.search(knob, said)
    caplog.clear()
    with caplog.at_level(logging.INFO, "distill"):
        rehearse(tmp_path, base, [*(row(i) for i in range(99)), LONG | {"id": "l"}], sft=sft)
    assert "skipped: too_long 1" in caplog.text
    assert not [r for r in caplog.records if r.levelno == logging.WARNING]


def test_rows_of_which_none_fits_name_the_limit(base: Path, tmp_path: Path) -> None:
    said = refused(tmp_path, base, [row(1), row(2)], sft="max_length: 10")
    assert "no row can be trained on: too_long 2; next: a higher sft.max_length than 10" in said
    assert "too_long 1; the base has 512 positions" in refused(tmp_path, base, [LONG])


def test_all_turns_of_the_last_question_alone_are_refused(base: Path, tmp_path: Path) -> None:
    said = refused(tmp_path, base, [row(1)], "turns: all", "prompt: last_user")
    assert "turns: all and prompt: last_user exclude each other; keep one of them" in said


def test_weights_are_refused_with_a_loss_that_would_ignore_them(base: Path, tmp_path: Path) -> None:
    smooth = "label_smoothing_factor: 0.1"
    said = refused(tmp_path, base, [row(1), row(2, weight=0.5)], sft=smooth)
    assert "1 examples have a weight, which is not computed with sft.label_smoothing_factor" in said
    rehearse(tmp_path, base, [row(1)], sft=smooth)


def test_held_out_rows_that_cannot_be_used_are_no_validation(base: Path, tmp_path: Path) -> None:
    (tmp_path / "v.jsonl").write_text(json.dumps(LONG) + "\n")
    said = refused(tmp_path, base, [row(1)], "validation: {data: v.jsonl}")
    assert "no row that was held out can be used: too_long 1" in said


def test_a_tokenizer_without_an_end_gets_it_from_the_template(base: Path, tmp_path: Path) -> None:
    import shutil

    bare = shutil.copytree(base, tmp_path / "bare")
    config = json.loads((bare / "tokenizer_config.json").read_text())
    for name in ("eos_token", "pad_token"):
        config.pop(name, None)
    (bare / "tokenizer_config.json").write_text(json.dumps(config))
    rehearse(tmp_path, bare, [row(1)])
    (bare / "chat_template.jinja").write_text(
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    )
    assert "no single token, so a student could not learn to stop" in refused(
        tmp_path, bare, [row(1)]
    )


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (
            "[q_prj]",
            r"modules: q_prj: no module .*mean 'q_proj'\? \(it has .*up_proj",
        ),
        ("[q_proj, vproj]", r"target_modules: vproj: no module .*'v_proj'"),  # peft takes q_proj
        (
            "[query_key_value]",
            r"query_key_value: no module of the base; one of: .*down_proj.*v",
        ),
        (".*nothing.*", r"target_modules: \.\*nothing\.\*: no module of the base; one of: "),
        ("q_proj", r"target_modules: q_proj: no whole name of a module; write it as \[q_proj\]"),
    ],
)
def test_a_lora_target_that_the_base_lacks_is_named_with_those_it_has(
    base: Path, tmp_path: Path, targets: str, message: str
) -> None:
    (tmp_path / "d.jsonl").write_text(json.dumps(row(1)) + "\n")
    (tmp_path / "s.yaml").write_text(f"base: {base}\nlora: {{r: 4, target_modules: {targets}}}\n")
    recipe = str(tmp_path / "s.yaml")
    for dry in (True, False):  # before the data is read
        with pytest.raises(UserError, match=message) as caught:
            train(
                recipe,
                tmp_path / "d.jsonl",
                out=tmp_path / "o",
                overrides=naming(recipe, "base"),
                dry_run=dry,
            )
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("targets", ["[self_attn.q_proj, down_proj]", ".*_proj", "all-linear"])
def test_lora_targets_may_be_ends_of_names_or_a_pattern(
    base: Path, tmp_path: Path, targets: str
) -> None:
    (tmp_path / "d.jsonl").write_text(json.dumps(row(1)) + "\n")
    (tmp_path / "s.yaml").write_text(f"base: {base}\nlora: {{r: 4, target_modules: {targets}}}\n")
    recipe = str(tmp_path / "s.yaml")
    named = naming(recipe, "base")
    data, out = tmp_path / "d.jsonl", tmp_path / "o"
    assert train(recipe, data, out=out, overrides=named, dry_run=True) is Exit.DONE
