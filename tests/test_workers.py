"""Workers answer, are killed, are replaced, and leave nothing behind."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from distill.verify import Item, grade, grade_all
from distill.verify.symbolic import too_complex
from distill.verify.workers import LIMIT_S, Pool

pytest.importorskip("math_verify")
ROOT = Path(__file__).parents[1]
RIGHT = {"gold": r"$\begin{pmatrix}1\end{pmatrix}$", "answer": r"$\begin{bmatrix}1\end{bmatrix}$"}
WRONG = {"gold": "$x+n$", "answer": "$x$"}
HANGS = {"gold": "$5$", "answer": "$10^{10^{10}}!$"}
# Only Math-Verify can tell: the letters differ.
ASKED = Item("x+2n", r"\boxed{x+2}")


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool("math", most=2)
    yield pool
    pool.close()


def running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_each_question_gets_its_own_answer(pool: Pool) -> None:
    jobs = [RIGHT, WRONG, RIGHT, WRONG]
    assert [a["same"] for a in pool.answer(jobs, workers=2) if isinstance(a, dict)] == [
        True,
        False,
        True,
        False,
    ]
    assert pool.answer([]) == []


def test_a_question_that_hangs_costs_its_worker_and_no_other_answer(pool: Pool) -> None:
    first, hung, last = pool.answer([RIGHT, HANGS, WRONG])
    assert isinstance(first, dict)
    assert first["same"] is True
    assert hung == "timeout"
    assert isinstance(last, dict)
    assert last["same"] is False


def test_a_worker_that_dies_is_replaced(pool: Pool) -> None:
    pool.answer([RIGHT])
    worker = pool.idle[0]
    os.kill(worker.process.pid, signal.SIGKILL)
    (found,) = pool.answer([RIGHT])
    assert isinstance(found, dict)
    assert found["same"] is True


def test_closing_leaves_no_process(pool: Pool) -> None:
    pool.answer([RIGHT, WRONG], workers=2)
    pids = [worker.process.pid for worker in pool.idle]
    assert len(pids) == 2
    pool.close()
    assert not any(map(running, pids))


def test_a_worker_has_no_secret_and_little_memory(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEACHER_KEY", "secret")
    pool.answer([RIGHT])
    proc = Path(f"/proc/{pool.idle[0].process.pid}")
    if not proc.exists():
        pytest.skip("no /proc here")
    assert b"secret" not in (proc / "environ").read_bytes()
    (line,) = [x for x in (proc / "limits").read_text().splitlines() if "address space" in x]
    assert line.split()[3] == str(2**30)


@pytest.mark.skipif(not Path("/proc").exists(), reason="no /proc here")
def test_workers_end_with_the_program_however_it_ends() -> None:
    code = (
        "import os; from distill.verify import grade; from distill.verify.workers import POOLS\n"
        "grade('x+2n', r'\\boxed{x+2}')\n"
        "print(*[w.process.pid for w in POOLS['math'].idle], flush=True)\n"
    )
    for ending in ("", "os.kill(os.getpid(), 9)"):
        done = subprocess.run(
            [sys.executable, "-c", code + ending], cwd=ROOT, capture_output=True, text=True
        )
        pids = [int(pid) for pid in done.stdout.split()]
        assert pids
        deadline = time.monotonic() + 10
        while any(map(running, pids)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(map(running, pids))


def test_threads_and_coroutines_share_the_workers() -> None:
    with ThreadPoolExecutor(8) as threads:
        labels = list(threads.map(lambda _: grade_all([ASKED])[0].label, range(16)))
    assert labels == ["wrong"] * 16

    async def several() -> list[str]:
        verdicts = await asyncio.gather(
            *(asyncio.to_thread(grade, ASKED.gold, ASKED.response) for _ in range(8))
        )
        return [verdict.label for verdict in verdicts]

    assert asyncio.run(several()) == ["wrong"] * 8


def test_a_forked_child_does_not_speak_for_its_parent() -> None:
    code = (
        "import os; from distill.verify import grade\n"
        "assert grade('x+2n', r'\\boxed{x+2}').label == 'wrong'\n"
        "pid = os.fork()\n"
        "label = grade('x+2n', r'\\boxed{x+3}').label\n"
        "assert label == 'wrong'\n"
        "if pid: assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize(
    ("answer", "labels"),
    [
        (r"\dfrac{5^{(5^{(5^{(5^5)})}-4)}-5}{16}", {"unverifiable"}),  # hangs Math-Verify's parser
        ("(((10!)!)!)!", {"timeout", "unverifiable"}),
        ("(" * 2_000 + "x" + ")" * 2_000, {"unverifiable", "wrong"}),
        ("9" * 200_000 + "x", {"unverifiable", "wrong"}),
    ],
)
def test_a_hostile_answer_is_never_correct_and_never_kept_waiting_for(
    answer: str, labels: set[str]
) -> None:
    assert grade("5", rf"\boxed{{{answer}}}").label in labels
    assert grade("x^2", rf"\boxed{{{answer}}}").label in labels


def test_what_was_not_checked_is_not_wrong() -> None:
    verdict = grade("5", r"\boxed{10^{10^{10}}}")
    assert (verdict.label, verdict.method) == ("timeout", "killed")
    assert LIMIT_S == 2.0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x" * 513, "too_long"),
        ("(" * 51, "too_deep"),
        ("2^{2^{2^{2}}}", "tower"),
        ("2^2^2^2", "tower"),
        ("(x^2+1)^2 + 2^{2^{2}}", None),
        (r"\sqrt{x^{2}}^{2}", None),
    ],
)
def test_sympy_is_not_asked_what_is_beyond_it(text: str, why: str | None) -> None:
    assert too_complex(text) == why


def test_without_math_verify_formulas_are_unverifiable(tmp_path: Path) -> None:
    (tmp_path / "math_verify.py").write_text("raise ImportError('not here')")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.path.insert(1, {str(ROOT)!r})\n"
        "import logging; logging.basicConfig()\n"
        "from distill.verify import grade\n"
        "for _ in range(2): print(grade('x+2n', r'\\boxed{x+2}').method)\n"
        "print(grade('x^2-1', r'\\boxed{(x-1)(x+1)}').label)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["needs_symbolic", "needs_symbolic", "correct"]
    assert done.stderr.count("math-verify is not installed") == 1
