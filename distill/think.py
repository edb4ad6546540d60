"""Separates inline thinking from the response, and joins them again. Does not judge the text."""

OPEN = "<think>"
CLOSE = "</think>"
# How others mark a thought: Claude where it is asked to, Magistral, Kimi, OpenThoughts' own shape,
# Seed, Cohere's Command, and what prompts for open models ask for.
OTHERS = {
    "<thinking>": "</thinking>",
    "[THINK]": "[/THINK]",
    "◁think▷": "◁/think▷",
    "<seed:think>": "</seed:think>",
    "<|START_THINKING|>": "<|END_THINKING|>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "<|begin_of_thought|>": "<|end_of_thought|>",
}
SOLUTION = ("<|begin_of_solution|>", "<|end_of_solution|>")  # what follows such a thought


def split_think(text: str) -> tuple[str, str]:
    """(reasoning, response) of a completion that carries its thinking inline.

    An opening tag counts only at the start; a missing one is forgiven when ``</think>`` is there
    (R1's chat template writes the opening tag into the prompt). The thinking ends at the first
    closing tag. A thought that never closes is all reasoning, with an empty response.

    >>> split_think("<think>two and two</think>4")
    ('two and two', '4')
    >>> split_think("two and two</think>4")
    ('two and two', '4')
    >>> split_think("<think>two and")
    ('two and', '')
    >>> split_think("[THINK]two and two[/THINK]4")
    ('two and two', '4')
    >>> split_think("4")
    ('', '4')
    """
    body = text.lstrip()
    mark, end = _marks(body)
    thought, closed, rest = body.removeprefix(mark).partition(end)
    if closed:
        return thought.strip(), _solution(rest.strip())
    if body.startswith(mark):
        return thought.strip(), ""
    return "", text.strip()


def _marks(body: str) -> tuple[str, str]:
    """The pair that the text begins with. Where that never closes, ``</think>`` has a say."""
    for mark, end in OTHERS.items():
        if body.startswith(mark) and (end in body or CLOSE not in body):
            return mark, end
    return OPEN, CLOSE


def _solution(text: str) -> str:
    if not text.startswith(SOLUTION[0]):
        return text
    return text.removeprefix(SOLUTION[0]).removesuffix(SOLUTION[1]).strip()


def after_thought(text: str) -> str:
    """The text without a thought in it, as it is where it has none; what never closes goes too.

    >>> after_thought("Well. <think>two and two</think>4"), after_thought("Well. <think>two")
    ('4', 'Well. ')
    """
    if CLOSE in text:
        return text.rpartition(CLOSE)[2]
    for mark, end in OTHERS.items():
        if end in text:
            return text.rpartition(end)[2]
        if text.lstrip().startswith(mark):
            return ""
    return text.partition(OPEN)[0]


def join_think(reasoning: str, response: str) -> str:
    r"""The completion a student is trained on; a row without reasoning is its response alone.

    >>> join_think("two and two", "4")
    '<think>\ntwo and two\n</think>\n\n4'
    """
    if not reasoning:
        return response
    return f"{OPEN}\n{reasoning}\n{CLOSE}\n\n{response}"


def opened_thought(prompt: str) -> str:
    r"""The thought that a prompt ends with, open or empty; "" if it ends with none.

    >>> opened_thought("<|Assistant|><think>\n"), opened_thought("Use <think> tags.")
    ('<think>\n', '')
    """
    _, mark, tail = prompt.rpartition(OPEN)
    return mark + tail if mark and tail.strip() in ("", CLOSE) else ""


def completion_after(prompt: str, reasoning: str, response: str) -> str | None:
    """What a student writes after a prompt; None if it thinks and the prompt closes the thought."""
    opened = opened_thought(prompt)
    if CLOSE in opened:
        return None if reasoning else response
    if not opened:
        return join_think(reasoning, response)
    whole = join_think(reasoning, response) if reasoning else f"{OPEN}\n\n{CLOSE}\n\n{response}"
    return whole.removeprefix(opened) if whole.startswith(opened) else whole[len(OPEN) :].lstrip()
