"""Code that a model wrote gets nothing, breaks nothing, and is told apart from our own failures."""

import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import distill
from distill.errors import UserError
from distill.jail import interpreter, mounts, process, seccomp
from distill.jail.inside import codec, execute, leftovers
from distill.jail.inside.codec import CodecError, Opaque, decode, encode
from distill.jail.jailer import Jailer, installed
from distill.jail.probe import first_trusted, jail_or_refuse, weakness
from distill.jail.program import Call, Program, Ran, Returned
from distill.jail.session import MAX_RUNS, Jail
from tests.builders.jails import descendants

HONEST = Program("def double(x):\n    return 2 * x", (Call("double", encode(([21], {}))),))


@pytest.fixture(scope="module")
def warm(jailer: Jailer) -> Iterator[Jail]:
    with Jail(jailer=jailer) as jail:
        yield jail


@pytest.fixture
def jail(warm: Jail) -> Iterator[Jail]:
    """The same jail for all tests: after each, an honest program must still be right in it."""
    yield warm
    ran = warm.run(HONEST, timeout_s=10)
    assert (ran.status, *map(value, ran.returned)) == ("ended", 42)


def value(returned: Returned) -> object:
    assert returned.value is not None, returned.raised
    return decode(returned.value)


def script(jail: Jail, source: str, stdin: str = "", timeout_s: float = 10) -> Ran:
    return jail.run(Program(source, stdin=stdin), timeout_s=timeout_s)


def said(jail: Jail, source: str, stdin: str = "") -> str:
    ran = script(jail, source, stdin)
    assert (ran.status, ran.error) == ("ended", "")
    return ran.stdout


def call(jail: Jail, source: str, *args: object, name: str = "f", timeout_s: float = 10) -> Ran:
    calls = (Call(name, encode((list(args), {}))),)
    return jail.run(Program(source, calls), timeout_s=timeout_s)


def supervisor(jail: Jail) -> "subprocess.Popen[bytes]":
    assert jail._process is not None
    return jail._process._popen


# The codec

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text(st.characters(exclude_categories=()))
    | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.sets(st.integers() | st.text())
        | st.frozensets(st.tuples(st.integers(), st.booleans()))
        | st.dictionaries(st.text() | st.integers(), inner)
    ),
)


def shape(value: object) -> object:
    """Tells types, nan, -0.0 and True apart, and not the order of sets."""
    if isinstance(value, (set, frozenset)):
        return type(value), sorted(map(repr, map(shape, value)))
    if isinstance(value, (list, tuple)):
        return type(value), [shape(each) for each in value]
    if isinstance(value, dict):
        return [(shape(key), shape(each)) for key, each in value.items()]
    return type(value), repr(value)


@given(plain)
@settings(max_examples=100, deadline=None)
def test_plain_values_survive_the_codec_with_their_types(before: object) -> None:
    assert shape(decode(encode(before))) == shape(before)


@given(st.builds(bytes.__add__, st.sampled_from([b"", b"l", b"S", b"d", b"i"]), st.binary()))
@settings(max_examples=300, deadline=None)
def test_hostile_bytes_raise_nothing_but_codec_errors(data: bytes) -> None:
    try:
        decode(data)
    except CodecError:
        return
    assert decode(encode(decode(data))) is not NotImplemented


@given(plain, st.data())
@settings(max_examples=100, deadline=None)
def test_damaged_bytes_raise_nothing_but_codec_errors(before: object, data: st.DataObject) -> None:
    body = bytearray(encode(before))
    body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = decode(bytes(body[: data.draw(st.integers(0, len(body)))]))
    except CodecError:
        return
    assert shape(decode(encode(found))) == shape(found)


def test_a_subclass_is_not_taken_for_the_type_that_it_claims_to_be() -> None:
    class Liar(int):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = int.__hash__

    assert decode(encode([Liar(1), {Liar(2): object()}])) == [
        Opaque("Liar"),
        {Opaque("Liar"): Opaque("object")},
    ]
    assert decode(encode(Opaque("x"))) == Opaque("x")


def test_a_value_too_deep_or_too_large_is_refused_on_both_sides() -> None:
    loop: list[object] = []
    loop.append(loop)
    wide: object = b"x" * 99_999
    for _ in range(60):
        wide = [wide] * 10
    for bad in (loop, wide, b"x" * codec.MAX_BYTES, [None] * (codec.MAX_ITEMS + 1)):
        with pytest.raises(CodecError):
            encode(bad)
    for data in (
        b"l\x01\0\0\0" * 200 + b"N",
        b"s" + b"\xff" * 4,
        b"l" + b"\xff" * 4 + b"N" * 99,
        b"l" + struct.pack("<I", 15 << 20) + b"N" * (15 << 20),
    ):
        with pytest.raises(CodecError):
            decode(data)


def test_keys_made_to_collide_do_not_stall_the_host() -> None:
    start = time.monotonic()
    with pytest.raises(CodecError, match="same hash"):
        decode(b"S" + encode([i * (2**61 - 1) for i in range(100_000)])[1:])
    assert time.monotonic() - start < 5


# Honest programs


def test_calls_get_their_arguments_anew_and_give_plain_values(jail: Jail) -> None:
    source = "def f(xs, *, y=0):\n    xs.append(y)\n    return xs, {y}, {'a\\ud800': 1j}, None"
    calls = tuple(Call("f", encode(([[1]], {"y": y}))) for y in (2, 3))
    ran = jail.run(Program(source, calls), timeout_s=10)
    assert ran.status == "ended"
    assert [value(each) for each in ran.returned] == [
        ([1, y], {y}, {"a\ud800": 1j}, None) for y in (2, 3)
    ]


def test_a_method_of_a_class_can_be_called(jail: Jail) -> None:
    ran = call(jail, "class S:\n    def g(self, x):\n        return -x", 5, name="S().g")
    assert value(ran.returned[0]) == -5


