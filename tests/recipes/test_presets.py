"""Presets: each shipped one holds what it must, a teacher gets it, and no key goes astray."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from distill.errors import UserError
from distill.recipes.find import PRESETS, names, shipped
from distill.recipes.load import load
from distill.recipes.places import Origin
from distill.recipes.presets import Preset, fill_presets, find_preset, read_preset
from distill.recipes.prompts import PromptsRecipe
from distill.recipes.teachers import Teacher
from distill.teachers.wire import parse

WIRE = Path(__file__).parents[1] / "teachers/wire"
HERE = Origin(path=Path("mine.yaml"))  # a recipe in a folder without presets
VENDORS = {
    "deepseek": ("https://api.deepseek.com", "DEEPSEEK_API_KEY"),
    "openrouter": ("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "together": ("https://api.together.ai/v1", "TOGETHER_API_KEY"),
    "fireworks": ("https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
}
SERVERS = {"vllm": 8000, "sglang": 30000, "llamacpp": 8080, "ollama": 11434, "lmstudio": 1234}


def preset(name: str) -> Preset:
    return read_preset(shipped(PRESETS) / f"{name}.yaml")


def recipe(folder: Path, block: str, *overrides: str) -> PromptsRecipe:
    path = folder / "mine.yaml"
    path.write_text(f"problems: {{file: a.jsonl}}\n{block}\n")
    return load(str(path), PromptsRecipe, overrides).recipe


def teacher(folder: Path, block: str, *overrides: str) -> Teacher:
    found = recipe(folder, f"teacher: {{{block}}}", *overrides).teacher
    assert found is not None
    return found


def mistake(folder: Path, block: str, *overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        recipe(folder, block, *overrides)
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    return text.removeprefix(f"{folder / 'mine.yaml'}: ")


@pytest.fixture(autouse=True)
def _away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the checkout's own ./prompts/teachers would be found before the shipped ones."""
    monkeypatch.chdir(tmp_path)


def test_these_are_the_shipped_presets() -> None:
    assert names(PRESETS) == sorted([*VENDORS, *SERVERS])


@pytest.mark.parametrize("name", names(PRESETS))
def test_every_preset_is_whole(name: str) -> None:
    found = preset(name)
    if name in VENDORS:
        assert (found.base_url, found.key_env) == VENDORS[name]
    else:
        assert found.base_url == f"http://127.0.0.1:{SERVERS[name]}/v1"
        assert found.key_env is None
    assert found.timeout_s >= 600
    if found.prices is not None:
        assert date(2026, 1, 1) < found.prices.as_of < date(2100, 1, 1)
        assert found.prices.models
        for price in found.prices.models.values():
            assert 0 < (price.cached_input or price.input) <= price.input <= price.output
    for retired in found.retired.values():
        assert retired.use not in found.retired
        assert found.prices is not None
        assert retired.use in found.prices.models


@pytest.mark.parametrize("name", names(PRESETS))
def test_every_preset_says_where_its_facts_are_from(name: str) -> None:
    text = (shipped(PRESETS) / f"{name}.yaml").read_text(encoding="utf-8")
    assert f"teacher: {{at: {name}, model: " in text
    for key in ("base_url", "reasoning"):
        line = text.index(f"\n{key}: ")
        above = text[:line].rpartition("\n")[2]
        assert "#" in text[line:].split("\n")[1] or above.startswith("#")


@pytest.mark.parametrize("name", names(PRESETS))
def test_a_teacher_at_a_preset_needs_only_a_model(tmp_path: Path, name: str) -> None:
    found, of = teacher(tmp_path, f"at: {name}, model: m"), preset(name)
    assert (found.at, found.model, found.price) == (name, "m", None)
    assert (found.base_url, found.key_env) == (of.base_url, of.key_env)
    assert (found.concurrency, found.timeout_s) == (of.concurrency, of.timeout_s)
    assert (found.limit_name, found.extra_body) == (of.limit_name, of.extra_body)
    assert (found.continues, found.ignores) == (of.continues, of.ignores)


@pytest.mark.parametrize(
    ("name", "model"),
    [(name, model) for name in VENDORS for model in getattr(preset(name).prices, "models", ())],
)
def test_a_listed_model_has_its_price(tmp_path: Path, name: str, model: str) -> None:
    found = teacher(tmp_path, f"at: {name}, model: '{model}'")
    assert found.price is not None
    assert found.price == preset(name).price(model)


