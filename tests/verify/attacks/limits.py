"""Programs that take too much: time, memory, processes, files, output."""

from tests.verify.attacks.attack import HONEST, JUDGED, TIMEOUT, WRONG, Attack

_IMPORTS = "import ctypes, os, re, signal, socket, sys, threading, time\n"
HANG_S = 0.3  # of those that do nothing until they are ended


def _hangs(name: str, body: str, *, load: str = "") -> Attack:
    source = f"{_IMPORTS}{load}\ndef f(x):\n    {body}\n    return x * x + 1\n"
    return Attack(name=name, source=source, labels=TIMEOUT, timeout_s=HANG_S)


def _takes(
    name: str, body: str, *, labels: frozenset[str] = JUDGED, timeout_s: float = 30.0
) -> Attack:
    source = f"{_IMPORTS}def f(x):\n    {body}\n    return -1\n"
    return Attack(name=name, source=source, labels=labels, timeout_s=timeout_s)


_UNTIL_REFUSED = "    except (OSError, MemoryError, RuntimeError):\n        pass"


def _until(what: str) -> str:
    return f"try:\n        while True:\n            {what}\n{_UNTIL_REFUSED}"


LIMITS = (
    _hangs("sleeps", "time.sleep(9)"),
    _hangs("spins", "while True: pass"),
    _hangs("sleeps_on_load", "pass", load="time.sleep(9)\n"),
    _hangs("sleeps_from_the_second_call_on", "x and x != 3 and time.sleep(9)"),
    _hangs(
        "ignores_all_signals",
        "[signal.signal(n, signal.SIG_IGN) for n in range(1, 65) if n not in (9, 19, 32, 33)]\n"
        "    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n    while True: pass",
    ),
    _hangs("stops_itself", "os.kill(os.getpid(), signal.SIGSTOP)"),
    _hangs("a_product_without_end", "10 ** 10 ** 10"),
    _hangs("a_pattern_without_end", "re.match('(a+)+$', 'a' * 60 + 'b')"),
    _hangs("keys_that_collide_without_end", "{n * (2**61 - 1) for n in range(200_000)}"),
    _hangs("waits_for_a_thread", "threading.Event().wait()"),
    _hangs(
        "its_children_wait_for_it",
        "[os.fork() or time.sleep(99) for _ in range(3)]\n    os.wait()",
    ),
    _hangs("a_lock_in_a_fork", "os.fork()\n    os.read(os.pipe()[0], 1)"),
    Attack(
        name="cleanup_without_end",
        source="class D:\n    def __del__(self):\n        while True:\n            pass\n"
        "def f(x):\n    D()\n    return x * x + 1\n",
        labels=TIMEOUT,
        timeout_s=HANG_S,
    ),
    _takes("three_gigabytes", "bytearray(3 << 30)", labels=TIMEOUT),
    _takes(
        "memory_bit_by_bit", "a = []\n    while True: a.append(bytearray(1 << 26))", labels=TIMEOUT
    ),
    _takes(
        "memory_of_many_processes",
        "[os.fork() for _ in range(3)]\n    a = bytearray(b'x') * (1 << 28)\n    time.sleep(9)",
        labels=TIMEOUT,
    ),
    _takes("forks_until_refused", _until("os.fork()"), timeout_s=2),
    _takes(
        "threads_until_refused", _until("threading.Thread(target=time.sleep, args=(9,)).start()")
    ),
    _takes("descriptors_until_refused", _until("os.open('/dev/null', 0)"), labels=WRONG),
    _takes("sockets_until_refused", "a = []\n    " + _until("a += socket.socketpair()")),
    _takes("a_full_disk", "g = open('/tmp/a', 'wb')\n    " + _until("g.write(bytes(1 << 20))")),
    _takes(
        "a_full_memory_disk",
        "g = open('/dev/shm/a', 'wb')\n    " + _until("g.write(bytes(1 << 20))"),
    ),
    _takes("files_without_end", "n = 0\n    " + _until("n += 1; os.mkdir(f'/tmp/{n}')")),
    _takes("a_deep_folder", "n = 0\n    while n < 3000: os.mkdir('a'); os.chdir('a'); n += 1"),
    _takes(
        "its_limits_raised", "import resource\n    resource.setrlimit(resource.RLIMIT_AS, (-1, -1))"
    ),
    _takes("prints_without_end", "while True: os.write(1, bytes(1 << 20))", timeout_s=HANG_S),
    _takes("errors_without_end", "while True: os.write(2, bytes(1 << 20))", timeout_s=HANG_S),
    _takes("prints_megabytes", "print('10' * 5_000_000)", labels=WRONG),
    _takes("a_list_of_a_list", "sys.setrecursionlimit(10**8)\n    eval('[' * 90 + ']' * 90)"),
    _takes("a_crash_of_the_parser", "compile('-' * 500_000 + '1', 'x', 'eval')"),
    Attack(
        name="threads_that_stay",
        source="import threading, time\nfor _ in range(5):\n"
        "    threading.Thread(target=time.sleep, args=(99,)).start()\n"
        + HONEST.replace("+ 1", "- 1"),
        labels=WRONG,
    ),
)
