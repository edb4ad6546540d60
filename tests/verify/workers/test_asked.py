"""Libraries are asked in jails: they answer, are ended, loaded anew, and leave nothing behind."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from distill.errors import UserError
from distill.jail import interpreter, packages
from distill.jail.inside.codec import encode
from distill.jail.jailer import Jailer
from distill.jail.mounts import PACKAGES, Mounts
from distill.jail.probe import jail_or_refuse, weakness
from distill.jail.program import Ran, Replied
from distill.jail.service import Missing, Service
from distill.jail.session import Jail
from distill.verify import Isolation, Item, grade, grade_all
from distill.verify.isolation import JAILED
from distill.verify.math.symbolic import too_complex
from distill.verify.workers.asked import LIMIT_S, Answer, Said, _heard, answers
from distill.verify.workers.harmless import harmless
from distill.verify.workers.reasoning_gym import EVALUATING, would_execute
from distill.verify.workers.services import SERVICES, service
from distill.verify.workers.services import installed as is_installed
from distill.verify.workers.threads import SCORER_THREADS
from tests.builders.jails import descendants
from tests.builders.scored_problems import problems

pytest.importorskip("math_verify")
ROOT = Path(__file__).parents[3]
RIGHT = {"gold": r"$\begin{pmatrix}1\end{pmatrix}$", "answer": r"$\begin{bmatrix}1\end{bmatrix}$"}
WRONG = {"gold": "$x+n$", "answer": "$x$"}
HANGS = {"gold": "$5$", "answer": "$10^{10^{10}}!$"}
# Only Math-Verify can tell: the letters differ.
ASKED = Item("xy=1", r"\boxed{xy=2}")


def said(kind: Any, *jobs: Mapping[str, Any], workers: int = 1) -> list[Answer]:
    return answers(kind, jobs, workers=workers, isolation=JAILED)[0]


def math(*jobs: Mapping[str, Any], workers: int = 1) -> list[Answer]:
    return said("math", *jobs, workers=workers)


def running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def all_end(pids: Collection[int]) -> bool:
    """The kernel takes a moment to clear a jail away."""
    deadline = time.monotonic() + 10
    while any(map(running, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(running, pids))


def evaluating(program: str, given: str = "[1, 2]") -> dict[str, Any]:
    """A question whose reference the scorer evaluates."""
    metadata = {"direction": "ascending"}
    return {"task": "number_sorting", "answer": program, "metadata": metadata, "given": given}


HONEST = evaluating("[1, 2] + []")  # evaluated, too: JSON has no sums


def test_each_question_gets_its_own_answer() -> None:
    jobs = [RIGHT, WRONG, RIGHT, WRONG]
    assert math(*jobs, workers=2) == [Said(True), Said(False), Said(True), Said(False)]
    assert math() == []


def test_a_question_that_hangs_costs_no_other_its_answer() -> None:
    assert math(RIGHT, HANGS, WRONG) == [Said(True), "timeout", Said(False)]


@pytest.mark.parametrize("sort", [*SERVICES])
def test_a_jail_that_is_ended_is_replaced(sort: Any) -> None:
    pytest.importorskip("reasoning_gym")
    job = RIGHT if sort == "math" else HONEST
    assert said(sort, job) == [Said(True)]
    for pid in descendants(os.getpid()):
        os.kill(pid, 9)
    assert said(sort, job) == [Said(True)]


def test_closing_leaves_no_process() -> None:
    before = set(descendants(os.getpid()))
    math(RIGHT, WRONG, workers=2)
    started = set(descendants(os.getpid())) - before
    SCORER_THREADS.close()
    assert started
    assert all_end(started)


def test_a_library_has_no_secret_and_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    SCORER_THREADS.close()
    monkeypatch.setenv("TEACHER_KEY", "secret")
    before = set(descendants(os.getpid()))
    math(RIGHT)
    for pid in set(descendants(os.getpid())) - before:
        assert b"secret" not in Path(f"/proc/{pid}/environ").read_bytes()
    pytest.importorskip("reasoning_gym")
    limits = "__import__('resource').getrlimit(__import__('resource').RLIMIT_AS)[0]"
    assert said("gym", evaluating(f"[1, 2 if {limits} == 2**31 else 3]")) == [Said(True)]
    environment = "__import__('os').environ"
    assert said("gym", evaluating(f"[1, 2 if 'TEACHER_KEY' not in {environment} else 3]")) == [
        Said(True)
    ]


@pytest.mark.parametrize(
    ("program", "heard"),
    [
        ("(lambda: [globals() for _ in iter(int, 1)])()", "timeout"),
        ("__import__('time').sleep(60)", "timeout"),
        ("[__import__('os').fork() for _ in range(40)] and [1, 2]", None),
        ("(__import__('os').fork() or __import__('time').sleep(60)) and [1, 2]", Said(True)),
        ("[bytes(10**6) for _ in range(10**5)]", None),  # the scorer itself catches it
        ("bytes(3 * 2**30)", None),
        ("__import__('os')._exit(0)", "died"),
        ("__import__('os').abort()", "died"),
        ("__import__('os').kill(1, 9) or [1, 2]", Said(True)),
        ("open('/tmp/left', 'w').write('x') and [1, 2]", Said(True)),
        ("(_ for _ in ()).throw(SystemExit)", "died"),
    ],
)
def test_a_reference_that_misbehaves_costs_no_other_its_answer(
    program: str, heard: Answer | None
) -> None:
    pytest.importorskip("reasoning_gym")
    found = said("gym", HONEST, evaluating(program), evaluating("[5, 9] + []"), HONEST)
    assert (found[0], found[2], found[3]) == (Said(True), Said(False), Said(True))
    assert heard in (found[1], None)


SENDS = """
import os, struct, sys
encode = sys.modules['distill.jail.inside.codec'].encode
def send(value):
    os.write(3, struct.pack('<I', len(encode(value))) + encode(value))
