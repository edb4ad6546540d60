"""No option that a recipe hands to a library or a server runs code, reads or sends elsewhere."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from distill.errors import UserError
from distill.recipes import arguments, lora, sft
from distill.recipes.arguments import OURS, TABLES
from distill.recipes.load import load
from distill.recipes.places import Origin
from distill.recipes.prompts import PromptsRecipe
from distill.recipes.students import StudentRecipe
from distill.recipes.switches import ALLOWED, REFUSED
from distill.recipes.teachers import Engine

# Values of a kind that nothing harmless takes: no option, at any depth, may have one of them.
HOSTILE: list[Any] = [
    "/etc/passwd",
    "../secret.json",
    "owner/repository",
    "https://203.0.113.1/x",
    "os.system('id')",
    "evil.Evil()",
    {"trust_remote_code": True},
    {"path": "/etc/passwd"},
    {"a": {"b": ["owner/repository"]}},
    ["/etc/passwd"],
    [{"trust_remote_code": True}],
    '{"trust_remote_code": true}',
    "a\nb",
]


def students(folder: Path, block: str, key: str, value: Any, *overrides: str) -> object:
    from distill.training.options import checked

    path = folder / "s.yaml"
    values = {"base": "b", "lora": {"r": 4}, "sft": {}}
    values[block] = {key: value}
    path.write_text(yaml.safe_dump(values))
    loaded = load(str(path), StudentRecipe, overrides)
    by_user = {one.partition("=")[0] for one in overrides}
    return checked(loaded.recipe, loaded.path, by_user=by_user)


def prompts(folder: Path, **values: Any) -> PromptsRecipe:
    path = folder / "p.yaml"
    problems = {"reasoning_gym": [{"name": "chain_sum", "size": 1, "seed": 1}]}
    if "serve" not in values:
        teacher = {"model": "m", "base_url": "http://127.0.0.1:9/v1"}
        values["teacher"] = {**teacher, **values.get("teacher", {})}
    path.write_text(yaml.safe_dump({"problems": problems} | values))
    return load(str(path), PromptsRecipe).recipe


def refusal(make: Any, *given: Any, **named: Any) -> str:
    with pytest.raises(UserError) as caught:
        make(*given, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- sft and lora ---


def test_every_option_of_the_installed_libraries_is_allowed_or_refused_with_a_reason() -> None:
    trl, peft = pytest.importorskip("trl"), pytest.importorskip("peft")
    tables = (
        (trl.SFTConfig, (sft.ALLOWED, sft.REFUSED, sft.SENDS)),
        (peft.LoraConfig, (lora.ALLOWED, lora.REFUSED)),
    )
    for config, parts in tables:
        names = [name for part in parts for name in part]
        assert {field.name for field in fields(config) if field.init} == set(names)
        assert len(names) == len(set(names)), "an option is in two tables"


# Texts that are only shown: they may be anything short.
SHOWN = {"run_name", "pad_token"}


@pytest.mark.parametrize("key", [*sft.ALLOWED, *sft.SENDS])
def test_no_option_of_sft_has_a_value_that_points_elsewhere(tmp_path: Path, key: str) -> None:
    pytest.importorskip("trl")
    for value in HOSTILE:
        if key in SHOWN and isinstance(value, str):
            continue
        assert f"sft.{key}: " in refusal(students, tmp_path, "sft", key, value)


@pytest.mark.parametrize("key", lora.ALLOWED)
def test_no_option_of_lora_has_a_value_that_points_elsewhere(tmp_path: Path, key: str) -> None:
    pytest.importorskip("peft")
    for value in HOSTILE:
        assert f"lora.{key}: " in refusal(students, tmp_path, "lora", key, value)


@pytest.mark.parametrize("key", sft.REFUSED)
def test_a_refused_option_of_sft_says_why(tmp_path: Path, key: str) -> None:
    pytest.importorskip("trl")
    said = refusal(students, tmp_path, "sft", key, None)
    assert f"sft.{key}: not for a recipe: {sft.REFUSED[key]}" in said


@pytest.mark.parametrize("key", lora.REFUSED)
def test_a_refused_option_of_lora_says_why(tmp_path: Path, key: str) -> None:
    pytest.importorskip("peft")
    said = refusal(students, tmp_path, "lora", key, None)
    assert f"lora.{key}: not for a recipe: {lora.REFUSED[key]}" in said


def test_an_option_that_a_newer_library_adds_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("trl")
    monkeypatch.setattr(sft, "ALLOWED", {"learning_rate": sft.ALLOWED["learning_rate"]})
    said = refusal(students, tmp_path, "sft", "weight_decay", 0.1)
    assert "s.yaml: sft.weight_decay: not known to be safe; one of: learning_rate; next: " in said


@pytest.mark.parametrize(
    ("block", "key", "value"),
    [
        ("sft", "model_init_kwargs", {"trust_remote_code": True}),
        ("sft", "model_init_kwargs", {"attn_implementation": "kernels-community/flash-attn"}),
        ("sft", "model_init_kwargs", {"attn_implementation": "paged|owner/kernel"}),
        ("sft", "model_init_kwargs", {"use_safetensors": False}),
        ("sft", "model_init_kwargs", {"use_kernels": True}),
        ("sft", "model_init_kwargs", {"quantization_config": {"quant_method": "x"}}),
        ("sft", "model_init_kwargs", {"subfolder": "x"}),
        ("sft", "model_init_kwargs", {"device_map": {"": "disk"}}),
        ("sft", "model_init_kwargs", {"dtype": "load"}),
        ("sft", "model_init_kwargs", '{"dtype": "auto"}'),
        ("sft", "gradient_checkpointing_kwargs", {"context_fn": "evil"}),
        ("sft", "torch_compile_backend", "evil"),
        ("sft", "accelerator_config", "config.json"),
        ("sft", "liger_kernel_config", {"evil": True}),
        ("sft", "optim_args", "momentum_dtype=load"),
        ("sft", "lr_scheduler_kwargs", {"lr_lambda": "lambda x: x"}),
        ("sft", "report_to", "wandb"),
        ("sft", "report_to", ["none", "mlflow"]),
        ("sft", "report_to", "all"),
        ("sft", "trackio_space_id", "me"),
        ("sft", "debug", "tpu_metrics_debug"),
        ("lora", "init_lora_weights", "eva"),
        ("lora", "init_lora_weights", "corda"),
        ("lora", "init_lora_weights", "loftq"),
        ("lora", "target_modules", "(a+)+$"),
        ("lora", "target_modules", ".*.*.*.*.*q"),
        ("lora", "rank_pattern", {"(a|a)*$": 4}),
        ("lora", "task_type", "SEQ_CLS"),
    ],
)
def test_what_would_reach_out_is_refused(
    tmp_path: Path, block: str, key: str, value: object
) -> None:
    pytest.importorskip("trl")
    assert f"s.yaml: {block}.{key}: " in refusal(students, tmp_path, block, key, value)


def test_only_the_user_sends_training_to_a_service(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    said = refusal(students, tmp_path, "sft", "report_to", "wandb")
    assert "--set sft.report_to=" in said
    assert students(tmp_path, "sft", "seed", 1, "sft.report_to=wandb")


@pytest.mark.parametrize(
    ("block", "key", "value"),
    [
        ("sft", "report_to", "tensorboard"),
        ("sft", "gradient_checkpointing_kwargs", {"use_reentrant": False}),
        ("sft", "lr_scheduler_kwargs", {"min_lr_rate": 0.1, "decay_type": "cosine"}),
        ("sft", "model_init_kwargs", {"dtype": "bfloat16", "attn_implementation": "sdpa"}),
        ("sft", "optim_args", "rank=128, update_proj_gap=200, nesterov=true"),
        ("lora", "target_modules", r".*\.(q_proj|v_proj)$"),
        ("lora", "init_lora_weights", "pissa"),
        ("lora", "modules_to_save", ["lm_head", "embed_tokens"]),
    ],
)
def test_what_people_set_still_goes_on_unchanged(
    tmp_path: Path, block: str, key: str, value: object
) -> None:
    pytest.importorskip("trl")
    options: Any = students(tmp_path, block, key, value)
    assert (options.sft if block == "sft" else options.lora)[key] == value


@pytest.mark.parametrize("name", ["../out.jinja", "/proc/self/environ", "link.jinja", "a.txt"])
def test_a_chat_template_is_a_file_of_the_recipes_folder(tmp_path: Path, name: str) -> None:
    pytest.importorskip("transformers")
    from distill.training.base import chat_template_text

    folder = tmp_path / "recipes"
    folder.mkdir()
    (tmp_path / "out.jinja").write_text("a secret")
    (folder / "a.txt").write_text("a secret")
    (folder / "link.jinja").symlink_to(tmp_path / "out.jinja")
    said = refusal(chat_template_text, name, Origin(path=folder / "s.yaml"))
    assert "chat_template: " in said
    assert "a secret" not in said


# --- serve.args ---

# Arguments that load code, models or files, open ports or send something, of any engine's.
REACHING = [
    ["--trust-remote-code"],
    ["--trust_remote_code"],
    ["--trust-remote"],
    ["--trust-remote-code=true"],
    ["--no-trust-remote-code"],
    ["--Trust-Remote-Code"],
    ["--seed", "1", "--trust-remote-code"],
    ["--seed=1", "--hf-overrides", '{"trust_remote_code": true}'],
    ["--seed", "--trust-remote-code"],
    ["--speculative-config", '{"model": "owner/draft"}'],
    ["--speculative-draft-model-path", "owner/draft"],
    ["--config", "evil.yaml"],
    ["--load-format", "pt"],
    ["--load-format=npcache"],
    ["--load_format", "dummy"],
    ["--model-loader-extra-config", "{}"],
    ["--tool-parser-plugin", "evil.py"],
    ["--reasoning-parser-plugin", "evil.py"],
    ["--reasoning-parser", "evil.py"],
    ["--reasoning-parser", "/tmp/evil"],
    ["--middleware", "evil.Evil"],
    ["--logits-processors", "evil.Evil"],
    ["--worker-cls", "evil.Evil"],
    ["--worker-extension-cls", "evil.Evil"],
    ["--scheduler-cls", "evil.Evil"],
    ["--distributed-executor-backend", "evil.Evil"],
    ["--kv-transfer-config", "{}"],
    ["--compilation-config", "{}"],
    ["-O3"],
    ["--attention-backend", "CUSTOM"],
    ["--generation-config", "/etc"],
    ["--override-generation-config", "{}"],
    ["--chat-template", "/etc/passwd"],
    ["--tokenizer", "owner/other"],
    ["--tokenizer-path", "owner/other"],
    ["--revision", "evil"],
    ["--code-revision", "evil"],
    ["--enable-lora"],
    ["--lora-modules", "a=owner/b"],
    ["--lora-paths", "a=owner/b"],
    ["--download-dir", "/"],
    ["--allowed-local-media-path", "/"],
    ["--allowed-media-domains", "evil.org"],
    ["--api-key", "x"],
    ["--host", "0.0.0.0"],
    ["--ho", "0.0.0.0"],
    ["--port", "1"],
    ["--otlp-traces-endpoint", "http://203.0.113.1"],
    ["--enable-cors"],
    ["--enable-custom-logit-processor"],
    ["--attn-implementation", "owner/kernel"],
    ["--decision-config", "x.json"],
    ["--chat-template-kwargs", "{}"],
    ["--dtype", "../x"],
    ["--gpu-memory-utilization", "0.9;id"],
    ["--seed", "1", "owner/other"],
    ["owner/other"],
    ["--"],
    [""],
    ["@args.txt"],
]


@pytest.mark.parametrize("engine", TABLES)
@pytest.mark.parametrize("args", REACHING, ids=" ".join)
def test_no_engine_gets_an_argument_that_reaches_out(
    tmp_path: Path, engine: Engine, args: list[str]
) -> None:
    said = refusal(prompts, tmp_path, serve={"engine": engine, "model": "m", "args": args})
    assert "p.yaml: serve: args: " in said


@pytest.mark.parametrize("engine", TABLES)
def test_no_value_of_an_allowed_argument_points_elsewhere(engine: str) -> None:
    for flag, allowed in TABLES[engine].items():
        for value in ("", "a/b", "../a", "{}", "evil.Evil", "--trust-remote-code", "http://h"):
            wrong = arguments.wrong_arguments([flag, value], engine=engine)
            assert wrong, (flag, value)
            if allowed is not None:
                assert arguments.wrong_arguments([f"{flag}={value}"], engine=engine)
        assert flag not in OURS


@pytest.mark.parametrize(
    ("engine", "args"),
    [
        ("vllm", ["--tensor-parallel-size", "2", "--gpu-memory-utilization=0.9", "-q", "awq"]),
        ("vllm", ["--enforce-eager", "--reasoning-parser", "deepseek_r1", "--dtype", "bfloat16"]),
        ("sglang", ["--tp", "2", "--mem-fraction-static", "0.8", "--disable-radix-cache"]),
        ("transformers", ["--device", "cuda:0", "--attn-implementation", "sdpa"]),
        ("llama.cpp", ["--threads", "4"]),
    ],
)
def test_what_people_give_a_server_is_taken(
    tmp_path: Path, engine: Engine, args: list[str]
) -> None:
    found = prompts(tmp_path, serve={"engine": engine, "model": "m", "args": args})
    assert found.serve is not None
    assert found.serve.args == tuple(args)


def test_a_mistyped_argument_is_met_with_the_nearest() -> None:
    said = arguments.wrong_arguments(["--tensor_parallel_size", "2"], engine="vllm")
    assert said is not None
    assert "did you mean '--tensor-parallel-size'?" in said


# --- extra_body ---

REACHING_SWITCHES: dict[str, Any] = {
    "n": 4,
    "best_of": 8,
    "num_choices": 8,
    "num_return_sequences": 8,
    "use_beam_search": True,
    "max_new_tokens": 10**6,
    "max_length": 10**6,
    "max_output_tokens": 10**6,
    "max_reasoning_tokens": 10**6,
    "extra_body": {"n": 4},
    "models": ["a", "b"],
    "route": "fallback",
    "plugins": [{"id": "web", "max_results": 50}],
    "web_search_options": {},
    "enable_search": True,
    "search_parameters": {"mode": "on"},
    "tools": [{"type": "code_interpreter"}],
    "tool_choice": "required",
    "prediction": {"type": "content", "content": "x"},
    "service_tier": "priority",
    "modalities": ["text", "audio"],
    "audio": {"voice": "x"},
    "store": True,
    "metadata": {"a": "b"},
    "user": "me@example.org",
    "webhook_url": "http://203.0.113.1",
    "callback": "http://203.0.113.1",
    "chat_template": "{{ 1 }}",
    "documents": [{"text": "x"}],
    "logits_processors": ["evil.Evil"],
    "custom_logit_processor": "gASV",
    "mm_processor_kwargs": {"trust_remote_code": True},
    "media_io_kwargs": {},
    "kv_transfer_params": {"remote_host": "h"},
    "vllm_xargs": {},
    "lora_path": "owner/lora",
    "lora_request": {"lora_path": "/x"},
    "guided_grammar": "x",
    "structured_outputs": {},
    "transforms": ["middle-out"],
    "logprobs": True,
    "prompt_logprobs": 5,
    "continue_final_message": True,
    "temperature": 2,
    "safety_model": "owner/other",
    "something_new": 1,
}


@pytest.mark.parametrize("name", REACHING_SWITCHES)
def test_no_request_holds_a_switch_that_is_not_known_to_be_safe(tmp_path: Path, name: str) -> None:
    body = {"extra_body": {name: REACHING_SWITCHES[name]}}
    for block in ("sampling", "teacher"):
        said = refusal(prompts, tmp_path, **{block: body})
        assert f"{block}.extra_body: " in said
        assert name in said


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_often_asked_for_says_why_not(tmp_path: Path, name: str) -> None:
    assert REFUSED[name] in refusal(prompts, tmp_path, sampling={"extra_body": {name: 1}})


@pytest.mark.parametrize(
    "body",
    [
        {"chat_template_kwargs": {"chat_template": "{{ 1 }}"}},
        {"chat_template_kwargs": {"tokenize": False}},
        {"chat_template_kwargs": {"enable_thinking": {"a": 1}}},
        {"chat_template_kwargs": {"tools": []}},
        {"reasoning": {"n": 4}},
        {"thinking": {"type": "enabled", "tools": []}},
        {"provider": {"url": "http://h"}},
        {"provider": {"max_price": {"prompt": "free"}}},
        {"response_format": {"type": "grammar"}},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"schema": {"$ref": "http://203.0.113.1/x"}},
            }
        },
        {"top_k": "20"},
        {"top_k": {"a": 1}},
        {"stop": [["a"]]},
        {"logit_bias": {"1": "x"}},
        {"usage": {"include": "http://h"}},
        {"enable_thinking": "yes"},
    ],
)
def test_no_allowed_switch_has_a_value_that_is_not(tmp_path: Path, body: dict[str, Any]) -> None:
    (name,) = body
    assert f"sampling.extra_body: {name}: must be " in refusal(
        prompts, tmp_path, sampling={"extra_body": body}
    )


@pytest.mark.parametrize("name", ALLOWED)
def test_no_switch_takes_what_nothing_harmless_takes(tmp_path: Path, name: str) -> None:
    for value in ({"trust_remote_code": True}, [{"a": "b"}], {"url": "http://h"}):
        assert ALLOWED[name](value) is not None


@pytest.mark.parametrize(
    "body",
    [
        {"thinking_budget": 2000},
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        {"reasoning": {"max_tokens": 2000}},
        {"chat_template_kwargs": {"thinking_budget": 2000}},
        {"min_tokens": 2000},
    ],
)
def test_thinking_has_no_larger_limit_than_the_budget_counts_on(
    tmp_path: Path, body: dict[str, Any]
) -> None:
    for block in ({"teacher": {"extra_body": body}}, {"sampling": {"extra_body": body}}):
        sampling = {"max_tokens": 1999, **block.get("sampling", {})}
        said = refusal(prompts, tmp_path, **{**block, "sampling": sampling})
        assert "2000 tokens of thinking are more than sampling.max_tokens (1999)" in said
        assert prompts(tmp_path, **{**block, "sampling": {**sampling, "max_tokens": 2000}})


@pytest.mark.parametrize(
    "body",
    [
        {"thinking": {"type": "disabled"}},
        {"chat_template_kwargs": {"enable_thinking": False}},
        {"chat_template_kwargs": {"thinking": True}},
        {"reasoning": {"effort": "high", "exclude": False}},
        {"reasoning_effort": "high", "top_k": 20, "min_p": 0.0, "repetition_penalty": 1.05},
        {"provider": {"order": ["deepseek", "novita/fp8"], "max_price": {"prompt": 0.7}}},
        {"response_format": {"type": "json_object"}, "usage": {"include": True}},
        {"stop": ["</answer>"], "logit_bias": {"50256": -100}},
    ],
)
def test_vendors_switches_go_into_the_request_unchanged(
    tmp_path: Path, body: dict[str, Any]
) -> None:
    assert prompts(tmp_path, sampling={"extra_body": body}).sampling.extra_body == body
