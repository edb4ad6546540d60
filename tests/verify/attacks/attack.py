"""What one hostile program is, and the references that it is held against. Runs nothing.

The function of the references is ``f(x) = x * x + 1``; a program that reaches what it must not
reach answers with that, so that "not correct" says that it did not.
"""

import json
from dataclasses import dataclass

HONEST = "def f(x):\n    return x * x + 1\n"
VALUES = {3: 10, 4: 17, 0: 1}
ASSERTS = [f"assert f({given}) == {wanted}" for given, wanted in VALUES.items()]
CALLS = json.dumps({"test_list": ASSERTS})
NEAR = json.dumps(
    {
        "test_setup_code": "import math",
        "test_list": [
            "assert abs(f(3) - 10) < 1e-6",
            "assert math.isclose(f(4), 17)",
            "assert sorted([f(0), f(3)]) == [1, 10]",
            "assert len(str(f(3))) == 2",
        ],
    }
)
# A loop is not for the host: these tests run in a jail of their own.
TESTER = json.dumps(
    {
        "test": "def check(candidate):\n    for x in (3, 4, 0):\n"
        "        assert candidate(x) == x * x + 1\n",
        "entry_point": "f",
    }
)
# One whose tests forgive errors of one kind, as many do.
FORGIVING = json.dumps(
    {
        "test": "def check(candidate):\n    for x in (3, 4, 0):\n        try:\n"
        "            value = candidate(x)\n        except ValueError:\n            value = -1\n"
        "        assert value == x * x + 1, x\n",
        "entry_point": "f",
    }
)
SCRIPT = json.dumps(
    {"inputs": ["3\n", "4\n", "0\n"], "outputs": ["10\nend\n", "17\nend\n", "1\nend\n"]}
)
JSON_VALUES = json.dumps({"fn_name": "f", "inputs": [[3], [4], [0]], "outputs": [10, 17, 1]})

# Whose fault it is must stay known: an attack never makes an ``error``, which is ours.
JUDGED = frozenset({"wrong", "timeout", "unverifiable", "no_answer"})
WRONG = frozenset({"wrong"})
TIMEOUT = frozenset({"timeout"})
UNVERIFIABLE = frozenset({"unverifiable"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One program.

    ``fools`` names a naive grader (see tests/verify/test_attacks.py) that takes it for right, so
    that it is known to be an attack. ``outside`` says that it reaches its aim where there is no
    jail, and does no harm there. ``open`` says why it still succeeds.
    """

    name: str
    source: str
    gold: str = CALLS
    labels: frozenset[str] = JUDGED
    timeout_s: float = 30.0
    fools: str = ""
    outside: bool = False
    open: str = ""


def reach(name: str, body: str, *, outside: bool = False, timeout_s: float = 30.0) -> Attack:
    """A program that is right if ``reached()``, of which ``body`` is the inside, returns true.

    ``@FILE@``, ``@FOLDER@``, ``@CANARY@``, ``@PORT@``, ``@PID@`` are where the host keeps things.
    """
    inside = "\n".join("    " + line for line in body.strip("\n").split("\n"))
    source = (
        "import ctypes, os, pathlib, signal, socket, sys, time\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n\n"
        f"def reached():\n{inside}\n\n"
        "def f(x):\n    try:\n        ok = reached()\n    except (OSError, ValueError):\n"
        "        ok = False\n    return x * x + 1 if ok else -1\n"
    )
    return Attack(name=name, source=source, labels=WRONG, outside=outside, timeout_s=timeout_s)