def test_the_shipped_recipe_asks_deepseek_at_its_peak_price() -> None:
    found = load("gsm8k", PromptsRecipe).recipe.teacher
    assert found is not None
    assert (found.base_url, found.key_env) == VENDORS["deepseek"]
    assert found.price is not None
    assert (found.price.input, found.price.cached_input, found.price.output) == (0.15, 0.003, 0.6)
    assert found.price.peak is not None
    assert found.price.peak.factor == 2
    tuesday = datetime(2026, 11, 24, tzinfo=UTC)
    assert found.price.peak.covers((tuesday + timedelta(hours=9)).timestamp())
    assert not found.price.peak.covers((tuesday + timedelta(hours=12)).timestamp())


def test_the_shipped_recipe_goes_to_another_vendor_with_two_settings() -> None:
    mine = ["teacher.at=openrouter", "teacher.model=deepseek/deepseek-r1"]
    found = load("gsm8k", PromptsRecipe, mine).recipe.teacher
    assert found is not None
    assert (found.base_url, found.key_env) == VENDORS["openrouter"]
    assert found.model == "deepseek/deepseek-r1"
    assert found.price is not None
    assert (found.price.output, found.price.peak) == (2.5, None)
    assert (found.extra_body, found.continues, found.ignores) == ({}, None, ())


def test_what_a_block_says_goes_before_its_preset(tmp_path: Path) -> None:
    said = (
        "at: deepseek, model: deepseek-flash, key_env: MY_KEY, concurrency: 3, timeout_s: 9, "
        "continues: null, ignores: [], price: {input: 1, output: 2}, extra_body: {top_k: 1}"
    )
    found = teacher(tmp_path, said)
    assert (found.key_env, found.concurrency, found.timeout_s) == ("MY_KEY", 3, 9)
    assert (found.continues, found.ignores) == (None, ())
    assert found.price is not None
    assert (found.price.input, found.price.peak) == (1, None)
    # a switch is one more, and goes before the preset's of the same name
    assert found.extra_body == {"thinking": {"type": "enabled"}, "top_k": 1}
    off = teacher(tmp_path, said, "teacher.extra_body.thinking.type=disabled")
    assert off.extra_body == {"thinking": {"type": "disabled"}, "top_k": 1}


def test_a_price_that_is_said_to_be_unknown_stays_so(tmp_path: Path) -> None:
    assert teacher(tmp_path, "at: deepseek, model: deepseek-flash, price: null").price is None


FLASH_PEAK = "peak: {factor: 2, weekdays_utc: [1, 2, 3, 4, 5], hours_utc: [[1, 4], [6, 10]]}"
AT_DEEPSEEK = "base_url: 'https://%s', model: deepseek-flash, "


@pytest.mark.parametrize(
    ("block", "key"),
    [
        ("at: deepseek, model: deepseek-flash, price: {input: 0, output: 0}", "input"),
        ("at: deepseek, model: deepseek-flash, price: {input: 5, output: 0.6}", "output"),
        ("at: deepseek, model: deepseek-flash, price: {input: 5, cached_input: 0, output: 5}", "c"),
        # the peak taken off, or moved to where it never is
        ("at: deepseek, model: deepseek-flash, price: {input: 0.15, output: 0.6}", "input"),
        (
            "at: deepseek, model: deepseek-flash, price: {input: 0.15, output: 0.6, "
            "peak: {factor: 2, weekdays_utc: [], hours_utc: []}}",
            "input",
        ),
        (AT_DEEPSEEK % "api.deepseek.com/beta" + "price: {input: 0, output: 0}", "input"),
        (AT_DEEPSEEK % "API.DeepSeek.com:443/" + "price: {input: 0, output: 0}", "input"),
        (AT_DEEPSEEK % "api.deepseek.com./" + "price: {input: 0, output: 0}", "input"),
        ("at: openrouter, model: deepseek/deepseek-r1, price: {input: 0, output: 9}", "input"),
        # full-width letters, which a resolver takes for plain ones
        (AT_DEEPSEEK % "\uff41pi.deepseek\u3002com" + "price: {input: 0, output: 0}", "input"),
        ("at: deepseek, model: ' DeepSeek-Flash', price: {input: 0, output: 0}", "input"),
        ("at: mine, model: deepseek-flash", "input"),
    ],
)
def test_a_recipe_makes_no_vendor_cheaper_than_the_shipped_list(
    tmp_path: Path, block: str, key: str
) -> None:
    (tmp_path / "teachers").mkdir()
    (tmp_path / "teachers/mine.yaml").write_text(
        "base_url: https://api.deepseek.com\nconcurrency: 4\nreasoning: inline\n"
        "prices: {as_of: 2026-01-01, source: 'https://x', models: "
        "{deepseek-flash: {input: 0.001, output: 0.001}}}\n"
    )
    said = mistake(tmp_path, f"teacher: {{{block}}}")
    assert said.startswith(f"teacher.price.{key}")
    assert "a budget would not hold" in said


