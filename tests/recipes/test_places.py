"""A recipe reads only what is its own: every key that names a file, against every way out."""

import json
import os
import shlex
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

import distill
from distill.errors import UserError
from distill.files.named import TABLE
from distill.files.read import frames
from distill.filtering.prepare import prepare
from distill.generating.prepare import make_plan
from distill.generating.reach import who_answers
from distill.ledger import Ledger
from distill.problems import read_problems
from distill.recipes.filters import FilterRecipe
from distill.recipes.load import load
from distill.recipes.mix import MixRecipe
from distill.recipes.places import PLACES, Origin, place
from distill.recipes.presets import Preset
from distill.recipes.prompts import PromptsRecipe
from distill.recipes.students import StudentRecipe
from distill.rows import from_frame
from distill.signals.settings import PLAIN
from distill.training.base import chat_template_text
from distill.training.sets import apart
from distill.verify.own import own_checks

CANARY = "canary7f3a"
RULE = "a recipe reads only what is its own"
TEACHER = {"model": "m", "base_url": "http://127.0.0.1:9/v1"}
ROW = {"question": CANARY, "answer": "2", "response": CANARY, "id": "0", "sample": 0}


@dataclass(frozen=True)
class Key:
    """One key that names a file: a recipe with it, what may stand there, and what reads it."""

    recipe: Callable[[str], dict[str, Any]]
    file: str  # a name of the right kind
    content: str
    read: Callable[[str, list[str]], object]
    folder: bool = False  # the value is the folder that holds the file


def prompts(**values: Any) -> dict[str, Any]:
    return {"problems": {"dataset": "a/b"}, "teacher": TEACHER, **values}


def filters(**values: Any) -> dict[str, Any]:
    return {"rules": {"whole": "finish_reason = 'stop'"}, **values}


def asked(path: str, sets: list[str]) -> object:
    return [p.question for p in read_problems(load(path, PromptsRecipe, sets))]


def filtered(path: str, sets: list[str]) -> object:
    return prepare(path, Path("out"), sets, PLAIN, allow_code=True)


def checked(path: str, sets: list[str]) -> object:
    loaded = load(path, PromptsRecipe, sets)
    return own_checks({"verify": loaded.recipe.verify or ""}, loaded.origin, allowed=True)


def templated(path: str, sets: list[str]) -> object:
    return make_plan(load(path, PromptsRecipe, sets), "t").template


def trained(path: str, sets: list[str]) -> object:
    return distill.train(path, "no.jsonl", out="out", overrides=sets)


def chatted(path: str, sets: list[str]) -> object:
    loaded = load(path, StudentRecipe, sets)
    return chat_template_text(loaded.recipe.chat_template, loaded.origin)


def validated(path: str, sets: list[str]) -> object:
    found = apart(load(path, StudentRecipe, sets))
    return [row.messages for frame in frames(found or "") for row in from_frame(frame)]


def served(path: str, sets: list[str]) -> object:
    return who_answers(load(path, PromptsRecipe, sets))


def presets(path: str, sets: list[str]) -> object:
    return load(path, PromptsRecipe, sets)