def test_a_script_reads_its_input_in_every_usual_way(jail: Jail) -> None:
    text = "3 ä\nb\nc\nd"
    source = (
        "import sys\nprint(input())\nprint(sys.stdin.readline(), end='')\n"
        "print(next(sys.stdin), end='')\nprint(sys.stdin.read())"
    )
    assert said(jail, source, text) == text + "\n"
    assert said(jail, "import sys; print(sys.stdin.buffer.read().decode())", text) == text + "\n"
    assert said(jail, "print(open(0).read())", text) == text + "\n"
    assert said(jail, "print(open('/dev/stdin').read())", text) == text + "\n"


def test_megabytes_of_input_and_results_pass(jail: Jail) -> None:
    text = "x" * (8 << 20)
    assert said(jail, "print(len(input()))", text) == f"{len(text)}\n"
    assert said(jail, "print(input())", text) == text + "\n"
    calls = tuple(Call("len", encode(([bytes(9 << 20)], {}))) for _ in range(4))
    ran = jail.run(Program("", calls), timeout_s=10)
    assert [value(each) for each in ran.returned] == [9 << 20] * 4
    ran = call(jail, "def f(n):\n    return list(range(n))", 300_000)
    assert value(ran.returned[0]) == list(range(300_000))


def test_a_script_ends_as_it_would_outside(jail: Jail) -> None:
    source = (
        "import atexit, threading, time\natexit.register(print, 'c')\n"
        "threading.Thread(target=lambda: (time.sleep(.1), print('b'))).start()\nprint('a')\n"
        "if __name__ == '__main__':\n    exit(0)"
    )
    assert said(jail, source) == "a\nb\nc\n"
    assert script(jail, "exit(3)").error == "SystemExit: 3"
    ran = script(jail, "import os\nprint('out', flush=True)\nos._exit(0)")
    assert (ran.status, ran.stdout) == ("ended", "out\n")


def test_what_a_module_runs_only_as_a_script_is_not_run_for_calls(jail: Jail) -> None:
    ran = call(jail, "def f():\n    return 1\nif __name__ == '__main__':\n    input()")
    assert value(ran.returned[0]) == 1


def test_memory_that_nobody_counts_cannot_be_had(jail: Jail) -> None:
    source = (
        "import mmap\ntry:\n    mmap.mmap(-1, 1 << 20)\nexcept OSError as e:\n    print(e.errno)"
    )
    assert said(jail, source) == "1\n"
    private = source.replace("20)", "20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)")
    assert said(jail, private) == ""
    assert said(jail, "import os\nprint(os.path.exists('/dev/zero'))") == "False\n"


UNREAD = (
    "s.bind('\\0name'); s.listen(4000)",
    "s.connect('\\0name')",
    "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', '\\0name')",
)


@pytest.mark.parametrize("attack", UNREAD)
def test_no_socket_takes_data_that_nobody_reads(jail: Jail, attack: str) -> None:
    """What waits in a queue of connections belongs to no process, and no limit counts it."""
    source = (
        "import socket\ns = socket.socket(socket.AF_UNIX)\n"
        f"try:\n    {attack}\nexcept PermissionError:\n    print('refused')\n"
        "a, b = socket.socketpair()\na.send(b'pair')\nprint(b.recv(4).decode())"
    )
    ran = jail.run(Program(source, stdin=""), timeout_s=20)
    assert (ran.status, ran.stdout) == ("ended", "refused\npair\n")


SENT = """
import os, socket, time
said, say = os.pipe()
for _ in range(60):
    try:
        if os.fork():
            continue
    except OSError:
        break
    kept, sent = [], 0
    try:
        while True:
            pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            kept.append(pair)
            for one in pair:
                try:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
                except OSError:
                    pass
                one.setblocking(False)
                try:
                    while True:
                        sent += one.send(bytes(1 << 15))
                except BlockingIOError:
                    pass
    except OSError:
        os.write(say, b"%d\\n" % sent)
        time.sleep(3)
    os._exit(0)
time.sleep(2)
print(sum(map(int, os.read(said, 1 << 16).split())) >> 20)
"""


def test_what_waits_in_pairs_of_sockets_stays_small(jail: Jail) -> None:
    """Each process of a program may hold sixty of them."""
    ran = jail.run(Program(SENT, stdin=""), timeout_s=20)
    assert ran.status == "ended"
    assert int(ran.stdout) < 300


def test_no_lock_of_a_program_holds_up_a_process_of_the_host(jail: Jail) -> None:
    """An interpreter's file is the host's too."""
    source = (
        "import fcntl, os, errno\nfd = os.open(os.__file__, os.O_RDONLY)\n"
        "try:\n    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)\nexcept OSError as error:\n"
        "    print(error.errno == errno.EOPNOTSUPP)\n"
        "try:\n    os.utime(fd)\nexcept OSError as error:\n    print(error.errno == errno.EROFS)"
    )
    assert said(jail, source) == "True\nTrue\n"


def test_times_of_folders_carry_nothing_to_the_next_program(jail: Jail) -> None:
    folders = ("/tmp", "/dev/shm")
    said(jail, f"import os\nfor f in {folders}:\n    os.utime(f, ns=(123456789, 987654321))")
    source = (
        f"import os\nfor f in {folders}:\n    s = os.stat(f)\n"
        "    print(s.st_atime_ns in (0, 123456789) and s.st_atime_ns, s.st_mtime_ns == 987654321)"
    )
    assert "123456789" not in said(jail, source)
    assert "True" not in said(jail, source)


@pytest.mark.parametrize("folder", ["/proc/1", "/python", "/", "/usr/lib"])
def test_nothing_but_its_own_folders_can_be_opened_to_writing(jail: Jail, folder: str) -> None:
    source = (
        f"import os\ntry:\n    os.chmod({folder!r}, 0o777)\n    open({folder + '/x'!r}, 'w')\n"
        "except OSError:\n    print('no')"
    )
    assert said(jail, source) == "no\n"


