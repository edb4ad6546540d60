import json
import re
import time
from pathlib import Path

import polars as pl
import pytest

from bench.pool import build
from bench.traces import frame
from distill.credentials import doubt, find, kinds
from distill.credentials.environment import own_secrets
from distill.credentials.find import SECRET, keys_by_row, keys_in, without_keys
from tests.builders.benchmark_rows import GSM8K, HUMANEVAL, MATH, MBPP
from tests.builders.credential_samples import ALNUM, PLACEHOLDERS, URL, of, samples

SAMPLES = samples()


@pytest.mark.parametrize("name", SAMPLES)
def test_every_kind_is_found_wherever_it_stands(name: str) -> None:
    text = SAMPLES[name]
    around = (text, f"one line\n{text}\nand more", f'say "{text}".', f"Then\t{text}, I think.")
    assert [len(keys_in(each)) for each in around] == [1] * len(around)
    assert keys_in(json.dumps({"note": f"first\n{text}\nlast"}))  # \n touches what follows it


def test_at_least_48_kinds_are_sampled() -> None:
    assert len(SAMPLES) >= 48


@pytest.mark.parametrize("text", PLACEHOLDERS)
def test_what_only_looks_like_one_is_none(text: str) -> None:
    assert keys_in(text) == []


def test_a_column_of_texts_is_judged_as_each_text_alone() -> None:
    texts = [*SAMPLES.values(), *PLACEHOLDERS, "", "日本語"]
    found = keys_by_row(pl.Series([*texts, None]))
    assert found == {i: keys_in(text) for i, text in enumerate(texts) if keys_in(text)}


def test_different_keys_count_once_each_however_many_shapes_they_have() -> None:
    one, other = SAMPLES["anthropic"], SAMPLES["github classic"]
    text = f"ANTHROPIC_API_KEY={one}\nAuthorization: Bearer {one}\ncurl -u ada:{other}"
    assert len(keys_in(text)) == 2
    many = " ".join("hf_" + of(ALNUM, 34) for _ in range(200))
    assert len(keys_in(many)) == find.MOST


@pytest.mark.parametrize("name", SAMPLES)
def test_what_is_shown_holds_no_credential(name: str) -> None:
    shown = without_keys(f"it said {SAMPLES[name]} and more", 10_000)
    assert "…" in shown
    assert keys_in(shown) == []
    assert shown.isprintable()


def test_every_key_of_one_word_is_a_long_word() -> None:
    # what is shorter would be cut away before it is looked at
    import re._parser as parser  # type: ignore[import-not-found]

    widths = {
        kind.pattern: parser.parse(kind.pattern).getwidth()[0]
        for group in kinds.WORDS
        for kind in group
    }
    assert {pattern for pattern, least in widths.items() if least < find.LONG} == set()


def test_both_engines_know_every_pattern_and_none_looks_around() -> None:
    for kind in kinds.KINDS:
        for pattern in filter(None, (kind.pattern, kind.quick)):
            assert not re.search(r"\(\?[=!<](?!v>)|\\[bBdDwWsS]|\[\^", pattern), pattern
            pl.Series(["x"]).str.contains(f"(?-u:{pattern})")


@pytest.mark.parametrize(
    "piece",
    ["eyJ-", "eyJa.", "sk-", "SG.a", "://a:", "key-", "token ", "curl -u a:", "login a password ",
     "a" * 64, "basic a", "uid=a;", "-----BEGIN ", "MNO.", "api_key_", "0" * 32 + "-", "pat", "\\"],
)  # fmt: skip
def test_hostile_text_takes_time_in_proportion(piece: str) -> None:
    def taken(size: int) -> float:
        text = piece * (size // len(piece)) + of(URL, 8)
        began = time.process_time()
        keys_in(text)
        return time.process_time() - began

    taken(1_000)
    assert taken(1 << 20) < 5.0  # 1 MB; quadratic would be hours


def test_a_credential_at_the_end_of_much_that_is_none_is_found() -> None:
    text = "token = some_variable_name_2\n" * 20_000 + SAMPLES["gitlab"]
    assert keys_in(text) == ["a GitLab token"]


def test_own_secrets_are_long_values_of_variables_named_like_secrets(tmp_path: Path) -> None:
    file = tmp_path / "a-key-file-of-mine"
    file.touch()
    environment = {
        "VENDOR_API_KEY": "canary one 0123456789",
        "hub_token": "canary-two-0123456789",
        "SHORT_KEY": "canary",
        "SSH_KEY": str(file),  # says where it is
        "PATH": "/usr/bin:/usr/local/bin",
        "LONG_PASSWORD": "x" * 10_000,
        "PGPASSWORD": "canary-three-456789\n",
        "GITHUB_PAT": "canary-four-0123456789",
        "OLDPWD": "/gone/for/good/long/ago",
    }
    found = own_secrets(environment)
    names = ["GITHUB_PAT", "LONG_PASSWORD", "PGPASSWORD", "VENDOR_API_KEY", "hub_token"]
    assert sorted(found.values()) == names
    assert "canary-three-456789" in found


@pytest.mark.parametrize("kind", ["random", "password"])
def test_random_texts_are_taken_for_secrets(kind: str) -> None:
    judge = {"random": doubt.is_random, "password": doubt.is_password}[kind]
    drawn = [of(ALNUM, 24) for _ in range(2_000)] + [
        of("0123456789abcdef", 32) for _ in range(2_000)
    ]
    assert sum(map(judge, drawn)) / len(drawn) > 0.98


def test_traces_and_benchmarks_hold_none() -> None:
    rows = [*HUMANEVAL, *MBPP, *GSM8K, *MATH]
    texts = frame(0, 300, build(data=None))[0]["reasoning"]
    assert keys_by_row(texts.append(pl.Series([json.dumps(row) for row in rows]))) == {}


def test_this_repository_holds_nothing_that_a_scanner_would_take_for_a_key() -> None:
    text = (Path(__file__).parents[1] / "builders/credential_samples.py").read_text(
        encoding="utf-8"
    )
    vendors = [k for group in kinds.WORDS for k in group]
    shapes = re.compile("|".join(f"(?:{k.pattern})" for k in vendors).replace("(?P<v>", "(?:"))
    found = [match for match in shapes.findall(text) if not doubt.is_placeholder(match)]
    assert found == []
    assert SECRET.search(SAMPLES["openai"])
