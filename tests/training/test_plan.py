"""The plan of a training: what autograd keeps, the measured peaks, what is chosen and refused."""

import errno
import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.plan import known
from distill.commands import train as command
from distill.errors import UserError
from distill.recipes.students import StudentRecipe
from distill.training.exhausted import memory_may_end, out_of_memory
from distill.training.fits import plan_here, refuse_too_big, warn_of_other_steps
from distill.training.machine import free_memory
from distill.training.memory import GIB, Work, host, kept_by_layer, peak
from distill.training.packing import bins
from distill.training.plan import MARGIN, Lengths, Plan, choose
from distill.training.quiet import quiet
from distill.training.shape import Shape
from distill.training.speed import Device, tokens_per_s
from tests.builders.models import tokenizer_files
from tests.builders.recipes import naming

SMALL = Shape(
    layers=30, hidden=576, heads=9, query=576, key=192, inner=1536, vocab=49152, tied=True
)
SEVEN = known("Qwen/Qwen2.5-7B")
ROWS = 32768
FULL: dict[str, Any] = {"half": True, "gpu": True, "checkpointing": "full"}
LORA: dict[str, Any] = {**FULL, "rank": 64, "half_weights": True, "recast": True}
# One H100, torch 2.11, transformers 5.17, trl 1.16. What the padded runs' longest row was is not
# known: of traces that are log-normal (median 4.5k, sigma 0.7, at most 16k), 13.4k is the expected
# longest of 16. These two rows only show that the prediction is right if so. Nor is it known for
# any row whether it accumulated: one micro-batch a step is assumed for all.
H100 = {
    "1.5B full, padded batch 2, its longest row assumed": (
        "1.5B",
        {**FULL, "row": 13400, "rows": 2},
        26,
    ),
    "1.5B full, a mask": ("1.5B", {**FULL, "row": ROWS, "attention": "mask"}, 31.5),
    "1.5B full, varlen": ("1.5B", {**FULL, "row": ROWS}, 28),
    "1.5B full, liger": ("1.5B", {**FULL, "row": ROWS, "fused": True}, 27),
    "7B LoRA, padded batch 1, its longest row assumed": ("7B", {**LORA, "row": 13400}, 21.8),
    "7B LoRA, a mask": ("7B", {**LORA, "row": ROWS, "attention": "mask"}, 37.5),
    "7B LoRA, flex": ("7B", {**LORA, "row": ROWS}, 34.5),
    "7B LoRA, varlen": ("7B", {**LORA, "row": ROWS}, 34.2),
    "7B LoRA, liger": ("7B", {**LORA, "row": ROWS, "fused": True}, 32),
    "7B LoRA, nothing recomputed": (
        "7B",
        {**LORA, "row": 8192, "fused": True, "checkpointing": "none"},
        57.7,
    ),
}


@pytest.mark.parametrize("name", H100)
def test_the_peak_is_within_15_percent_of_an_h100_s(name: str) -> None:
    size, work, measured = H100[name]
    shape = known(f"Qwen/Qwen2.5-{size}")
    assert shape is not None
    predicted = peak(shape, Work(**work)).total / GIB
    assert predicted == pytest.approx(measured, rel=MARGIN), f"{predicted:.1f} GiB"


