"""Programs that speak for the runner beside them, or for its supervisor; and that leave early."""

from tests.verify.attacks.attack import JUDGED, TIMEOUT, UNVERIFIABLE, WRONG, Attack

# The runner's own encoding, written anew: 3 goes up, 4 comes down.
_CODEC = """
import ctypes, os, signal, struct, sys, threading
def text(s):
    return b's' + struct.pack('<I', len(s)) + s.encode()
def blob(b):
    return b'b' + struct.pack('<I', len(b)) + b
def number(n):
    return b'i' + struct.pack('<I', 9) + n.to_bytes(9, 'little', signed=True)
def frame(*parts):
    return b't' + struct.pack('<I', len(parts)) + b''.join(parts)
def say(body, fd=3):
    os.write(fd, struct.pack('<I', len(body)) + body)
def returned(value):
    return frame(text('returned'), blob(value), b'N')
def end(status='ended'):
    return frame(text('end'), text(status), text(''))
def f(x):
    return -1
"""


def _forged(name: str, body: str, *, labels: frozenset[str] = WRONG, **more: object) -> Attack:
    return Attack(name=name, source=_CODEC + body, labels=labels, **more)  # type: ignore[arg-type]


def _leaves(name: str, how: str, *, fools: str = "", labels: frozenset[str] = WRONG) -> Attack:
    source = f"import ctypes, os, signal, sys\ndef f(x):\n    {how}\n    return -1\n"
    return Attack(name=f"leaves_by_{name}", source=source, labels=labels, fools=fools)


FORGERIES = (
    _forged("end_of_a_program_that_passed", "say(end())\nos._exit(0)\n"),
    _forged("end_in_a_call", "def f(x):\n    say(end())\n    os._exit(0)\n"),
    _forged(
        "guesses_as_results",
        "for n in (10, 10, 10):\n    say(returned(number(n)))\nsay(end())\nos._exit(0)\n",
    ),
    _forged(
        "many_guesses",
        "for n in range(1000):\n    say(returned(number(n)))\nsay(end())\nos._exit(0)\n",
    ),
    _forged("result_before_its_call", "def f(x):\n    say(returned(number(10)))\n    return -1\n"),
    _forged("says_that_the_jail_failed", "say(end('jail_failed'))\nos._exit(0)\n"),
    _forged("says_that_time_was_up", "say(end('timeout'))\nos._exit(0)\n"),
    _forged(
        "asks_the_host",
        "def f(x):\n    say(frame(text('ask'), text('f'), blob(b'N')))\n    return -1\n",
    ),
    _forged("a_frame_of_nothing", "say(b't' + struct.pack('<I', 0))\n"),
    _forged("a_frame_of_four_gigabytes", "os.write(3, b'\\xff\\xff\\xff\\xff')\n"),
    _forged("half_a_frame", "os.write(3, struct.pack('<I', 100) + b't')\nos._exit(0)\n"),
    _forged("frames_in_frames", "say(b't\\x01\\0\\0\\0' * 5000 + b'N')\n"),
    _forged("a_count_of_four_billion", "say(b'l\\xff\\xff\\xff\\xff')\n"),
    _forged("a_list_as_a_key", "say(returned(b'S\\x01\\0\\0\\0l\\0\\0\\0\\0'))\n", labels=JUDGED),
    _forged(
        "a_type_name_that_no_file_takes",
        "for _ in range(3):\n"
        "    say(returned(b'o\\x03\\0\\0\\0\\xed\\xa0\\x80'))\nsay(end())\nos._exit(0)\n",
        labels=UNVERIFIABLE,
    ),
    _forged(
        "an_error_that_no_file_takes",
        "say(frame(text('returned'), b'N', b's\\x03\\0\\0\\0\\xed\\xa0\\x80'))\nsay(end())\n"
        "os._exit(0)\n",
    ),
    _forged(
        "the_supervisors_last_word_on_all_descriptors",
        # HEAD of the supervisor: size, nonce, kind; the nonce is in the frames above.
        "nonces, up = {bytes(8)}, sys._getframe()\nwhile up:\n"
        "    for one in up.f_locals.values():\n"
        "        nonces.add(getattr(one, '_nonce', bytes(8)))\n    up = up.f_back\n"
        "last = frame(number(0), b'f' + bytes(8), text(''), b'T')\n"
        "for nonce in nonces:\n    for fd in range(256):\n        try:\n"
        "            for kind, body in ((b'u', returned(number(10))), (b'e', last)):\n"
        "                os.write(fd, struct.pack('<I8sc', len(body), nonce, kind) + body)\n"
        "        except OSError:\n            pass\n",
    ),
    _forged(
        "a_codec_that_always_says_ten",
        "up = sys._getframe()\nwhile up:\n    for name in ('encode', 'decode'):\n"
        "        if name in up.f_globals:\n"
        "            up.f_globals[name] = lambda *a, **k: number(10)\n    up = up.f_back\n"
        "pass\n",
    ),
    _forged(
        "a_codec_found_by_the_collector",
        "import gc\nfor one in gc.get_objects():\n"
        "    if type(one) is type(say) and one.__name__ in ('encode', '_write', '_write_all'):\n"
        "        one.__code__ = (lambda *a: b'T').__code__\n",
    ),
    _forged(
        "pipes_that_send_what_they_like",
        "up = sys._getframe()\nwhile up:\n    if 'Pipes' in up.f_globals:\n"
        "        up.f_globals['Pipes'].send = lambda self, value: say(returned(number(10)))\n"
        "    up = up.f_back\n",
    ),
    _forged(
        "a_fork_and_a_thread_answer_too",
        "def f(x):\n    threading.Thread(target=lambda: "
        "[say(returned(number(10))) for _ in 'ab']).start()\n"
        "    if os.fork() == 0:\n        say(returned(number(17)))\n"
        "        return 17\n    return -1\n",
    ),
    _forged("all_descriptors_closed", "os.closerange(0, 256)\n"),
    _forged("output_goes_up", "os.dup2(3, 1)\nos.dup2(3, 2)\nprint('10', flush=True)\n"),
    _forged(
        "noise_on_all_descriptors",
        "for fd in range(256):\n    try:\n        os.write(fd, os.urandom(999))\n"
        "    except OSError:\n        pass\n",
    ),
    _forged(
        "a_pipe_turned_around",
        "fd = os.open('/proc/self/fd/3', os.O_RDONLY)\n"
        "other = os.open('/proc/self/fd/4', os.O_WRONLY)\n"
        "say(number(10), other)\nos.dup2(other, 3)\n",
    ),
    _forged(
        "a_pipe_that_blocks_nobody",
        "import fcntl\nfor fd in (3, 4):\n    fcntl.fcntl(fd, 1031, 4096)\n"
        "    fcntl.fcntl(fd, fcntl.F_SETOWN, 1)\n"
        "    fcntl.fcntl(fd, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)\n"
        "def f(x):\n    return 'x' * 1_000_000\n",
    ),
    _forged(
        "a_flood_of_frames",
        "while True:\n    say(returned(number(10)))\n",
        timeout_s=30,
    ),
    _forged(
        "a_flood_without_frames",
        "os.write(3, struct.pack('<I', 16 << 20))\nwhile True:\n    os.write(3, bytes(1 << 16))\n",
    ),
)

