"""Separates inline thinking from the response, and joins them again. Does not judge the text."""

OPEN = "<think>"
CLOSE = "</think>"


def split_think(text: str) -> tuple[str, str]:
    """(reasoning, response) of a completion that carries its thinking inline.

    An opening tag counts only at the start; a missing one is forgiven when the closing tag is there
    (R1's chat template writes the opening tag into the prompt). The thinking ends at the first
    closing tag. A thought that never closes is all reasoning, with an empty response.

    >>> split_think("<think>two and two</think>4")
    ('two and two', '4')
    >>> split_think("two and two</think>4")
    ('two and two', '4')
    >>> split_think("<think>two and")
    ('two and', '')
    >>> split_think("4")
    ('', '4')
    """
    body = text.lstrip()
    opened = body.startswith(OPEN)
    if opened:
        body = body[len(OPEN) :]
    thought, closed, rest = body.partition(CLOSE)
    if closed:
        return thought.strip(), rest.strip()
    if opened:
        return body.strip(), ""
    return "", text.strip()


def join_think(reasoning: str, response: str) -> str:
    r"""The completion a student is trained on; a row without reasoning is its response alone.

    >>> join_think("two and two", "4")
    '<think>\ntwo and two\n</think>\n\n4'
    """
    if not reasoning:
        return response
    return f"{OPEN}\n{reasoning}\n{CLOSE}\n\n{response}"
