"""The shipped filters: each drops what it says, and hardly anything else."""

from itertools import product
from pathlib import Path

import polars as pl
import pytest

from bench.pool import build
from bench.traces import frame as traces
from distill.filtering.rules import Rules, compile
from distill.recipes.filters import FilterRecipe
from distill.recipes.load import load
from distill.rows import SCHEMA
from tests.builders.measured import measured

CHECKOUT = Path(__file__).parents[2]


def shipped(name: str, *, without: tuple[str, ...] = ()) -> Rules:
    path = CHECKOUT / "filters" / f"{name}.yaml"
    recipe = load(str(path), FilterRecipe).recipe
    rules = {reason: sql for reason, sql in recipe.rules.items() if reason not in without}
    return compile(rules, str(path), measure=recipe.measure)


def row(**values: object) -> pl.DataFrame:
    """An answer that every recipe keeps, but for ``values``."""
    turns = [{"role": "user", "content": values.pop("question", "What is 1 + 1? " * 20)}]
    usual = {"id": "0", "sample": 0, "domain": "math", "source": "test", "messages": turns}
    usual |= {"gold": "2", "verify": "math", "reasoning": "One and one.", "finish_reason": "stop"}
    usual |= {"response": "```\n1 + 1\n```\n\\boxed{2}", "completion_tokens": 9}
    return pl.DataFrame([dict.fromkeys(SCHEMA) | usual | values], schema=SCHEMA)


LOOP = "Wait, let me check that once more, and then again. "
DIVISION = "\n".join(
    f"Bring down 0: {10**n % 97}0 / 97 = {10**n % 97 * 10 // 97} remainder {10 ** (n + 1) % 97}."
    for n in range(96)
)
TRUTHS = "\n".join(
    f"A={a}, B={b}, C={c}, D={d}: (A and B) or (C and D) is {'T' if (a, b) == ('T', 'T') else c}."
    for a, b, c, d in product("TF", repeat=4)
)
COUNTED = "\n\n".join(f"Let me try n = {n}, which gives {3 * n}: no." for n in range(40))
POEM = "\n".join(
    f"The {day} was a grey and quiet one, and nobody came by the {place} before the evening."
    for day, place in zip(
        ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "last"),
        ("gate", "mill", "bridge", "church", "well", "school", "market", "harbour"),
        strict=True,
    )
)
CHINESE = "让我再想一想这个问题，首项为三公差为五，前二十项的和是多少呢。"
TABLE = "| a | b |\n|---|---|\n| 1 | 2 |\n"
# (recipe, what the row says, its reason)
CASES: list[tuple[str, dict[str, object], str | None]] = [
    ("r1", {"response": "2<|im_end|>"}, "malformed"),
    ("r1", {"reasoning": "One 一加一等于二 and one."}, "mixed_language"),
    ("r1", {"question": "一加一等于多少？", "reasoning": "One and one is two."}, "mixed_language"),
    ("r1", {"question": "一加一等于多少？", "reasoning": "一加一等于二。"}, None),
    ("r1", {"reasoning": LOOP * 9}, "repetitive"),
    ("r1", {"reasoning": "So it is 2. " * 3 + "Done."}, None),  # short, and said thrice
    ("general", {"reasoning": f"A draft:\n\n{POEM}\n\nGood.", "response": POEM}, None),
    ("label-all", {"reasoning": POEM, "response": POEM}, None),
    ("general", {"reasoning": f"{POEM}\n\nOnce more:\n\n{POEM}", "response": POEM}, None),
    ("general", {"reasoning": "\n\n".join([POEM] * 4), "response": POEM}, "repetitive"),
    ("general", {"reasoning": f"{POEM}\n\n" * 3 + "Hm, no.", "response": POEM}, "repetitive"),
    ("r1", {"question": "How do you say “yes” in Russian?", "reasoning": "It is да."}, None),
    ("r1", {"question": "What does 好 mean here? " * 9, "reasoning": "好 is good, 好好好."}, None),
    (
        "r1",
        {"question": "Use the Chinese remainder theorem.", "reasoning": "让我再想想"},
        "mixed_language",
    ),
    ("r1", {"reasoning": ""}, "no_thought"),
    ("open-r1", {"reasoning": ""}, "no_thought"),
    ("openthoughts", {"reasoning": ""}, "no_thought"),
    ("code", {"reasoning": ""}, "no_thought"),
    ("general", {"reasoning": ""}, None),  # a greeting
    ("label-all", {"reasoning": ""}, None),  # its label says so
    ("r1", {"reasoning": DIVISION.replace("\n", "\n\n")}, None),  # an honest list
    ("r1", {"reasoning": TRUTHS}, None),
    ("demo", {"reasoning": TRUTHS, "completion_tokens": 900}, None),
    ("general", {"reasoning": COUNTED}, None),
    ("r1", {"reasoning": COUNTED + "\n\n" + LOOP * 9}, "repetitive"),
    ("r1", {"question": CHINESE, "reasoning": CHINESE * 12 + "好"}, "repetitive"),
    ("r1", {"finish_reason": " EOS"}, None),
    ("r1", {"finish_reason": "length"}, "truncated"),
    ("r1", {"finish_reason": ""}, "truncated_unknown"),
    ("r1", {"finish_reason": None}, "truncated_unknown"),
    ("r1", {"reasoning": "By Чебышёв's inequality and I'm reminded of Claude Shannon."}, None),
    ("r1", {"reasoning": "```\n1\n```"}, "code_in_thought"),
    ("r1", {"reasoning": "I am Qwen, so I add."}, "names_teacher"),
    ("r1", {"response": r"\boxed{3}"}, "wrong"),
    ("label-all", {"response": r"\boxed{3}"}, None),
    ("open-r1", {"completion_tokens": 20_000}, "too_long"),
    ("open-r1", {"response": "2<|im_end|>"}, "malformed"),
    ("openthoughts", {"response": "2<|im_end|>"}, "malformed"),
    ("openthoughts", {"question": "In the figure, what is x?"}, "needs_figure"),
    ("openthoughts", {"question": "(a) Find x. (b) Find y."}, "several_parts"),
    ("openthoughts", {"question": "Prove that 2 is even."}, "proof"),
    ("openthoughts", {"question": "Sort.", "domain": "code"}, "short_task"),
    ("openthoughts", {"gold": None, "domain": "stem"}, None),
    ("openthoughts", {"gold": None}, "unverifiable"),
    ("code", {"response": "Just sort it."}, "no_code"),
    ("code", {"response": "```\nkey = 'sk-" + "a1" * 20 + "'\n```"}, "leaks_key"),
    ("code", {"response": "```\n1\n```", "gold": "3"}, None),  # the verdict is a label
    ("general", {"reasoning": TABLE}, "marked_up"),
    ("general", {"response": "Write to ann@uni.edu.tr."}, "personal"),
    ("general", {"response": "\ufffd" * 9}, "gibberish"),
    ("general", {"response": "As an AI I think. As an AI I hope."}, "names_itself"),
    ("demo", {"reasoning": ""}, "no_thought"),
]