def test_common_modules_and_threads_work(jail: Jail) -> None:
    source = (
        "import asyncio, collections, ctypes, dataclasses, datetime, decimal, heapq, re, typing\n"
        "import multiprocessing, sqlite3, tempfile, zlib, hashlib, unittest, concurrent.futures\n"
        "@dataclasses.dataclass\nclass P:\n    x: int\n"
        "async def g():\n    await asyncio.sleep(0)\n    return P(3).x\n"
        "pool = concurrent.futures.ThreadPoolExecutor(4)\n"
        "with tempfile.TemporaryFile() as f:\n    f.write(b'x')\n"
        "print(asyncio.run(g()), *pool.map(str, range(9)))"
    )
    assert said(jail, source) == "3 0 1 2 3 4 5 6 7 8\n"


def test_the_order_of_sets_is_the_same_in_every_jail(jail: Jail) -> None:
    source = "print({'a', 'b', 'c', 'd', 'e'}, hash('x'))"
    with Jail(once=True) as other:
        assert said(jail, source) == said(other, source)


# How programs fail


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("def f():\n    1 / 0", "ZeroDivisionError"),
        ("def f():\n    return f()", "RecursionError"),
        ("def f():\n    raise SystemExit(0)", "SystemExit"),
        ("def f():\n    raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("def f(x):\n    pass", "TypeError"),
        ("def g():\n    pass", "NameError"),
        ("class E(BaseException):\n    __str__ = None\ndef f():\n    raise E", "E"),
        (
            "M = type('M', (type,), {'__name__': property(lambda s: 1 / 0)})\n"
            "E = M('E' * 999, (Exception,), {})\ndef f():\n    raise E",
            "E" * 200,
        ),
        ("def f():\n    x = []\n    x.append(x)\n    return x", "CodecError"),
    ],
)
def test_a_call_that_raises_gives_the_name_of_what_it_raised(
    jail: Jail, source: str, name: str
) -> None:
    ran = call(jail, source)
    assert (ran.status, ran.returned) == ("ended", (Returned(None, name),))


def test_a_source_that_cannot_be_loaded_has_raised(jail: Jail) -> None:
    assert call(jail, "def f(:").error.startswith("SyntaxError")
    ran = call(jail, "raise ValueError('why')")
    assert (ran.status, ran.error, ran.returned) == ("raised", "ValueError: why", ())
    assert script(jail, "class E(Exception):\n    def __str__(s): 1/0\nraise E").error == "E: "
    assert script(jail, "raise ValueError('\\ud800')").error == "ValueError: ?"


@pytest.mark.parametrize(
    "source",
    [
        "def f(x):\n    while x:\n        pass\n    return 1",
        "import time\ndef f(x):\n    x and time.sleep(60)\n    return 1",
        "import signal, time\n"
        "for s in range(1, 65):\n    s in (9, 19, 32, 33) or signal.signal(s, signal.SIG_IGN)\n"
        "def f(x):\n    while x:\n        time.sleep(1)\n    return 1",
    ],
)
def test_a_program_without_end_is_ended_and_its_first_calls_are_kept(
    jail: Jail, source: str
) -> None:
    calls = tuple(Call("f", encode(([x], {}))) for x in (0, 0, 1))
    start = time.monotonic()
    ran = jail.run(Program(source, calls), timeout_s=0.8)
    assert time.monotonic() - start < 4
    assert ran.status == "timeout"
    assert [value(each) for each in ran.returned] == [1, 1]


@pytest.mark.parametrize(
    "source",
    [
        "import os\ndef f():\n    os._exit(0)",
        "import os\nos._exit(0)\ndef f(): pass",
        "import os\ndef f():\n    os.kill(os.getpid(), 9)",
        "import ctypes\ndef f():\n    ctypes.string_at(0)",
        "import os\ndef f():\n    os.write(3, b'garbage garbage')",
        "import os\ndef f():\n    os.write(3, bytes(4))",
        "import os\ndef f():\n    os.write(3, b'\\xff' * 100)",
        "import os\ndef f():\n    os.close(3)",
        "import os\ndef f():\n    os.closerange(0, 99)\n    os._exit(0)",
    ],
)
def test_leaving_without_a_word_or_with_a_false_one_is_dying(jail: Jail, source: str) -> None:
    ran = call(jail, source)
    assert (ran.status, [each for each in ran.returned if each.value]) == ("died", [])


def test_a_recursion_without_end_in_the_interpreter_itself_is_survived(jail: Jail) -> None:
    source = (
        "import sys\nsys.setrecursionlimit(10**9)\n"
        "class A:\n    def __repr__(s):\n        return repr([s])\ndef f():\n    return repr(A())"
    )
    ran = call(jail, source)  # its stack overflows; from Python 3.12 on it raises
    assert ran.status == "died" or ran.returned[0].raised == "RecursionError"


def test_a_forged_last_word_does_not_stand_for_calls_that_were_not_made(jail: Jail) -> None:
    frame = encode(("end", "ended", ""))
    forged = struct.pack("<I", len(frame)) + frame
    ran = call(jail, f"import os\ndef f():\n    os.write(3, {forged!r})\n    os._exit(0)")
    assert ran.status == "died"


def test_more_output_than_anyone_reads_is_a_flood(jail: Jail) -> None:
    start = time.monotonic()
    assert script(jail, "while True:\n    print('x' * 9999)").status == "flooded"
    assert call(jail, "import os\nwhile True:\n    os.write(3, bytes(9999))").status == "died"
    ran = call(jail, "def f():\n    return 'x' * (20 << 20)")
    assert ran.returned == (Returned(None, "CodecError"),)
    assert script(jail, "", "x" * codec.MAX_BYTES + "x").status == "flooded"
    assert time.monotonic() - start < 8


def test_prints_of_a_called_function_cost_nothing(jail: Jail) -> None:
    ran = call(jail, "def f():\n    for _ in range(99999):\n        print('x' * 999)\n    return 1")
    assert value(ran.returned[0]) == 1


