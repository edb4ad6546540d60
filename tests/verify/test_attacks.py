"""No hostile program passes for right, reaches the host, or changes what the next one gets."""

import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import pytest

from distill.jail.interpreter import account
from distill.jail.probe import jail_or_refuse
from distill.jail.program import Program
from distill.jail.session import Jail
from distill.verify.code import check_all
from distill.verify.isolation import JAILED, Isolation
from distill.verify.verdict import Verdict
from distill.verify.workers.threads import PROGRAM_THREADS
from tests.verify.attacks.attack import ASSERTS, CALLS, NEAR, VALUES, Attack
from tests.verify.attacks.followers import THIEF
from tests.verify.attacks.golds import GOLDS, Reference
from tests.verify.attacks.table import ATTACKS

HANGING_S = 5.0  # what has less time than this is there to be ended
BY_NAME = {one.name: one for one in ATTACKS}
# Needs all that a program may rely on: empty folders that take files, modules as they are,
# processes, threads, room and time.
HONEST = """
import bisect, json, math, os, random, re, socket, threading

def surroundings():
    for folder in ("/tmp", "/dev/shm"):
        assert os.listdir(folder) == [] and os.statvfs(folder).f_bavail > 500, folder
        os.mkdir(folder + "/a")
        open(folder + "/a/b", "w").write("x" * 100_000)
        assert len(open(folder + "/a/b").read()) == 100_000
        os.unlink(folder + "/a/b")
        os.rmdir(folder + "/a")
    assert os.statvfs("/tmp").f_bavail > 4000
    assert json.loads(json.dumps({"a": [1]})) == {"a": [1]} and math.isclose(1, 1 + 1e-12)
    assert sorted([2, 1]) == [1, 2] and re.match("a+", "aa")[0] == "aa" and bisect.bisect([1], 1)
    random.seed(1)
    assert random.randrange(10**6) == 140891
    done = []
    thread = threading.Thread(target=done.append, args=(1,))
    thread.start()
    thread.join()
    pid = os.fork()
    if pid == 0:
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7 and done == [1]
    one, other = socket.socketpair()
    one.send(b"pair")
    assert other.recv(4) == b"pair"

def f(x):
    surroundings()
    return x * x + 1
"""


