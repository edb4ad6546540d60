import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from distill.errors import UserError
from distill.problems import read_problems
from distill.recipes.filters import FilterRecipe
from distill.recipes.find import PRESETS, find, names, shipped
from distill.recipes.load import KINDS, Loaded, load
from distill.recipes.prompts import PromptsRecipe
from distill.recipes.read import parse_yaml
from distill.recipes.students import StudentRecipe
from distill.recipes.switches import RESERVED
from distill.recipes.teachers import Teacher

PROMPTS = "problems: {file: a.jsonl}\nserve: {}\n"
TEACHER = "problems: {file: a.jsonl}\nteacher: {model: m, base_url: 'http://h/v1', %s}\n"
GYM = "problems: {reasoning_gym: [{name: x, size: 1, seed: 0}, %s]}\nserve: {}\n"


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "mine.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def mistake(path: Path, *overrides: str, model: type = PromptsRecipe) -> str:
    with pytest.raises(UserError) as caught:
        load(str(path), model, overrides)
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    return text


def outcome(path: Path, model: type) -> str:
    try:
        load(str(path), model)
    except UserError as error:
        return str(error)
    return "loaded"


def recipe(path: Path, *overrides: str) -> PromptsRecipe:
    return load(str(path), PromptsRecipe, overrides).recipe


MISTAKES = [
    # an unknown key: at the top, in a block, in a list
    (PROMPTS + "sampels: 4", "sampels: no such key; did you mean 'samples'?"),
    (PROMPTS + "sampling: {temperatur: 1}", "sampling.temperatur: no such key; did you mean 'temp"),
    (
        GYM % "{name: y, size: 1, sead: 0}",
        "problems.reasoning_gym.1.sead: no such key; did you mea",
    ),
    (PROMPTS + "zzz: 4", "zzz: no such key; one of: becomes, budget_usd, domain"),
    (PROMPTS + '"a\\nb": 4', "a b: no such key"),
    # a value of the wrong kind, and one out of range
    (PROMPTS + "samples: four", "samples: 'four' input should be a valid integer"),
    (PROMPTS + "samples: 0", "samples: 0 input should be greater than or equal to 1"),
    (PROMPTS + "domain: maths", "domain: 'maths' input should be 'math', 'code'"),
    (
        PROMPTS + "sampling: {temperature: .nan}",
        "sampling.temperature: nan input should be a finite",
    ),
    (PROMPTS + "sampling: 5", "sampling: 5 input should be a valid dictionary"),
    (GYM % "{name: y, size: none, seed: 0}", "problems.reasoning_gym.1.size: 'none' input should"),
    (
        "problems: {file: a, map: {answer: x}}\nserve: {}",
        "problems.map.answer: 'answer' input should",
    ),
    # something missing, or two of what is one
    ("serve: {}", "problems: missing"),
    (GYM % "{name: y, size: 1}", "problems.reasoning_gym.1.seed: missing"),
    ("problems: {file: a.jsonl}", "give exactly one of teacher (an endpoint), teachers ("),
    (
        "problems: {}\nserve: {}",
        "problems: give exactly one of file, dataset, reasoning_gym, traces; found none",
    ),
    ("problems: {file: a, dataset: b/c}\nserve: {}", "found file and dataset"),
    (TEACHER % "" + "serve: {}", "give exactly one of teacher"),
    # an address that is none
    (PROMPTS.replace("serve: {}", "teacher: {model: m, base_url: h/v1}"), "must be an http:// or"),
    (PROMPTS.replace("serve: {}", "teacher: {model: m, base_url: 'http://h/v1?a=b'}"), "without ?"),
    # no mapping at all
    ("", "a recipe is a mapping of keys to values; found NoneType"),
    ("- a", "a recipe is a mapping of keys to values; found list"),
]


@pytest.mark.parametrize(("text", "said"), MISTAKES)
def test_a_mistake_is_one_line_with_file_key_value_and_the_nearest_valid(
    tmp_path: Path, text: str, said: str
) -> None:
    path = write(tmp_path, text)
    assert mistake(path).startswith(f"{path}: ")
    assert said in mistake(path)