# What a program can use up


def test_one_process_cannot_take_more_memory_than_it_may(jail: Jail) -> None:
    ran = call(jail, "def f():\n    return len(bytearray(3 << 30))")
    assert (ran.status, ran.returned) == ("memory", (Returned(None, "MemoryError"),))
    assert script(jail, "x = ' ' * (3 << 30)").status == "memory"


def test_many_processes_cannot_take_more_memory_together(jail: Jail) -> None:
    source = (
        "import os, time\nfor _ in range(6):\n    if os.fork() == 0:\n"
        "        x = bytearray(300 << 20)\n        time.sleep(60)\ntime.sleep(60)"
    )
    ran = script(jail, source, timeout_s=20)
    assert (ran.status, ran.error) == ("memory", "memory")


def test_a_fork_bomb_stays_small(jail: Jail) -> None:
    source = (
        "import os, time\nn = 0\ntry:\n    while True:\n"
        "        if os.fork() == 0:\n            time.sleep(60)\n        n += 1\n"
        "except BlockingIOError:\n    print(n)"
    )
    assert 1 < int(said(jail, source)) < execute.PROCESSES
    bomb = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass"
    ran = script(jail, bomb, timeout_s=0.5)
    assert ran.status == "timeout"


@pytest.mark.parametrize(
    ("folder", "most"), [("/tmp", mounts.TEMPORARY_BYTES), ("/dev/shm", mounts.SHARED_BYTES)]
)
def test_a_folder_holds_no_more_than_its_size_and_is_empty_again(
    jail: Jail, folder: str, most: int
) -> None:
    source = (
        f"import os\nn = 0\ntry:\n    for i in range(99):\n"
        f"        with open(f'{folder}/{{i}}', 'wb', 0) as f:\n"
        f"            for _ in range(9):\n                n += f.write(bytes(1 << 20))\n"
        f"except OSError as error:\n    print(n)"
    )
    assert 0 < int(said(jail, source)) <= most
    assert said(jail, f"import os; print(os.listdir('{folder}'))") == "[]\n"


def test_one_file_is_limited_too(jail: Jail) -> None:
    assert script(jail, "open('/tmp/x', 'wb').write(bytes(20 << 20))").error.startswith("OSError")


def test_a_flood_of_files_is_ended_and_gone(jail: Jail) -> None:
    source = "i = 0\nwhile True:\n    open(f'/tmp/{i}', 'w').close()\n    i += 1"
    ran = script(jail, source)
    assert (ran.status, ran.error) == ("flooded", "files")
    assert said(jail, "import os; print(os.listdir('/tmp'))") == "[]\n"


def test_descriptors_and_priorities_are_limited(jail: Jail) -> None:
    assert script(jail, "x = [open('/dev/null') for _ in range(99)]").error.startswith("OSError")
    for attempt in ("os.nice(1)", "os.setpriority(0, 1, 19)", "os.sched_setaffinity(1, [0])"):
        assert script(jail, f"import os; {attempt}").error.startswith("PermissionError")
    core = "import resource; print(resource.getrlimit(resource.RLIMIT_CORE))"
    assert said(jail, core) in ("(1, 1)\n", "(0, 0)\n")  # 0 where the host may have no more
    source = "import resource; resource.prlimit(1, resource.RLIMIT_CPU, (1, 1))"
    assert script(jail, source).error.startswith("PermissionError")


# What a program can reach


def test_the_environment_is_ours_and_holds_nothing_of_the_host(
    jail: Jail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEACHER_API_KEY", "canary")
    source = (
        "import glob, os\nprint(sorted(os.environ))\n"
        "print(any(b'canary' in open(p, 'rb').read() for p in glob.glob('/proc/*/environ')))"
    )
    with Jail() as fresh:
        names, leaked = said(fresh, source).splitlines()
    assert set(eval(names)) <= {*interpreter.environment(""), "PWD", "LC_CTYPE"}
    assert leaked == "False"


def test_the_files_of_the_host_are_not_there(jail: Jail) -> None:
    paths = ["/root", "/home", "/etc", "/var", "/sys", "/run", "/usr/bin", "/bin", "/opt", "/mnt"]
    paths += [str(Path(distill.__file__).parent), sys.prefix, str(Path.cwd()), "/proc/1/root"]
    source = "import json, os\nprint(*[p for p in json.loads(input()) if os.path.exists(p)])"
    assert said(jail, source, json.dumps(paths)).split() == []
    roots = said(jail, "import os; print(*sorted(os.listdir('/')))").split()
    assert set(roots) <= {"dev", "lib", "lib64", "proc", "python", "tmp", "usr"}


def test_nothing_that_is_installed_can_be_imported(jail: Jail) -> None:
    source = (
        "import importlib.util as u, json, sys\n"
        "print(*[n for n in ('distill', 'numpy', 'polars', 'pytest', 'pip') if u.find_spec(n)])\n"
        "print(*[n for n in sys.modules if 'distill' in n], '/python' not in sys.prefix)"
    )
    assert said(jail, source).split() == ["False"]


def test_a_program_holds_no_descriptor_of_the_host(jail: Jail) -> None:
    source = (
        "import os\nfor fd in range(256):\n    try:\n        print(fd, os.fstat(fd) and "
        "os.readlink(f'/proc/self/fd/{fd}').split(':')[0])\n    except OSError:\n        pass"
    )
    pipes = "3 pipe\n4 pipe\n"
    assert said(jail, source) == f"0 /tmp/stdin (deleted)\n1 pipe\n2 /dev/null\n{pipes}"
    ran = call(jail, "import os\ndef f():\n    return [os.readlink('/proc/self/fd/1')]")
    assert value(ran.returned[0]) == ["/dev/null"]


def test_there_is_no_network(jail: Jail) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as named:
        named.bind("\0distill-test-jail")
        named.listen()
        for sock in (server, named):
            sock.settimeout(0.1)
        port = server.getsockname()[1]
        for source in (
            f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)",
            "import socket; socket.socket(socket.AF_INET6)",
            "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
            "import socket; socket.socket(socket.AF_UNIX).connect('\\0distill-test-jail')",
        ):
            assert script(jail, source).error.startswith(("PermissionError", "ConnectionRefused"))
        for sock in (server, named):
            with pytest.raises(TimeoutError):
                sock.accept()


