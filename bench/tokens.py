"""Tokens per CPU second: the tokenizer alone, plain chat templating, and distill with its proof.

    python -m bench.tokens --traces PATH --tokenizer PATH [--tokens N]

Each is measured in a process of its own over the same rows. CPU seconds of all threads count, from
the rows in memory (plain) or the file (distill) to stored tokens; loading the tokenizer does not.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.table import table
from distill.files.read import frames
from distill.recipes.load import Loaded
from distill.recipes.places import Origin
from distill.recipes.students import StudentRecipe
from distill.rows import Row, from_frame
from distill.think import join_think
from distill.training.base import ChatFormat, open_chat_format
from distill.training.prepared import Tokens, prepared
from distill.training.sets import open_sets

Side = Callable[[ChatFormat, Path], int]


def cpu_s() -> float:
    """User and system seconds of this process, all its threads, and its children."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


def rows_of(path: Path) -> list[Row]:
    """The rows that can be trained on."""
    found = [row for frame in frames(path) for row in from_frame(frame)]
    return [row for row in found if row.messages and row.response.strip()]


def raw(chat: ChatFormat, path: Path) -> int:
    """The library's fastest call on the answers alone; nothing is kept."""
    texts = [join_think(row.reasoning, row.response) for row in rows_of(path)]
    backend, start = chat.tokenizer.backend_tokenizer, cpu_s()
    count = 0
    for at in range(0, len(texts), 32):
        some = backend.encode_batch_fast(texts[at : at + 32], add_special_tokens=False)
        count += sum(len(one.ids) for one in some)
    return said(count, start)


def plain(chat: ChatFormat, path: Path) -> int:
    """As trl does it: prompt and whole conversation through apply_chat_template, row by row."""
    rows, count, start = rows_of(path), 0, cpu_s()
    for row in rows:
        turns = [{"role": one.role, "content": one.content} for one in row.messages or ()]
        answer = {"role": "assistant", "content": join_think(row.reasoning, row.response)}
        options: dict[str, Any] = {"tokenize": True, "return_dict": False}
        prompt = chat.tokenizer.apply_chat_template(turns, add_generation_prompt=True, **options)
        whole = chat.tokenizer.apply_chat_template([*turns, answer], **options)
        count += len(whole) if whole[: len(prompt)] == prompt else 0
    return said(count, start)


def ours(chat: ChatFormat, path: Path) -> int:
    """From the file to the stored tokens, each row proved."""
    tokens = Tokens(chat=chat, recipe=StudentRecipe(base="b"), longest=None)
    with tempfile.TemporaryDirectory() as out:
        start = cpu_s()
        loaded = Loaded(recipe=tokens.recipe, origin=Origin(path=path))
        sets = open_sets(loaded, path, out=Path(out), limit=None, unfiltered=False)
        found = prepared(tokens, sets, out=Path(out))
        return said(found.store.tokens, start)


def said(count: int, start: float) -> int:
    """Prints one measurement, for the process that started this one."""
    print(json.dumps({"tokens": count, "cpu_s": cpu_s() - start}))
    return 0


SIDES: dict[str, Side] = {"raw encode": raw, "plain templating": plain, "distill, proved": ours}


def write(traces: Path, to: Path, *, most: int) -> None:
    """At least ``most`` characters of rows, each one different from all others."""
    rows = [row for frame in frames(traces) for row in frame.to_dicts()]
    written = copy = 0
    with to.open("w", encoding="utf-8") as file:
        while written < most:
            for row in rows:
                named = {
                    "id": f"{row['id']}-{copy}",
                    "reasoning": f"Try {copy}. {row['reasoning']}",
                }
                written += file.write(json.dumps({**row, **named}) + "\n")
            copy += 1


def main() -> int:
    """Runs all sides and prints their table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--traces", type=Path, required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--tokens", type=int, default=2_000_000, help="about so many, at least")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.side:
        return SIDES[asked.side](open_chat_format(asked.tokenizer), asked.traces)
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.jsonl"
        write(asked.traces, rows, most=4 * asked.tokens)
        for side in SIDES:
            command = [sys.executable, "-m", "bench.tokens", "--side", side]
            command += ["--traces", str(rows), "--tokenizer", asked.tokenizer]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found = json.loads(done.stdout.splitlines()[-1])
            rate = found["tokens"] / found["cpu_s"]
            lines.append([side, f"{found['tokens']:,}", f"{found['cpu_s']:.1f}", f"{rate:,.0f}"])
            print(
                f"{side}: {rate:,.0f} tokens/CPU s", file=sys.stderr
            )  # the next one takes a while
    print(table(["", "tokens", "CPU s", "tokens/CPU s"], lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