YAML_MISTAKES = [
    ("a: 1\nb: [1", 2, "expected ',' or ']'"),
    ("a: 1\na: 2", 2, "'a' is given twice"),
    ("x:\n  a: 1\n  a: 2", 3, "'a' is given twice"),
    ("a: &x [1]\nb: *x", 2, "aliases are not read"),
    ("a: 1\n---\nb: 1", 2, "a single document"),
    ("? [a]\n: b", 1, "a key must be plain text"),
    ("a: !!python/object/apply:os.system [id]", 1, "could not determine a constructor"),
    # what looks like a date, a number or a switch and is none
    ("samples: 1\ndomain: 2024-13-45", 2, "looks like a value of kind timestamp"),
    ("samples: 1:30", 1, "1:30 is no plain number; write it as one, or quote it as text"),
    ("budget_usd: 190:20:30.15", 1, "is no plain number"),
    ("samples: !!int 1:30", 1, "is no plain number"),
    ("samples: 017", 1, "017 is no plain number"),
    ("a: !!bool perhaps", 1, "looks like a value of kind bool"),
    ("a: !!timestamp soon", 1, "looks like a value of kind timestamp"),
    ("a: " + "1" * 5000, 1, "looks like a value of kind int"),
    ("a: 0x" + "f" * 5000, 1, "looks like a value of kind int"),
]


@pytest.mark.parametrize(("text", "line", "said"), YAML_MISTAKES)
def test_unreadable_yaml_is_one_line_with_the_number_of_the_line(
    tmp_path: Path, text: str, line: int, said: str
) -> None:
    path = write(tmp_path, text)
    assert mistake(path).startswith(f"{path}:{line}: not a recipe: ")
    assert said in mistake(path)


def test_an_alias_bomb_is_refused_before_it_unfolds(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30)]
    assert ":2: not a recipe: aliases are not read" in mistake(write(tmp_path, "\n".join(lines)))


def test_a_recipe_nested_without_end_is_refused(tmp_path: Path) -> None:
    assert "nested too deeply" in mistake(write(tmp_path, "[" * 5000))
    assert "x: no such key" in mistake(write(tmp_path, PROMPTS), "x=" + "[" * 5000)


def test_a_recipe_that_is_not_utf8_is_refused_with_the_byte(tmp_path: Path) -> None:
    path = write(tmp_path, b"domain: \xe9")
    assert mistake(path) == f"{path}: not UTF-8 at byte 8; save it as UTF-8"