@dataclass(frozen=True, slots=True)
class Host:
    """What a program could reach if it got out."""

    folder: Path
    canary: str
    tcp: socket.socket
    udp: socket.socket
    unix: tuple[socket.socket, ...]

    def fill(self, source: str) -> str:
        words = {
            "@FILE@": self.folder / "canary",
            "@FOLDER@": self.folder,
            "@CANARY@": self.canary,
            "@PORT@": self.tcp.getsockname()[1],
            "@PID@": os.getpid(),
            "@TOKEN@": self.canary[-15:],  # the longest name of a process
        }
        for word, value in words.items():
            source = source.replace(word, str(value))
        return source

    def untouched(self) -> bool:
        names = sorted(path.name for path in self.folder.iterdir())
        kept = (self.folder / "canary").read_text(encoding="utf-8") == self.canary
        return names == ["canary", "socket"] and kept and not self._hits()

    def _hits(self) -> int:
        hits = 0
        for one in (self.tcp, self.udp, *self.unix):
            try:
                while True:
                    if one is self.udp:
                        one.recv(1)
                    else:
                        one.accept()[0].close()
                    hits += 1
            except BlockingIOError:
                continue
        return hits


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """A file, a variable of the environment, and listeners, all open to anyone on this machine."""
    jail_or_refuse()  # no skip: where no jail holds, nothing here is true
    canary = f"canary-{token_hex(8)}"
    with (
        tempfile.TemporaryDirectory(prefix="attacked-") as name,
        pytest.MonkeyPatch.context() as env,
    ):
        folder = Path(name)
        folder.chmod(0o777)
        (folder / "canary").write_text(canary, encoding="utf-8")
        (folder / "canary").chmod(0o666)
        env.setenv("DISTILL_CANARY", canary)
        tcp = socket.create_server(("127.0.0.1", 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(tcp.getsockname())
        unix = tuple(socket.socket(socket.AF_UNIX) for _ in range(2))
        for one, address in zip(unix, ("\0" + canary, str(folder / "socket")), strict=True):
            one.bind(address)
            one.listen()
        (folder / "socket").chmod(0o777)
        words = ["/bin/sh", "-c", "read wait", canary]
        near = subprocess.Popen(words, stdin=subprocess.PIPE, env={"CANARY": canary}, **account())
        for each in (tcp, udp, *unix):
            each.setblocking(False)
        yield Host(folder, canary, tcp, udp, unix)
        near.communicate()
        for each in (tcp, udp, *unix):
            each.close()


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """So that each program finds the jail in which the one before it was."""
    PROGRAM_THREADS.close()
    before = set(children())
    anew()
    yield
    PROGRAM_THREADS.close()
    assert len(set(children()) - before) <= 1  # the neighbour


def anew() -> None:
    """With jails that nobody has used."""
    PROGRAM_THREADS.close()
    PROGRAM_THREADS.threads = ThreadPoolExecutor(1)


def block(source: str) -> str:
    return f"```python\n{source}\n```\n"


def judged(host: Host, attack: Attack, *, isolation: Isolation = JAILED) -> Verdict:
    return checked(attack.gold, host.fill(attack.source), attack.timeout_s, isolation)


def checked(gold: str, source: str, timeout_s: float, isolation: Isolation = JAILED) -> Verdict:
    try:
        return check_all([(gold, block(source))], isolation=isolation, timeout_s=timeout_s)[0]
    except Exception as error:  # shown without its trace, which pytest cannot always write
        raise AssertionError(f"the run ends: {error!r}") from None


def honest() -> Verdict:
    return checked(CALLS, HONEST, 60)


def children() -> list[int]:
    """Pids of the processes that this one started, zombies too."""
    path = Path("/proc/self/task")
    found = [(folder / "children").read_text().split() for folder in path.iterdir()]
    return [int(pid) for pids in found for pid in pids]


def named(name: str) -> list[str]:
    """The processes of this machine that call themselves so."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if (folder / "comm").read_text().strip() == name:
                    found.append(folder.name)
            except OSError:
                continue
    return found


def rows(rows: "tuple[Attack, ...] | tuple[Reference, ...]") -> list[object]:
    """One test each; what is known to be open must stay known, so its repair is noticed."""
    return [
        pytest.param(
            one,
            id=one.name,
            marks=[pytest.mark.xfail(strict=True, reason=one.open)] if one.open else [],
        )
        for one in rows
    ]


def test_the_table_is_large_and_each_program_is_python() -> None:
    assert len(BY_NAME) == len(ATTACKS) >= 60
    for one in ATTACKS:
        compile(one.source.replace("@PORT@", "1"), one.name, "exec")


@pytest.mark.parametrize("attack", rows(ATTACKS))
@pytest.mark.usefixtures("one_thread")
def test_no_attack_is_right_and_the_next_program_is_not_harmed(host: Host, attack: Attack) -> None:
    verdict = judged(host, attack)
    after = honest()
    if attack.open:
        anew()  # the others are not to blame
    assert verdict.label in attack.labels, verdict
    verdict.detail.encode()  # as a file will take it
    assert after.label == "correct", after
    assert host.untouched()
    assert named(host.canary[-15:]) == []


@pytest.mark.parametrize("reference", rows(GOLDS))
@pytest.mark.usefixtures("one_thread", "host")
def test_no_reference_makes_a_program_wrong_or_ends_the_run(reference: Reference) -> None:
    timeout_s = 20 if "timeout" not in reference.labels else 0.3
    verdict = checked(reference.gold, reference.source, timeout_s)
    assert verdict.label in reference.labels, verdict
    assert honest().label == "correct"


@pytest.mark.usefixtures("one_thread", "host")
def test_what_a_program_returned_is_not_there_for_the_next() -> None:
    right = " and ".join(["nobody would guess this"] * 3)
    gold = json.dumps({"test_list": [f"assert f(3) == {right!r}"]})
    source = "def f(x):\n    return ' and '.join(['nobody would ' + 'guess this'] * x)\n"
    found = check_all([(gold, block(source)), (gold, block(THIEF))])
    assert [one.label for one in found] == ["correct", "wrong"]


@pytest.mark.parametrize(
    ("test", "value"),
    [
        ("set(f(3)) == {1, 2}", "[n * (2**61 - 1) for n in range(30_000)]"),
        ("sum(f(3)) == 3", "[1 << 64_000_000] + [1] * 4_000"),
    ],
)
@pytest.mark.usefixtures("one_thread", "host")
def test_no_result_keeps_the_host_busy(test: str, value: str) -> None:
    start = time.process_time()  # nobody else's
    checked(json.dumps({"test_list": [f"assert {test}"]}), f"def f(x):\n    return {value}\n", 20)
    assert time.process_time() - start < 1.5


# Each attack of these is real: something less careful takes it for right, or is reached by it.

_RUN = "import json, math, sys\nspace = {'__name__': 'solution'}\nexec(%r, space)\nf = space['f']\n"
NAIVE = {
    "asserts": _RUN + f"exec({chr(10).join(ASSERTS)!r}, space)\nprint('PASS')\n",
    "near": _RUN + f"for test in {json.loads(NEAR)['test_list']!r}:\n    exec(test, space)\n"
    "print('PASS')\n",
    "beside": _RUN + f"tests = {VALUES!r}\nsys.modules['solution'] = sys.modules['__main__']\n"
    "ok = True\ndef run():\n    for x, expected in tests.items():\n        if f(x) != expected:\n"
    "            return False\n    return True\nif run():\n    print('PASS')\n",
    "record": _RUN + f"results = []\ndef record(ok):\n    results.append(ok)\n"
    f"for x, wanted in {VALUES!r}.items():\n    record(f(x) == wanted)\n"
    "if all(results):\n    print('PASS')\n",
    "repr": _RUN + "if repr(f(3)) == '10':\n    print('PASS')\n",
    "exit": _RUN + f"exec({chr(10).join(ASSERTS)!r}, space)\n",
    "marker": _RUN + f"exec({chr(10).join(ASSERTS)!r}, space)\nprint('PASS')\n",
}


@pytest.fixture(scope="module")
def jail() -> Iterator[Jail]:
    jail_or_refuse()
    with Jail() as jail:
        yield jail


@pytest.mark.parametrize("attack", [one for one in ATTACKS if one.fools], ids=lambda one: one.name)
def test_a_naive_grader_takes_it_for_right(jail: Jail, attack: Attack) -> None:
    if attack.fools == "prefix":
        ran = jail.run(Program(attack.source, stdin="3\n"), timeout_s=20)
        assert all(a == b for a, b in zip(ran.stdout.split(), ["10", "end"], strict=False))
        return
    given = attack.source if "input()" in attack.source or "def f" not in attack.source else None
    source = given or NAIVE[attack.fools] % attack.source
    ran = jail.run(Program(source, stdin="3\n"), timeout_s=20)
    assert (ran.status == "ended") if attack.fools == "exit" else (ran.stdout == "PASS\n"), ran


@pytest.mark.parametrize(
    "attack", [one for one in ATTACKS if one.outside], ids=lambda one: one.name
)
@pytest.mark.usefixtures("one_thread")
def test_it_reaches_its_aim_without_a_jail(host: Host, attack: Attack) -> None:
    found = judged(host, attack, isolation=Isolation(unsafe_no_sandbox=True))
    host.untouched()  # takes the connections that it made
    assert found.label == "correct", found


def test_attacks_beside_each_other_in_fresh_jails_harm_nobody(host: Host) -> None:
    some = [one for one in ATTACKS if one.timeout_s > HANGING_S and not one.open][::6]
    items = [(one.gold, block(host.fill(one.source))) for one in some]
    mixed = [each for item in items for each in (item, (CALLS, block(HONEST)))]
    how = Isolation(paranoid=True)
    PROGRAM_THREADS.close()
    before = set(children())
    found = check_all(mixed, workers=2, isolation=how, timeout_s=60)
    assert {one.label for one in found[1::2]} == {"correct"}
    for attack, verdict in zip(some, found[::2], strict=True):
        assert verdict.label in attack.labels, (attack.name, verdict)
    assert host.untouched()
    PROGRAM_THREADS.close()
    assert set(children()) <= before
