"""The shipped students recipes on a tokenizer of their base's family: proved, and told to stop."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

pytest.importorskip("transformers")

from distill.recipes.find import shipped
from distill.recipes.load import load
from distill.recipes.students import StudentRecipe
from distill.rows import Row
from distill.training.base import ChatFormat, chat_template_text, open_chat_format
from distill.training.proof import Proof
from distill.training.tokens import tokenize
from tests.builders.models import tokenizer_files
from tests.builders.rows import trace

RECIPES = sorted(path.stem for path in shipped("students").glob("*.yaml"))
LLAMA = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
END = {"chatml.jinja": "<|im_end|>", "llama3.jinja": "<|eot_id|>"}
ASKED = [
    ("user", "What is 1 + 1?"),
    ("assistant", "<think>\nearlier\n</think>\n\n2"),
    ("user", "What is 1 + 1?"),  # the same words again: still another turn
]


def rows() -> list[Row]:
    return [
        trace("one", asked=[("user", "What is 2 + 2?")], reasoning="2 and 2", response="4"),
        trace("two", asked=ASKED, reasoning="1 and 1", response="</think> is a mark; 2"),
        trace("told", asked=[("system", "Be brief."), *ASKED[:1]], reasoning="r", response="2"),
    ]


def format_of(name: str) -> ChatFormat:
    """The recipe's chat format on a tokenizer with the control tokens of its base's family."""
    loaded = load(name, StudentRecipe)
    template = chat_template_text(loaded.recipe.chat_template, loaded.origin)
    with TemporaryDirectory() as folder:
        tokenizer_files(Path(folder))
        if "llama" in loaded.recipe.base.lower():
            add_tokens(Path(folder) / "tokenizer.json", LLAMA)
        return open_chat_format(folder, chat_template=template)


def add_tokens(file: Path, names: tuple[str, ...]) -> None:
    told = json.loads(file.read_text())
    first = max(one["id"] for one in told["added_tokens"])
    free = max(first, *told["model"]["vocab"].values()) + 1
    for number, name in enumerate(names, start=free):
        whole = {"id": number, "content": name, "special": True, "normalized": False}
        flags = dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
        told["added_tokens"].append({**whole, **flags})
    file.write_text(json.dumps(told))


WITH_TEMPLATE = [name for name in RECIPES if load(name, StudentRecipe).recipe.chat_template]


@pytest.mark.parametrize("name", WITH_TEMPLATE)
def test_a_base_without_a_chat_template_is_asked_and_stopped_by_the_shipped_one(name: str) -> None:
    recipe, chat = load(name, StudentRecipe).recipe, format_of(name)
    found = tokenize(rows(), chat, prompt=recipe.prompt, max_length=recipe.sft["max_length"])
    proof = Proof(chat=chat)
    proof.add(found)
    end = END[str(recipe.chat_template)]
    assert not found.skipped
    assert proof.values()["end_of_turn"]["token"] == end
    one, two, told = (asked.prompt for asked, _ in found.examples)
    assert "system" not in one  # the template adds no words of its own
    assert "Be brief." in told
    assert "earlier" not in two
    assert two.count("What is 1 + 1?") == 2
    trained = [
        chat.tokenizer.decode(list(example.input_ids[example.prompt_length :]))
        for _, example in found.examples
    ]
    assert trained[0] == f"<think>\n2 and 2\n</think>\n\n4{end}"
    assert trained[1] == f"<think>\n1 and 1\n</think>\n\n</think> is a mark; 2{end}"


def test_the_students_of_r1_all_have_a_template_of_ours() -> None:
    assert {name for name in RECIPES if name.startswith("r1-")} <= {*WITH_TEMPLATE}