# Peak resident GiB of whole processes on a CPU (glibc 2.36, torch 2.13, trl 1.16), and their
# layers, hidden, heads, key-value heads, MLP, vocabulary, tied. HOLES is fitted to the first half.
# All are of few steps. In bfloat16 each length of a row has kernels of its own: a tiny model's
# process grew by 0.7 GiB in 150 steps, which nothing here predicts (float32: not at all).
SHAPES = {
    "smollm2": (30, 576, 9, 3, 1536, 49152, True),
    "tinyq": (4, 256, 4, 2, 1024, 50000, True),
    "tinyl": (6, 384, 6, 6, 1024, 49152, False),
    "midq": (6, 896, 14, 2, 4864, 151936, True),
    "midl": (12, 1024, 16, 4, 2816, 49152, False),
    "widel": (4, 2048, 32, 8, 8192, 128256, True),
    "qwen2.5": (24, 896, 14, 2, 4864, 151936, False),
}
LOW = {"half": True, "half_weights": True}
NF4 = {**LOW, "quantized": True, "half_adapter": True}
ONE = {**LOW, "accumulation": 1}
CPU = (
    ("tinyq", {"rank": 8, "row": 256}, 0.796),
    ("smollm2", {"rank": 16, "row": 512, **LOW}, 1.609),
    ("tinyl", {"rank": 8, "row": 1024}, 1.427),
    ("smollm2", {"rank": 16, "row": 1024, "checkpointing": "full"}, 2.722),
    # held out
    ("tinyl", {"row": 1024, "half": True, "accumulation": 1}, 1.745),
    ("smollm2", {"row": 256}, 3.286),
    ("midq", {"rank": 16, "row": 256, **LOW}, 1.477),
    ("midl", {"row": 256, "checkpointing": "full"}, 4.64),
    # real weights and traces; blocks of more than MAPPED in the first two and the fourth
    ("qwen2.5", {"rank": 64, "row": 4060, "checkpointing": "full", **ONE}, 3.619),
    ("midq", {"rank": 64, "row": 4060, "checkpointing": "full", **ONE}, 2.073),
    ("midq", {"rank": 64, "row": 988, "checkpointing": "full", **ONE}, 1.856),
    ("midq", {"rank": 64, "row": 1990, "checkpointing": "full", "accumulation": 1}, 2.537),
    ("midq", {"rank": 64, "row": 988, **NF4, "accumulation": 1}, 2.282),
    ("smollm2", {"rank": 16, "row": 993, "rows": 2, **NF4}, 3.514),
    # and held out
    ("qwen2.5", {"rank": 32, "rows": 4, "row": 988, **ONE}, 8.786),
    ("smollm2", {"row": 993, "half": True}, 4.391),
    ("midq", {"rank": 64, "row": 4060, **ONE}, 3.44),
)


@pytest.mark.parametrize(("name", "work", "measured"), CPU)
def test_the_peak_is_within_15_percent_of_a_cpu_s(
    name: str, work: dict[str, Any], measured: float
) -> None:
    layers, hidden, heads, pairs, inner, vocab, tied = SHAPES[name]
    shape = Shape(
        layers=layers,
        hidden=hidden,
        heads=heads,
        query=hidden,
        key=hidden // heads * pairs,
        inner=inner,
        vocab=vocab,
        tied=tied,
    )
    predicted = peak(shape, Work(**{"accumulation": 2, **work})).total / GIB
    assert predicted == pytest.approx(measured, rel=MARGIN), f"{predicted:.2f} GiB"


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
@pytest.mark.parametrize(
    "work",
    [
        Work(),
        Work(half=True),
        Work(half_weights=True),
        Work(half=True, half_weights=True),  # what a layer is under FSDP2, too
        Work(rank=8),
        Work(rank=8, half=True, half_weights=True, half_adapter=True),
        Work(rank=8, half=True, half_weights=True, recast=True),
    ],
    ids=[
        "full float32",
        "full bf16",
        "bf16",
        "bf16 twice",
        "LoRA float32",
        "LoRA bf16",
        "LoRA bf16, recast",
    ],
)
def test_what_a_layer_keeps_is_what_torch_keeps(kind: str, work: Work) -> None:
    shape = _shape(1)
    most, fewer = (_kept(kind, layers, 96, work) for layers in (2, 1))
    longer, short = (_kept(kind, layers, 32, work) for layers in (2, 1))
    each = ((most - fewer) - (longer - short)) / 64
    assert kept_by_layer(shape, work) == pytest.approx(each, rel=0.001)


def _shape(layers: int) -> Shape:
    return Shape(
        layers=layers, hidden=96, heads=6, query=192, key=64, inner=200, vocab=300, tied=True
    )