def test_nothing_can_be_written_outside_the_two_small_folders(jail: Jail) -> None:
    source = (
        "import os\nok = []\nfor d, _, _ in os.walk('/'):\n"
        "    if not d.startswith('/proc'):\n        try:\n"
        "            open(d + '/x', 'w').close()\n            ok.append(d)\n"
        "        except OSError: pass\nprint(*ok)"
    )
    assert sorted(said(jail, source).split()) == ["/dev/shm", "/tmp"]


def test_other_processes_cannot_be_seen(jail: Jail) -> None:
    source = "import os; print(*[p for p in os.listdir('/proc') if p.isdigit()])"
    assert len(said(jail, source).split()) == 2  # process 1 and the program
    assert said(jail, "import os; print(os.listdir('/proc/1'))") == "[]\n"


def test_every_refused_system_call_is_refused_by_the_kernel(jail: Jail) -> None:
    column = seccomp.MACHINES[os.uname().machine][1]
    numbers = {name: both[column] for name, both in seccomp.REFUSED.items()}
    numbers = {name: number for name, number in numbers.items() if number is not None}
    source = (
        "import ctypes, errno, json\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "def refused(number):\n"
        "    failed = libc.syscall(number, 0, 0, 0, 0, 0) == -1\n"
        "    return failed and ctypes.get_errno() == errno.EPERM\n"
        "print(*[n for n, i in json.loads(input()).items() if not refused(i)])\n"
        "print(libc.syscall(435, 0, 0), ctypes.get_errno() == errno.ENOSYS)\n"
        "print(libc.unshare(0x10000000), libc.unshare(0x20000))"
    )
    assert said(jail, source, json.dumps(numbers)) == "\n-1 True\n-1 -1\n"


def judged(program: bytes, arch: int, number: int, *args: int) -> int:
    """What the kernel would do with a call: the filter, interpreted by its documented meaning."""
    data = struct.pack("<IIQ6Q", number, arch, 0, *(*args, 0, 0, 0, 0, 0, 0)[:6])
    loaded, at = 0, 0
    while True:
        code, then, other, k = map(int, struct.unpack_from("<HBBI", program, 8 * at))
        at += 1
        if code == 0x06:
            return k
        if code == 0x20:
            (loaded,) = struct.unpack_from("<I", data, k)
            continue
        holds = {0x15: loaded == k, 0x25: loaded > k, 0x45: bool(loaded & k)}[code]
        at += then if holds else other


@pytest.mark.parametrize("machine", seccomp.MACHINES)
def test_the_filter_decides_the_same_on_every_machine(machine: str) -> None:
    audit, column = seccomp.MACHINES[machine]
    program = seccomp.program(machine)
    allow, refuse, absent, kill = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
    for both in seccomp.REFUSED.values():
        if (number := both[column]) is not None:
            assert judged(program, audit, number) == refuse
    read, clone, sock, prlimit = [(0, 56, 41, 302), (63, 220, 198, 261)][column]
    assert judged(program, audit, read) == allow
    assert judged(program, audit, clone, 0x11) == allow  # SIGCHLD only: fork
    assert judged(program, audit, clone, 0x10000011) == refuse
    assert judged(program, audit, sock, 1) == allow
    assert judged(program, audit, sock, 2) == refuse
    assert judged(program, audit, prlimit, 0) == allow
    assert judged(program, audit, prlimit, 1) == refuse
    assert judged(program, audit, 435) == absent
    assert judged(program, audit, 451) == absent
    assert judged(program, audit, 0x40000000 + read) == absent
    assert judged(program, 0x40000003, read) == kill
    with pytest.raises(UserError, match="no system-call filter"):
        seccomp.program("riscv64")


# What a program leaves behind


def test_a_daemon_dies_with_its_program_and_costs_no_time(jail: Jail) -> None:
    source = (
        "import os, time, signal\ndef f():\n"
        "    if os.fork() == 0:\n        os.setsid()\n        if os.fork() == 0:\n"
        "            signal.signal(15, signal.SIG_IGN)\n            time.sleep(60)\n"
        "        os._exit(0)\n    return 7"
    )
    start = time.monotonic()
    ran = call(jail, source)
    assert (ran.status, *map(value, ran.returned)) == ("ended", 7)
    assert time.monotonic() - start < 4
    assert len(descendants(supervisor(jail).pid)) == 1  # process 1 of the jail


def test_a_fork_that_comes_back_does_not_answer_twice(jail: Jail) -> None:
    ran = call(jail, "import os\ndef f():\n    os.fork()\n    return 1")
    assert (ran.status, len(ran.returned)) == ("ended", 1)


@pytest.mark.parametrize(
    "attack",
    [
        "os.kill(-1, 9)",
        "os.kill(1, 9)",
        "os.kill(1, 19)",
        "os.kill(os.getppid(), 9)",
        "[os.kill(1, s) for s in range(1, 65)]",
    ],
)
def test_the_supervisor_cannot_be_killed_or_stopped(jail: Jail, attack: str) -> None:
    before = supervisor(jail)
    source = f"import os\ndef f():\n    try:\n        {attack}\n    except OSError:\n        pass\n"
    ran = call(jail, source + "    return 1")
    assert (ran.status, *map(value, ran.returned)) == ("ended", 1)
    assert supervisor(jail) is before


def test_the_supervisor_cannot_be_read_or_written(jail: Jail) -> None:
    for name in ("mem", "environ", "fd/0", "maps", "root", "task/1/mem"):
        assert "FileNotFoundError" in script(jail, f"open('/proc/1/{name}', 'rb')").error


