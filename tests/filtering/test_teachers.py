"""``distill filter --compare-teachers``, and choosing answers by what suits the student."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from distill.cli import main
from distill.errors import Exit
from distill.filtering.teachers import Pair
from distill.intervals import bootstrap
from distill.rows import SCHEMA
from distill.signals import score
from distill.signals.settings import Settings
from tests.builders.models import tiny
from tests.builders.rows import filters, jsonl, row

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    return tiny(folder, hidden_size=32, max_position_embeddings=160, initializer_range=0.5)


def flags(folder: Path, model: Path) -> list[str]:
    return [filters(folder), "--compare-teachers", "--set", f"score_model={model}"]


def teachers(folder: Path, **texts: Sequence[str]) -> list[str]:
    """A file for each teacher, which answers prompt n with its n-th text."""
    made = []
    for name, answers in texts.items():
        rows = [row(n, reasoning=text, sample=0) for n, text in enumerate(answers)]
        made.append(f"{name}={jsonl(folder / f'{name}.jsonl', *rows)}")
    return made


def expected(model: Path, rows: list[dict[str, Any]]) -> list[tuple[float, float]]:
    frame = pl.DataFrame([dict.fromkeys(SCHEMA) | one for one in rows], schema=SCHEMA)
    found = score.measure(frame, Settings(score_model=str(model)))
    return found.select("student_fit", "nll_per_token").rows()


def test_teachers_are_ranked_on_the_prompts_they_share(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = [f"I add one to {n}. {'So. ' * (n % 3)}" for n in range(30)]
    noisy = ["Zq xk vv jj wq zz kq." for _ in range(24)]
    words = teachers(tmp_path, plain=plain, noisy=noisy)
    out = tmp_path / "out"
    assert main(["filter", *flags(tmp_path, model), *words, "--json", "-o", str(out)]) == Exit.DONE
    said = json.loads(capsys.readouterr().out)
    assert said == json.loads((out / "teachers.json").read_text())
    assert (said["prompts"], said["shared"]) == (24, 24)

    of = {one["name"]: one for one in said["teachers"]}
    for name, texts in (("plain", plain[:24]), ("noisy", noisy)):
        values = expected(model, [row(n, reasoning=text) for n, text in enumerate(texts)])
        fit, nll = (sum(each) / 24 for each in zip(*values, strict=True))
        assert of[name]["student_fit"]["value"] == pytest.approx(fit, rel=1e-6)
        assert of[name]["nll_per_token"]["value"] == pytest.approx(nll, rel=1e-6)
        assert of[name]["correct"]["value"] == 1.0
        assert of[name]["answers"] == 24
    best = [one["name"] for one in said["teachers"]]
    assert best == sorted(best, key=lambda name: of[name]["student_fit"]["value"])
    (pair,) = said["pairs"]
    assert pair["teachers"] == best
    first, second = (of[name]["student_fit"]["value"] for name in best)
    assert pair["difference"]["value"] == pytest.approx(first - second)
    low, high = pair["difference"]["ci95"]
    assert pair["certain"] is (low > 0 or high < 0)


def test_several_answers_of_a_prompt_count_as_one(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    often = [row(0, sample=n, reasoning=f"Well {n}. " * n) for n in range(9)]
    rows = [*often, *(row(n) for n in range(1, 4))]
    first = jsonl(tmp_path / "a.jsonl", *rows)
    (second,) = teachers(tmp_path, b=["I add."] * 4)
    main(["filter", *flags(tmp_path, model), f"a={first}", second, "--json"])
    said = json.loads(capsys.readouterr().out)
    values = expected(model, rows)
    mean = (sum(fit for fit, _ in values[:9]) / 9 + sum(fit for fit, _ in values[9:])) / 4
    (own,) = (one for one in said["teachers"] if one["name"] == "a")
    assert own["student_fit"]["value"] == pytest.approx(mean, rel=1e-6)
    assert own["answers"] == 12


def test_limit_draws_the_same_prompts_whatever_the_order(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row(n, reasoning=f"I add {n}.") for n in range(30)]
    (other,) = teachers(tmp_path, b=["Well."] * 30)
    said = []
    for name, order in (("one", rows), ("two", rows[::-1])):
        data = jsonl(tmp_path / f"{name}.jsonl", *order)
        main(["filter", *flags(tmp_path, model), f"a={data}", other, "--json", "--limit", "7"])
        said.append(json.loads(capsys.readouterr().out))
    assert said[0] == said[1]
    assert (said[0]["prompts"], said[0]["shared"]) == (7, 7)


def test_an_answer_without_a_score_takes_its_prompt_out_for_all(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = teachers(tmp_path, a=["I add."] * 3 + ["long " * 400], b=["So."] * 4)
    assert main(["filter", *flags(tmp_path, model), *words]) == Exit.DONE
    said = capsys.readouterr()
    assert "3 prompts" in said.out
    assert "1 too_long" in said.out
    assert "only 3 prompts to compare" in said.err
    assert "cannot be told from" in said.out or "suits better than" in said.out


def test_what_was_measured_is_not_measured_again(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (a, b) = teachers(tmp_path, a=["I add."] * 20, b=["So."] * 20)
    out = ["-o", str(tmp_path / "out"), "--json"]
    seen: list[int] = []
    whole = score.measure

    def killed(frame: pl.DataFrame, settings: Settings) -> pl.DataFrame:
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(frame.height)
        return whole(frame, settings)

    monkeypatch.setattr(score, "measure", killed)
    assert main(["filter", *flags(tmp_path, model), a, b, *out]) == Exit.INTERRUPTED
    monkeypatch.setattr(score, "measure", whole)
    assert main(["filter", *flags(tmp_path, model), a, b, *out]) == Exit.DONE
    first = json.loads(capsys.readouterr().out)
    files = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out/teachers").iterdir()}
    assert len(files) == 3  # 16, 16 and 8 answers
    assert main(["filter", *flags(tmp_path, model), a, b, *out]) == Exit.DONE
    assert json.loads(capsys.readouterr().out) == first
    assert files == {
        path.name: path.stat().st_mtime_ns for path in (tmp_path / "out/teachers").iterdir()
    }


def test_another_file_of_the_same_name_is_not_replaced(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "teachers.json").write_text('["Ada", "Emmy"]')
    words = [*teachers(tmp_path, a=["I add."], b=["So."]), "-o", str(tmp_path)]
    assert main(["filter", *flags(tmp_path, model), *words]) == Exit.USER
    assert "teachers.json: was not made by distill" in capsys.readouterr().err


def refusals(folder: Path) -> dict[str, tuple[list[str], str]]:
    (a, b) = teachers(folder, a=["I add."] * 3, b=["So."] * 3)
    other = jsonl(folder / "other.jsonl", row("elsewhere"))
    third = jsonl(folder / "third.jsonl", row(0), row("elsewhere"))
    empty = jsonl(folder / "empty.jsonl", row(0, reasoning="", response=""))
    long = jsonl(folder / "long.jsonl", row(0, reasoning="long " * 400))
    return {
        "one": ([a], "one teacher alone cannot be compared"),
        "twice": ([a, f"c={folder}/a.jsonl"], "is the same run as"),
        "apart": ([a, f"c={other}"], "no prompt that all have answered; ask every teacher"),
        "pairs": ([a, b, f"c={other}"], "no prompt that all have answered; a and b share 3"),
        "silent": ([a, f"c={empty}"], "no answers in it"),
        "unread": ([a, f"c={long}"], "no prompt has an answer of each with a score"),
        "partly": ([f"c={third}", f"d={other}", a], "no prompt that all have answered; c and"),
        "nothing": ([a, f"c={folder}/none.jsonl"], "no such file"),
    }


@pytest.mark.parametrize(
    "case", ["one", "twice", "apart", "pairs", "silent", "unread", "partly", "nothing"]
)
def test_what_cannot_be_compared_is_said_in_one_line(
    case: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words, says = refusals(tmp_path)[case]
    assert main(["filter", *flags(tmp_path, model), *words]) == Exit.USER
    said = capsys.readouterr()
    assert says in said.err
    assert not said.out


def test_a_comparison_without_a_model_names_the_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = teachers(tmp_path, a=["I add."], b=["So."])
    assert main(["filter", filters(tmp_path), "--compare-teachers", *words]) == Exit.USER
    assert "score_model: missing, and 'student_fit' is measured by a model" in (
        capsys.readouterr().err
    )


def test_a_dry_run_counts_the_prompts_and_loads_no_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: Path
) -> None:
    words = teachers(tmp_path, a=["I add."] * 9, b=["So."] * 5)
    folder = tiny(tmp_path / "broken")
    (folder / "model.safetensors").write_bytes(b"not weights")
    assert main(["filter", *flags(tmp_path, folder), *words, "--dry-run"]) == Exit.DONE
    assert "2 teachers share 5 prompts" in capsys.readouterr().err


def test_an_interval_holds_the_mean_it_is_of_and_equal_values_leave_no_doubt() -> None:
    # 400 samples of 40 numbers around 2: the interval holds 2 in about 95 % of them
    import numpy as np

    rng = np.random.default_rng(1)
    samples = [rng.normal(2, 1, 40).tolist() for _ in range(400)]
    found = [bootstrap(sample, draws=400).ci95 for sample in samples]
    assert 0.90 < sum(low <= 2 <= high for low, high in found) / 400 < 0.98
    assert bootstrap([1.5] * 3).ci95 == (1.5, 1.5)
    assert not Pair(teachers=("a", "b"), difference=bootstrap([0.0] * 3)).certain
    assert Pair(teachers=("a", "b"), difference=bootstrap([-1.0, -3.0, -2.0])).certain


def kept(out: Path) -> dict[str, int]:
    table = pl.read_parquet(sorted((out / "kept").glob("*.parquet")))
    return dict(table.select("id", "sample").iter_rows())


def test_of_the_answers_to_a_prompt_the_one_that_suits_the_student_is_kept(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["I add one.", "Zq xk vv jj.", "Two, three. " * 3]
    rows = [row(n, sample=k, reasoning=text) for n in range(4) for k, text in enumerate(texts)]
    wrong = [row(n, sample=9, response="\\boxed{99}") for n in range(4)]
    data = jsonl(tmp_path / "rows.jsonl", *rows, *wrong)
    select = {"per_prompt": {"at_most": 1, "prefer": "student_fit ASC"}}
    words = [filters(tmp_path, select=select), str(data), "-o", str(tmp_path / "out")]
    words += ["--set", f"score_model={model}"]

    seen: list[int] = []
    whole = score.measure

    def counted(frame: pl.DataFrame, settings: Settings) -> pl.DataFrame:
        seen.append(frame.height)
        return whole(frame, settings)

    monkeypatch.setattr(score, "measure", counted)
    fits = [fit for fit, _ in expected(model, rows)]
    seen.clear()
    assert main(["filter", *words]) == Exit.DONE
    best = {f"q{n}": min(range(3), key=lambda k: fits[3 * n + k]) for n in range(4)}
    assert kept(tmp_path / "out") == best
    assert sum(seen) == len(rows)  # the wrong ones were dropped before

    seen.clear()
    worst = [*words, "--set", "select.per_prompt.prefer=student_fit DESC", "--force"]
    assert main(["filter", *worst]) == Exit.DONE
    assert not seen  # every value was stored
    least = {f"q{n}": max(range(3), key=lambda k: fits[3 * n + k]) for n in range(4)}
    assert kept(tmp_path / "out") == least


def test_a_preference_for_what_only_a_model_measures_names_the_missing_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = filters(tmp_path, select={"prefer": "student_fit ASC", "dedupe": "exact"})
    data = jsonl(tmp_path / "rows.jsonl", row(1))
    assert main(["filter", recipe, str(data), "-o", str(tmp_path / "out")]) == Exit.USER
    assert "score_model: missing, and 'student_fit'" in capsys.readouterr().err
