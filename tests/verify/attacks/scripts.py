"""Programs that read and write text, and programs whose tests run in a jail of their own."""

import json

from tests.verify.attacks.attack import (
    FORGIVING,
    JUDGED,
    SCRIPT,
    TESTER,
    TIMEOUT,
    UNVERIFIABLE,
    WRONG,
    Attack,
)

_RIGHT = "x = int(input())\nprint(x * x + 1)\nprint('end')\n"
_TOLERANT = json.dumps({"inputs": ["1\n"], "outputs": ["2.5\n"], "tolerance": 1e-6})
_UNCHANGED = json.dumps(
    {
        "test": "def check(candidate):\n    given = [3, 1, 2]\n    for _ in 'a':\n"
        "        assert candidate(given) == [1, 2, 3]\n    assert given == [3, 1, 2]\n",
        "entry_point": "f",
    }
)
_COPIED = json.dumps(
    {
        "test": "def check(candidate):\n    given = [1, 2, 3]\n    found = candidate(given)\n"
        "    assert found == [1, 2, 3]\n    assert found is not given\n",
        "entry_point": "f",
    }
)
_KEYS = json.dumps({"fn_name": "f", "inputs": [[3]], "outputs": [{"1": 2}]})


def _writes(
    name: str, source: str, *, labels: frozenset[str] = WRONG, fools: str = "", gold: str = SCRIPT
) -> Attack:
    return Attack(name=f"writes_{name}", source=source, gold=gold, labels=labels, fools=fools)


def _is_asked(
    name: str,
    source: str,
    *,
    labels: frozenset[str] = JUDGED,
    gold: str = TESTER,
    timeout_s: float = 30,
) -> Attack:
    return Attack(
        name=f"asked_{name}",
        source="import os, sys\n" + source,
        gold=gold,
        labels=labels,
        timeout_s=timeout_s,
    )


SCRIPTS = (
    _writes("a_prefix", "x = int(input())\nprint(x * x + 1)\n", fools="prefix"),
    _writes("nothing", "input()\n", fools="prefix"),
    _writes("nothing_and_leaves", "import os\nos._exit(0)\n", fools="exit"),
    _writes("all_answers", "for n in range(100):\n    print(n)\n    print('end')\n"),
    _writes("a_line_more", _RIGHT + "print('end')\n"),
    _writes("a_line_before", "print('Enter a number:')\n" + _RIGHT),
    _writes("a_null", _RIGHT + "print('\\0')\n"),
    _writes("colours", _RIGHT.replace("print(x * x + 1)", "print('\\033[0m', x * x + 1)")),
    _writes("what_a_screen_would_hide", "input()\nprint('7\\b10')\nprint('end')\n"),
    _writes(
        "what_a_return_would_hide", "x = int(input())\nprint('wrong\\r', x * x + 1)\nprint('end')\n"
    ),
    _writes(
        "other_digits",
        "x = int(input())\nprint(''.join(chr(0xFF10 + "
        "int(c)) for c in str(x * x + 1)))\nprint('end')\n",
    ),
    _writes("other_letters", "x = int(input())\nprint(x * x + 1)\nprint('\\u0435nd')\n"),
    _writes("an_invisible_letter", "x = int(input())\nprint(x * x + 1)\nprint('en\\u200bd')\n"),
    _writes("leading_zeros", "x = int(input())\nprint('0' + str(x * x + 1))\nprint('end')\n"),
    _writes("a_sum", "x = int(input())\nprint(f'{x * x}+1')\nprint('end')\n"),
    _writes("bytes_that_are_no_text", "import os\nos.write(1, b'\\xff10\\nend\\n')\n"),
    _writes("to_the_other_stream", "import sys\nsys.stdout = sys.stderr\n" + _RIGHT),
    _writes("and_fails", _RIGHT + "raise SystemExit(1)\n"),
    _writes("and_kills_itself", _RIGHT + "import os\nos.kill(os.getpid(), 9)\n"),
    _writes("a_flood", "while True:\n    print('10\\nend\\n' * 10_000)\n"),
    _writes("twelve_million_empty_lines", "print('\\n' * 12_000_000, '10')\n"),
    _writes("a_number_of_megabytes", "print('2.5' + '1' * 12_000_000)\n", gold=_TOLERANT),
    _writes("not_a_number", "print('nan')\n", gold=_TOLERANT),
    _writes("infinity", "print('inf')\n", gold=_TOLERANT),
    Attack(
        name="writes_a_decimal_in_other_digits",
        source="print('\\uff12.\\uff15')\n",
        gold=_TOLERANT,
    ),
    Attack(
        name="writes_a_decimal_with_underscores",
        source="print('0_2.5_0')\n",
        gold=_TOLERANT,
    ),
    Attack(
        name="reads_what_never_comes",
        source="import os\nos.read(os.pipe()[0], 1)\n" + _RIGHT,
        gold=SCRIPT,
        labels=TIMEOUT,
        timeout_s=0.3,
    ),
    Attack(
        name="never_ends_after_the_answer",
        source=_RIGHT + "import atexit, time\natexit.register(time.sleep, 9)\n",
        gold=SCRIPT,
        labels=TIMEOUT,
        timeout_s=0.3,
    ),
    Attack(
        name="a_thread_never_ends_after_the_answer",
        source=_RIGHT
        + "import threading, time\nthreading.Thread(target=time.sleep, args=(9,)).start()\n",
        gold=SCRIPT,
        labels=TIMEOUT,
        timeout_s=0.3,
    ),
)

