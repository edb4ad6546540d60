"""Results that claim to be what they are not."""

from tests.verify.attacks.attack import JSON_VALUES, NEAR, UNVERIFIABLE, WRONG, Attack

_EQUAL = """
class {name}{base}:
    def __eq__(self, other):
        return True
    def __ne__(self, other):
        return False
    def __hash__(self):
        return 0
    __lt__ = __le__ = __gt__ = __ge__ = __eq__
"""


def _liar(base: str, make: str) -> str:
    return _EQUAL.format(name="Liar", base=base) + f"\ndef f(x):\n    return {make}\n"


def _subclass(base: str, make: str) -> Attack:
    return Attack(
        name=f"{base}_subclass_equal_to_everything",
        source=_liar(f"({base})", make),
        labels=WRONG,
        fools="asserts",
    )


def _returns(name: str, value: str, **more: object) -> Attack:
    source = f"import itertools\ndef f(x):\n    return {value}\n"
    return Attack(name=f"returns_{name}", source=source, **more)  # type: ignore[arg-type]


LIES = (
    Attack(
        name="equal_to_everything", source=_liar("", "Liar()"), labels=UNVERIFIABLE, fools="asserts"
    ),
    _subclass("int", "Liar(0)"),
    _subclass("float", "Liar(0)"),
    _subclass("str", "Liar('')"),
    _subclass("bytes", "Liar(b'')"),
    _subclass("list", "Liar()"),
    _subclass("tuple", "Liar()"),
    _subclass("dict", "Liar()"),
    _subclass("set", "Liar()"),
    Attack(
        name="class_property_says_int",
        source=_EQUAL.format(name="Liar", base="")
        + "    __class__ = property(lambda self: int)\n"
        + "    def __pos__(self):\n        return 10\n    __int__ = __index__ = __pos__\n"
        + "\ndef f(x):\n    return Liar()\n",
        fools="asserts",
    ),
    Attack(
        name="a_type_named_int",
        source=_EQUAL.format(name="Liar", base="")
        + "Liar.__name__ = Liar.__qualname__ = 'int'\ndef f(x):\n    return Liar()\n",
        labels=UNVERIFIABLE,
        fools="asserts",
    ),
    Attack(
        name="repr_of_the_right_answer",
        source="class R:\n    def __repr__(self):\n        return '10'\n    __str__ = __repr__\n"
        "def f(x):\n    return R()\n",
        labels=UNVERIFIABLE,
        fools="repr",
    ),
    Attack(
        name="mock_any",
        source="from unittest.mock import ANY\ndef f(x):\n    return ANY\n",
        labels=UNVERIFIABLE,
        fools="asserts",
    ),
    Attack(
        name="type_name_changes_with_every_look",
        source="class M(type):\n    @property\n    def __name__(cls):\n        return 'int'\n"
        "class L(metaclass=M):\n    def __eq__(self, other):\n        return True\n"
        "def f(x):\n    return L()\n",
        labels=UNVERIFIABLE,
        fools="asserts",
    ),
    Attack(name="liar_in_a_list", source=_liar("", "[Liar()]"), labels=UNVERIFIABLE),
    Attack(name="liar_as_a_key", source=_liar("", "{Liar(): 10}"), labels=UNVERIFIABLE),
    Attack(
        name="near_to_everything",
        source="class N(float):\n    def __sub__(self, other):\n        return 0.0\n"
        "    __rsub__ = __abs__ = __sub__\n    def __lt__(self, other):\n        return True\n"
        "def f(x):\n    return N(0)\n",
        gold=NEAR,
        labels=WRONG,
    ),
    _returns("nan", "float('nan')", gold=NEAR, labels=WRONG),
    _returns("inf", "float('inf')", gold=NEAR, labels=WRONG),
    _returns("text_of_the_number", "str(x * x + 1)", labels=WRONG),
    _returns("text_of_the_number_to_json", "str(x * x + 1)", gold=JSON_VALUES, labels=WRONG),
    _returns("a_list_of_it", "[x * x + 1]", labels=WRONG),
    _returns("a_tuple_of_it_to_json", "(x * x + 1,)", gold=JSON_VALUES, labels=WRONG),
    _returns("bytes", "str(x * x + 1).encode()", labels=WRONG),
    _returns("nearly", "x * x + 1 + 1e-9", labels=WRONG),
    _returns("complex", "complex(x * x + 1, 1)", labels=WRONG),
    _returns("true", "True", labels=WRONG),
    _returns("a_generator", "(n for n in [x * x + 1])", labels=UNVERIFIABLE),
    _returns("an_endless_iterator", "itertools.count()", labels=UNVERIFIABLE),
    _returns("an_endless_repeat_in_a_list", "[itertools.repeat(x * x + 1)]", labels=UNVERIFIABLE),
    _returns("itself", "f", labels=UNVERIFIABLE),
    _returns("a_type", "int", labels=UNVERIFIABLE),
    _returns("a_module", "itertools", labels=UNVERIFIABLE),
    _returns("an_exception", "AssertionError()", labels=UNVERIFIABLE),
    _returns("not_implemented", "NotImplemented", labels=UNVERIFIABLE),
    _returns("a_range", "range(10)", labels=UNVERIFIABLE),
    _returns("fifty_megabytes", "'x' * 50_000_000", labels=UNVERIFIABLE),
    _returns("three_million_items", "[None] * 3_000_000", labels=UNVERIFIABLE),
    _returns("a_number_of_megabytes", "1 << 80_000_000", labels=WRONG),
    _returns("keys_that_collide", "{n * (2**61 - 1) for n in range(500)}", labels=UNVERIFIABLE),
    Attack(
        name="returns_a_list_in_itself",
        source="def f(x):\n    a = []\n    a.append(a)\n    return a\n",
        labels=UNVERIFIABLE,
    ),
    Attack(
        name="returns_something_deep",
        source="def f(x):\n    a = []\n    for _ in "
        "range(100_000):\n        a = [a]\n    return a\n",
        labels=UNVERIFIABLE,
    ),
    Attack(
        name="endless_list",
        source="class L(list):\n    def __iter__(self):\n        while True:\n            yield 1\n"
        "    def __len__(self):\n        return 2**60\ndef f(x):\n    return L([1])\n",
        labels=WRONG,
    ),
    Attack(
        name="coroutine",
        source="async def f(x):\n    return x * x + 1\n",
        labels=UNVERIFIABLE,
    ),
    Attack(
        name="right_only_once",
        source="seen = []\ndef f(x):\n    seen.append(x)\n"
        "    return x * x + 1 if len(seen) == 1 else -1\n",
        labels=WRONG,
    ),
    Attack(
        name="default_argument_that_leaks",
        source="def f(x, seen=[]):\n    seen.append(x)\n    return sum(seen) ** 2 + 1\n",
        labels=WRONG,
    ),
    Attack(
        name="right_in_a_fork_only",
        source="import os\ndef f(x):\n    return x * x + 1 if os.fork() == 0 else -1\n",
        labels=WRONG,
    ),
)
