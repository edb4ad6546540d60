"""Which options of trl's SFTConfig a recipe may set, with which values.

Options in neither table are refused, because those that a newer trl adds are not known to be safe.
"""

from collections.abc import Mapping

from distill.recipes.shapes import (
    Shape,
    block,
    either,
    many,
    number,
    one_of,
    pattern,
    switch,
    text,
    whole,
    word,
)

DTYPES = ("auto", "float32", "bfloat16", "float16")
# Those that come with torch or with a package that the user installs. Anything with a slash is a
# kernel of the Hub, which transformers fetches and runs.
ATTENTION = ("eager", "sdpa", "flex_attention", "flash_attention_2", "flash_attention_3")
EXPERTS = ("eager", "batched_mm", "grouped_mm")  # transformers 5.24, integrations/moe.py
LOADING: Mapping[str, Shape] = {
    "dtype": one_of(*DTYPES),
    "torch_dtype": one_of(*DTYPES),
    "attn_implementation": one_of(*ATTENTION),
    "experts_implementation": one_of(*EXPERTS),
    "device_map": one_of("auto", "balanced", "sequential", "cpu", "cuda", "mps"),
    "low_cpu_mem_usage": switch,
    "use_cache": switch,
}
# Of torch.utils.checkpoint; without context_fn, a function, and determinism_check, which prints.
CHECKPOINTING = {"use_reentrant": switch, "preserve_rng_state": switch, "early_stop": switch}
# Names of the options of every liger kernel, liger-kernel 0.6, transformers/monkey_patch.py.
LIGER = ("rope", "cross_entropy", "fused_linear_cross_entropy", "rms_norm", "swiglu", "geglu")
# Arguments of transformers' schedules (5.24, optimization.py) are numbers, or names of curves.
SCHEDULE = (
    *("num_cycles", "power", "lr_end", "timescale", "min_lr", "min_lr_rate", "min_lr_ratio"),
    *("warmup_lr_rate", "num_decay_steps", "num_stable_steps", "warmup_type", "decay_type"),
    *("mode", "factor", "patience", "threshold", "threshold_mode", "cooldown", "eps", "max_lr"),
    *("warmup", "smooth", "window_size", "reset_start"),
)


def optimizer_arguments(value: object) -> str | None:
    """``name=number,…``, as transformers' optimizers read it."""
    pairs = [pair.partition("=") for pair in str(value).replace(" ", "").split(",")]
    fits = isinstance(value, str) and all(
        name.isidentifier() and equals and _plain(given) for name, equals, given in pairs
    )
    return None if fits else "name=number pairs with commas between them"


def _plain(given: str) -> bool:
    if given.lower() in ("true", "false", *DTYPES):
        return True
    try:
        float(given)
    except ValueError:
        return False
    return True


ALLOWED: Mapping[str, Shape] = {
    # how much and how fast
    **dict.fromkeys(("num_train_epochs", "warmup_steps"), number),
    **dict.fromkeys(("per_device_train_batch_size", "max_steps"), whole),
    **dict.fromkeys(("gradient_accumulation_steps", "seed", "data_seed"), whole),
    "learning_rate": number,
    "lr_scheduler_type": word,  # the library refuses schedules that it does not know
    "lr_scheduler_kwargs": block(**dict.fromkeys(SCHEDULE, either(number, switch, word))),
    "optim": word,  # an entry of transformers' own list; each is one fixed package
    "optim_args": optimizer_arguments,
    "optim_target_modules": either(pattern, many(pattern)),
    **dict.fromkeys(("weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon"), number),
    **dict.fromkeys(("max_grad_norm", "label_smoothing_factor", "neftune_noise_alpha"), number),
    **dict.fromkeys(("router_aux_loss_coef",), number),
    **dict.fromkeys(("average_tokens_across_devices", "auto_find_batch_size"), switch),
    "loss_type": word,
    # number formats, memory, speed
    **dict.fromkeys(("bf16", "fp16", "tf32", "use_cache", "use_cpu", "full_determinism"), switch),
    **dict.fromkeys(("gradient_checkpointing", "activation_checkpointing"), switch),
    "gradient_checkpointing_kwargs": block(**CHECKPOINTING),
    "activation_checkpointing_kwargs": block(every_n_layers=whole, offload=switch, **CHECKPOINTING),
    "activation_offloading": switch,
    "torch_compile": switch,
    # any other name is looked up among installed packages' entry points and imported
    "torch_compile_backend": one_of("inductor", "eager", "aot_eager", "cudagraphs"),
    "torch_compile_mode": one_of(
        "default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"
    ),
    "use_liger_kernel": switch,
    "liger_kernel_config": block(**dict.fromkeys(LIGER, switch)),
    "torch_empty_cache_steps": whole,
    "model_init_kwargs": block(**LOADING),
    "accelerator_config": block(
        split_batches=switch,
        dispatch_batches=switch,
        even_batches=switch,
        use_seedable_sampler=switch,
        non_blocking=switch,
    ),
    # rows
    "max_length": whole,
    **dict.fromkeys(("packing", "padding_free", "shuffle_dataset", "ignore_data_skip"), switch),
    "packing_strategy": word,
    "pad_to_multiple_of": either(whole, one_of("auto")),
    "pad_token": text,
    "train_sampling_strategy": one_of("random", "sequential", "group_by_length"),
    "dataset_num_proc": whole,
    "dataloader_pin_memory": switch,
    **dict.fromkeys(("dataloader_persistent_workers", "dataloader_in_order"), switch),
    **dict.fromkeys(("dataloader_num_workers", "dataloader_prefetch_factor"), whole),
    "dataloader_multiprocessing_context": one_of("fork", "spawn", "forkserver"),
    # logging and checkpoints
    **dict.fromkeys(("logging_strategy", "log_level", "log_level_replica"), word),
    "logging_steps": number,
    **dict.fromkeys(("logging_first_step", "logging_nan_inf_filter", "log_on_each_node"), switch),
    **dict.fromkeys(("disable_tqdm", "skip_memory_metrics"), switch),
    "include_num_input_tokens_seen": either(switch, word),
    "run_name": text,
    "debug": one_of("", "underflow_overflow"),
    "save_strategy": one_of("no", "steps", "epoch"),
    "save_steps": number,
    "save_total_limit": whole,
    **dict.fromkeys(("save_only_model", "save_on_each_node"), switch),
    # several GPUs; the launcher says where the processes are
    **dict.fromkeys(("ddp_find_unused_parameters", "ddp_broadcast_buffers"), switch),
    "ddp_static_graph": switch,
    **dict.fromkeys(("ddp_bucket_cap_mb", "ddp_timeout"), whole),
    "ddp_backend": one_of("nccl", "gloo"),
}

