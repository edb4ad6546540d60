r"""Takes apart what LaTeX sets in rows: matrices and systems of equations."""

import re

from distill.verify.math.latex import plain

_MATRIX = re.compile(
    r"\\begin\s?\{(?:small|[pbB])?(?:matrix|array)\*?\}(?:\s?\[[lcr]\]|\s?\{[lcr| ]{1,40}\})?"
    r"((?:(?!\\(?:begin|end)).)*)"
    r"\\end\s?\{(?:small|[pbB])?(?:matrix|array)\*?\}",
    re.DOTALL,
)
# brackets and dollars around a matrix, and its name before it
_AROUND = re.compile(
    r"\\(?:display|text)style|\\(?:mathbf|boldsymbol|bm)(?=\s?\{)|[{}.,;]|\\left|\\right|\\[bB]igg?[lr]?|\\?[$\[\]()]|\s|^[^=]{0,4}[A-Za-z]\}?\s?="
)
_ROWS = re.compile(r"\\\\(?:\s?\[[0-9.a-z ]{1,12}\])?(?!\\)|\\cr(?![a-z])")
_COMMAND = re.compile(r"\\\\[A-Za-z]{2}")  # \\frac that went through JSON once too often
_RULES = re.compile(r"\\hline(?![a-z])")
# equations one below the other: \begin{cases} x = 3 \\ y = -1 \end{cases}
_SYSTEM = re.compile(
    r"(?:\\left)?\s?(?:\\\{|\\lbrace)?\s{0,4}\\begin\s?\{(cases|array|aligned|gathered|matrix)\}"
    r"(?:\s?\{[lcr| ]{1,9}\})?((?:(?!\\(?:begin|end)|&[^=&]*&).)*)"
    r"\\end\s?\{\1\}\s{0,4}(?:\\right\s?\.?)?",
    re.DOTALL,
)


def matrix(answer: str, *, most: int) -> list[list[str]] | None:
    """The (plain) cells of a text that is one matrix, with any brackets, but no determinant.

    None if it is something else, or has more than ``most`` rows or columns.
    """
    match = _MATRIX.search(answer)
    if match is None or _AROUND.sub("", answer[: match.start()] + answer[match.end() :]):
        return None
    rows = [row for row in _ROWS.split(_RULES.sub("", match[1])) if row.strip()]
    if len(rows) > most or match[1].count("&") > most:
        return None
    return [[plain(cell) for cell in row.split("&")] for row in rows]


def equations(answer: str) -> str:
    r"""The equations of a system, with commas between them; any other text as it is.

    >>> equations(r"\begin{cases} x = 3 \\ y = -1 \end{cases}")
    'x = 3, y = -1'
    """
    system = _SYSTEM.fullmatch(answer.strip(" $.\n"))
    if system is None and (r"\begin" in answer or _COMMAND.search(answer)):
        return answer
    inside = system[2] if system else answer
    rows = [row.replace("&", "").strip(" ,;.\n") for row in _ROWS.split(inside)]
    rows = [row for row in rows if row]
    return ", ".join(rows) if all("=" in row for row in rows) else answer