@given(text=st.one_of(st.text(), st.text(alphabet="ab:{}[]-?&*!#|>'\"\\ \n\t0123.e_"), st.binary()))
def test_any_file_loads_or_is_one_line(tmp_path_factory: Any, text: str | bytes) -> None:
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    path = write(tmp_path_factory.getbasetemp(), data)
    for model in KINDS:
        assert len(outcome(path, model).splitlines()) == 1


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@given(key=st.sampled_from([*PromptsRecipe.model_fields]), value=VALUES)
def test_any_value_at_any_key_loads_or_is_one_line(
    tmp_path_factory: Any, key: str, value: object
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    whole = {"problems": {"file": "a.jsonl"}, "serve": {}} | {key: value}
    path.write_text(yaml.safe_dump(whole, allow_unicode=True), encoding="utf-8", newline="")
    assert len(outcome(path, PromptsRecipe).splitlines()) == 1


@pytest.mark.parametrize("text", ["1e-4", "1E-4", "1.0e-4", "+1e-4", "0.0001"])
def test_an_exponent_without_a_point_is_a_number(text: str) -> None:
    assert parse_yaml(f"x: {text}") == {"x": 0.0001}


def test_set_overrides_a_nested_value_and_leaves_the_others(tmp_path: Path) -> None:
    path = write(tmp_path, PROMPTS + "sampling: {temperature: 0.1, top_p: 0.2}")
    sampling = recipe(path, "sampling.temperature=1e-4").sampling
    assert (sampling.temperature, sampling.top_p) == (0.0001, 0.2)


def test_set_creates_the_blocks_on_its_way(tmp_path: Path) -> None:
    path = write(tmp_path, PROMPTS + "sampling: null")
    assert recipe(path, "sampling.extra_body.provider.order=[x]").sampling.extra_body == {
        "provider": {"order": ["x"]}
    }


def test_the_last_set_wins(tmp_path: Path) -> None:
    assert recipe(write(tmp_path, PROMPTS), "samples=2", "samples=3").samples == 3


@pytest.mark.parametrize("override", ["a", "=1", " =1", "", "a..b=1", ".a=1", "a.=1"])
def test_a_malformed_set_says_how_to_write_it(tmp_path: Path, override: str) -> None:
    assert "write it as key.path=value" in mistake(write(tmp_path, PROMPTS), override)


def test_a_set_without_a_value_takes_the_value_out(tmp_path: Path) -> None:
    path = write(tmp_path, PROMPTS + "sampling: {seed: 4}")
    assert recipe(path, "sampling.seed=").sampling.seed is None
    assert "template: input should be a valid string" in mistake(path, "template=")


def test_a_set_below_a_value_is_refused(tmp_path: Path) -> None:
    said = mistake(write(tmp_path, PROMPTS), "problems.file.name=x")
    assert said == "--set problems.file.name: problems.file is a value, not a block"
    said = mistake(write(tmp_path, "problems: x\nserve: {}"), "problems.file=x")
    assert said == "--set problems.file: problems is a value, not a block"


def test_setting_a_file_takes_the_data_set_out_with_its_config_and_split(tmp_path: Path) -> None:
    hub = "problems: {dataset: a/b, config: c, split: d, source: s, map: {gold: x}}\nserve: {}"
    problems = recipe(write(tmp_path, hub), "problems.file=x").problems
    assert (problems.file, problems.dataset, problems.config) == ("x", None, None)
    assert (problems.split, problems.source, problems.map) == ("train", "s", {"gold": "x"})


def test_a_data_sets_own_file_keeps_its_columns_and_ids_and_loses_what_chose_its_rows(
    tmp_path: Path,
) -> None:
    hub = "problems: {dataset: a/b, where: x > 1, sha256: c, source: s, map: {gold: x}}\nserve: {}"
    problems = recipe(write(tmp_path, hub), "problems.file=x").problems
    assert (problems.where, problems.sha256) == (None, None)
    assert (problems.source, problems.map) == ("s", {"gold": "x"})


def test_setting_a_file_takes_a_generated_set_out_with_all_that_was_said_of_it(
    tmp_path: Path,
) -> None:
    said = "], sha256: abc, where: x > 1, source: gym, map: {gold: gold}}"
    text = GYM.replace("]}", said) % "{name: y, size: 1, seed: 0}"
    problems = recipe(write(tmp_path, text), "problems.file=x").problems
    assert (problems.reasoning_gym, problems.sha256) == (None, None)
    assert (problems.where, problems.source, problems.map) == (None, None, {})


def test_setting_a_data_set_takes_a_file_out_with_all_that_was_said_of_it(tmp_path: Path) -> None:
    text = "problems: {file: a.jsonl, where: x > 1, source: s, map: {gold: x}}\nserve: {}"
    problems = recipe(write(tmp_path, text), "problems.dataset=a/b").problems
    assert (problems.file, problems.where, problems.source, problems.map) == (None, None, None, {})


@pytest.mark.parametrize("first", [True, False])
def test_what_is_set_together_with_another_source_stays(tmp_path: Path, first: bool) -> None:
    mine = ["problems.where=y > 2", "problems.source=mine"]
    sets = [*mine, "problems.file=x"] if first else ["problems.file=x", *mine]
    text = GYM.replace("]}", "], where: x > 1}") % "{name: y, size: 1, seed: 0}"
    problems = recipe(write(tmp_path, text), *sets).problems
    assert (problems.where, problems.source) == ("y > 2", "mine")


def test_another_file_keeps_what_the_recipe_says_of_files(tmp_path: Path) -> None:
    text = "problems: {file: a.jsonl, where: x > 1, map: {gold: x}}\nserve: {}"
    problems = recipe(write(tmp_path, text), "problems.file=b.jsonl").problems
    assert (problems.where, problems.map) == ("x > 1", {"gold": "x"})


PRICED = TEACHER % "key_env: OLD_KEY, price: {input: 1, cached_input: 0.1, output: 2}"


def teacher(path: Path, *overrides: str) -> Teacher:
    found = recipe(path, *overrides).teacher
    assert found is not None
    return found


def test_another_address_gets_neither_the_key_nor_the_price(tmp_path: Path) -> None:
    found = teacher(write(tmp_path, PRICED), "teacher.base_url=http://other/v1")
    assert (found.base_url, found.key_env, found.price) == ("http://other/v1", None, None)


def test_another_preset_gets_nothing_that_was_said_of_the_address(tmp_path: Path) -> None:
    said = (
        "key_env: OLD_KEY, price: {input: 1, output: 2}, limit_name: max_completion_tokens, "
        "extra_body: {top_k: 1}, continues: assistant_turn, ignores: [seed], concurrency: 7"
    )
    found = teacher(write(tmp_path, TEACHER % said), "teacher.at=together")
    assert found.base_url == "https://api.together.ai/v1"
    assert (found.key_env, found.price) == ("TOGETHER_API_KEY", None)
    assert (found.limit_name, found.extra_body) == ("max_tokens", {})
    assert (found.continues, found.ignores) == (None, ())
    assert found.concurrency == 7


def test_another_model_keeps_the_key_and_loses_the_price(tmp_path: Path) -> None:
    found = teacher(write(tmp_path, PRICED), "teacher.model=other")
    assert (found.model, found.key_env, found.price) == ("other", "OLD_KEY", None)


def test_the_same_address_and_model_keep_key_and_price(tmp_path: Path) -> None:
    found = teacher(write(tmp_path, PRICED), "teacher.concurrency=2")
    assert found.key_env == "OLD_KEY"
    assert found.price is not None


@pytest.mark.parametrize("first", [True, False])
def test_a_key_and_a_price_set_with_the_address_stay(tmp_path: Path, first: bool) -> None:
    mine = ["teacher.key_env=MINE", "teacher.price.input=5", "teacher.price.output=6"]
    address = ["teacher.base_url=http://other/v1", "teacher.model=other"]
    found = teacher(write(tmp_path, PRICED), *(mine + address if first else address + mine))
    assert found.key_env == "MINE"
    assert found.price is not None
    # nothing of the old table is mixed in
    assert (found.price.input, found.price.cached_input, found.price.output) == (5, None, 6)


@pytest.mark.parametrize("name", RESERVED)
def test_what_would_defeat_the_budget_or_the_reading_is_no_switch(
    tmp_path: Path, name: str
) -> None:
    said = mistake(write(tmp_path, PROMPTS), f"sampling.extra_body.{name}=2")
    assert f"sampling.extra_body: must not hold {name}: " in said
    inner = mistake(write(tmp_path, PROMPTS), f"sampling.extra_body.extra_body.{name}=2")
    assert "sampling.extra_body: must not hold 'extra_body': " in inner


def test_the_readmes_recipe_of_ones_own_loads_and_reads_its_problems(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    section = readme.partition("\n## With your own data\n")[2].partition("\n## ")[0]
    text = section.partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "mine.jsonl").write_text('{"question": "1 + 1?", "answer": "2"}\n')
    loaded = load(str(write(tmp_path, text)), PromptsRecipe)
    assert [(p.question, p.gold) for p in read_problems(loaded)] == [("1 + 1?", "2")]
    assert loaded.recipe.teacher is not None
    mapped = load(str(write(tmp_path, text.replace("# map:", "map:"))), PromptsRecipe)
    assert set(mapped.recipe.problems.map) == {"question", "gold"}


def test_setting_a_served_model_takes_the_teacher_out_and_back(tmp_path: Path) -> None:
    served = recipe(write(tmp_path, TEACHER % ""), "serve.model=x")
    assert served.teacher is None
    assert served.serve is not None
    asked = recipe(write(tmp_path, PROMPTS), "teacher.model=x", "teacher.base_url=http://h/v1")
    assert asked.serve is None


LETTERS = "abcdefgh12345678ABCD"
KEYS = [
    TEACHER % f"key_env: sk-{LETTERS}",
    TEACHER % f"key_env: {LETTERS}",  # no known shape, but no name of a variable either
    TEACHER % f"key_env: sk-proj-{LETTERS}",
    TEACHER % f"key_env: hf_{LETTERS}",
    TEACHER % f"key_env: gsk_{LETTERS}",
    TEACHER % f"api_key: {LETTERS}",
    TEACHER % f"Authorization: {LETTERS}",
    TEACHER % "token: 1234512345",
    TEACHER % f"price: {{input: 0, output: 'r8_{LETTERS}'}}",
    TEACHER % f"sk-{LETTERS}: 1",
    TEACHER % "" + f"sampling: {{extra_body: {{headers: [x, 'Bearer {LETTERS}']}}}}",
    TEACHER % "" + f"sampling: {{extra_body: {{api_key: {LETTERS}}}}}",
    (TEACHER % "").replace("http://h", f"http://user:{LETTERS}@h"),
    (TEACHER % "").replace("http://h", f"user:{LETTERS}@h"),
    (TEACHER % "").replace("http://h/v1", f"http://h/v1?key=sk-{LETTERS}"),
]


@pytest.mark.parametrize("text", KEYS)
def test_a_key_in_a_recipe_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    said = mistake(write(tmp_path, text))
    assert LETTERS not in said
    assert "1234512345" not in said


def test_a_key_given_by_set_is_refused_and_not_repeated(tmp_path: Path) -> None:
    path = write(tmp_path, TEACHER % "")
    for override in (
        f"teacher.key_env=sk-{LETTERS}",
        f"teacher.api_key={LETTERS}",
        f"sk-{LETTERS}",
    ):
        assert LETTERS not in mistake(path, override)


def test_the_name_of_a_variable_is_no_key(tmp_path: Path) -> None:
    teacher = recipe(write(tmp_path, TEACHER % "key_env: DEEPSEEK_API_KEY")).teacher
    assert teacher is not None
    assert teacher.key_env == "DEEPSEEK_API_KEY"


def test_a_rule_is_named_as_the_reason_it_gives(tmp_path: Path) -> None:
    said = mistake(write(tmp_path, "rules: {Too-Long: 'x > 1'}"), model=FilterRecipe)
    assert "rules: 'Too-Long': a rule's name is its reason" in said


TRUTHS = ["samples: {}", "budget_usd: {}", "sampling: {{temperature: {}}}"]


@pytest.mark.parametrize("text", TRUTHS)
@pytest.mark.parametrize("truth", ["yes", "No", "on", "off", "true"])
def test_a_truth_value_is_no_number(text: str, truth: str, tmp_path: Path) -> None:
    given = "problems: {file: a.jsonl}\nserve: {}\n" + text.format(truth)
    assert "is a truth value (as yes, no" in mistake(write(tmp_path, given))


def test_a_truth_value_stays_one_where_it_is_wanted_and_is_no_text(tmp_path: Path) -> None:
    rules = "rules: {a: sample > 0}\n"
    for text in ("words: yes", "fuzzy: off"):
        path = write(tmp_path, rules + f"decontaminate: {{against: [a], {text}}}")
        assert "is a truth value" in mistake(path, model=FilterRecipe)
    path = write(tmp_path, rules + "select: {quota: {math: {sources: {a: yes}}}}")
    assert "is a truth value" in mistake(path, model=FilterRecipe)
    path = write(tmp_path, rules + "select: {shuffle: yes}\ntokenizer: no")
    assert "tokenizer: False" in mistake(path, model=FilterRecipe)
    assert "quote them" in mistake(path, model=FilterRecipe)
    loaded = load(str(path), FilterRecipe, ["tokenizer='no'"]).recipe
    assert (loaded.select.shuffle, loaded.tokenizer) == (True, "no")


def test_a_rule_is_switched_off_by_null(tmp_path: Path) -> None:
    path = write(tmp_path, "rules: {a: sample > 0, b: sample > 1, c: null}")
    assert load(str(path), FilterRecipe).recipe.rules == {"a": "sample > 0", "b": "sample > 1"}
    assert list(load(str(path), FilterRecipe, ["rules.a=null"]).recipe.rules) == ["b"]
    assert list(load("r1", FilterRecipe, ["rules.wrong=null"]).recipe.rules)[-1] == "no_answer"
    said = mistake(path, "rules.bb=null", model=FilterRecipe)
    assert said == "--set rules.bb=null: no such rule; did you mean 'b'?"


def test_a_recipe_of_any_size_is_not_read_whole(tmp_path: Path) -> None:
    assert "more than 1,048,576 bytes" in mistake(write(tmp_path, "#" * 2_000_000))


def test_a_quota_is_for_a_domain(tmp_path: Path) -> None:
    text = "rules: {a: x}\nselect: {quota: {maths: 1}}"
    assert "select.quota.maths: 'maths' input" in mistake(write(tmp_path, text), model=FilterRecipe)


def test_lora_and_sft_are_passed_on_as_they_are(tmp_path: Path) -> None:
    path = write(tmp_path, "base: x\nlora: {r: 8, any: [1]}\nsft: {learning_rate: 2e-4}")
    student = load(str(path), StudentRecipe).recipe
    assert student.lora == {"r": 8, "any": [1]}
    assert student.sft == {"learning_rate": 0.0002}
    assert load(str(path), StudentRecipe, ["lora.r=16"]).recipe.lora == {"r": 16, "any": [1]}


def test_an_unknown_name_offers_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="gsm8kk: no such recipe in prompts/; did you mean 'gsm8k'"):
        find("gsm8kk", "prompts")