_TOKENS = "distill tokenises the rows itself"
_PROMPT = "the prompt is always masked and the answer always trained"
_EVAL = "set validation: beside sft:, which measures the loss on prompts that are held out"
_PUSH = "next: distill push on the finished student"
_SHARDS = (
    "it loads files and code, and its checkpoints are pickles; "
    "next: accelerate launch with a configuration of your own"
)
_SENDS = "it reports the training to a service"
# Options that a recipe cannot have, and what to do instead.
REFUSED: Mapping[str, str] = {
    "output_dir": "it is the -o of the command",
    "chat_template_path": "set chat_template: beside sft:",
    "eos_token": "the chat template defines the end of a turn; set chat_template: beside sft:",
    "assistant_only_loss": _PROMPT,
    "completion_only_loss": _PROMPT,
    **dict.fromkeys(("dataset_kwargs", "dataset_text_field", "remove_unused_columns"), _TOKENS),
    **dict.fromkeys(("length_column_name", "label_names"), _TOKENS),
    "dataloader_drop_last": "some rows of an epoch would not be trained on, and nobody would know",
    "truncation_mode": "a trace longer than max_length is left out and counted, never cut",
    **dict.fromkeys(("eval_strategy", "eval_steps", "eval_delay", "eval_on_start"), _EVAL),
    **dict.fromkeys(("eval_do_concat_batches", "eval_use_gather_object"), _EVAL),
    **dict.fromkeys(("eval_accumulation_steps", "eval_packing", "batch_eval_metrics"), _EVAL),
    **dict.fromkeys(("per_device_eval_batch_size", "prediction_loss_only"), _EVAL),
    **dict.fromkeys(("bf16_full_eval", "fp16_full_eval", "include_for_metrics"), _EVAL),
    **dict.fromkeys(("load_best_model_at_end", "metric_for_best_model"), _EVAL),
    **dict.fromkeys(("greater_is_better", "do_eval", "do_predict"), _EVAL),
    "do_train": "it has no effect; next: leave it out",
    "trust_remote_code": "code from a model repository is never run",
    "push_to_hub": _PUSH,
    "hub_token": "recipes are shared; next: distill push, which reads HF_TOKEN",
    **dict.fromkeys(("hub_private_repo", "hub_model_id", "hub_strategy"), _PUSH),
    **dict.fromkeys(("hub_always_push", "hub_revision"), _PUSH),
    "resume_from_checkpoint": "the same command goes on by itself",
    "enable_jit_checkpoint": "at SIGTERM a checkpoint is written by itself",
    "restore_callback_states_from_checkpoint": "distill's callbacks keep no state",
    **dict.fromkeys(("fsdp", "fsdp_config", "deepspeed", "parallelism_config"), _SHARDS),
    "local_rank": "the launcher of the processes sets it",
}
# Options that only the user may set, with --set: data about the training leaves the machine.
SENDS: Mapping[str, str] = {
    **dict.fromkeys(("report_to", "project", "trackio_space_id"), _SENDS),
    **dict.fromkeys(("trackio_bucket_id", "trackio_static_space_id"), _SENDS),
}
# Values of report_to that are allowed anyway: nothing, or files beside the checkpoints.
STAYS_HERE = one_of("none", "tensorboard")