LEAVERS = (
    _leaves("os_exit", "os._exit(0)", fools="exit"),
    _leaves("sys_exit", "sys.exit(0)", fools="exit"),
    _leaves("system_exit_of_a_class", "raise type('AssertionError', (SystemExit,), {})(0)"),
    _leaves("keyboard_interrupt", "raise KeyboardInterrupt"),
    _leaves("kill", "os.kill(os.getpid(), signal.SIGKILL)"),
    _leaves("kill_of_all", "os.kill(-1, signal.SIGKILL)"),
    _leaves("the_signal_of_spent_time", "os.kill(os.getpid(), 24)", labels=TIMEOUT),
    _leaves("abort", "os.abort()"),
    _leaves("a_null_pointer", "ctypes.string_at(0)"),
    _leaves("writing_memory", "ctypes.memset(id(0), 255, 64); ctypes.memset(id(None), 255, 64)"),
    _leaves("exec", "os.execv('/python/bin/python3', ['python3', '-c', 'print(10)'])"),
    _leaves(
        "an_exception_with_a_name_of_pages",
        "raise type('AssertionError' + 'x' * 100_000 + chr(10), (Exception,), {})",
    ),
    _leaves(
        "an_exception_that_cannot_be_shown",
        "raise type('E', (BaseException,), {'__str__': lambda s: 1 / 0, '__class__': int})",
    ),
    _leaves(
        "a_recursion_without_end",
        "g = lambda n: g(n + 1)\n    sys.setrecursionlimit(10**9)\n    return g(0)",
        labels=JUDGED,
    ),
    _leaves("a_marker", "print('PASS', flush=True); os._exit(0)", fools="marker"),
)
