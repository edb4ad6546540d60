"""Programs that leave something behind for the next one in the same jail."""

from tests.verify.attacks.attack import CALLS, SCRIPT, Attack

_ACL = """
import os, struct
def acl(*entries):
    return struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *one, 2**32 - 1) for one in entries)
for folder in ('/tmp', '/dev/shm'):
    os.setxattr(folder, 'system.posix_acl_default', acl((1, 0), (4, 0), (32, 0)))
def f(x):
    return -1
"""
# Two sockets that are on their way to each other, with whatever else is in the bundle, are not
# closed by the end of the program; the kernel clears them away when it gets round to it.
_ON_THE_WAY = """
import array, os, socket
a, b = socket.socketpair()
held = [a.fileno(), b.fileno()]
{more}
b.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', held))])
def f(x):
    return -1
"""
_FULL = """
for n in range(2):
    held.append(os.open('/tmp/' + str(n), os.O_RDWR | os.O_CREAT))
    os.unlink('/tmp/' + str(n))
    try:
        while True:
            os.write(held[-1], bytes(1 << 16))
    except OSError:
        pass
"""
# Frees of the warm jail's process 1 keep what the programs before returned.
_THIEF = """
import sys
def f(x):
    decode = None
    frame = sys._getframe()
    while frame:
        decode = frame.f_globals.get('decode', decode)
        frame = frame.f_back
    needle = b'retur' + b'nedb'
    for line in open('/proc/self/maps'):
        parts = line.split()
        if 'rw' not in parts[1] or len(parts) > 5 and parts[5][:2] == '[v':
            continue
        start, end = (int(n, 16) for n in parts[0].split('-'))
        with open('/proc/self/mem', 'rb') as memory:
            try:
                memory.seek(start)
                data = memory.read(end - start)
            except (OSError, ValueError, OverflowError):
                continue
        at = data.find(needle)
        while at >= 0:
            size = int.from_bytes(data[at + 9:at + 13], 'little')
            try:
                value = decode(data[at + 13:at + 13 + size])
            except ValueError:
                value = None
            if type(value) is str and len(value) > 40:
                return value
            at = data.find(needle, at + 1)
    return -1
"""


def _leaves(name: str, body: str, *, gold: str = CALLS, timeout_s: float = 30.0) -> Attack:
    source = "import os, signal, socket, sys, threading, time\n" + body
    return Attack(name=f"leaves_{name}", source=source, gold=gold, timeout_s=timeout_s)


def _daemon(work: str) -> str:
    return (
        "import ctypes\ndef f(x):\n    if os.fork() == 0:\n        os.setsid()\n"
        "        if os.fork() == 0:\n            ctypes.CDLL(None).prctl(15, b'@TOKEN@', 0, 0, 0)\n"
        f"            while True:\n                {work}\n"
        "        os._exit(0)\n    time.sleep(0.05)\n    return -1\n"
    )


FOLLOWERS = (
    _leaves("a_daemon", _daemon("time.sleep(1)")),
    _leaves("a_daemon_that_kills", _daemon("os.kill(-1, signal.SIGKILL)")),
    _leaves("a_daemon_that_stops_others", _daemon("os.kill(-1, signal.SIGSTOP)"), timeout_s=0.3),
    _leaves("a_daemon_that_writes_files", _daemon("open('/tmp/' + str(time.time()), 'w').close()")),
    _leaves(
        "a_daemon_that_survives_signals",
        _daemon("signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65)); time.sleep(1)"),
    ),
    _leaves(
        "a_traced_looking_orphan",
        "def f(x):\n    if os.fork() == 0:\n        os.kill(os.getpid(), signal.SIGSTOP)\n"
        "    return -1\n",
    ),
    _leaves(
        "a_writer_of_its_pipe",
        "def f(x):\n    if os.fork() == 0:\n        while True:\n            time.sleep(0.01)\n"
        "            os.write(3, b'noise')\n    return -1\n",
    ),
    _leaves(
        "modules_that_lie",
        "import builtins, json, math, random, re, tempfile\nmath.isclose = lambda *a: False\n"
        "json.dumps = lambda *a: '{}'\nre.match = lambda *a: None\nrandom.seed = lambda *a: None\n"
        "builtins.sorted = lambda *a: []\nsys.setrecursionlimit(50)\nsys.path[:] = []\n"
        "for name in list(sys.modules):\n    if name not in ('sys', 'builtins'):\n"
        "        sys.modules[name] = None\ndef f(x):\n    return -1\n",
    ),
    _leaves(
        "modules_in_the_folder",
        "for name in ('json', 'random', 'sitecustomize', 'usercustomize', 'solution'):\n"
        "    open(f'/tmp/{name}.py', 'w').write('raise SystemExit(0)')\ndef f(x):\n    return -1\n",
    ),
    _leaves(
        "its_own_stdin",
        "open('/tmp/stdin', 'w').write('9')\n"
        "os.symlink('/dev/null', '/tmp/a')\ndef f(x):\n    return -1\n",
    ),
    _leaves(
        "a_locked_folder",
        "os.chmod('/tmp', 0)\nos.chmod('/dev/shm', 0)\ndef f(x):\n    return -1\n",
    ),
    _leaves("a_fifo", "os.mkfifo('/tmp/a')\nos.mkfifo('/dev/shm/a')\ndef f(x):\n    return -1\n"),
    _leaves("a_hidden_file", "open('/dev/shm/.x', 'w').write('10')\ndef f(x):\n    return -1\n"),
    _leaves(
        "other_limits",
        "import resource\nfor n in (0, 1, 3, 6, 7, 9):\n    resource.setrlimit(n, (1, 1))\n"
        "def f(x):\n    return -1\n",
    ),
    _leaves("another_mask", "os.umask(0o777)\nos.chdir('/proc')\ndef f(x):\n    return -1\n"),
    _leaves(
        "a_timer",
        "signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)\nsignal.alarm(1)\n"
        "def f(x):\n    return -1\n",
    ),
    _leaves(
        "a_socket_name",
        "s = socket.socket(socket.AF_UNIX)\ns.bind('\\0name')\n"
        "s.listen()\ndef f(x):\n    return -1\n",
    ),
    _leaves(
        "permissions_of_future_files",
        _ACL,
    ),
    _leaves(
        "a_full_folder_on_the_way",
        _ON_THE_WAY.format(more=_FULL),
    ),
    _leaves("its_pipe_on_the_way", _ON_THE_WAY.format(more="held += [1, 3]"), timeout_s=0.3),
    _leaves(
        "a_script_and_its_pipe_on_the_way",
        _ON_THE_WAY.format(more="held += [1, 3]"),
        gold=SCRIPT,
        timeout_s=0.3,
    ),
)

THIEF = _THIEF
