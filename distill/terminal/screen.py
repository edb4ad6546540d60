"""Writes lines, tables and a live line on the terminal, all in plain text.

While a command runs, ``guarded`` wraps standard output and standard error, so that what a library
prints passes through ``plain`` too. Only what is drawn here may move the cursor or set a colour;
texts are never interpreted as markup.
"""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TextIO

from distill.terminal.plain import plain

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

MOVE_UP = re.compile("(\x1b\\[A)+")  # as tqdm writes it
LINES = "\n\t"  # kept if a text may have several lines
Cell = str | tuple[str, str]  # a text, or a text and its style


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """The style of a table's column."""

    title: str = ""
    right: bool = False
    wraps: bool = True
    style: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A table: sections of rows of cells."""

    columns: Sequence[Column]
    sections: Sequence[Sequence[Sequence[Cell]]]
    title: str = ""


def show(*parts: Sheet | str) -> None:
    """Writes tables and lines on standard output."""
    from rich.console import Console
    from rich.text import Text

    console = Console(file=_bare(sys.stdout))
    for part in parts:
        console.print(_table(part) if isinstance(part, Sheet) else Text(plain(part)))


def show_lines(text: str) -> None:
    """Writes several lines on standard output, as they are: JSON must not be wrapped."""
    sys.stdout.write(f"{plain(text, keep=LINES)}\n")


def say(text: str) -> None:
    """Writes one line on standard error, if it is open and has a reader."""
    _write(f"distill: {plain(text)}\n")


def say_lines(text: str) -> None:
    """Writes several lines on standard error, as they are."""
    _write(f"{plain(text, keep=LINES)}\n")


def _write(text: str) -> None:
    if sys.stderr is not None and not sys.stderr.closed:
        try:
            sys.stderr.write(text)
        except BrokenPipeError:  # the exit status still says how the command ended
            hang_up()


def ask(*question: str) -> str | None:
    """The answer that the user types, stripped; None if there is no terminal.

    A line of the question stays one line, whatever it contains.
    """
    if not (is_terminal() and sys.stdin is not None and sys.stdin.isatty()):
        return None
    sys.stderr.write("\n".join(map(plain, question)))
    sys.stderr.flush()
    return sys.stdin.readline().strip()


def hang_up() -> None:
    """Closes standard error, because its reader has gone and no error should be shown."""
    with suppress(BrokenPipeError):
        sys.stderr.close()


def is_terminal() -> bool:
    """Whether standard error is a terminal, which gets a live line instead of log lines."""
    return sys.stderr is not None and sys.stderr.isatty()


@contextmanager
def live(line: Callable[[], str]) -> Iterator[None]:
    """Shows the current value of ``line`` on standard error, four times a second."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    class Line:
        def __rich__(self) -> Text:
            return Text(plain(line()))

    def above(text: str) -> None:
        console.print(Text(plain(text, keep=LINES)), soft_wrap=True)

    console = Console(file=_bare(sys.stderr))
    with Live(
        Line(),
        console=console,
        refresh_per_second=4,
        redirect_stdout=False,  # rich would interpret escapes in the text
        redirect_stderr=False,
    ):
        guard = sys.stderr
        if isinstance(guard, Guard):
            guard.above = above
        try:
            yield
        finally:
            if isinstance(guard, Guard):
                guard.above = None


def guarded() -> ExitStack:
    """Wraps standard output and standard error from now on; closing the stack undoes it.

    Characters that their encoding lacks are escaped too.
    """
    afterwards = ExitStack()
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by our parent process
            continue
        afterwards.callback(setattr, sys, name, stream)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
        setattr(sys, name, Guard(stream))
    return afterwards


class Guard:
    """Wraps a text stream and makes what is written plain."""

    def __init__(self, stream: TextIO) -> None:
        self.bare = stream
        # Writes whole lines above the live line while there is one; else they begin at its end.
        self.above: Callable[[str], None] | None = None

    def write(self, text: str) -> int:
        """Writes ``text`` as plain text; lines stay lines, and libraries' progress bars work.

        A bar begins with a carriage return, and moves the cursor up in a separate write.
        """
        if self.above is not None and text.endswith("\n") and text[0] not in "\r\n\x1b":
            self.above(text.removesuffix("\n"))
            return len(text)
        start = 1 if text.startswith("\r") and text != "\r\n" else 0
        is_move = MOVE_UP.fullmatch(text) is not None and self.bare.isatty()
        self.bare.write(text if is_move else text[:start] + plain(text[start:], keep=LINES))
        return len(text)

    def writelines(self, lines: Sequence[str]) -> None:
        """Writes each line."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.bare, name)


def _bare(stream: TextIO) -> TextIO:
    return stream.bare if isinstance(stream, Guard) else stream


def _table(sheet: Sheet) -> "Table":
    from rich.table import Table

    titled = any(column.title for column in sheet.columns)
    table = Table(title=_text(sheet.title) if sheet.title else None, show_header=titled)
    for column in sheet.columns:
        side: Literal["right", "left"] = "right" if column.right else "left"
        table.add_column(
            _text(column.title),
            justify=side,
            no_wrap=not column.wraps,
            overflow="fold" if column.wraps else "ellipsis",
            style=column.style,
        )
    for section in sheet.sections:
        table.add_section()
        for row in section:
            table.add_row(*map(_text, row))
    return table


def _text(cell: Cell) -> "Text":
    from rich.text import Text

    text, style = (cell, "") if isinstance(cell, str) else cell
    return Text(plain(text, keep=LINES), style)