def reply(value):
    send(('reply', encode(value)))
"""


@pytest.mark.parametrize(
    "frames",
    [
        "reply((True, 1))",
        "reply((None, 'made up'))",
        "reply((None, 'x' * 10**6))",
        "reply(True)",
        "reply([True, ''])",
        "send(('reply', b'garbage'))",
        "reply((True, '')); reply((True, ''))",
        "reply((True, ''))",  # and no end
        "send(('end', 'ended', ''))",
        "send(('end', 'jail_failed', ''))",
        "send(('ask', 'x', b''))",
        "send(b'raw')",
        "os.write(3, bytes([255]) * 10**6)",
        "os.write(3, bytes(3))",
    ],
)
def test_what_is_no_reply_is_not_believed(frames: str) -> None:
    pytest.importorskip("reasoning_gym")
    program = f"exec({SENDS + frames + chr(10) + 'os._exit(0)'!r}, {{}})"
    assert said("gym", evaluating(program), HONEST) == ["died", Said(True)]


def test_a_question_finds_nothing_of_the_one_before_it() -> None:
    pytest.importorskip("reasoning_gym")
    change = "setattr(__import__('builtins'), 'sorted', lambda *a, **k: 0) or [1, 2]"
    library = "__import__('reasoning_gym.algorithmic.number_sorting').algorithmic.number_sorting"
    scorer = f"setattr({library}.NumberSortingDataset, 'score_answer', lambda *a: 1.0) or [1, 2]"
    wrong = evaluating("[5, 9] + []")
    found = said("gym", evaluating(change), wrong, evaluating(scorer), wrong, HONEST)
    assert (found[1], found[3], found[4]) == (Said(False), Said(False), Said(True))


def test_every_reply_is_read_as_one_or_is_none() -> None:
    def heard(value: object, status: Any = "ended") -> Answer:
        return _heard(Replied(Ran(status), (encode(value),)), [b"q"])[b"q"]

    assert heard((True, "")) == Said(True)
    assert heard((None, "unreadable")) == Said(None, "unreadable")
    assert heard((None, "scorer_failed: KeyError")) == Said(None, "scorer_failed: KeyError")
    assert heard((None, "scorer_failed: Sorry")) == Said(None, "scorer_failed")
    for value in ((1, ""), (True, "x"), [True, ""], (True,), (None, ""), (None, "x"), None, b""):
        assert heard(value) == "died"
    assert heard((None, "scorer_failed: \x1b[2J")) == "died"
    assert heard((True, ""), "died") == "died"
    assert heard((True, ""), "timeout") == "timeout"
    assert _heard(Replied(Ran("timeout"), (encode((True, "")),)), [b"a", b"b"]) == {
        b"a": Said(True)
    }


@pytest.mark.parametrize(
    ("text", "alone"),
    [
        ("Zoey says that Riley is a liar.", False),
        ("3*(8-2)/7", False),
        (r"\frac{x^2 + 1}{\sqrt{3}}", False),
        (r"\left( -\infty, 2.5 \right]", False),
        ("x_{1} + x_{2}", False),
        ("[[1, 2], [3, 4]]", False),
        ("['-1.5', 'two words']", False),
        ('{"a": ["b", null]}', False),
        ("['exit()']", True),
        ("""['a', "b"]""", True),
        (r'["\u0065xit"]', True),
        ("exit()", True),
        ("().__class__", True),
        ("[0 for sympy.simplify in [None]]", True),
        ("{x: 0 for x in y}", True),
        ("S('open(1)')", True),
        (r"S('\x6f\x73')", True),
        (r"'\x28\x29'", True),
        ("f(x).real", True),
        ("1 .real(2)", True),
        ("__import__(x)", True),
        ("lambda: (1)", True),
        ("\\\nimport(os)", True),
        ("a" * 20_001, True),
        ("((0xe043 + 0x54d2) << 2)", False),
        ("0xexit()", True),
    ],
)
def test_what_could_be_a_program_shares_a_process_with_nobody(text: str, alone: bool) -> None:
    for value in (text, [text], {"a": {"b": [1, text]}}, {text: 1}):
        assert harmless(value) is not alone
    assert not harmless(object())


@pytest.fixture(scope="module")
def loaded(jailer: Jailer) -> Iterator[Jail]:
    pytest.importorskip("reasoning_gym")
    with Jail(jailer=jailer, service=service("gym", jailed=True)) as jail:
        yield jail


@pytest.mark.parametrize("sort", SERVICES)
def test_both_jails_hold_with_a_library_in_them(jailer: Jailer, sort: Any) -> None:
    if not is_installed(sort):
        pytest.skip(f"the library for {sort} is not installed")
    made = service(sort, jailed=True)
    assert weakness(jailer, made.mounts) == ""
    with Jail(jailer=jailer, service=made) as jail:
        job = RIGHT if sort == "math" else HONEST
        replied = jail.reply([encode(job)], timeout_s=20)
        assert (replied.ran.status, replied.replies) == ("ended", (encode((True, "")),))


WRITES = "('/packages', '/packages/sympy', '/python', '/', '/usr/lib', '/proc/1', '/etc', '/home')"
STATUS = "open('/proc/self/status').read()"


@pytest.mark.parametrize(
    ("holds", "found"),
    [
        (f"not [p for p in {WRITES} if __import__('os').access(p, 2)]", True),
        (f"'Seccomp:\\t2' in {STATUS} and 'NoNewPrivs:\\t1' in {STATUS}", True),
        (f"'CapEff:\\t0000000000000000' in {STATUS} and __import__('os').getuid() != 0", True),
        ("len([p for p in __import__('os').listdir('/proc') if p.isdigit()]) == 2", True),
        ("sorted(__import__('os').listdir('/proc/self/fd')) == list('012345')", True),  # 5: itself
        ("__import__('os').listdir('/tmp') == __import__('os').listdir('/dev/shm') == []", True),
        ("[__import__('os').fork() or __import__('time').sleep(9) for _ in range(40)]", None),
        ("__import__('socket').create_connection(('127.0.0.1', 9))", False),
        ("__import__('os').open('/proc/1/mem', 2)", False),
        ("__import__('os').open('/dev/zero', 2)", False),
    ],
)
def test_a_library_that_is_loaded_opens_no_way_out(
    loaded: Jail, holds: str, found: bool | None
) -> None:
    """From a process that has loaded all, as each question is in one."""
    question = encode(evaluating(f"[1, 2] if {holds} else [5, 9]"))
    heard = _heard(loaded.reply([question], timeout_s=20), [question])[question]
    assert heard == Said(found) if found is not None else heard in ("memory", Said(False))


def test_a_room_holds_what_the_library_needs_and_no_more() -> None:
    pytest.importorskip("reasoning_gym")
    names = {Path(path).name for path in service("math", jailed=True).mounts.packages}
    assert {"math_verify", "sympy", "mpmath", "antlr4"} <= names
    assert not names & {"numpy", "torch", "distill", "pip", "reasoning_gym", "site-packages"}
    names = {Path(path).name for path in service("gym", jailed=True).mounts.packages}
    assert {"reasoning_gym", "sympy", "numpy", "numpy.libs"} <= names
    assert not names & {"torch", "distill", "pip", "math_verify", "site-packages"}
    bound = Mounts(("/usr/bin",), ("/a/sympy",)).bound()
    assert bound == {"/usr/bin": "/usr/bin", "/a/sympy": f"{PACKAGES}/sympy"}


def test_what_only_root_can_read_is_copied_to_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    (closed / "mine" / "tests").mkdir(parents=True)
    (closed / "mine" / "__init__.py").write_text("x = 1")
    (closed / "mine" / "tests" / "test_x.py").write_text("")
    (closed / "one.py").write_text("y = 2")
    closed.chmod(0o700)
    paths = (closed / "mine", closed / "one.py")
    monkeypatch.setattr(packages, "account", lambda: {"user": 65534})
    copied = [Path(path) for path in packages.usable(paths, "mine")]
    assert [path.name for path in copied] == ["mine", "one.py"]
    assert {path.parent for path in copied} == {packages._staging()}
    assert packages._staging().stat().st_mode & 0o777 == 0o755
    assert (copied[0] / "__init__.py").stat().st_mode & 0o777 == 0o644
    assert (copied[0] / "__init__.py").stat().st_mtime == (paths[0] / "__init__.py").stat().st_mtime
    assert not (copied[0] / "tests").exists()
    monkeypatch.undo()
    if not interpreter.account():
        assert packages.usable(paths, "mine") == tuple(map(str, paths))


def test_the_copies_go_with_the_program() -> None:
    code = "from distill.jail import packages; print(packages._staging())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "distill-packages-" in done.stdout
    assert not Path(done.stdout.strip()).exists()


def test_what_is_compiled_for_another_python_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fast").mkdir()
    (tmp_path / "fast" / "a.so").write_text("")

    @dataclass
    class Other:
        version: tuple[int, int] = (3, 99)

    monkeypatch.setattr(packages, "interpreter", Other)
    with pytest.raises(Missing, match=r"fast is compiled .* jail's is 3\.99; next: apt-get"):
        packages.usable((tmp_path / "fast",), "fast")


def test_a_library_that_cannot_be_imported_is_missing_and_says_why(tmp_path: Path) -> None:
    made = service("math", jailed=True)
    less = [path for path in made.mounts.packages if not path.endswith("/mpmath")]
    with Jail(service=Service(made.module, Mounts(packages=tuple(less)), ())) as jail:
        for _ in range(2):
            with pytest.raises(Missing, match="mpmath"):
                jail.reply([encode(RIGHT)], timeout_s=20)


@pytest.mark.parametrize("how", [Isolation(paranoid=True), Isolation(unsafe_no_sandbox=True)])
def test_a_fresh_jail_and_none_say_the_same(how: Isolation) -> None:
    asked, own = grade_all([ASKED, Item("x+2n", r"\boxed{x+n+n}")], isolation=how)
    assert (asked.label, own.label, asked.method) == ("unverifiable", "correct", "unproved")
    assert asked.detail == ("unsafe_no_sandbox: boxed" if how.unsafe_no_sandbox else "boxed")
    assert own.detail == "boxed"


@pytest.fixture
def no_jail(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    SCORER_THREADS.close()  # those that are trusted already
    for name in ("distill.jail.probe.installed", "distill.verify.workers.threads.installed"):
        monkeypatch.setattr(name, list)
    jail_or_refuse.cache_clear()
    yield
    jail_or_refuse.cache_clear()


@pytest.mark.usefixtures("no_jail")
def test_without_a_jail_only_what_we_decide_ourselves_is_decided() -> None:
    assert grade("1/2", r"\boxed{0.5}").label == "correct"
    assert grade("17", r"\boxed{17}", kind="reasoning_gym").label == "correct"
    with pytest.raises(UserError, match=r"cannot be run safely here: .*--unsafe-no-sandbox"):
        grade(ASKED.gold, ASKED.response)
    unsafe = Isolation(unsafe_no_sandbox=True)
    assert grade(ASKED.gold, ASKED.response, isolation=unsafe).method == "unproved"


@pytest.mark.skipif(not Path("/proc").exists(), reason="no /proc here")
def test_jails_end_with_the_program_however_it_ends() -> None:
    code = (
        "import os\nfrom distill.verify import grade\n"
        "from tests.builders.jails import descendants\n"
        "grade('xy=1', r'\\boxed{xy=2}')\n"
        "print(*descendants(os.getpid()), flush=True)\n"
    )
    for ending in ("", "os.kill(os.getpid(), 9)"):
        done = subprocess.run(
            [sys.executable, "-c", code + ending], cwd=ROOT, capture_output=True, text=True
        )
        pids = [int(pid) for pid in done.stdout.split()]
        assert pids
        assert all_end(pids)


def test_threads_and_coroutines_share_the_jails() -> None:
    with ThreadPoolExecutor(8) as threads:
        methods = list(threads.map(lambda _: grade_all([ASKED])[0].method, range(16)))
    assert methods == ["unproved"] * 16

    async def several() -> list[str]:
        verdicts = await asyncio.gather(
            *(asyncio.to_thread(grade, ASKED.gold, ASKED.response) for _ in range(8))
        )
        return [verdict.method for verdict in verdicts]

    assert asyncio.run(several()) == ["unproved"] * 8


def test_a_forked_child_does_not_speak_for_its_parent() -> None:
    code = (
        "import os; from distill.verify import grade\n"
        "assert grade('xy=1', r'\\boxed{xy=2}').method == 'unproved'\n"
        "pid = os.fork()\n"
        "method = grade('xy=1', r'\\boxed{xy=3}').method\n"
        "assert method == 'unproved'\n"
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
    verdict = grade("x^2+1", r"\boxed{10^{10^{10}}}")
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
    """In an environment that has all but that."""
    found = find_spec("math_verify")
    assert found is not None
    assert found.origin is not None
    for path in Path(found.origin).parents[1].iterdir():
        if not path.name.startswith("math_verify"):
            (tmp_path / path.name).symlink_to(path)
    code = (
        f"import sys; sys.path += [{str(ROOT)!r}, {str(tmp_path)!r}]\n"
        "import logging; logging.basicConfig()\n"
        "from distill.verify import grade\n"
        "for _ in range(2): print(grade('xy=1', r'\\boxed{xy=2}').method)\n"
        "print(grade('x^2-1', r'\\boxed{(x-1)(x+1)}').label)\n"
    )
    command = [sys.executable, "-S", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["needs_symbolic", "needs_symbolic", "correct"]
    assert done.stderr.count("math-verify is not installed") == 1


@pytest.mark.parametrize(
    "answer",
    [
        "so it is " * 200,
        "a" * 1_999 + "_",
        "1." * 999 + "_",
        ".1" * 999 + "_",
        "((((" * 400 + "_",
        "sin" * 600 + "!",
        "To reach the target of 24 I take (3 and 8) and get 3*8 = 24, which is the answer" * 20,
    ],
)
def test_long_answers_are_looked_at_in_linear_time(answer: str) -> None:
    began = time.process_time()
    assert would_execute("countdown", answer)
    assert would_execute("countdown", answer[:1_000] + "_")
    assert time.process_time() - began < 0.5


def test_formulas_are_still_scored() -> None:
    for answer in (
        "3*(8-2)/7",
        "x**2/2 + C",
        "sin(x) + 1.5",
        "[1, 2], [3]",
        "ABCDE",
        ".5",
        "2.",
        "",
    ):
        assert not would_execute("countdown", answer)
    for answer in ("x.y", "1.real", "1._", "exit()", "open", "f'{x}'", "a@b", "x:=1", "ABCDEF"):
        assert would_execute("countdown", answer)


def spelled(program: str) -> str:
    """The program as texts of one letter each, which Python joins."""
    return "".join(f"'{part}'" for part in re.findall("[A-Za-z]|[^A-Za-z]+", program))


def test_no_answer_gives_itself_a_full_score() -> None:
    """Sympy reads a text that it is handed as a formula once more, and a formula is a program."""
    pytest.importorskip("reasoning_gym")
    code = "+".join(f"chr({ord(c)})" for c in "import sympy;sympy.simplify=lambda x:0")
    program = spelled(f"[exec({code}),0][1]")
    items = [
        Item(
            json.dumps({"task": task, "answer": "x**2 + C", "metadata": metadata}),
            rf"\boxed{{{answer}}}",
            "reasoning_gym",
        )
        for task in ("simple_integration", "intermediate_integration")
        for metadata in ({"variable": "x", "integrand": "2*x"},)
        for answer in (program, f"S({program})", f"N({program})+0", program.replace("'", '"'))
    ]
    assert {one.label for one in grade_all(items)} == {"unverifiable"}
    for task in EVALUATING:
        takes_texts = not would_execute(task, "['1', '2']")
        assert takes_texts == (task in {*LISTS})


LISTS = ("binary_matrix", "n_queens", "spiral_matrix", "string_insertion")


# Every event of this process by which text becomes code.
WATCH = """
import json, sys
from distill.verify.workers.inside import reasoning_gym
from distill.verify.workers.reasoning_gym import would_execute
score = reasoning_gym.load()
seen = []
sys.addaudithook(lambda name, args: name == "compile" and seen.append(str(args[0])))
marks = ["mark = 1", "[mark]", "mark + 1", "mark(1)", "'mark'", "mark mark"]
found = {True: set(), False: set()}
for task, problem in json.load(sys.stdin).items():
    for given in marks:
        seen.clear()
        score({"task": task, "given": given, **problem})
        if any("mark" in text for text in seen):
            found[would_execute(task, given)].add(task)
print(json.dumps([sorted(found[True]), sorted(found[False])]))
"""


def test_no_scorer_evaluates_an_answer_but_those_that_are_known_to() -> None:
    """A program could give itself a full score; ``EVALUATING`` has to name them all."""
    pytest.importorskip("reasoning_gym")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WATCH],
        input=json.dumps(problems()),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    refused, seen = json.loads(done.stdout.splitlines()[-1])
    assert seen == []
    assert len(refused) > 5
    assert set(refused) <= EVALUATING