def test_one_program_changes_nothing_for_the_next(jail: Jail) -> None:
    before = supervisor(jail)
    source = (
        "import builtins, json, math, os, sys\nbuiltins.sum = None\njson.dumps = None\n"
        "math.pi = 3\nsys.path.append('/tmp')\nos.environ['X'] = 'y'\nos.chdir('/')\n"
        "sys.modules['heapq'] = None\nsys.setrecursionlimit(50)\nos.umask(0o777)"
    )
    assert script(jail, source).status == "ended"
    check = (
        "import heapq, json, math, os, sys\n"
        "print(sum([1]), json.dumps(1), math.pi > 3, os.getcwd(), os.environ.get('X'))"
    )
    assert said(jail, check) == "1 1 True /tmp None\n"
    assert supervisor(jail) is before


def test_a_folder_that_was_locked_is_open_for_the_next(jail: Jail) -> None:
    for mode in (0o000, 0o500):
        source = f"import os; os.chmod('/tmp', {mode}); os.chmod('/dev/shm', {mode}); print(1)"
        assert said(jail, source) == "1\n"
        assert said(jail, "open('/tmp/x', 'w').close(); print(2)") == "2\n"


def left_by(word: str, builds: str) -> str:
    """A source that makes the word without having it, so that only what it makes can be found."""
    return f"word = ''.join(['QZ', 'X', {word!r}])\n{builds}"


# Its own word shows that it finds what is there; the pattern is none.
_SCAN = """
import re
own = b"".join([b"QZ", b"Xitself"])
found = set()
for line in open("/proc/self/maps"):
    place, rights, *_ = line.split()
    if rights[0] != "r" or "[v" in line:
        continue
    start, end = (int(number, 16) for number in place.split("-"))
    with open("/proc/self/mem", "rb", 0) as memory:
        memory.seek(start)
        for at in range(start, end, 1 << 22):
            found.update(re.findall(rb"Q[Z]X([a-z]+)", memory.read(min(1 << 22, end - at)) or b""))
print(*sorted(word.decode() for word in found))
"""


def test_nothing_of_a_program_is_in_the_memory_of_the_next(jail: Jail) -> None:
    def carried(word: str) -> bytes:
        return encode(([f"QZX{word}" * 50], {}))

    jail.run(HONEST, timeout_s=10)
    before = supervisor(jail)
    says = "def f(x=None):\n    return word * 50"
    for source in ("# QZXsource\ndef f(x): return 1", left_by("returned", says)):
        ran = jail.run(Program(source, (Call("f", carried("argument")),)), timeout_s=10)
        assert (ran.status, ran.returned[0].raised) == ("ended", None)
    assert "QZXstdin" in said(jail, "print(input() * 50)", "QZXstdin" * 50)
    assert "QZXprinted" in said(jail, left_by("printed", "print(word * 50)"))
    assert "QZXraised" in script(jail, left_by("raised", "raise ValueError(word * 9)")).error
    with jail.talk(left_by("answered", says), timeout_s=10) as talk:
        assert talk.call("f", carried("asked")).raised is None
    ran = jail.ask(
        "assert f('QZXtester') is None",
        names=["f"],
        answer=lambda *_: Returned(carried("replied")),
        timeout_s=10,
    )
    assert ran.error == "AssertionError: "
    assert said(jail, _SCAN) == "itself\n"
    assert supervisor(jail) is before


def test_an_attribute_of_a_folder_is_not_there_for_the_next(jail: Jail) -> None:
    # Folders as deny-all to anybody but their owner: the kernel's version 2, tag, rights, nobody.
    entries = "((1, 0), (4, 0), (32, 0))"
    for folder in ("/tmp", "/dev/shm"):
        source = (
            "import os, struct\nacl = struct.pack('<I', 2)\n"
            f"for entry in {entries}:\n    acl += struct.pack('<HHI', *entry, 2**32 - 1)\n"
            f"os.setxattr('{folder}', 'system.posix_acl_default', acl)\nprint(1)"
        )
        assert said(jail, source) == "1\n"
        source = f"import os\nopen('{folder}/x', 'w').close()\nprint(open('{folder}/x').read())\n"
        assert said(jail, source + f"print(os.listxattr('{folder}'))") == "\n[]\n"


def test_a_file_without_a_name_is_seen_by_the_room_it_takes(jail: Jail) -> None:
    """Nobody is known to be able to leave one; this is what would tell us."""
    source = Path(leftovers.__file__).read_text(encoding="utf-8") + (
        "\nfor folder in ('/tmp', '/dev/shm'):\n"
        "    before = state_of(folder, own=True)\n"
        "    file = os.open(folder + '/x', os.O_RDWR | os.O_CREAT)\n    os.unlink(folder + '/x')\n"
        "    empty = state_of(folder, own=True)\n    os.write(file, b'x')\n"
        "    full = state_of(folder, own=True)\n    os.close(file)\n"
        "    after = state_of(folder, own=True)\n"
        "    print(len(set(map(str, (before, empty, full)))), before == after)\n"
    )
    assert said(jail, source) == "3 True\n3 True\n"


@pytest.mark.parametrize("once", [False, True])
def test_a_file_left_behind_is_not_there_for_the_next(once: bool) -> None:
    with Jail(once=once) as jail:
        assert said(jail, "open('/tmp/a', 'w').close(); print(1)") == "1\n"
        assert said(jail, "import os; print(os.listdir('/tmp'))") == "[]\n"


def test_a_jail_is_renewed_after_so_many_programs() -> None:
    with Jail() as jail:
        jail.run(HONEST, timeout_s=10)
        before = supervisor(jail)
        for _ in range(MAX_RUNS - 2):
            jail.run(HONEST, timeout_s=10)
        assert supervisor(jail) is before
        jail.run(HONEST, timeout_s=10)
        assert supervisor(jail) is not before


