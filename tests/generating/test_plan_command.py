"""What a mix takes: exact proportions, hand-computed money, one line for each mistake."""

import socket
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.cli import main
from distill.commands.plan import plan
from distill.errors import Exit, UserError
from distill.recipes.find import shipped
from distill.recipes.mix import MixRecipe, apportion, cost_usd, hours, needs, read_mix
from distill.recipes.teachers import Price

# 4 rows: 8 answers of 4 problems; 800 prompt tokens, 8,000 completion tokens. And 6 rows of one
# answer and problem each: 60 and 300 tokens.
MIX = """
parts:
  hard: {rows: 4, mean_tokens: 1000, prompt_tokens: 100, kept_per_answer: 0.5, kept_per_problem: 1}
  easy: {rows: 6, mean_tokens: 50, prompt_tokens: 10, kept_per_answer: 1, kept_per_problem: 1}
"""
PRESET = """
base_url: https://api.vendor.test
key_env: VENDOR_KEY
concurrency: 4
reasoning: reasoning_content
prices:
  as_of: 2026-01-31
  source: https://vendor.test/prices
  peak: {factor: 3, weekdays_utc: [1], hours_utc: [[1, 4]]}
  models:
    large: {input: 1000, cached_input: 1, output: 2000}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a mix, its recipes and two presets; wide enough a terminal for the table."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    write(tmp_path / "mine/mix.yaml", MIX)
    for name in ("hard", "easy"):
        write(tmp_path / f"mine/{name}.yaml", "problems: {file: a.jsonl}\nserve: {}\n")
    write(tmp_path / "mine/teachers/vendor.yaml", PRESET)
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def mix(text: str = MIX) -> MixRecipe:
    from distill.recipes.read import parse_yaml

    return MixRecipe.model_validate(parse_yaml(text))


def cells(said: str, first: str) -> list[str]:
    """The line of a table that begins with that cell."""
    rows = ([cell.strip() for cell in line.split("│")[1:-1]] for line in said.splitlines())
    (found,) = [row for row in rows if row and row[0] == first]
    return found[1:]


WEIGHTS = st.lists(st.integers(1, 10**6), min_size=1, max_size=20)


@given(st.integers(0, 10**7), WEIGHTS)
def test_shares_add_up_and_are_within_one_of_exact(total: int, weights: list[int]) -> None:
    shares = apportion(total, weights)
    assert sum(shares) == total
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share - Fraction(total * weight, sum(weights))) < 1


@given(WEIGHTS)
def test_a_mix_of_its_own_size_keeps_its_rows(weights: list[int]) -> None:
    assert apportion(sum(weights), weights) == weights


@given(st.integers(1, 10**6))
def test_any_size_of_the_shipped_mix_has_exactly_that_many_rows(rows: int) -> None:
    assert sum(need.rows for need in needs(read_mix("r1-800k")[0], rows)) == rows


def test_answers_and_tokens_follow_from_the_estimates() -> None:
    hard, easy = needs(mix())
    assert (hard.rows, hard.answers, hard.problems) == (4, 8, 4)
    assert (hard.prompt_tokens, hard.completion_tokens) == (800, 8000)
    assert (easy.rows, easy.answers, easy.problems) == (6, 6, 6)
    assert (easy.prompt_tokens, easy.completion_tokens) == (60, 300)


@given(st.integers(1, 10**6), st.integers(1, 100))
def test_enough_answers_are_asked_and_not_one_more(rows: int, percent: int) -> None:
    text = (
        f"parts: {{a: {{rows: {rows}, mean_tokens: 1, prompt_tokens: 1, "
        f"kept_per_answer: {percent / 100}, kept_per_problem: 1}}}}"
    )
    (need,) = needs(mix(text))
    assert need.answers * percent >= rows * 100 > (need.answers - 1) * percent


def test_a_source_that_is_known_to_be_too_small_is_short() -> None:
    sizes = {"problems: 3": True, "problems: 4": False, "problems: null": False}
    for size, short in sizes.items():
        text = MIX.replace("kept_per_problem: 1}", f"kept_per_problem: 1, {size}}}", 1)
        assert [need.short for need in needs(mix(text))] == [short, False]


def test_money_and_time_are_what_one_computes_by_hand() -> None:
    price = Price(input=0.15, cached_input=0.003, output=0.60)
    # 2 M prompt tokens at 0.15, 10 M completion tokens at 0.60
    assert cost_usd(price, 2_000_000, 10_000_000) == pytest.approx(0.30 + 6.00)
    # 7.2 M tokens, 100 answers at a time, 20 tokens a second each: 3,600 s
    assert hours(7_200_000, concurrency=100, tokens_per_s=20) == pytest.approx(1.0)


def test_the_command_prints_rows_tokens_money_and_hours(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["plan", "mine", "--at", "vendor", "--tokens-per-s", "0.5"]
    assert main(words) == Exit.DONE
    said = capsys.readouterr().out
    assert cells(said, "hard") == ["4", "8", "4", "0.0", "0.0"]
    assert cells(said, "all") == ["10", "14", "10", "0.0", "0.0"]
    # 860 tokens at 1,000 and 8,300 at 2,000 USD a million; 8,300 / (4 x 0.5) s = 1.15 h
    assert cells(said, "vendor") == ["large", "17.46", "52.38", "4", "1.2"]
    assert "0.5 tokens a second" in said
    assert "vendor 2026-01-31" in said


def test_the_flags_are_the_functions_options(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["plan", "mine", "--rows", "100", "--concurrency", "8", "--at", "vendor", "ollama"]
    assert main([*words, "--tokens-per-s", "20"]) == Exit.DONE
    printed = capsys.readouterr().out
    done = plan("mine", at=("vendor", "ollama"), rows=100, concurrency=8, tokens_per_s=20)
    assert done == Exit.DONE
    assert capsys.readouterr().out == printed
    assert cells(printed, "all")[0] == "100"
    assert cells(printed, "hard")[0] == "40"
    assert cells(printed, "ollama")[:4] == ["any", "unknown", "unknown", "8"]


def test_a_mix_is_found_by_name_folder_and_file(folder: Path) -> None:
    (folder / "prompts").mkdir()
    (folder / "mine").rename(folder / "prompts/mine")
    names = ("mine", "mine/mix", "prompts/mine", "prompts/mine/mix.yaml")
    assert {read_mix(name)[1].resolve() for name in names} == {folder / "prompts/mine/mix.yaml"}
    assert read_mix("r1-800k")[1] == shipped("prompts") / "r1-800k/mix.yaml"


def test_the_shipped_mix_is_planned_without_a_key_or_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("nothing may be connected to")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("DEEPSEEK_API_KEY", raising=False)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert main(["plan", "r1-800k"]) == Exit.DONE
    said = capsys.readouterr().out
    assert cells(said, "all")[0] == "804,745"
    assert "Short: code takes 20,781 problems and its source has 9,556" in " ".join(said.split())
    assert "30 tokens a second" in said
    assert not list(tmp_path.iterdir())


MISTAKES = [
    (MIX.replace("rows: 4", "rows: 0"), "parts.hard.rows: 0 input should be greater than or equal"),
    (MIX.replace("mean_tokens: 50", "mean_token: 50"), "parts.easy.mean_token: no such key; did"),
    (
        MIX.replace("kept_per_answer: 0.5", "kept_per_answer: 1.5"),
        "parts.hard.kept_per_answer: 1.5",
    ),
    (MIX.replace("prompt_tokens: 10,", ""), "parts.easy.prompt_tokens: missing"),
    (MIX.replace("hard:", "herd:"), "parts.herd: no such recipe beside it; did you mean 'hard'?"),
    (MIX.replace("hard:", "../hard:"), "parts.../hard: no such recipe beside it"),
    ("parts: {}", "parts: dictionary should have at least 1 item"),
    ("part: {}", "part: no such key; did you mean 'parts'?"),
    ("- a", "a recipe is a mapping of keys to values; found list"),
    ("parts: [", "not a recipe"),
]


@pytest.mark.parametrize(("text", "said"), MISTAKES)
def test_a_mistake_in_a_mix_is_one_line_with_file_key_and_value(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    write(folder / "mine/mix.yaml", text)
    assert main(["plan", "mine"]) == Exit.USER
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("distill: mine/mix.yaml")
    assert said in told.err
    assert told.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["r1-800"], "r1-800: no such recipe in prompts/; did you mean 'r1-800k/mix'?"),
        (["gsm8k"], "gsm8k.yaml: problems: no such key; one of: parts"),
        (["mine", "--at", "deepsek"], "--at deepsek: no such preset; did you mean 'deepseek'?"),
        (["mine", "--at", "x" * 5000], "no such preset; one of: deepseek"),
        (["mine", "--at", "mine/hard.yaml"], "mine/hard.yaml: problems: no such key"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["plan", *words]) == Exit.USER
    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err
    assert told.err.count("\n") == 1


@pytest.mark.parametrize("flag", ["--rows=0", "--concurrency=x", "--tokens-per-s=0"])
def test_a_number_that_makes_no_sense_is_refused_by_its_flag(
    flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["plan", "r1-800k", flag])
    assert left.value.code == Exit.USER
    assert flag.split("=")[0] in capsys.readouterr().err


def test_a_key_in_a_mix_is_refused(folder: Path) -> None:
    write(folder / "mine/mix.yaml", MIX + "api_key: abc\n")
    with pytest.raises(UserError, match="looks like an API key"):
        read_mix("mine")


def test_the_documented_output_is_the_real_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "98")
    assert main(["plan", "r1-800k"]) == Exit.DONE
    said = "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines())
    documented = (Path(__file__).parents[2] / "docs/r1-800k.md").read_text(encoding="utf-8")
    assert f"$ distill plan r1-800k\n{said}\n```" in documented
