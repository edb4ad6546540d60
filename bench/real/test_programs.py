"""HumanEval's and MBPP's own solutions pass their tests, and no mutant of one does."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bench.mutants import KINDS, mutant
from bench.pool import SHARED
from distill.verify.code import check_all
from distill.verify.code.gold import read_gold
from distill.verify.code.suite import Suite, suite
from distill.verify.workers.threads import PROGRAM_THREADS

FILES = {"humaneval": 164, "mbpp": 974}


@pytest.fixture(scope="module", autouse=True)
def _no_jail_stays() -> Iterator[None]:
    yield
    PROGRAM_THREADS.close()


def block(source: str) -> str:
    return f"So this is it:\n\n```python\n{source}\n```\nIt is fast."


def rows(name: str, step: int = 1) -> list[dict[str, Any]]:
    lines = (SHARED / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[::step]]


@pytest.mark.parametrize(("name", "count"), FILES.items())
def test_every_solution_passes_its_own_tests(name: str, count: int) -> None:
    golds = [json.dumps(row) for row in rows(name)]
    answers = [block(str(getattr(read_gold(gold), "reference", None))) for gold in golds]
    found = check_all(list(zip(golds, answers, strict=True)), workers=2, timeout_s=60)
    assert {(v.label, v.detail) for v in found} == {("correct", "block")}
    assert len(found) == count


@pytest.mark.parametrize("kind", KINDS)
def test_no_mutant_of_a_solution_is_correct(kind: str) -> None:
    step = 80 if kind in ("leaves at once", "a patched abs") else 16  # these cost a jail each
    items = []
    for row in rows("humaneval", step) + rows("mbpp", step):
        gold = json.dumps(row)
        read, tests = read_gold(gold), suite(gold)
        assert read is not None
        assert isinstance(tests, Suite)
        items.append((gold, block(mutant(kind, str(read.reference), tests.entry))))
    labels = [verdict.label for verdict in check_all(items, workers=2)]
    assert set(labels) <= {"wrong", "unverifiable"}
    opaque = kind == "equal to everything"
    assert labels.count("unverifiable") <= (len(labels) if opaque else 0)
