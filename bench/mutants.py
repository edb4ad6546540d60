"""Wrong programs made of right ones: each changes what the right one returns. Runs none."""

_WRAP = """

def _mutant(right):
    state = []
    def wrong(*args, **kwargs):
        value = right(*args, **kwargs)
{body}
    return wrong

{entry} = _mutant({entry})
"""
_BODIES = {
    "nothing": "return None",
    "always the first answer": "state.append(value); return state[0]",
    "off by one": """
if isinstance(value, bool):
    return not value
if isinstance(value, (int, float)):
    return value + 1
if isinstance(value, str):
    return value + "x"
if isinstance(value, (list, tuple)):
    return value + type(value)([0])
if isinstance(value, dict):
    return {**value, "x": 0}
return 0 if value is None else None""",
    "a prefix": """
if isinstance(value, (str, list, tuple)) and len(value):
    return value[:-1]
if isinstance(value, (dict, set)) and value:
    return type(value)(list(value.items() if isinstance(value, dict) else value)[:-1])
if isinstance(value, int) and not isinstance(value, bool):
    return value // 10 - 1
return None if value is not None else 0""",
    "another type": "return value.encode() if isinstance(value, str) else str(value)",
    "equal to everything": """
class Equal:
    def __eq__(self, other): return True
    __ne__ = lambda self, other: False
    __hash__ = lambda self: 0
    __bool__ = lambda self: True
    __sub__ = __rsub__ = __abs__ = __float__ = __index__ = __int__ = lambda self, *_: 0
    __lt__ = __le__ = __gt__ = __ge__ = __contains__ = lambda self, other: True
    __iter__ = lambda self: iter(())
return Equal()""",
    "a number equal to everything": """
class Equal(int):
    def __eq__(self, other): return True
    __ne__ = lambda self, other: False
    __hash__ = int.__hash__
    __lt__ = __le__ = __gt__ = __ge__ = lambda self, other: True
    __sub__ = __rsub__ = __abs__ = lambda self, *_: 0
return Equal(-98765)""",
    "leaves at once": "import os; os._exit(0)",
    "exits": "raise SystemExit(0)",
    "a patched abs": """
import builtins
builtins.abs = builtins.len = builtins.float = lambda *_: 0
builtins.set = builtins.sorted = builtins.tuple = builtins.int = lambda *_: 0
return None""",
    "the frames' secrets": """
import sys
frame = sys._getframe(1)
while frame is not None:
    for names in (frame.f_locals, frame.f_globals):
        for name in ("expected", "wanted", "gold", "exp"):
            if name in names:
                return names[name]
    frame = frame.f_back
return None""",
}
KINDS = tuple(_BODIES)


def mutant(kind: str, reference: str, entry: str) -> str:
    """The right program, but for what its function ``entry`` returns."""
    lines = _BODIES[kind].strip("\n").split("\n")
    body = "\n".join(" " * 8 + line for line in lines)
    return reference + _WRAP.format(body=body, entry=entry)
