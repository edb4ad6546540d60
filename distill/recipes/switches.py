"""Which switches of an endpoint a recipe may put into its requests (extra_body).

A request buys one whole answer, at a known maximum price, from the model that the recipe names.
Only switches that are known to keep it that way are sent: how tokens are sampled, whether and how
long the model thinks, the form of the answer, and which of a router's vendors may answer.
Everything else is refused, above all what multiplies answers, buys searches or other models, makes
a server load, fetch, keep or pass on something, or is code.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from distill.errors import nearest
from distill.recipes.shapes import (
    Shape,
    block,
    either,
    many,
    number,
    one_of,
    switch,
    table,
    text,
    whole,
    word,
)

EFFORT = either(switch, word)
# Variables of chat templates. Not every name is allowed: vLLM and SGLang pass them to the function
# that renders, where chat_template replaces the template and tokenize changes the result.
TEMPLATE_VARIABLES: Mapping[str, Shape] = {
    **dict.fromkeys(("enable_thinking", "thinking", "reasoning_effort", "thinking_mode"), EFFORT),
    **dict.fromkeys(("preserve_thinking", "clear_thinking", "force_reasoning"), switch),
    "thinking_budget": whole,
    "date_string": text,  # Llama 3's
}
# openrouter.ai/docs, provider-routing
VENDORS = block(
    order=many(text),
    only=many(text),
    ignore=many(text),
    quantizations=many(word),
    allow_fallbacks=switch,
    require_parameters=switch,
    zdr=switch,
    data_collection=one_of("allow", "deny"),
    sort=one_of("price", "throughput", "latency"),
    max_price=block(prompt=number, completion=number, request=number, image=number),
)


def schema(value: Any, depth: int = 0) -> str | None:
    """A JSON schema that refers to nothing outside itself."""
    if depth > 32:
        return "a JSON schema of at most 32 levels"
    if isinstance(value, Mapping):
        for name, inner in value.items():
            refers = str(name).startswith("$") and name != "$defs"
            if refers and not str(inner).startswith("#"):
                return f"a JSON schema without {name!r:.40} to elsewhere"
            if said := schema(inner, depth + 1):
                return said
    if isinstance(value, (list, tuple)):
        return next((said for one in value if (said := schema(one, depth + 1))), None)
    return text(value) if isinstance(value, str) else None


_DRAW = (
    *("min_p", "typical_p", "top_a", "eta_cutoff", "epsilon_cutoff", "mirostat_tau"),
    *("mirostat_eta", "dynatemp_range", "dynatemp_exponent", "xtc_probability", "xtc_threshold"),
    *("dry_multiplier", "dry_base", "smoothing_factor", "repetition_penalty", "repeat_penalty"),
    *("presence_penalty", "frequency_penalty"),
)
_COUNTS = (
    *("top_k", "min_tokens", "mirostat", "repeat_last_n", "dry_allowed_length"),
    *("dry_penalty_last_n", "no_repeat_ngram_size", "thinking_budget"),
)
_SWITCHES = (
    *("enable_thinking", "include_reasoning", "separate_reasoning", "skip_special_tokens"),
    *("spaces_between_special_tokens", "ignore_eos", "include_stop_str_in_output"),
    *("cache_prompt", "safe_prompt"),
)
_WORDS = ("reasoning_effort", "reasoning_format", "prompt_mode", "verbosity")
ALLOWED: Mapping[str, Shape] = {
    **dict.fromkeys(_DRAW, number),
    **dict.fromkeys(_COUNTS, whole),
    **dict.fromkeys(_SWITCHES, switch),
    **dict.fromkeys(_WORDS, word),
    "think": EFFORT,
    "thinking": either(switch, block(type=word, budget_tokens=whole, clear_thinking=switch)),
    "reasoning": block(effort=word, max_tokens=whole, enabled=switch, exclude=switch),
    "chat_template_kwargs": block(**TEMPLATE_VARIABLES),
    "response_format": block(
        type=one_of("text", "json_object", "json_schema"),
        json_schema=block(name=text, description=text, strict=switch, schema=schema),
    ),
    "stop": either(text, many(text)),
    "stop_token_ids": many(whole),
    "bad_words": many(text),
    "allowed_token_ids": many(whole),
    "dry_sequence_breakers": many(text),
    "logit_bias": table(text, number),
    "provider": VENDORS,
    "usage": block(include=switch),  # OpenRouter: the reply says what it cost
    "service_tier": one_of("default", "flex"),  # auto and priority can cost more than the list says
}

# What distill sets itself, or what would make a reply other than one whole bounded answer.
RESERVED = (
    *("n", "stream", "stream_options", "max_tokens", "max_completion_tokens", "model", "messages"),
)
# Common enough for the message to say why not.
REFUSED: Mapping[str, str] = {
    **dict.fromkeys(("temperature", "top_p", "seed"), "next: sampling, which has it"),
    **dict.fromkeys(("best_of", "use_beam_search", "num_choices"), "it buys answers unseen"),
    **dict.fromkeys(("models", "route", "fallbacks"), "another model would answer"),
    **dict.fromkeys(("plugins", "web_search_options", "tools"), "it is billed apart"),
    **dict.fromkeys(("prediction", "enable_search", "search_parameters"), "it is billed apart"),
    **dict.fromkeys(("store", "metadata", "user"), "it has the vendor keep more than it must"),
    **dict.fromkeys(("chat_template", "documents"), "the endpoint's own template is used"),
    **dict.fromkeys(("logits_processors", "custom_logit_processor"), "it is code"),
    **dict.fromkeys(("logprobs", "top_logprobs", "prompt_logprobs"), "nothing here reads it"),
}


def only_switches(body: dict[str, Any]) -> dict[str, Any]:
    """``body``, unchanged.

    Raises:
        ValueError: it holds a key that distill sets itself, or one that is not known to be safe.
    """
    if taken := [name for name in RESERVED if name in body]:
        msg = (
            f"must not hold {', '.join(taken)}: replies are read whole and one at a time, and "
            "budgets count on sampling.max_tokens; use sampling, samples or teacher instead"
        )
        raise ValueError(msg)
    for name, value in body.items():
        if name not in ALLOWED:
            why = REFUSED.get(name, "it is not known to be safe")
            hint = "" if name in REFUSED else f"; {nearest(str(name), ALLOWED)}"
            msg = f"must not hold {name!r:.60}: {why}{hint}"
            raise ValueError(msg)
        if value is not None and (said := ALLOWED[name](value)):
            msg = f"{name}: must be {said}"
            raise ValueError(msg)
    return body


def thinking_tokens(body: Mapping[str, Any]) -> Iterator[int]:
    """Every limit in tokens that ``body`` sets on the model's thinking."""
    inner = [body.get(name) for name in ("thinking", "reasoning", "chat_template_kwargs")]
    for found in (body, *inner):
        if isinstance(found, Mapping):
            names = ["thinking_budget", "budget_tokens", "min_tokens"]
            names += ["max_tokens"] if found is body.get("reasoning") else []
            yield from (found[name] for name in names if isinstance(found.get(name), int))