def test_a_path_goes_before_the_folder_here_and_that_before_the_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find("gsm8k", "prompts") == shipped("prompts") / "gsm8k.yaml"
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "gsm8k.yaml").touch()
    assert find("gsm8k", "prompts") == Path("prompts/gsm8k.yaml")
    assert find("gsm8k.yaml", "prompts") == Path("prompts/gsm8k.yaml")
    (tmp_path / "gsm8k").touch()
    assert find("gsm8k", "prompts") == Path("gsm8k")


def test_a_preset_is_no_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    presets = set(names(PRESETS))
    assert "deepseek" in presets
    assert not [name for name in names("prompts") if name.rpartition("/")[2] in presets]
    with pytest.raises(UserError) as caught:
        find("zzz", "prompts")
    assert "teachers/" not in str(caught.value)


def shipped_recipes() -> list[Any]:
    return [
        pytest.param(model, shipped(kind) / f"{name}.yaml", id=f"{kind}/{name}")
        for model, kind in KINDS.items()
        for name in names(kind)
        if not (kind == "students" and "fsdp" in name) and not name.endswith("/mix")
    ]


@pytest.mark.parametrize(("model", "path"), shipped_recipes())
def test_every_shipped_recipe_loads(
    model: type, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # or the checkout's own ./prompts would be found first
    name = path.relative_to(shipped(KINDS[model])).with_suffix("").as_posix()
    loaded: Loaded[Any] = load(name, model)
    assert loaded.path == path


@pytest.mark.parametrize("name", ["eval/gsm8k", "eval/math500"])
def test_a_benchmark_fits_the_positions_of_the_students_it_is_for(name: str) -> None:
    found = load(name, PromptsRecipe).recipe
    assert found.serve is not None
    # max_position_embeddings of Qwen2.5's config.json
    assert found.serve.context <= 32_768
    assert found.sampling.max_tokens + 2_048 <= found.serve.context


def test_every_kind_ships_a_recipe() -> None:
    assert {model for model, _ in (p.values for p in shipped_recipes())} == set(KINDS)


def test_a_recipe_written_as_json_keeps_every_character(tmp_path: Path) -> None:
    text = json.dumps({"rules": {"x": "response != '\U0001f600'"}})  # with halves of characters
    assert load(str(write(tmp_path, text)), FilterRecipe).recipe.rules["x"].endswith("'\U0001f600'")
    with pytest.raises(UserError, match="looks like a value of kind str but is not"):
        load(str(write(tmp_path, text.replace("\\ude00", ""))), FilterRecipe)
