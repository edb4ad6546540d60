import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.think import CLOSE, OPEN, OTHERS, SOLUTION, join_think, split_think

MARKS = (OPEN, CLOSE, *OTHERS, *OTHERS.values(), *SOLUTION)
CASES = [
    # text, reasoning, response
    ("4", "", "4"),
    ("<think>a</think>4", "a", "4"),
    ("\n <think>\na\n</think>\n\n4\n", "a", "4"),
    ("a</think>4", "a", "4"),  # the template wrote the opening tag into the prompt
    ("<think>a", "a", ""),  # cut off while thinking
    ("<think></think>4", "", "4"),
    ("<think>a</think>", "a", ""),
    ("<think>a</think>b</think>c", "a", "b</think>c"),  # the first closing tag ends it
    ("<think>a<think>b</think>c", "a<think>b", "c"),
    ("say <think> aloud", "", "say <think> aloud"),  # an opening tag counts at the start only
    ("", "", ""),
    # how others mark a thought
    ("<thinking>a</thinking>4", "a", "4"),
    ("[THINK]a[/THINK]4", "a", "4"),
    ("◁think▷a◁/think▷4", "a", "4"),
    ("\n<thought>\na\n</thought>\n4", "a", "4"),
    ("<reasoning>a</reasoning>\n<answer>4</answer>", "a", "<answer>4</answer>"),
    ("<reasoning>a", "a", ""),
    ("[THINK]a</think>4[/THINK]5", "a</think>4", "5"),
    ("[THINK] is a tag</think>4", "[THINK] is a tag", "4"),  # R1's, whose thought begins so
    ("<think>[THINK]a[/THINK]</think>4", "[THINK]a[/THINK]", "4"),
    (
        "<|begin_of_thought|>\n\na\n\n<|end_of_thought|>\n\n"
        "<|begin_of_solution|>\n\n4\n\n<|end_of_solution|>",
        "a",
        "4",
    ),
    ("<|begin_of_thought|>a<|end_of_thought|><|begin_of_solution|>4", "a", "4"),
    # they count at the start only, and only there is a missing one no matter
    ("The <reasoning>a</reasoning> tag", "", "The <reasoning>a</reasoning> tag"),
    ("Use <thought> and [THINK]a[/THINK].", "", "Use <thought> and [THINK]a[/THINK]."),
    ("a[/THINK]4", "", "a[/THINK]4"),
    ("<|begin_of_solution|>4", "", "<|begin_of_solution|>4"),
]


@pytest.mark.parametrize(("text", "reasoning", "response"), CASES)
def test_thinking_ends_at_the_first_closing_tag(text: str, reasoning: str, response: str) -> None:
    assert split_think(text) == (reasoning, response)


@given(st.text(), st.text())
def test_what_is_joined_comes_apart_again(reasoning: str, response: str) -> None:
    thought, said = reasoning.replace("</think>", "").strip(), response.strip()
    if thought:
        assert split_think(join_think(thought, said)) == (thought, said)
    else:
        assert join_think(thought, said) == said


@given(
    st.text(alphabet="<>/thinkab \n")
    | st.lists(st.sampled_from([*MARKS, "a", " ", "\n"]), max_size=7).map("".join)
)
def test_both_parts_are_the_words_of_the_text(text: str) -> None:
    reasoning, response = split_think(text)
    for part in (reasoning, response):
        assert part in text
        assert part == part.strip()