GRADE = f"def grade(gold, response):\n    '{CANARY}'\n"
MEASURE = f"COLUMNS = {{'{CANARY}': __import__('polars').Int8}}\ndef measure(*_): ...\n"
PRESET = f"base_url: https://{CANARY}.example\nconcurrency: 1\nreasoning: inline\n"
SUM = {"template": "t.jinja", "verify": None}
KEYS = {
    "template": Key(lambda v: prompts(template=v), "x.jinja", CANARY, templated),
    "problems.file": Key(
        lambda v: prompts(problems={"file": v}, **SUM), "x.jsonl", json.dumps(ROW), asked
    ),
    "problems.traces": Key(
        lambda v: prompts(problems={"traces": v}, **SUM), "x.jsonl", json.dumps(ROW), asked
    ),
    "teacher.at": Key(
        lambda v: prompts(teacher={"at": v, "model": "m"}), "x.yaml", PRESET, presets
    ),
    "teachers.*.at": Key(
        lambda v: {"problems": {"file": "x"}, "teachers": [{"at": v, "model": "m"}]},
        "x.yaml",
        PRESET,
        presets,
    ),
    "serve.model": Key(
        lambda v: {"problems": {"file": "x"}, "serve": {"model": v}}, "x.gguf", CANARY, served
    ),
    "tokenizer": Key(lambda v: filters(tokenizer=v), "tokenizer.json", "{}", filtered),
    "score_model": Key(lambda v: filters(score_model=v), "config.json", "{}", filtered, True),
    "verify": Key(lambda v: prompts(verify=v), "x.py", GRADE, checked),
    "signals.*": Key(lambda v: filters(signals=[v]), "x.py", MEASURE, filtered),
    "checks.*": Key(lambda v: filters(checks=[v]), "x.py", GRADE, filtered),
    "decontaminate.against.*": Key(
        lambda v: filters(decontaminate={"against": [v]}), "x.jsonl", json.dumps(ROW), filtered
    ),
    "judge": Key(lambda v: filters(judge=v), "ledger.sqlite", "", filtered, True),
    "base": Key(lambda v: {"base": v}, "config.json", "{}", trained, True),
    "validation.data": Key(
        lambda v: {"base": "a/b", "validation": {"data": v}},
        "x.jsonl",
        json.dumps(ROW),
        validated,
    ),
    "chat_template": Key(lambda v: {"base": "a/b", "chat_template": v}, "x.jinja", CANARY, chatted),
}


def thing(folder: Path, key: Key) -> Path:
    """What may stand at the key, in that folder; and what its reader needs beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / key.file
    if key.file.endswith(".sqlite"):
        Ledger(path).close()
    else:
        path.write_text(key.content)
    return folder if key.folder else path


def ways_out(home: Path, outside: Path, key: Key) -> dict[str, str]:
    """Names that lead out of ``home``, or to what is hidden or no file in it, each for real."""
    name = key.file
    there = thing(outside / "there", key)
    thing(home / ".hidden", key)
    hidden = ".hidden" if key.folder else f".hidden/{name}"
    (home / "linked-folder").symlink_to(outside / "there")
    (home / f"linked-{name}").symlink_to(there)
    (home / f"to-hidden-{name}").symlink_to(home / hidden)
    (home / f"to-hidden-{name}").resolve(strict=True)
    os.mkfifo(home / f"pipe-{name}")
    (home / f"device-{name}").symlink_to("/dev/zero")
    (home / f"environ-{name}").symlink_to("/proc/self/environ")
    found = {
        "whole path": str(there),
        "up and out": f"../outside/there{'' if key.folder else f'/{name}'}",
        "in and out": f"linked-folder/../../outside/there{'' if key.folder else f'/{name}'}",
        "linked": f"linked-{name}",
        "in a linked folder": "linked-folder" if key.folder else f"linked-folder/{name}",
        "hidden": hidden,
        "link to the hidden": f"to-hidden-{name}",
        "pipe": f"pipe-{name}",
        "device": f"device-{name}",
        "environment": "/proc/self/environ",
        "linked environment": f"environ-{name}",
        "home": "~/there" if key.folder else f"~/there/{name}",
    }
    if takes_folder(key):
        holder = home / "holder"
        thing(holder, key)
        (holder / "stray.txt").symlink_to(outside / "there" / name)
        found[LINK_INSIDE] = "holder"
    return found


def takes_folder(key: Key) -> bool:
    return key.folder or key in (
        KEYS["problems.traces"],
        KEYS["decontaminate.against.*"],
        KEYS["validation.data"],
    )


LINK_INSIDE = "a folder with a link out of it"


WAYS = (
    "whole path",
    "up and out",
    "in and out",
    "linked",
    "in a linked folder",
    "hidden",
    "link to the hidden",
    "pipe",
    "device",
    "environment",
    "linked environment",
    "home",
    LINK_INSIDE,
)
CASES = [
    (name, way)
    for name, key in KEYS.items()
    for way in WAYS
    if way != LINK_INSIDE or takes_folder(key)
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The recipe's folder; the working folder is another, and so is the user's home."""
    (tmp_path / "outside").mkdir()
    folder = tmp_path / "recipe"
    folder.mkdir()
    (folder / "t.jinja").write_text("{{ question }}")
    monkeypatch.chdir(tmp_path / "outside")
    monkeypatch.setenv("HOME", str(tmp_path / "outside"))
    return folder


