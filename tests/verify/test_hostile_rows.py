"""Nothing that a row says is evaluated on this machine: every scorer and every kind of check.

Golds, metadata and answers are programs that write a file, read a canary and call out. What a
scorer evaluates runs in a jail and reaches none of it.
"""

import json
import os
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import polars as pl
import pytest

import distill
from distill.errors import UserError
from distill.jail.probe import jail_or_refuse
from distill.verify import LABELS, Item, grade_all
from distill.verify.kinds import KINDS
from distill.verify.workers.threads import SCORER_THREADS
from tests.builders.scored_problems import problems
from tests.builders.teacher_server import completion, teacher_server

factory = pytest.importorskip("reasoning_gym.factory")
TASKS = sorted(factory.DATASETS)
POOR = {"question": "?", "answer": "1", "metadata": {"a": "1", "list": ["1"], "n": 1}}


@dataclass(frozen=True, slots=True)
class Host:
    """What a program could reach if it ran here."""

    folder: Path
    tcp: socket.socket

    def programs(self) -> list[str]:
        """Each leaves a mark in the folder, calls the listener, or both; one line each."""
        hit, canary = f"{self.folder}/hit-", f"{self.folder}/canary"
        call = f"__import__('socket').create_connection(('127.0.0.1', {self.port}), 1)"
        subclasses = "().__class__.__base__.__subclasses__()"
        return [
            f"__import__('os').system('cat {canary} > {hit}1; env > {hit}2')",
            f"[c for c in {subclasses} if c.__name__=='Popen'][0](['touch','{hit}3']).wait()",
            f"[open('{hit}4', 'w').write(open('{canary}').read()), {call}]",
            f"exec(\"import os\\nos.system('touch {hit}5')\\n\") or {call}",
            f"(lambda: open('{hit}6', 'w').write(str(__import__('os').environ)))()",
            f"sympify(\"__import__('os').system('touch {hit}7')\")",
            f"Symbol.__class__.__base__.__subclasses__ and open('{hit}8', 'w')",
            f"Integer.__add__.__globals__['__builtins__']['open']('{hit}9', 'w')",
            f"S(\"open('{hit}a','w')\") + x**2",
            f"[[0, 1], [open('{hit}b', 'w'), 1]]",
        ]

    @property
    def port(self) -> int:
        return int(self.tcp.getsockname()[1])

    def reached(self) -> list[str]:
        """What was left, written or called, and by whom."""
        found = sorted(path.name for path in self.folder.iterdir() if path.name != "canary")
        for name in found:
            (self.folder / name).unlink()
        try:
            while True:
                self.tcp.accept()[0].close()
                found.append("a call")
        except BlockingIOError:
            return found


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """A folder that anyone may write to, a variable of the environment, a listener on loopback."""
    with (
        tempfile.TemporaryDirectory(prefix="hostile-") as name,
        socket.create_server(("127.0.0.1", 0)) as tcp,
        pytest.MonkeyPatch.context() as env,
    ):
        folder = Path(name)
        folder.chmod(0o777)
        canary = f"canary-{token_hex(8)}"
        (folder / "canary").write_text(canary, encoding="utf-8")
        env.setenv("DISTILL_CANARY", canary)
        tcp.setblocking(False)
        yield Host(folder, tcp)


def wrapped(program: str) -> list[str]:
    """As it may stand in an answer or a reference."""
    return [
        program,
        f"${program}$",
        rf"\({program}\)",
        rf"\boxed{{{program}}}",
        rf"\text{{{program}}}",
        rf"\frac{{{program}}}{{1}}",
        f"({program}, 1)",
        f"[{program}]",
        f"x = {program}",
        f"1 + {program}",
        f"The answer is {program}",
    ]