def test_what_the_user_pays_is_the_users_word(tmp_path: Path) -> None:
    block = "at: deepseek, model: deepseek-flash, price: {input: 0, output: 0}"
    mine = ("teacher.price.input=0.1", "teacher.price.output=0.2")
    found = teacher(tmp_path, block, *mine).price
    assert found is not None
    assert (found.input, found.output) == (0.1, 0.2)
    assert "teacher.price.output" in mistake(tmp_path, f"teacher: {{{block}}}", mine[0])
    whole = teacher(tmp_path, block, "teacher.price={input: 0.1, output: 0.2}").price
    assert whole == found
    listed = f"price: {{input: 0.15, cached_input: 0.003, output: 0.60, {FLASH_PEAK}}}"
    assert teacher(tmp_path, f"at: deepseek, model: deepseek-flash, {listed}").price is not None
    free = "price: {input: 0, output: 0}"
    for block in (
        f"at: vllm, model: deepseek-flash, {free}",
        f"at: together, model: unlisted, {free}",
        f"base_url: 'http://h/v1', model: deepseek-flash, {free}",
    ):
        assert teacher(tmp_path, block).price is not None


def test_a_recipe_names_no_limit_that_the_vendor_does_not_know(tmp_path: Path) -> None:
    block = "at: deepseek, model: deepseek-flash, limit_name: max_completion_tokens"
    elsewhere = AT_DEEPSEEK % "api.deepseek.com/v1" + "limit_name: max_completion_tokens"
    for one in (block, elsewhere):
        said = mistake(tmp_path, f"teacher: {{{one}}}")
        assert said.startswith("teacher.limit_name: 'max_completion_tokens' is not")
    mine = "teacher.limit_name=max_completion_tokens"
    assert teacher(tmp_path, block, mine).limit_name == "max_completion_tokens"
    own = "at: vllm, model: m, limit_name: max_completion_tokens"
    assert teacher(tmp_path, own).limit_name == "max_completion_tokens"


def test_each_of_several_teachers_gets_its_own_preset(tmp_path: Path) -> None:
    block = (
        "teachers: [{at: deepseek, model: deepseek-flash}, {at: vllm, model: m}, "
        "{base_url: 'http://h/v1', model: m}]"
    )
    found = recipe(tmp_path, block).endpoints
    assert [t.base_url for t in found] == [
        "https://api.deepseek.com",
        "http://127.0.0.1:8000/v1",
        "http://h/v1",
    ]
    assert [t.key_env for t in found] == ["DEEPSEEK_API_KEY", None, None]
    assert [t.price is not None for t in found] == [True, False, False]


def test_filling_changes_nothing_that_it_was_given() -> None:
    values = {"teacher": {"at": "deepseek", "model": "m", "extra_body": {"top": 1}}}
    before = yaml.safe_dump(values)
    assert fill_presets(values, HERE) != values
    assert yaml.safe_dump(values) == before