def test_no_process_and_no_zombie_is_left_when_jails_are_closed() -> None:
    before = set(descendants(os.getpid()))
    for once in (False, True):
        with Jail(once=once) as jail:
            script(jail, "import os, time\nos.fork()\ntime.sleep(60)", timeout_s=0.2)
            jail.run(HONEST, timeout_s=10)
    assert set(descendants(os.getpid())) <= before


def test_no_process_is_left_when_the_host_is_killed() -> None:
    code = (
        "from distill.jail.session import Jail\nfrom distill.jail.program import Program\n"
        "with Jail() as jail:\n    jail.run(Program('', stdin=''), timeout_s=10)\n"
        "    print('go', flush=True)\n"
        "    jail.run(Program('while True: pass', stdin=''), timeout_s=60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == b"go\n"
        deadline = time.monotonic() + 10
        while len(inside_it := descendants(host.pid)) < 3:  # bubblewrap, process 1, the program
            assert time.monotonic() < deadline
        host.kill()
    while any(state(pid) not in "Z-" for pid in inside_it):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "-"


# Our own failures


def test_a_jail_that_is_killed_from_outside_has_failed_and_comes_back(jail: Jail) -> None:
    jail.run(HONEST, timeout_s=10)
    process = supervisor(jail)
    timer = threading.Timer(0.3, process.kill)
    timer.start()
    ran = script(jail, "import time; time.sleep(5)")
    timer.join()
    assert ran.status == "jail_failed"
    jail.run(HONEST, timeout_s=10)
    supervisor(jail).kill()
    time.sleep(0.1)
    assert jail.run(HONEST, timeout_s=10).status == "ended"


def test_a_jail_outlives_the_thread_that_started_it() -> None:
    with Jail() as jail, ThreadPoolExecutor(1) as pool:
        assert pool.submit(jail.run, HONEST, timeout_s=10).result().status == "ended"
        pool.shutdown()
        time.sleep(0.1)
        assert jail.run(HONEST, timeout_s=10).status == "ended"


def test_eight_jails_at_once_never_fail() -> None:
    def work(_: int) -> set[str]:
        with Jail() as jail:
            return {jail.run(HONEST, timeout_s=30).status for _ in range(5)}

    with ThreadPoolExecutor(8) as pool:
        assert set().union(*pool.map(work, range(8))) == {"ended"}


def test_a_jail_starts_through_a_pipe_that_holds_less_than_its_modules(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As the pipes are of a user who has many (pipe(7)); here they are small from the start."""
    small = 4096
    assert len(process.program(compiled=True, rules=b"", service=None)) > small
    monkeypatch.setattr(subprocess, "Popen", partial(subprocess.Popen, pipesize=small))
    with Jail() as jail:
        assert jail.run(HONEST, timeout_s=10).status == "ended"
        assert said(jail, "print(len(input()))", "x" * 99_999) == "99999\n"


def test_what_does_not_start_is_our_failure_not_the_programs() -> None:
    with Jail(jailer=Jailer(Path("/bin/false"))) as jail:
        assert jail.run(HONEST, timeout_s=10).status == "jail_failed"
        with jail.talk("", timeout_s=10) as candidate:
            assert candidate.ended is not None
            assert candidate.ended.status == "jail_failed"
            assert candidate.call("f", encode(([], {}))).raised == "candidate jail_failed"
    with Jail(jailer=Jailer(Path("/nowhere/bwrap"))) as jail:
        assert jail.run(HONEST, timeout_s=10).status == "jail_failed"


# Two jails


def test_a_tester_in_one_jail_asks_a_candidate_in_another(jail: Jail) -> None:
    candidate = "seen = []\ndef add(a, b):\n    seen.append(a)\n    return a + b, len(seen)"
    tester = (
        "assert add(1, 2) == (3, 1)\nassert add('a', b='b') == ('ab', 2)\n"
        "try:\n    add(1, 'x')\nexcept TypeError:\n    pass\nelse:\n    raise AssertionError\n"
    )
    with Jail() as other, other.talk(candidate, timeout_s=10) as talk:
        assert talk.ended is None
        ran = jail.ask(tester, names=["add"], answer=talk.call, timeout_s=10)
        assert (ran.status, ran.error) == ("ended", "")
        ran = jail.ask("assert add(1, 1) == 2, 'no'", names=["add"], answer=talk.call, timeout_s=9)
        assert (ran.status, ran.error) == ("raised", "AssertionError: no")


def test_a_candidate_that_claims_to_equal_everything_does_not(jail: Jail) -> None:
    candidate = "class Y:\n    def __eq__(s, o): return True\ndef f(): return Y()"
    with Jail() as other, other.talk(candidate, timeout_s=10) as talk:
        ran = jail.ask("assert f() == 1", names=["f"], answer=talk.call, timeout_s=10)
    assert ran.error == "AssertionError: "


@pytest.mark.parametrize(
    ("candidate", "status"),
    [
        ("import os\ndef f():\n    os._exit(0)", "died"),
        ("def f():\n    while True: pass", "timeout"),
        ("raise ValueError", "raised"),
        ("import os\ndef f():\n    os.write(3, b'x' * 99)", "died"),
        ("import os\ndef f():\n    while True: os.write(1, b'x' * 99999)", "timeout"),
    ],
)
def test_a_conversation_ends_with_its_candidate(jail: Jail, candidate: str, status: str) -> None:
    with jail.talk(candidate, timeout_s=1) as talk:
        assert talk.call("f", encode(([], {}))).raised == f"candidate {status}"
        assert talk.ended is not None
        assert talk.ended.status == status
        assert talk.call("f", encode(([], {}))).raised == f"candidate {status}"


def test_megabytes_go_down_to_a_candidate(jail: Jail) -> None:
    with jail.talk("def f(x):\n    return len(x)", timeout_s=20) as talk:
        for size in (0, 1, 1 << 16, (1 << 16) + 1, 15 << 20):
            answer = talk.call("f", encode(([bytes(size)], {})))
            assert value(answer) == size


@pytest.mark.parametrize(("does", "status"), [("os.close(4)", "raised"), ("os.dup2(0, 4)", "died")])
def test_what_a_candidate_does_not_read_is_not_read_by_the_next(
    jail: Jail, does: str, status: str
) -> None:
    before = supervisor(jail)
    with jail.talk(f"import os\ndef f(x):\n    {does}", timeout_s=10) as talk:
        talk.call("f", encode(([1], {})))
        talk.call("f", encode(([bytes(4 << 20)], {})))
        assert talk.ended is not None
        assert talk.ended.status == status
    assert [value(each) for each in jail.run(HONEST, timeout_s=10).returned] == [42]
    assert supervisor(jail) is before or status == "died"


def test_a_candidate_that_answers_without_reading_is_hung_up_on(jail: Jail) -> None:
    forged = (
        "import os, struct, time\nfrom collections import deque\n"
        "def f(x):\n    for n in (1, 2):\n"
        "        body = b't\\4\\0\\0\\0s\\6\\0\\0\\0answeri\\1\\0\\0\\0' + bytes([n])"
        " + b'b\\1\\0\\0\\0NN'\n"
        "        os.write(3, struct.pack('<I', len(body)) + body)\n    time.sleep(60)"
    )
    start = time.monotonic()
    with jail.talk(forged, timeout_s=20) as talk:
        assert talk.call("f", encode(([1], {}))).value == b"N"
        assert talk.call("f", encode(([bytes(99_999)], {}))).value == b"N"
    assert time.monotonic() - start < 5


def test_an_answer_that_fits_no_frame_floods_its_tester(jail: Jail) -> None:
    """One byte less than a value may have leaves no room for what is around it."""
    ran = jail.ask(
        "f()",
        names=["f"],
        answer=lambda *_: Returned(bytes(codec.MAX_BYTES - 1)),
        timeout_s=10,
    )
    assert ran.status == "flooded"
    with jail.talk("def f(x): pass", timeout_s=10) as talk:
        assert talk.call("f", bytes(codec.MAX_BYTES - 1)).raised == "candidate flooded"


# Refusing


@pytest.fixture
def not_isolating() -> Iterator[Path]:
    """A bubblewrap that starts what it is given, and isolates nothing."""
    python = interpreter.interpreter().executable
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder, "bwrap")
        path.write_text(
            '#!/bin/sh\nwhile [ "$1 $2" != "/python/bin/python3 -P" ]; do shift; done\n'
            f'shift\nLD_LIBRARY_PATH={python.parent.parent}/lib exec {python} "$@"\n'
        )
        path.chmod(0o755)
        yield path


def test_the_jail_here_repels_the_attacks_that_are_made_before_it_is_trusted() -> None:
    assert jail_or_refuse() == installed()[0]


def test_a_second_choice_is_taken_where_the_first_does_not_hold(nsjail: Jailer) -> None:
    assert first_trusted([Jailer(Path("/bin/false")), nsjail]) == nsjail
    assert weakness(nsjail) == ""


def test_no_jailer_is_a_refusal_that_says_what_to_do() -> None:
    with pytest.raises(UserError, match=r"apt-get install bubblewrap.*--unsafe-no-sandbox"):
        first_trusted(())


def test_a_bubblewrap_that_does_not_work_is_refused() -> None:
    with pytest.raises(UserError, match="does not start a jail"):
        first_trusted((Jailer(Path("/bin/false")),))
    with pytest.raises(UserError, match="does not start a jail"):
        first_trusted((Jailer(Path("/bin/true")),))


def test_a_bubblewrap_that_does_not_isolate_is_refused(not_isolating: Path) -> None:
    found = weakness(Jailer(not_isolating))
    for part in ("reads a file", "connects", "sees processes", "writes outside", "forks"):
        assert part in found


# Without a jail, on explicit request


def test_without_a_sandbox_programs_run_and_limits_hold() -> None:
    before = set(descendants(os.getpid()))
    with Jail(unsafe_no_sandbox=True) as jail:
        assert jail.run(HONEST, timeout_s=10).status == "ended"
        assert "TEACHER" not in said(jail, "import os; print(os.environ)")
        assert call(jail, "def f():\n    bytearray(3 << 30)").status == "memory"
        assert script(jail, "while True: pass", timeout_s=0.3).status == "timeout"
        daemon = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(60)"
        assert script(jail, daemon).status == "ended"
        assert script(jail, "import os; os.kill(os.getppid(), 9); os.wait()").status == "died"
        assert jail.run(HONEST, timeout_s=10).status == "ended"
    assert set(descendants(os.getpid())) <= before


def test_a_pipe_that_stays_open_costs_no_time() -> None:
    """Two sockets that are sent to each other live until the kernel looks for such; in a jail
    nothing can be sent so.
    """
    source = (
        "import array, socket\na, b = socket.socketpair()\n"
        "held = array.array('i', [a.fileno(), b.fileno(), 1, 3])\n"
        "b.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, held)])\nprint(1)"
    )
    start = time.monotonic()
    with Jail(unsafe_no_sandbox=True) as jail:
        assert said(jail, source) == "1\n"
        assert said(jail, "print(2)") == "2\n"
    assert time.monotonic() - start < 4


def test_a_fork_that_drops_a_bare_jail_leaves_its_folder() -> None:
    program = Program("import os\nprint(os.listdir('.'))", stdin="")
    code = (
        "import os\n"
        "from distill.jail.program import Program\n"
        "from distill.jail.session import Jail\n"
        f"program = {program!r}\n"
        "jail = Jail(unsafe_no_sandbox=True).__enter__()\n"
        "assert jail.run(program, timeout_s=20).status == 'ended'\n"
        "if (pid := os.fork()) == 0:\n"
        "    del jail\n"
        "    os._exit(0)\n"
        "os.waitpid(pid, 0)\n"
        "print(jail.run(program, timeout_s=20).status)\n"
        "jail.__exit__(None, None, None)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "ended\n", done.stderr
