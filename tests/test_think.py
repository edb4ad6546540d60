import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.think import join_think, split_think

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


@given(st.text(alphabet="<>/thinkab \n"))
def test_both_parts_are_the_words_of_the_text(text: str) -> None:
    reasoning, response = split_think(text)
    for part in (reasoning, response):
        assert part in text
        assert part == part.strip()