def write(home: Path, key: Key, value: str) -> str:
    path = home / "mine.yaml"
    path.write_text(json.dumps(key.recipe(value)))
    return str(path)


def refusal(key: Key, path: str, sets: list[str]) -> str | None:
    """What the error says; None if there is none."""
    try:
        key.read(path, sets)
    except UserError as error:
        return str(error)
    return None


def test_every_key_that_names_a_file_is_tried() -> None:
    assert set(KEYS) == set(PLACES)


@pytest.mark.parametrize(("name", "way"), CASES)
def test_no_key_of_a_recipe_leads_out_of_its_folder(name: str, way: str, home: Path) -> None:
    key = KEYS[name]
    ways = ways_out(home, home.parent / "outside", key)
    said = refusal(key, write(home, key, ways[way]), [])
    assert said is not None
    if "is not a check" in said:  # for want of .py in its name: it is not even looked for
        return
    assert RULE in said
    assert CANARY not in said
    assert len(said.splitlines()) == 1
    assert "name it yourself: --set" in said


@pytest.mark.parametrize("name", KEYS)
def test_what_is_the_recipes_own_is_read(name: str, home: Path) -> None:
    key = KEYS[name]
    thing(home / "inner", key)
    value = "inner" if key.folder else f"inner/{key.file}"
    for own in (value, f"./inner/../{value}", str(home / value)):
        assert RULE not in (refusal(key, write(home, key, own), []) or "")


@pytest.mark.parametrize("name", KEYS)
def test_what_the_user_names_may_be_anywhere(name: str, home: Path) -> None:
    key = KEYS[name]
    path = thing(home.parent / "outside" / "there", key)
    recipe = write(home, key, "none.such")
    part, _, rest = name.partition(".*")
    for given in (str(path), str(path.relative_to(Path.cwd()))):
        one = {rest.strip("."): given, "model": "m"} if rest else given
        value = json.dumps([one]) if ".*" in name else json.dumps(given)
        said = refusal(key, recipe, [f"{part}={value}"]) or ""
        assert RULE not in said
        assert "none.such" not in said


@pytest.mark.parametrize("name", KEYS)
def test_a_block_that_the_user_gives_is_the_users_down_to_each_key(name: str, home: Path) -> None:
    key = KEYS[name]
    path = thing(home.parent / "outside" / "there", key)
    top, inner = name.split(".")[0], key.recipe(str(path))
    assert RULE in (refusal(key, write(home, key, str(path)), []) or "")
    said = refusal(key, write(home, key, str(path)), [f"{top}={json.dumps(inner[top])}"])
    assert RULE not in (said or "")


def test_what_is_offered_to_be_typed_is_one_word_for_a_shell(home: Path) -> None:
    sly = home / "$(id);'`id`.jsonl"
    sly.write_text("{}")
    origin = Origin(path=home / "recipe" / "r.yaml")
    with pytest.raises(UserError, match="name it yourself") as refused:
        place(str(sly), "problems.file", origin, TABLE)
    _, _, offered = str(refused.value).partition("name it yourself: ")
    assert shlex.split(offered) == ["--set", f"problems.file={sly}"]


