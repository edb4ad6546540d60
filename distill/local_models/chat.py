"""Makes a chat template write the same prompt every day, and knows how it fails."""

from jinja2 import TemplateError

# What a chat template raises: its own refusal of some turns, 1/0, a missing item, too large a range
FAULTS = (
    *(TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError),
    RecursionError,
)
# Llama 3.2's template puts today's date into the system prompt, so the same question would differ
# every day. 26 Jul 2024 is the date that Llama 3.1's own template falls back to.
PIN = "{%- macro strftime_now(format) -%}26 Jul 2024{%- endmacro %}"


def pinned(template: str) -> str:
    """The same template, in which it is always one day."""
    return PIN + template if "strftime_now" in template else template
