"""What a row asks, in each reading of its messages."""

import polars as pl
import pytest

from distill.rows import SCHEMA, all_turns, conversation, last_user_turn, user_turns

READINGS = (all_turns, user_turns, conversation, last_user_turn)
Turns = list[tuple[str, str | None]] | None
SAID: list[tuple[Turns, tuple[str | None, ...]]] = [
    ([("user", "1 + 1?")], ("1 + 1?", "1 + 1?", "1 + 1?", "1 + 1?")),
    ([("system", "S"), ("user", "1?")], ("S\n1?", "1?", "1?", "1?")),
    (
        [("system", "S"), ("user", "1?"), ("assistant", "2"), ("user", "Why?")],
        ("S\n1?\n2\nWhy?", "1?\nWhy?", "1?\n2\nWhy?", "Why?"),
    ),
    ([("system", "S"), ("user", "")], ("S\n", "", "", "")),  # a turn without a word is a turn
    ([("user", None), ("user", "1?")], ("1?", "1?", "1?", "1?")),  # one without content is none
    ([("system", "S")], ("S", "", "", None)),
    ([], ("", "", "", None)),
    (None, (None, None, None, None)),  # the data does not say
]


@pytest.mark.parametrize(("turns", "texts"), SAID)
def test_each_reading_of_the_messages_is_one_text(
    turns: Turns, texts: tuple[str | None, ...]
) -> None:
    messages = None if turns is None else [{"role": r, "content": c} for r, c in turns]
    frame = pl.DataFrame({"messages": [messages]}, schema={"messages": SCHEMA["messages"]})
    assert frame.select(read().alias(read.__name__) for read in READINGS).row(0) == texts