@pytest.mark.parametrize("name", sorted(p.stem for p in (CHECKOUT / "filters").glob("*.yaml")))
def test_every_recipe_knows_all_names_of_an_answers_end(name: str) -> None:
    ends = ("STOP", "end_turn", " stop", "eos_token", "length", "", None)
    rows = pl.concat([row(finish_reason=end) for end in ends])
    found = measured(rows, shipped(name))
    unknown = ["truncated_unknown"] * 2
    assert found["reason"].to_list()[4:] == ["truncated", *unknown]
    assert not set(found["reason"].to_list()[:4]) & {"truncated", "truncated_unknown"}


@pytest.mark.parametrize(("name", "values", "reason"), CASES)
def test_a_recipe_drops_what_it_says(
    name: str, values: dict[str, object], reason: str | None
) -> None:
    found = measured(row(**values), shipped(name))
    assert found["reason"].to_list() == [reason]


def test_planted_defects_are_dropped_and_clean_traces_are_not() -> None:
    rows, labels = traces(40_000, 2_000, build(data=None))
    rules = shipped("r1", without=("too_long", "unverifiable", "no_answer", "wrong"))
    found = measured(rows, rules).with_columns(labels["label"])
    reasons = {
        label: set(part["reason"])
        for (label,), part in found.group_by("label", maintain_order=True)
    }
    assert reasons["loop"] | reasons["unclosed"] == {"truncated"}
    assert reasons["template"] | reasons["wall"] <= {"repetitive", "wall_of_text"}
    assert reasons["script"] == {"mixed_language"}
    for label in ("wrong", "exact", "near", "contaminated"):
        assert reasons[label] == {None}
    clean = found.filter(pl.col("label") == "clean")
    assert clean["reason"].is_not_null().mean() < 0.005  # type: ignore[operator]
