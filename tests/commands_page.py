"""Writes docs/commands.md, the help of every command: ``python -m tests.commands_page``."""

import argparse
from pathlib import Path

from distill.cli import _parser

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"
WIDTH = 78  # argparse leaves two columns of a terminal of 80 free
TOP = """\
# Commands

What `distill --help` and `distill COMMAND --help` print on Python 3.13 and newer. Older versions
print the same, but repeat the placeholder of a flag with two names (`-o FOLDER, --out FOLDER`).

<!-- Written by `python -m tests.commands_page`; a test compares it with the program. -->
"""


class Formatter(argparse.HelpFormatter):
    """Prints a flag as Python 3.13 and newer do, on whichever Python this is."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=WIDTH)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        value = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {value}"


def commands() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command by its name, in the order of ``distill --help``."""
    (choices,) = (
        action.choices
        for action in _parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return dict(choices)


def page() -> str:
    """The whole of docs/commands.md."""
    parsers = {"distill": _parser()} | {f"distill {name}": p for name, p in commands().items()}
    return TOP + "".join(_section(words, parser) for words, parser in parsers.items())


def _section(words: str, parser: argparse.ArgumentParser) -> str:
    parser.formatter_class = Formatter
    return f"\n## {words}\n\n```text\n$ {words} --help\n{parser.format_help()}```\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