@pytest.mark.parametrize("name", KEYS)
def test_the_working_folder_is_the_users_only_through_set(name: str, home: Path) -> None:
    key = KEYS[name]
    thing(Path.cwd() / "there", key)
    value = "there" if key.folder else f"there/{key.file}"
    said = refusal(key, write(home, key, value), [])
    assert said is not None
    assert "a recipe reads nowhere else; to read it, name it yourself: --set" in said


WRONG = {
    "template": "id_rsa",
    "problems.file": "credentials",
    "problems.traces": "credentials.json",
    "teacher.at": "./id_rsa",
    "serve.model": "weights.bin",
    "tokenizer": "id_rsa",
    "score_model": "config.json.txt",
    "decontaminate.against.*": "notes.txt",
    "judge": "ledger.sqlite",
    "signals.*": "signal.txt",
    "base": "model.py",
    "chat_template": "id_rsa",
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_of_another_kind_is_not_read(name: str, home: Path) -> None:
    (home / WRONG[name]).write_text(CANARY)
    said = refusal(KEYS[name], write(home, KEYS[name], WRONG[name]), [])
    assert said is not None
    assert CANARY not in said
    assert f"{WRONG[name]}: give " in said


def test_a_recipe_that_is_a_link_reads_where_its_file_lies(home: Path) -> None:
    key = KEYS["template"]
    link = Path.cwd() / "link.yaml"
    link.symlink_to(write(home, key, "x.jinja"))
    (Path.cwd() / "x.jinja").write_text("beside the link")
    thing(home, key)
    assert key.read(str(link), []) == CANARY


PATTERNS = ["../outside/*.jsonl", "linked/*.jsonl", "link*.jsonl", "/etc/*.jsonl", "../*/*.jsonl"]


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("name", ["problems.traces", "decontaminate.against.*"])
def test_a_pattern_meets_nothing_outside(name: str, pattern: str, home: Path) -> None:
    there = thing(Path.cwd(), KEYS[name])
    (home / "linked").symlink_to(Path.cwd())
    (home / "link-x.jsonl").symlink_to(there)
    said = refusal(KEYS[name], write(home, KEYS[name], pattern), [])
    assert said is not None
    assert RULE in said


def test_a_pattern_in_the_folder_is_read(home: Path) -> None:
    key = KEYS["problems.traces"]
    thing(home / "inner", key)
    assert key.read(write(home, key, "inner/*.jsonl"), []) == [CANARY]


DATASETS = ["text", "csv", "imagefolder", "/etc", ".", "..", "./there", "~/x", "a/b/c", "../x", ""]
DATASETS += ["json", "./a/b", "buckets/a/b", "hf://datasets/a/b", "a/..", "owner/name\n"]


@pytest.mark.parametrize("name", DATASETS)
def test_a_data_set_of_the_hub_is_no_folder_here(name: str, home: Path) -> None:
    path = home / "mine.yaml"
    path.write_text(json.dumps(prompts(problems={"dataset": name})))
    with pytest.raises(UserError, match=r"problems\.dataset: .* is not a data set of the Hub"):
        asked(str(path), [])


@pytest.mark.parametrize("name", ["serve.model", "base"])
def test_a_folder_of_a_models_name_is_not_taken_for_it(name: str, home: Path) -> None:
    (Path.cwd() / "owner" / "name").mkdir(parents=True)
    said = refusal(KEYS[name], write(home, KEYS[name], "owner/name"), [])
    assert said is not None
    assert "name it yourself: --set" in said


# --- no key is forgotten ---

# Texts of recipes that name no file, each with the reason.
NO_FILES = {
    "problems.dataset": "owner/name on the Hub; tried above",
    "problems.config": "a name in the data set's card",
    "problems.split": "a name in the data set's card",
    "problems.reasoning_gym.*.name": "looked up in a table",
    "problems.reasoning_gym.*.options.*": "numbers and words, of which none is a file",
    "problems.sha256": "compared",
    "problems.map.*": "SQL, which opens nothing; see test_sql",
    "problems.map.*.*": "columns",
    "problems.where": "SQL, which opens nothing; see test_sql",
    "problems.source": "part of an id",
    "domain": "one of a few words",
    "becomes": "one of a few words",
    "serve.engine": "one of a few words",
    "serve.args.*": "checked by the server's own rule",
    "sampling.extra_body.*": "goes into the request",
    "map.*": "SQL, which opens nothing; see test_sql",
    "rules.*": "SQL, which opens nothing; see test_sql",
    "measure.*": "looked up in a table",
    "select.dedupe": "one of a few words",
    "select.prefer": "columns",
    "select.per_prompt.prefer": "columns",
    "quantize": "one of a few words",
    "thoughts": "one word",
    "prompt": "one of a few words",
    "turns": "one of a few words",
    "history": "one of a few words",
    "positions.rope_scaling.rope_type": "one of a few words",
    "lora.*": "checked by the trainer's own rule",
    "sft.*": "checked by the trainer's own rule",
    "reasoning": "one of a few words",
    "retired.*.use": "shown",
    "prices.source": "shown",
    **{
        f"{block}{name}": why
        for block in ("", "teacher.", "teachers.*.")
        for name, why in {
            "model": "goes into the request",
            "base_url": "an http(s) address",
            "key_env": "a variable's name",
            "limit_name": "one of a few words",
            "extra_body.*": "goes into the request",
            "continues": "one of a few words",
            "ignores.*": "compared",
            "known_as": "a name in the ledger",
        }.items()
    },
}


def texts(annotation: Any, at: str) -> Iterator[str]:
    """Where in a model a text can stand that a recipe chooses."""
    if annotation is str or annotation is Any:
        yield at
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            yield from texts(field.annotation, f"{at}.{name}" if at else name)
    elif get_origin(annotation) in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from texts(part, at)
    elif get_origin(annotation) in (tuple, list):
        for part in get_args(annotation):
            if part is not Ellipsis:
                yield from texts(part, f"{at}.*")
    elif get_origin(annotation) is dict:
        yield from texts(get_args(annotation)[1], f"{at}.*")
    elif hasattr(annotation, "__metadata__"):
        yield from texts(annotation.__origin__, at)
    elif all(isinstance(word, str) for word in get_args(annotation)) and get_args(annotation):
        yield at


@pytest.mark.parametrize("model", [PromptsRecipe, FilterRecipe, StudentRecipe, Preset, MixRecipe])
def test_each_text_of_a_recipe_is_known_to_name_a_file_or_not_to(model: type[BaseModel]) -> None:
    found = set(texts(model, ""))
    assert found or model is MixRecipe
    assert found <= set(PLACES) | set(NO_FILES)


def test_what_is_known_to_name_a_file_is_a_text_of_a_recipe() -> None:
    found = {
        at for model in (PromptsRecipe, FilterRecipe, StudentRecipe) for at in texts(model, "")
    }
    assert set(PLACES) <= found


def test_the_way_out_that_is_named_can_be_typed_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("recipes", "data"):
        (tmp_path / folder).mkdir()
    (tmp_path / "data" / "mine.jsonl").write_text(json.dumps(ROW) + "\n")
    recipe = {"problems": {"file": "../data/mine.jsonl"}, "teacher": TEACHER}
    (tmp_path / "recipes" / "mine.yaml").write_text(json.dumps(recipe))
    for here, named in (("", "recipes/mine.yaml"), ("data", "../recipes/mine.yaml")):
        monkeypatch.chdir(tmp_path / here)
        with pytest.raises(UserError, match=RULE) as stopped:
            asked(named, [])
        assert asked(named, [str(stopped.value).rpartition("--set ")[2]]) == [CANARY]
