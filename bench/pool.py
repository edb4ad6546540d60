"""Sentences for synthetic traces: of real traces and problems where they are, else drawn words.

Makes paragraphs once; composing rows out of them is ``traces``. The same on every machine that has
the same data.
"""

import gzip
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SHARED = Path(__file__).parents[2] / "shared" / "data"
REAL = "traces.jsonl.gz"
PARAGRAPHS = 60_000  # two rows of 75 share 0.1 of them: no near-duplicates by chance
WORDS = 8_000  # of the drawn vocabulary
_FOREIGN = re.compile("[\u0370-\u1fff\u2e00-\uffff]")  # defects are planted, not met
_END = re.compile(r"(?<=[.?!:])\s+|\n+")


@dataclass(frozen=True, slots=True)
class Pool:
    """What rows are made of; lengths in characters."""

    paragraphs: list[str]
    mean_chars: float
    problems: list[str]  # beginnings of questions
    benchmark: list[str]  # questions that no student may see


def build(seed: int = 0, *, data: Path | None = SHARED) -> Pool:
    """The pool of one seed; takes about a second. ``data``: where real sentences may be."""
    draw = np.random.default_rng(seed)
    real = data if data is not None and (data / REAL).is_file() else None
    sentences = _drawn_sentences(draw) if real is None else _real_sentences(real)
    counts = draw.integers(1, 5, PARAGRAPHS)  # R1's paragraphs are short: 1 to 4 sentences
    picks = iter(draw.integers(0, len(sentences), int(counts.sum())).tolist())
    paragraphs = [" ".join(sentences[next(picks)] for _ in range(n)) for n in counts.tolist()]
    mean = float(np.mean([len(text) + 2 for text in paragraphs]))
    return Pool(paragraphs, mean, *_questions(sentences, real))


def _real_sentences(data: Path) -> list[str]:
    """Of closed traces only, 20 to 400 characters, each once, in the order of the file."""
    found: dict[str, None] = {}
    with gzip.open(data / REAL) as file:
        for line in map(json.loads, file):
            if line["thought_closed"] and line["finish_reason"] == "stop":
                for text in _END.split(line["reasoning"]):
                    if 20 <= len(text) <= 400 and not _FOREIGN.search(text):
                        found[text.strip()] = None
    return list(found)


def _drawn_sentences(draw: np.random.Generator) -> list[str]:
    """Zipf words (exponent 1, as in English) of 1 to 12 letters, with a formula now and then."""
    letters = np.array(list("etaoinshrdlucmfwypvbgk"))
    words = ["".join(letters[draw.integers(0, 22, size)]) for size in draw.integers(1, 13, WORDS)]
    chance = 1 / np.arange(1, WORDS + 1)
    picks = iter(draw.choice(WORDS, 20 * 40_000, p=chance / chance.sum()).tolist())
    sentences = []
    for number, size in enumerate(draw.integers(5, 21, 40_000).tolist()):
        text = " ".join(words[next(picks)] for _ in range(size)).capitalize()
        sentences.append(f"{text} \\({number} = x^2\\)." if number % 7 == 0 else f"{text}.")
    return sentences


def _questions(sentences: list[str], data: Path | None) -> tuple[list[str], list[str]]:
    if data is None:
        return sentences[:5_000], [" ".join(sentences[-3 * n - 3 :][:3]) for n in range(500)]
    return _column(data / "gsm8k_train.jsonl", "question"), _column(
        data / "math500.jsonl", "problem"
    )


def _column(path: Path, name: str) -> list[str]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line)[name] for line in lines]