def planted(value: Any, program: str, *, texts: bool) -> Any:
    """The same with the program in the place of every text, or of everything that is no list."""
    if isinstance(value, dict):
        return {key: planted(one, program, texts=texts) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [planted(one, program, texts=texts) for one in value]
    return value if texts and not isinstance(value, str) else program


def golds(task: str, programs: list[str]) -> Iterator[tuple[str, str]]:
    """References with a program in every place, and the answers that their scorer needs to see."""
    made = problems().get(task, POOR)
    right = made["answer"] if isinstance(made["answer"], str) else "1"
    metadata = made["metadata"]
    for program in programs:
        texts = planted(metadata, program, texts=True)
        whole = planted(metadata, program, texts=False)
        for answer, data in ((program, metadata), (right, texts), (program, whole)):
            gold = {"task": task, "answer": answer, "metadata": data, "question": program}
            for given in (f"{right} ", "[1]")[: 1 + (answer is program)]:
                yield json.dumps(gold), rf"\boxed{{{given}}}"
        plain = json.dumps({"task": task, "answer": right, "metadata": metadata})
        yield plain, rf"\boxed{{{program}}}"


def test_no_scorer_evaluates_a_reference_or_an_answer_here(host: Host) -> None:
    programs = host.programs()
    items = [
        Item(gold, response, "reasoning_gym")
        for number, task in enumerate(TASKS)
        for gold, response in golds(task, [programs[0], programs[1 + number % 9]])
    ]
    assert len(items) == 12 * len(TASKS)
    verdicts = grade_all(items, workers=2)
    assert host.reached() == []
    assert {one.label for one in verdicts} <= set(LABELS)


@pytest.mark.parametrize(
    "task",
    ["number_sorting", "simple_integration", "polynomial_multiplication", "bitwise_arithmetic"],
)
def test_the_scorers_that_evaluate_get_every_form_of_program(host: Host, task: str) -> None:
    """Those whose references are known to be evaluated."""
    items = [
        Item(gold, response, "reasoning_gym") for gold, response in golds(task, host.programs())
    ]
    grade_all(items, workers=2)
    assert host.reached() == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "reasoning_gym"])
def test_no_kind_of_check_evaluates_a_reference_or_an_answer_here(host: Host, kind: str) -> None:
    items = [
        item
        for number, program in enumerate(host.programs()[:: 1 if kind == "math" else 4])
        for text in wrapped(program)[number % 2 :: 2]
        for item in (
            Item(text, r"\boxed{x^2+2n}", kind),
            Item("x^2+n", rf"\boxed{{{text}}}", kind),
            Item(text, text, kind),
            Item(json.dumps({"answer": text, "options": [text]}), text, kind),
            Item(
                json.dumps([f"assert f({json.dumps(text)}) == 1", text]), "def f(x): return 1", kind
            ),
        )
    ]
    verdicts = grade_all(items, workers=2)
    assert host.reached() == []
    assert {one.label for one in verdicts} <= set(LABELS)


def evaluated(host: Host) -> dict[str, str]:
    """A reference that the scorer evaluates, and an answer that makes it."""
    gold = {"task": "number_sorting", "answer": host.programs()[0]}
    gold["metadata"] = {"direction": "ascending"}  # type: ignore[assignment]
    return {"gold": json.dumps(gold), "response": r"\boxed{[1, 2]}"}


def test_filter_evaluates_no_row(host: Host, tmp_path: Path) -> None:
    row = {
        "id": "q1",
        "sample": 0,
        "domain": "math",
        "source": "test",
        "messages": [{"role": "user", "content": "Sort."}],
        "verify": "reasoning_gym",
        "reasoning": "I sort.",
        "finish_reason": "stop",
        **evaluated(host),
    }
    (tmp_path / "data.jsonl").write_text(json.dumps(row))
    (tmp_path / "recipe.yaml").write_text('{"rules": {"wrong": "verdict = \'correct\'"}}')
    out = tmp_path / "out"
    distill.filter(str(tmp_path / "recipe.yaml"), tmp_path / "data.jsonl", out=out)
    assert host.reached() == []
    assert pl.read_parquet(out / "dropped/*.parquet").height == 1


