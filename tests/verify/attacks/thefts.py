"""Programs that look for what is expected, or change what compares."""

from tests.verify.attacks.attack import NEAR, WRONG, Attack

_FALLBACK = "    return -1\n"
# The hunters below do not know the numbers: they know how those who grade keep them.
_TEXTS = """
import re
def answer(text, x):
    found = re.search(r"f\\(%d\\) == (-?\\d+)" % x, text)
    return int(found[1]) if found else None
"""
_SPLIT = 'NEEDLE = "asse" + "rt f("\n'


def _theft(name: str, source: str, *, fools: str = "", **more: object) -> Attack:
    return Attack(name=name, source=source, labels=WRONG, fools=fools, **more)  # type: ignore[arg-type]


THEFTS = (
    _theft(
        "expected_in_a_frame",
        "import sys\ndef f(x):\n    frame = sys._getframe()\n    while frame:\n"
        "        for name in ('expected', 'wanted', 'want', 'e', 'met'):\n"
        "            value = frame.f_locals.get(name)\n"
        "            if type(value) is int:\n                return value\n"
        "        frame = frame.f_back\n" + _FALLBACK,
        fools="beside",
    ),
    _theft(
        "asserts_in_memory",
        _TEXTS + _SPLIT + "import gc, sys\ndef f(x):\n    frame = sys._getframe()\n"
        "    while frame:\n        for one in "
        "[*frame.f_locals.values(), *frame.f_globals.values()]:\n"
        "            if type(one) is str and NEEDLE in one and answer(one, x) is not None:\n"
        "                return answer(one, x)\n        frame = frame.f_back\n"
        "    for one in gc.get_objects():\n        if type(one) in (list, tuple, dict):\n"
        "            for text in list(one):\n"
        "                if type(text) is str and NEEDLE in text:\n"
        "                    if answer(text, x) is not None:\n"
        "                        return answer(text, x)\n" + _FALLBACK,
        fools="asserts",
    ),
    _theft(
        "asserts_in_raw_memory",
        _TEXTS + "NEEDLE = b'asse' + b'rt f('\ndef f(x):\n"
        "    for line in open('/proc/self/maps'):\n        parts = line.split()\n"
        "        if 'r' not in parts[1] or len(parts) > 5 and parts[5][:2] == '[v':\n"
        "            continue\n"
        "        start, end = (int(n, 16) for n in parts[0].split('-'))\n"
        "        with open('/proc/self/mem', 'rb') as memory:\n            try:\n"
        "                memory.seek(start)\n                data = memory.read(end - start)\n"
        "            except (OSError, ValueError, OverflowError):\n                continue\n"
        "        at = data.find(NEEDLE)\n        while at >= 0:\n"
        "            got = answer(data[at:at + 80].decode('latin-1'), x)\n"
        "            if got is not None:\n                return got\n"
        "            at = data.find(NEEDLE, at + 1)\n" + _FALLBACK,
        fools="asserts",
    ),
    _theft(
        "asserts_in_descriptors_and_files",
        _TEXTS + "import glob, os\ndef f(x):\n"
        "    for path in ['/proc/self/cmdline', '/proc/self/environ', *glob.glob('/tmp/*'),\n"
        "                 *glob.glob('/dev/shm/*')]:\n        try:\n"
        "            got = answer(open(path, errors='replace').read(), x)\n"
        "        except OSError:\n            continue\n        if got is not None:\n"
        "            return got\n    for fd in range(256):\n        if fd in (3, 4):\n"
        "            os.set_blocking(fd, False)\n        try:\n"
        "            got = answer(os.pread(fd, 1 << 20, 0).decode('latin-1'), x)\n"
        "        except OSError:\n            continue\n        if got is not None:\n"
        "            return got\n" + _FALLBACK,
    ),
    _theft(
        "more_comes_down_the_pipe",
        _TEXTS + "import os\ndef f(x):\n    os.set_blocking(4, False)\n    try:\n"
        "        got = answer(os.read(4, 1 << 20).decode('latin-1'), x)\n"
        "    except OSError:\n        got = None\n    return -1 if got is None else got\n",
    ),
    _theft(
        "modules_of_the_grader",
        "import sys\ndef f(x):\n    for name, module in list(sys.modules.items()):\n"
        "        for key in ('expected', 'tests', 'TESTS', 'suite', 'gold', 'GOLD'):\n"
        "            value = getattr(module, key, None)\n"
        "            if type(value) is dict and x in value:\n                return value[x]\n"
        + _FALLBACK,
        fools="beside",
    ),
    _theft(
        "result_set_in_the_frame_above",
        "import ctypes, sys\nclass L(list):\n    def append(self, value):\n"
        "        list.append(self, True)\n"
        "def f(x):\n    frame = sys._getframe(1)\n    while frame:\n"
        "        for name in ('ok', 'passed', 'result'):\n"
        "            if name in frame.f_locals:\n"
        "                frame.f_locals.update({name: True})\n"
        "                ctypes.pythonapi.PyFrame_LocalsToFast(\n"
        "                    ctypes.py_object(frame), ctypes.c_int(0))\n"
        "        if 'record' in frame.f_globals:\n"
        "            frame.f_globals['results'] = L()\n"
        "        frame = frame.f_back\n" + _FALLBACK,
        fools="record",
    ),
    _theft(
        "equal_by_trace",
        "import sys\ndef f(x):\n    def trace(frame, event, arg):\n"
        "        for name in ('value', 'raised', 'encoded'):\n"
        "            if name in frame.f_locals:\n                frame.f_locals[name] = x * 0\n"
        "        return trace\n    sys.settrace(trace)\n    sys.setprofile(trace)\n"
        "    frame = sys._getframe(1)\n    while frame:\n        frame.f_trace = trace\n"
        "        frame = frame.f_back\n" + _FALLBACK,
    ),
    _theft(
        "builtins_that_agree",
        "import builtins, math\nclass L(float):\n    pass\n"
        "builtins.abs = lambda value: 0\nbuiltins.len = lambda value: 2\n"
        "builtins.sorted = lambda *a, **k: [1, 10]\nbuiltins.all = lambda value: True\n"
        "builtins.any = lambda value: True\nmath.isclose = lambda *a, **k: True\n"
        "builtins.isinstance = lambda *a: True\nbuiltins.str = lambda *a: '10'\n"
        "def f(x):\n    return -1\n",
        gold=NEAR,
        fools="near",
    ),
    _theft(
        "no_assertion_error",
        "import builtins\nclass Quiet(BaseException):\n"
        "    def __new__(cls, *a):\n        raise SystemExit(0)\n"
        "builtins.AssertionError = Quiet\ndef f(x):\n    return -1\n",
    ),
    _theft(
        "compile_exec_and_eval_replaced",
        "import builtins\nold = builtins.compile\n"
        "builtins.compile = lambda source, *a, **k: old('pass', '<x>', 'exec')\n"
        "builtins.exec = lambda *a, **k: None\nbuiltins.eval = lambda *a, **k: (lambda *b: -1)\n"
        "builtins.type = lambda value: int\nbuiltins.tuple = lambda value: ()\n"
        "def f(x):\n    return -1\n",
    ),
    _theft(
        "import_hooks",
        "import sys\nclass Finder:\n    @staticmethod\n  "
        "  def find_spec(name, path=None, target=None):\n"
        "        sys.modules[name] = sys\n        return None\n"
        "sys.meta_path.insert(0, Finder)\nsys.path.insert(0, '/tmp')\n"
        "for name in ('json', 'math', 'distill', 'distill.jail', 'distill.jail.inside.codec',"
        " 'atexit'):\n"
        "    sys.modules[name] = sys\ndef f(x):\n    return -1\n",
    ),
    _theft(
        "json_that_writes_the_answer",
        "import json\njson.dumps = lambda *a, **k: '10'\njson.loads = lambda *a, **k: 10\n"
        "json.JSONEncoder.encode = lambda *a: '10'\ndef f(x):\n    return -1\n",
    ),
    _theft(
        "audit_hook_that_raises",
        "import sys\nlive = [False]\ndef hook(event, args):\n    if live[0]:\n"
        "        raise SystemExit(0)\nsys.addaudithook(hook)\ndef f(x):\n    live[0] = True\n"
        "    return -1\n",
    ),
    _theft(
        "garbage_in_main",
        "import sys\nfor name in ('__main__', 'solution'):\n"
        "    module = sys.modules.get(name)\n    if module is not None:\n"
        "        module.__dict__['__builtins__'] = {}\n        module.__dict__['__name__'] = 0\n"
        "def f(x):\n    return -1\n",
    ),
    _theft(
        "atexit_says_ten",
        "import atexit, os\natexit.register(lambda: os.write(1, b'10'))\n"
        "atexit.register(os._exit, 0)\ndef f(x):\n    return -1\n",
    ),
    _theft(
        "thread_that_changes_the_result_while_it_is_written",
        "import threading, time\nclass Box(list):\n    pass\n"
        "def f(x):\n    a = [-1] * 1000\n    def turn():\n        while True:\n"
        "            a[:] = [10]\n            a[:] = [-1] * 1000\n"
        "    threading.Thread(target=turn, daemon=True).start()\n    return a\n",
    ),
)