@pytest.mark.parametrize(
    ("block", "said"),
    [
        # unknown
        ("teacher: {at: deepseak, model: m}", "teacher.at: deepseak: no such preset; did you"),
        ("teacher: {at: zzz, model: m}", "teacher.at: zzz: no such preset; one of: deepseek, f"),
        ("teacher: {at: a/b.yaml, model: m}", "teacher.at: a/b.yaml: no such preset; one of"),
        ("teachers: [{at: vllm, model: m}, {at: vlm, model: m}]", "teachers.1.at: vlm: no such"),
        (f"teacher: {{at: {'a' * 500}, model: m}}", "no such preset"),
        # retired, by the preset's name and by its host
        (
            "teacher: {at: deepseek, model: deepseek-reasoner}",
            "teacher.model: 'deepseek-reasoner' was retired on 2026-07-24; use deepseek-flash",
        ),
        (
            "teacher: {base_url: 'https://API.deepseek.com/v1', model: deepseek-chat}",
            "teacher.model: 'deepseek-chat' was retired on 2026-07-24; use deepseek-flash",
        ),
        (
            "teachers: [{at: deepseek, model: deepseek-chat}]",
            "teachers.0.model: 'deepseek-chat' was retired on 2026-07-24; use deepseek-flash",
        ),
        # a vendor's key is for the vendor
        (
            "teacher: {at: together, model: m, base_url: 'https://h/v1'}",
            "teacher.base_url: not beside at: together, whose key must not go to another host; ",
        ),
        # not of the right kind: as any other key
        ("teacher: {at: 5, model: m}", "teacher.at: 5 input should be a valid string"),
        ("teacher: {at: deepseek}", "teacher.model: missing"),
        ("teacher: {at: deepseek, model: [a]}", "teacher.model: input should be a valid string"),
        ("teacher: {at: deepseek, model: m, extra_body: 5}", "teacher.extra_body: 5 input"),
        ("teacher: {base_url: 'http://[', model: m}", "teacher.base_url: 'http://['"),
        ("teacher: deepseek", "teacher: 'deepseek' input should be"),
        ("teachers: {at: deepseek}", "teachers: input should be a valid tuple"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_asked(
    tmp_path: Path, block: str, said: str
) -> None:
    assert said in mistake(tmp_path, block)


def test_a_retired_name_is_another_vendors_own_business(tmp_path: Path) -> None:
    for block in (
        "at: openrouter, model: deepseek-chat",
        "base_url: 'http://127.0.0.1:8000/v1', model: deepseek-reasoner",
        "base_url: 'https://api.deepseek.com.example/v1', model: deepseek-reasoner",
    ):
        assert teacher(tmp_path, block).model.startswith("deepseek-")


FLASH = "at: deepseek, model: deepseek-flash"
ELSEWHERE = "base_url: 'http://h/v1', model: m, key_env: OLD_KEY, price: {input: 1, output: 2}"


@pytest.mark.parametrize("host", ["https://evil.example/v1", "http://127.0.0.1:8000/v1"])
def test_a_key_and_a_price_do_not_follow_to_another_address(tmp_path: Path, host: str) -> None:
    found = teacher(tmp_path, FLASH, f"teacher.base_url={host}")
    assert (found.at, found.base_url) == (None, host)
    assert (found.key_env, found.price) == (None, None)
    assert (found.extra_body, found.continues) == ({}, None)


@pytest.mark.parametrize("name", names(PRESETS))
def test_a_key_and_a_price_do_not_follow_to_another_preset(tmp_path: Path, name: str) -> None:
    for block in (FLASH, ELSEWHERE):
        found = teacher(tmp_path, block, f"teacher.at={name}", "teacher.model=m")
        of = preset(name)
        assert (found.base_url, found.key_env, found.price) == (of.base_url, of.key_env, None)


def test_a_price_does_not_follow_to_another_model(tmp_path: Path) -> None:
    other = teacher(tmp_path, FLASH, "teacher.model=deepseek-v4-pro").price
    assert other is not None
    assert other.output == 1.98
    assert teacher(tmp_path, FLASH, "teacher.model=unlisted").price is None


@pytest.mark.parametrize("swapped", [True, False])
def test_a_vendor_and_an_address_are_not_set_together(tmp_path: Path, swapped: bool) -> None:
    sets = ["teacher.at=openrouter", "teacher.base_url=https://evil.example/v1"]
    said = mistake(tmp_path, f"teacher: {{{ELSEWHERE}}}", *(sets[::-1] if swapped else sets))
    assert said.startswith("teacher.base_url: not beside at: openrouter")
    assert "OPENROUTER_API_KEY" not in said


def test_a_server_of_ones_own_may_be_on_any_machine(tmp_path: Path) -> None:
    found = teacher(tmp_path, "at: vllm, model: m, base_url: 'http://gpu7:9000/v1'")
    assert (found.base_url, found.key_env) == ("http://gpu7:9000/v1", None)
    assert found.continues == "continue_final_message"
    sets = ("teacher.at=vllm", "teacher.base_url=http://gpu7:9000/v1", "teacher.model=m")
    assert teacher(tmp_path, FLASH, *sets) == found


MINE = "base_url: https://mine.example/v1\nconcurrency: 2\nreasoning: inline\n"


def write(path: Path, text: str = MINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def found(name: str, recipe: Path, *, by_user: bool = False) -> Path | None:
    given = frozenset({("teacher", "at")} if by_user else ())
    return find_preset(name, "teacher.at", Origin(path=recipe, given=given))


def test_a_preset_is_shipped_or_beside_the_recipe_or_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = tmp_path / "recipes" / "mine.yaml"
    assert found("vllm", asked) == found("vllm.yaml", asked) == shipped(PRESETS) / "vllm.yaml"
    assert found("our-gpu", asked) is None
    here = write(tmp_path / PRESETS / "our-gpu.yaml")
    assert found("our-gpu", asked) == here
    beside = write(asked.parent / "teachers" / "our-gpu.yaml")
    assert found("our-gpu", asked) == found("our-gpu.yaml", asked) == beside
    named = write(asked.parent / "other.yaml")
    assert found("other.yaml", asked) == found(str(named), asked) == named
    assert found("recipes/other.yaml", Path("elsewhere/x.yaml")) is None
    path = Path("recipes/other.yaml")
    assert found("recipes/other.yaml", Path("elsewhere/x.yaml"), by_user=True) == path


@pytest.mark.parametrize("folder", ["teachers", "presets", "."])
@pytest.mark.parametrize("name", ["deepseek", "DeepSeek"])
def test_no_other_preset_has_a_shipped_name(folder: str, name: str, tmp_path: Path) -> None:
    asked = tmp_path / "mine.yaml"
    path = write(tmp_path / folder / f"{name}.yaml")
    at = name if folder == "teachers" else f"{folder}/{name}.yaml"
    refused(at, asked, path)
    refused(at, asked, path, by_user=True)


def test_a_preset_of_a_shipped_name_in_the_working_folder_is_refused_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / PRESETS / "deepseek.yaml")
    refused("deepseek", tmp_path / "recipes" / "mine.yaml", path)


def refused(at: str, recipe: Path, path: Path, *, by_user: bool = False) -> None:
    with pytest.raises(UserError, match="has the name of a shipped one") as said:
        found(at, recipe, by_user=by_user)
    assert str(path) in str(said.value)
    assert str(shipped(PRESETS) / "deepseek.yaml") in str(said.value)


def test_a_program_of_a_presets_name_is_no_preset(tmp_path: Path) -> None:
    write(tmp_path / "ollama", "\x7fELF")
    assert teacher(tmp_path, "at: ollama, model: m").base_url == "http://127.0.0.1:11434/v1"


def test_a_teacher_at_a_preset_of_ones_own(tmp_path: Path) -> None:
    write(
        tmp_path / "teachers" / "mine.yaml",
        MINE + "key_env: MY_KEY\nretired: {old: {use: new, since: 2026-01-01}}\n"
        "prices: {as_of: 2026-01-01, source: 'https://x', models: {m: {input: 1, output: 2}}}\n",
    )
    found = teacher(tmp_path, "at: mine, model: m")
    assert (found.base_url, found.key_env, found.concurrency) == (
        "https://mine.example/v1",
        "MY_KEY",
        2,
    )
    assert found.price is not None
    assert mistake(tmp_path, "teacher: {at: mine, model: old}") == (
        "teacher.model: 'old' was retired on 2026-01-01; use new"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (MINE + "base_ur: x", "base_ur: no such key; did you mean 'base_url'?"),
        (MINE.replace("https://mine.example/v1", "mine"), "base_url: 'mine' must be an http://"),
        (MINE + "continues: somehow", "continues: 'somehow' input should be 'assistant_turn'"),
        (MINE + "limit_name: n", "limit_name: 'n' input should be 'max_tokens' or"),
        (MINE + "key_env: 'a b'", "key_env: must be the NAME of an environment variable"),
        (MINE + "api_key: abc", "api_key: looks like an API key"),
        (MINE + "prices: {source: 'https://x', models: {}}", "prices.as_of: missing"),
        (MINE + "prices: {as_of: soon, source: 'https://x', models: {}}", "prices.as_of: 'soon'"),
        ("- a", "a recipe is a mapping of keys to values; found list"),
    ],
)
def test_a_mistake_in_a_preset_names_the_preset(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path / "teachers" / "mine.yaml", text)
    with pytest.raises(UserError) as caught:
        recipe(tmp_path, "teacher: {at: mine, model: m}")
    assert str(caught.value).startswith(f"{path}: {said}")


ANYTHING = st.none() | st.integers() | st.text(max_size=6) | st.lists(st.integers(), max_size=1)


@given(
    block=st.fixed_dictionaries(
        {},
        optional={
            "at": st.sampled_from(names(PRESETS)) | ANYTHING,
            "model": st.sampled_from(["deepseek-flash", "deepseek-chat"]) | ANYTHING,
            "base_url": st.sampled_from(["https://api.deepseek.com", "http://["]) | ANYTHING,
            "extra_body": st.dictionaries(st.text(max_size=3), ANYTHING) | ANYTHING,
            "key_env": ANYTHING,
            "price": ANYTHING,
        },
    )
)
def test_any_block_is_filled_or_refused_and_no_key_leaves_its_host(block: dict[str, Any]) -> None:
    found = filled_or_refused(block)
    if isinstance(found, str):
        assert len(found.splitlines()) == 1
        return
    assert all(found[name] == block[name] for name in block if name != "extra_body")
    for url, key in VENDORS.values():
        assert found.get("key_env") != key or found["base_url"] == url


def filled_or_refused(block: dict[str, Any]) -> dict[str, Any] | str:
    try:
        filled: dict[str, Any] = fill_presets({"teacher": block}, HERE)["teacher"]
    except UserError as error:
        return str(error)
    return filled


THOUGHT, ANSWER = "7 times 8 is 56, and 56 + 1 is 57.", "The sum is \\boxed{57}."
WHOLE = (THOUGHT, ANSWER, "stop")
# (reasoning, response, finish), then tokens: (prompt, cached, reasoning, completion)
REPLIES = {
    "deepseek": (WHOLE, (40, 32, 19, 31)),
    "deepseek-cut": (("7 times 8 is", "", "length"), (40, 0, 4, 4)),
    "openrouter": (WHOLE, (40, 0, 19, 31)),
    "together": (WHOLE, (40, None, None, 31)),
    "together-r1": (WHOLE, (40, None, None, 33)),
    "fireworks": (WHOLE, (40, 16, None, 31)),
    "vllm": (WHOLE, (40, None, None, 31)),
    "vllm-0.11": (WHOLE, (40, None, None, 31)),
    "vllm-no-parser": (WHOLE, (40, 16, None, 31)),
    "sglang": (WHOLE, (40, 8, 19, 31)),
    "llamacpp": (WHOLE, (40, 0, None, 31)),
    "ollama": (WHOLE, (40, None, None, 31)),
    "lmstudio": (WHOLE, (40, None, None, 31)),
    "lmstudio-separate": (WHOLE, (40, None, None, 31)),
    "thinking": (WHOLE, (40, None, None, 31)),
}


def test_every_reply_is_expected_and_every_preset_has_one() -> None:
    assert {path.stem for path in WIRE.glob("*.json")} == set(REPLIES)
    assert set(names(PRESETS)) <= set(REPLIES)


@pytest.mark.parametrize("name", REPLIES)
def test_a_servers_reply_becomes_a_thought_and_an_answer(name: str) -> None:
    texts, tokens = REPLIES[name]
    reply = parse((WIRE / f"{name}.json").read_bytes())
    assert (reply.reasoning, reply.response, reply.finish_reason) == texts
    counted = (reply.prompt_tokens, reply.cached_tokens, reply.reasoning_tokens)
    assert (*counted, reply.completion_tokens) == tokens
    assert reply.model is not None


@pytest.mark.parametrize("name", names(PRESETS))
def test_a_presets_field_for_the_thinking_is_the_replys(name: str) -> None:
    text = (WIRE / f"{name}.json").read_text(encoding="utf-8")
    field = preset(name).reasoning
    assert ("<think>" in text) if field == "inline" else (f'"{field}": "' in text)


def test_the_sources_of_the_replies_are_named() -> None:
    readme = (WIRE / "README.md").read_text(encoding="utf-8")
    assert not [name for name in REPLIES if f"`{name}`" not in readme]
