"""Makes a chat template write the same prompt every day."""

# Llama 3.2's template puts today's date into the system prompt, so the same question would differ
# every day. 26 Jul 2024 is the date that Llama 3.1's own template falls back to.
PIN = "{%- macro strftime_now(format) -%}26 Jul 2024{%- endmacro %}"


def pinned(template: str) -> str:
    """The same template, in which it is always one day."""
    return PIN + template if "strftime_now" in template else template