def _kept(kind: str, layers: int, tokens: int, work: Work) -> int:
    """Bytes that autograd keeps of a forward pass, without the weights."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    peft = pytest.importorskip("peft")
    classes = {"llama": "Llama", "qwen2": "Qwen2"}
    config = getattr(transformers, f"{classes[kind]}Config")(
        vocab_size=300,
        hidden_size=96,
        intermediate_size=200,
        num_hidden_layers=layers,
        num_attention_heads=6,
        num_key_value_heads=2,
        head_dim=32,
    )
    model = getattr(transformers, f"{classes[kind]}ForCausalLM")(config)
    model = model.to(torch.bfloat16) if work.half_weights else model
    if work.rank:
        lora = peft.LoraConfig(r=work.rank, target_modules="all-linear", task_type="CAUSAL_LM")
        with quiet():
            model = peft.get_peft_model(model, lora, autocast_adapter_dtype=not work.half_adapter)
    own = {one.untyped_storage().data_ptr() for one in model.parameters()}
    seen: dict[int, Any] = {}

    def pack(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage
        return tensor

    inner = model.get_base_model().model if work.rank else model.model
    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
    with hooks, torch.autocast("cpu", torch.bfloat16, enabled=work.half):
        inner(input_ids=torch.zeros(1, tokens, dtype=torch.long), use_cache=False)
    return sum(storage.nbytes() for storage in seen.values())


def plan(shape: Shape, device: Device, *, longest: int = 1024, **given: Any) -> Plan:
    lengths = Lengths.of([longest, longest // 2])
    work = Work(rank=16, half=True, half_weights=True, gpu=device.gpu)
    return choose(shape, work, device, lengths, **{"sft": {}, **given})


def gpu(gib: float, count: int = 1) -> Device:
    return Device(gpu=True, memory=gib * GIB, flops=1e14, count=count, name="a card")


@pytest.mark.parametrize(
    ("sft", "traces", "count", "meant"),
    [
        ({}, None, 1, 8),  # trl's default batch
        ({"per_device_train_batch_size": 2, "gradient_accumulation_steps": 16}, None, 1, 32),
        ({"per_device_train_batch_size": 2}, 64, 1, 64),
        ({"gradient_accumulation_steps": 4}, 64, 4, 64),
        ({}, 64, 8, 64),
        ({}, 96, 1, 96),
    ],
)
def test_a_step_has_the_traces_that_the_recipe_means(
    sft: dict[str, Any], traces: int | None, count: int, meant: int
) -> None:
    found = plan(SMALL, gpu(80, count), sft=sft, traces_per_step=traces)
    assert found.work.rows * found.work.accumulation * count == meant
    assert not found.chosen.keys() & sft.keys()


def test_checkpointing_is_chosen_only_where_it_is_needed() -> None:
    assert plan(SMALL, gpu(80)).work.checkpointing == "none"
    assert plan(SMALL, gpu(1.5)).work.checkpointing == "full"
    said = plan(SMALL, gpu(1.5), sft={"gradient_checkpointing": False})
    assert said.work.checkpointing == "none"


def test_what_does_not_fit_is_refused_and_what_may_fit_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert SEVEN is not None
    needs = plan(SEVEN, gpu(8)).peak.total / GIB
    with pytest.raises(UserError, match=r"takes about .* and a card has .*; next: quantize: nf4"):
        refuse_too_big(plan(SEVEN, gpu(needs / 1.2)), "b")
    with caplog.at_level(logging.WARNING, "distill"):
        refuse_too_big(plan(SEVEN, gpu(needs / 1.1)), "b")
    assert "may run out of memory" in caplog.text
    caplog.clear()
    refuse_too_big(plan(SEVEN, gpu(needs * 1.3)), "b")
    assert not caplog.text


def test_out_of_memory_says_what_was_predicted_and_which_knob_is_next() -> None:
    open_ = plan(SMALL, gpu(80), sft={"per_device_train_batch_size": 4})
    said = out_of_memory(open_, 79 * GIB)
    assert "79.0 GiB of 80.0 GiB; predicted" in said
    assert "next: sft.gradient_checkpointing: true" in said
    sft = {"per_device_train_batch_size": 4, "gradient_checkpointing": True}
    said = out_of_memory(plan(SMALL, gpu(80), sft=sft, traces_per_step=8), 79 * GIB)
    assert "next: sft.per_device_train_batch_size: 2, which is as many traces a step" in said
    sft["gradient_accumulation_steps"] = 2
    said = out_of_memory(plan(SMALL, gpu(80), sft=sft), 79 * GIB)
    assert "sft.per_device_train_batch_size: 2 and gradient_accumulation_steps: 4" in said


def test_no_memory_is_told_from_other_errors_in_every_librarys_words() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(RuntimeError) as on_cpu:
        torch.empty(2**60, dtype=torch.uint8)
    for error in (
        on_cpu.value,
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError(
            "unable to mmap 8 bytes from file <m.safetensors>: Cannot allocate memory (12)"
        ),
        RuntimeError("std::bad_alloc"),
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ):
        with (
            pytest.raises(UserError, match=r"^out of memory at .*; next: .*; c-5 is kept$"),
            memory_may_end(None, gpu=False, kept=lambda: "; c-5 is kept"),
        ):
            raise error
    with pytest.raises(RuntimeError, match="shapes"), memory_may_end(None, gpu=False):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


def test_a_step_that_processes_cannot_share_evenly_is_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    recipe = StudentRecipe(base="b", lora={"r": 16}, traces_per_step=64)
    for count, warned in ((8, False), (48, True)):
        found = plan(SMALL, gpu(80, count), traces_per_step=64)
        warn_of_other_steps(recipe, found)
        assert ("train on 48" in caplog.text) is warned


def test_weights_in_the_hosts_memory_are_not_on_the_card() -> None:
    shape = known("Qwen/Qwen2.5-32B")
    assert shape is not None
    shared = Work(**FULL, row=ROWS, shards=8, accumulation=2)
    apart = replace(shared, offload=True)
    state = 16 * shape.parameters
    assert host(shape, apart) == state
    assert peak(shape, shared).total - peak(shape, apart).total == pytest.approx(state / 8, rel=0.1)


def test_a_packed_row_is_alone_whatever_the_batch() -> None:
    sft = {"per_device_train_batch_size": 4, "packing": True, "max_length": 2048}
    found = plan(SMALL, gpu(80), sft=sft, packing=True, max_length=2048)
    assert (found.work.rows, found.sequences) == (1, 4)


@pytest.fixture
def too_big(tmp_path: Path) -> tuple[str, Path]:
    """A recipe whose base is a config of 300 GiB and a tokenizer, and its data."""
    pytest.importorskip("trl")
    base = tokenizer_files(tmp_path / "base")
    config = {"model_type": "llama", "hidden_size": 16384, "num_attention_heads": 64}
    config |= {"num_hidden_layers": 40, "intermediate_size": 65536, "vocab_size": 500}
    config |= {"max_position_embeddings": 4096, "architectures": ["LlamaForCausalLM"]}
    (base / "config.json").write_text(json.dumps(config))
    data = tmp_path / "d.jsonl"
    row = {"messages": [{"role": "user", "content": "1?"}], "reasoning": "I see.", "response": "1"}
    data.write_text(json.dumps(row) + "\n")
    recipe = tmp_path / "s.yaml"
    recipe.write_text(f"base: {base}\nlora: {{r: 1, target_modules: [q_proj]}}\n")
    return str(recipe), data


def test_a_base_far_too_big_is_refused_before_its_weights_are_there(
    too_big: tuple[str, Path], tmp_path: Path
) -> None:
    recipe, data = too_big
    with pytest.raises(UserError, match="training it takes about"):
        command.train(recipe, data, out=tmp_path / "out", overrides=naming(recipe, "base"))
    assert not (tmp_path / "out").exists()


def test_a_dry_run_of_it_says_the_plan_at_once_and_tries_everything_else(
    too_big: tuple[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe, data = too_big
    said = naming(recipe, "base")
    with (
        caplog.at_level(logging.INFO, "distill"),
        pytest.raises(UserError, match=r"takes about .* cards of 80 GB would hold it with FSDP2: "),
    ):
        command.train(recipe, data, out=tmp_path / "out", overrides=said, dry_run=True)
    lines = [record.getMessage() for record in caplog.records]
    kinds = ("plan: ", "  peak: ", "  about ", "8 cards", "train: 1 examples", "  chosen: ")
    places = [next(i for i, line in enumerate(lines) if kind in line) for kind in kinds]
    assert places == sorted(places)
    assert "for each million tokens" in lines[2]
    assert "can be saved and loaded again" in lines[-1]
    assert not (tmp_path / "out").exists()


def test_a_plan_needs_neither_trl_nor_peft_nor_weights(too_big: tuple[str, Path]) -> None:
    recipe, data = too_big
    program = (
        "import sys, logging; logging.basicConfig(level=20)\n"
        "from distill.commands.train import train\n"
        "import distill.training.run as run\n"
        "heavy = {'trl', 'peft', 'transformers', 'bitsandbytes'}\n"
        "run.open_job = lambda *given: sys.exit(str(heavy & {*sys.modules}))\n"
        f"train({recipe!r}, {str(data)!r}, out='nowhere', overrides={naming(recipe, 'base')!r}, "
        "dry_run=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "for each million tokens" in done.stderr
    assert done.stderr.rstrip().endswith("set()")


def test_the_control_group_limits_memory(tmp_path: Path) -> None:
    group = tmp_path / "fs" / "a" / "b"
    group.mkdir(parents=True)
    (tmp_path / "own").write_text("0::/a/b\n")
    (tmp_path / "info").write_text("MemTotal: 9000 kB\nMemAvailable: 8000 kB\n")
    (group / "memory.max").write_text("max\n")
    (group.parent / "memory.max").write_text("5000000\n")
    for folder in (group, group.parent):
        (folder / "memory.current").write_text("1000000\n")
    places = (tmp_path / "fs", tmp_path / "own", tmp_path / "info")
    assert free_memory(*places) == 4_000_000
    (group.parent / "memory.max").write_text("max\n")
    assert free_memory(*places) == 8000 * 1024


def test_an_h100_s_speed_is_within_the_stated_factor() -> None:
    assert SEVEN is not None
    device = Device(gpu=True, memory=80 * GIB, flops=989e12)
    found = tokens_per_s(SEVEN, Work(**LORA, row=ROWS), device, context=7000)
    assert found == pytest.approx(6811, rel=0.1)


def test_two_answers_to_how_many_traces_a_step_are_an_error(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    from distill.local_models.open import Model
    from distill.training.options import Options

    sft = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}
    recipe = StudentRecipe(base="b", sft=sft, traces_per_step=16)
    config = {"model_type": "llama", "hidden_size": 64, "num_attention_heads": 2}
    config |= {"num_hidden_layers": 2, "intermediate_size": 128, "vocab_size": 300}
    (tmp_path / "config.json").write_text(json.dumps(config))
    base = Model(name="b", folder=tmp_path, at="base")
    with pytest.raises(UserError, match=r"traces_per_step: 16: .* are 8; next: leave"):
        plan_here(recipe, Options(lora=None, sft=sft), base)


@pytest.mark.parametrize(("traces", "most"), [(4, 2048), (16, 2048), (64, 512), (4, None)])
def test_a_packed_row_is_planned_as_it_is_filled(traces: int, most: int | None) -> None:
    lengths = np.random.default_rng(1).integers(20, 400, 3000)
    sft = {"packing": True, "max_length": most}
    found = choose(
        *(SMALL, Work(rank=8, row=1), gpu(80), Lengths.of(lengths.tolist())),
        sft=sft,
        traces_per_step=traces,
        packing=True,
        max_length=most,
    )
    filled = bins(lengths, capacity=most or int(lengths.max()), traces_per_step=traces)
    assert found.work.row == pytest.approx(filled.capacity, rel=0.03)
