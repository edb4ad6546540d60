"""What of a usage is possible, whatever a server says."""

import asyncio
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.errors import BudgetReached
from distill.generating.budget import Budget, most_prompt_tokens
from distill.generating.usage import believed, enough_tokens, least_tokens, sent
from distill.recipes.teachers import Price
from distill.teachers.wire import parse
from tests.builders.teacher_server import completion

ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=3)
    | st.lists(st.integers(), max_size=1)
)
NAMES = ("prompt_tokens", "completion_tokens", "total_tokens", "cost", "prompt_cache_hit_tokens")
DETAILS = st.none() | st.fixed_dictionaries(
    {}, optional={"cached_tokens": ANYTHING, "reasoning_tokens": ANYTHING}
)
USAGES = ANYTHING | st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(NAMES, ANYTHING),
        "prompt_tokens_details": DETAILS,
        "completion_tokens_details": DETAILS,
    },
)
TEXTS = st.text(max_size=60) | st.lists(st.sampled_from(["word", "Wort", "5"])).map(" ".join)


@given(
    usages=st.lists(USAGES, max_size=30),
    text=TEXTS,
    prompt=TEXTS,
    cap=st.floats(0.001, 1),
    output=st.floats(0.1, 1000),
)
def test_any_reports_are_booked_within_the_possible_and_block_nothing(
    usages: list[Any], text: str, prompt: str, cap: float, output: float
) -> None:
    price = Price(input=1.0, cached_input=0.1, output=output)
    limits = sent(price, [{"role": "user", "content": prompt}], 100)
    least = (limits.least_prompt * 0.1 + min(100, least_tokens(text)) * output) / 1e6
    most = cap * (1 + 1e-9)
    budget = Budget(cap_usd=cap, spent_usd=0.0)

    async def go() -> int:
        for bought, usage in enumerate(usages):
            fits = budget.spent_usd + limits.worst_usd <= cap
            try:
                await budget.reserve(limits.worst_usd)
            except BudgetReached:
                assert not fits  # one report cannot block what there is money for
                return bought
            body = json.dumps(completion(text, usage=usage)).encode()
            found = believed(parse(body), text, limits, began=0, ended=1)
            paid = found.most_usd if found.cost_usd is None else found.cost_usd
            assert least * (1 - 1e-6) <= paid <= limits.worst_usd
            for count in (found.reply.prompt_tokens, found.reply.completion_tokens):
                assert count is None or 0 <= count <= limits.most_prompt + 100
            budget.settle(limits.worst_usd, paid)
        return len(usages)

    bought = asyncio.run(go())
    assert budget.spent_usd <= most
    assert bought * least <= most


SAMPLES = {
    "": (0, 0),
    "4": (1, 1),
    "To be, or not to be": (1, 7),
    " " * 128: (1, 1),
    "=" * 64: (1, 1),
    "}\n\n//": (1, 1),
    "word " * 1000: (900, 1000),
    "你好" * 500: (1, 1000),
    "สำนักเลขานุการองค์กร": (1, 1),
    "😀" * 100: (1, 100),
    "\ud83d": (1, 1),
}


@pytest.mark.parametrize("text", SAMPLES)
def test_the_least_number_of_tokens_is_no_more_than_a_tokenizer_could_make(text: str) -> None:
    least, most = SAMPLES[text]
    assert least <= least_tokens(text) <= most


PIECES = ["//", " ", "\n", "/", "*/", ";", "a", "}", "\t", "é", "中", "ไ", "=", "1", "\u00a0", "|"]


@given(text=st.text(max_size=300) | st.lists(st.sampled_from(PIECES), max_size=200).map("".join))
def test_whoever_counts_a_token_for_each_word_is_believed(text: str) -> None:
    most = len(re.findall(r"\S+", text, re.ASCII)) + len(text.encode("utf-8", "replace")) // 32
    assert least_tokens(text) <= max(1, most)
    assert least_tokens(text) <= enough_tokens(text)


def test_a_template_with_a_system_prompt_of_its_own_is_possible() -> None:
    assert most_prompt_tokens([{"role": "user", "content": "1 + 1?"}]) > 600
    assert most_prompt_tokens([]) == 0