def test_generate_until_evaluates_no_gold(host: Host, tmp_path: Path) -> None:
    made = evaluated(host)
    problem = {"question": "Sort.", "answer": made["gold"]}
    (tmp_path / "set.jsonl").write_text(json.dumps(problem))
    (tmp_path / "plain.jinja").write_text("{{ question }}")
    with teacher_server(lambda body, n: completion(made["response"])) as server:
        recipe = {
            "problems": {"file": "set.jsonl", "keep_uncheckable": True},
            "teacher": {"model": "m", "base_url": server.url},
            "template": "plain.jinja",
            "verify": "reasoning_gym",
            "until": {"correct": 1, "at_most": 2},
            "sampling": {"max_tokens": 100},
        }
        (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
        distill.generate(str(tmp_path / "recipe.yaml"), out=tmp_path / "run")
    assert host.reached() == []
    assert pl.read_parquet(tmp_path / "run/traces/*.parquet").height == 2


def test_the_programs_do_what_they_say_where_they_run(host: Host) -> None:
    """So that nothing of the above is true only because they do nothing."""
    import sympy

    for number, program in enumerate(host.programs()):
        pid = os.fork()
        if pid == 0:
            try:
                eval(program, dict(vars(sympy)))
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        assert host.reached(), number


@pytest.fixture
def no_jail(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    SCORER_THREADS.close()  # those that are trusted already
    for name in ("distill.jail.probe.installed", "distill.verify.workers.threads.installed"):
        monkeypatch.setattr(name, list)
    jail_or_refuse.cache_clear()
    yield
    jail_or_refuse.cache_clear()


@pytest.mark.parametrize("command", ["until", "eval"])
@pytest.mark.parametrize("kind", ["math", "reasoning_gym"])
@pytest.mark.usefixtures("no_jail")
def test_without_a_jail_no_answer_is_bought_that_could_not_be_checked(
    host: Host, tmp_path: Path, command: str, kind: str
) -> None:
    problem = {"question": "Sort.", "answer": evaluated(host)["gold"] if kind != "math" else "4"}
    (tmp_path / "set.jsonl").write_text(json.dumps(problem))
    (tmp_path / "plain.jinja").write_text("{{ question }}")
    recipe = {
        "problems": {"file": "set.jsonl", "keep_uncheckable": True},
        "template": "plain.jinja",
        "verify": kind,
        "sampling": {"max_tokens": 100, "temperature": 0.0},
    }
    out = tmp_path / "run"
    with teacher_server(lambda body, n: completion("4")) as server:
        if command == "until":
            recipe["teacher"] = {"model": "m", "base_url": server.url}
            recipe["until"] = {"correct": 1, "at_most": 2}
        (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
        name = str(tmp_path / "recipe.yaml")

        def run(*, unsafe_no_sandbox: bool = False) -> None:
            if command == "until":
                distill.generate(name, out=out, unsafe_no_sandbox=unsafe_no_sandbox)
            else:
                model = f"{server.url}#m"
                distill.eval(name, model=model, out=out, unsafe_no_sandbox=unsafe_no_sandbox)

        with pytest.raises(UserError, match="cannot be run safely here"):
            run()
        assert not server.asked
        run(unsafe_no_sandbox=True)
        assert server.asked


@pytest.mark.usefixtures("no_jail")
def test_a_plain_gold_needs_no_jail(tmp_path: Path) -> None:
    (tmp_path / "set.jsonl").write_text(json.dumps({"question": "2+2?", "answer": "4"}))
    (tmp_path / "plain.jinja").write_text("{{ question }}")
    with teacher_server(lambda body, n: completion(r"\boxed{4}")) as server:
        recipe = {
            "problems": {"file": "set.jsonl"},
            "teacher": {"model": "m", "base_url": server.url},
            "template": "plain.jinja",
            "verify": "reasoning_gym",
            "until": {"correct": 1, "at_most": 2},
            "sampling": {"max_tokens": 100},
        }
        (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
        distill.generate(str(tmp_path / "recipe.yaml"), out=tmp_path / "run")
    assert pl.read_parquet(tmp_path / "run/traces/*.parquet").height == 1


def test_rows_that_a_scorer_judged_without_a_jail_are_marked(tmp_path: Path) -> None:
    def row(number: int, response: str, gold: str) -> dict[str, Any]:
        return {
            "id": f"q{number}",
            "sample": 0,
            "domain": "math",
            "source": "test",
            "messages": [{"role": "user", "content": f"Number {number}?"}],
            "verify": "math",
            "reasoning": "I think.",
            "finish_reason": "stop",
            "response": response,
            "gold": gold,
        }

    rows = [
        row(1, r"\boxed{4}", "4"),
        row(2, r"\boxed{\begin{bmatrix}x\end{bmatrix}}", r"\begin{pmatrix}x\end{pmatrix}"),
        row(3, r"\boxed{xy=2}", "xy=1"),
    ]
    (tmp_path / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "recipe.yaml").write_text(
        '{"rules": {"judged": "verdict IS NOT NULL"}, "measure": ["verdict"]}'
    )
    out = tmp_path / "out"
    distill.filter(
        str(tmp_path / "recipe.yaml"), tmp_path / "data.jsonl", out=out, unsafe_no_sandbox=True
    )
    kept = pl.read_parquet(out / "kept/*.parquet").sort("id")
    marked = dict(kept.select("id", "unsafe_no_sandbox").iter_rows())
    assert marked["q1"] is False
    assert marked["q3"] is True