_LIAR = "class L:\n    def __eq__(self, other):\n        return True\n    __hash__ = None\n"
ASKED = (
    _is_asked("gives_a_liar", _LIAR + "def f(x):\n    return L()\n", labels=UNVERIFIABLE),
    _is_asked(
        "gives_an_int_that_lies",
        _LIAR.replace("L:", "L(int):") + "def f(x):\n    return L()\n",
        labels=WRONG,
    ),
    _is_asked("raises_assertion_error", "def f(x):\n    raise AssertionError\n", labels=WRONG),
    _is_asked("raises_system_exit", "def f(x):\n    raise SystemExit(0)\n"),
    _is_asked("raises_keyboard_interrupt", "def f(x):\n    raise KeyboardInterrupt\n"),
    _is_asked("raises_generator_exit", "def f(x):\n    raise GeneratorExit\n"),
    _is_asked("raises_stop_iteration", "def f(x):\n    raise StopIteration\n"),
    _is_asked(
        "raises_what_needs_arguments",
        "def f(x):\n    raise UnicodeDecodeError('a', b'', 0, 1, '')\n",
    ),
    _is_asked("raises_import_error", "import json\ndef f(x):\n    raise ImportError('numpy')\n"),
    _is_asked("raises_name_error", "def f(x):\n    raise NameError('check')\n"),
    _is_asked(
        "raises_a_jail_failure",
        "def f(x):\n    raise type('candidate jail_failed', (BaseException,), {})\n",
    ),
    _is_asked(
        "raises_a_builtin_that_is_none",
        "def f(x):\n    raise type('print', (Exception,), {'__module__': 'builtins'})\n",
    ),
    _is_asked("raises_what_is_forgiven", "def f(x):\n    raise ValueError\n", gold=FORGIVING),
    _is_asked(
        "gives_what_is_compared_with",
        "def f(x):\n    return '__import__(\"os\")._exit(0)'\n",
        labels=WRONG,
    ),
    _is_asked("gives_a_huge_number", "def f(x):\n    return 10 ** 2_000_000\n", labels=WRONG),
    _is_asked("gives_a_huge_text", "def f(x):\n    return 'x' * 15_000_000\n", labels=WRONG),
    _is_asked("gives_more_than_fits", "def f(x):\n    return 'x' * ((16 << 20) - 40)\n"),
    _is_asked(
        "gives_something_deep",
        "def f(x):\n    a = []\n    for _ in range(98):\n        a = [a]\n    return a\n",
        labels=WRONG,
    ),
    _is_asked("leaves", "def f(x):\n    os._exit(0)\n", labels=WRONG),
    _is_asked("leaves_on_load", "os._exit(0)\ndef f(x):\n    return 0\n", labels=WRONG),
    _is_asked(
        "never_answers", "def f(x):\n    while True:\n        pass\n", labels=TIMEOUT, timeout_s=0.3
    ),
    _is_asked(
        "never_loads",
        "while True:\n    pass\ndef f(x):\n    return 0\n",
        labels=TIMEOUT,
        timeout_s=0.3,
    ),
    _is_asked(
        "answers_beforehand",
        "import struct\ndef text(s):\n    return b's' + struct.pack('<I', len(s)) + s\n"
        "for n in (1, 2, 3):\n    body = (b't\\x04\\0\\0\\0' "
        "+ text(b'answer') + b'i\\x01\\0\\0\\0'\n"
        "            + bytes([n]) + b'b\\x06\\0\\0\\0i\\x01\\0\\0\\0\\x0a' + b'N')\n"
        "    os.write(3, struct.pack('<I', len(body)) + body)\ndef f(x):\n    return 0\n",
        labels=WRONG,
    ),
    _is_asked(
        "looks_for_the_tests",
        "import gc\nneedle = chr(32).join(['def', 'check(candidate):'])\n"
        "def f(x):\n    frame = sys._getframe()\n    while frame:\n"
        "        for one in [*frame.f_locals.values(), *frame.f_globals.values()]:\n"
        "            if type(one) is str and one != needle "
        "and needle in one:\n                return x * x + 1\n"
        "        frame = frame.f_back\n    for one in gc.get_objects():\n"
        "        if type(one) in (list, tuple, dict) and any(\n"
        "                type(t) is str and t != needle and needle in t for t in list(one)):\n"
        "            return x * x + 1\n    return -1\n",
        labels=WRONG,
    ),
    _is_asked(
        "changes_what_it_was_given",
        "def f(x):\n    x.sort()\n    return list(x)\n",
        gold=_UNCHANGED,
    ),
    _is_asked(
        "returns_what_it_was_given",
        "def f(x):\n    return x\n",
        gold=_COPIED,
    ),
    _is_asked(
        "makes_the_host_write_a_number",
        "def f(x):\n    return {10 ** 5000: 2}\n",
        gold=_KEYS,
    ),
)
