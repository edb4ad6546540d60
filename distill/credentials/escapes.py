r"""Letters written as escapes, as JSON, HTML and addresses have them: \u0022, &quot;, %3D.

Only signs of ASCII: a credential has no others. What is no escape stays as it is.
"""

import re

# What makes a text worth a second look, for polars' engine too.
ESCAPED = r"\\u00[2-7]|\\x[2-7]|\\/|&(?:quot|amp|lt|gt|apos|#[0-9x]);?|%[2-7][0-9A-Fa-f]"
_ESCAPE = re.compile(
    r"\\+u00(?P<u>[2-7][0-9A-Fa-f])|\\+x(?P<x>[2-7][0-9A-Fa-f])|\\+(?P<same>[/\"])"
    r"|&#x0{0,4}(?P<h>[2-7][0-9A-Fa-f]);|&#0{0,4}(?P<d>3[2-9]|[4-9]\d|1[01]\d|12[0-6]);"
    r"|&(?P<name>quot|amp|lt|gt|apos);|%(?P<p>[2-7][0-9A-Fa-f])"
)
_NAMED = {"quot": '"', "amp": "&", "lt": "<", "gt": ">", "apos": "'"}


def unescaped(text: str) -> str:
    r"""The text with its escapes as the letters that they stand for.

    >>> unescaped(r"{\u0022key\u0022: &quot;a\/b%3D&#45;&quot;}")
    '{"key": "a/b=-"}'
    """
    return _ESCAPE.sub(_letter, text)


def _letter(found: re.Match[str]) -> str:
    if hexadecimal := found["u"] or found["x"] or found["h"] or found["p"]:
        return chr(int(hexadecimal, 16))
    if found["d"]:
        return chr(int(found["d"]))
    return found["same"] or _NAMED[found["name"]]
