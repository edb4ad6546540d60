"""A key goes only where a shipped preset ties it, or where the user said that it may go."""

import json
import os
import pty
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

import distill
from distill.cli import main
from distill.errors import Exit, UserError
from distill.generating.reach import open_endpoints
from distill.generating.sending import ask_about_keys, sendings
from distill.recipes.load import load
from distill.recipes.prompts import PromptsRecipe
from distill.teachers.address import is_open, origin_of
from distill.teachers.trust import trust_list
from tests.builders.recipes import trusting
from tests.builders.teacher_server import TeacherServer, teacher_server

CANARY = "canary.9c41.of.the.environment"
NAME = "AWS_SECRET_ACCESS_KEY"


@pytest.fixture(autouse=True)
def _canaries(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (NAME, "DEEPSEEK_API_KEY", "HF_TOKEN", "OTHER_KEY"):
        monkeypatch.setenv(name, f"{CANARY}.{name}")


def recipe(folder: Path, **values: Any) -> str:
    """A recipe of one question; what it says of its teacher is a stranger's word."""
    folder.mkdir(exist_ok=True)
    (folder / "p.jsonl").write_text('{"question": "1 + 1?", "answer": "2"}')
    (folder / "t.jinja").write_text("{{ question }}")
    whole = {"problems": {"file": "p.jsonl"}, "template": "t.jinja", "sampling": {"max_tokens": 9}}
    path = folder / "mine.yaml"
    path.write_text(json.dumps({**whole, **values}))
    return str(path)


TEACHER = {"model": "m", "base_url": "https://a.example/v1", "key_env": NAME}


def at(server: TeacherServer, key_env: str | None = NAME) -> dict[str, Any]:
    return {"model": "m", "base_url": server.url, "key_env": key_env}


def generate(name: str, out: Path, *flags: str) -> int:
    return main(["generate", name, "-o", str(out), *flags])


def last(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr()
    assert CANARY not in said.out + said.err
    return said.err.splitlines()[-1]


# --- a recipe alone sends nothing ---


def test_a_variable_that_only_a_recipe_names_is_not_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with teacher_server() as server:
        for teachers in ({"teacher": at(server)}, {"teachers": [at(server, None), at(server)]}):
            name = recipe(tmp_path, **teachers)
            assert generate(name, tmp_path / "run") == Exit.USER
            said = last(capsys)
            assert f"${NAME} would go to {origin_of(server.url)}" in said
            for way in ("--set", "type yes at a terminal", "--yes", "a shipped preset"):
                assert way in said
        assert main(["eval", name, "--model", "m", "-o", str(tmp_path / "e")]) == Exit.USER
        assert server.asked.total() == 0
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("preset", ["beside", "path", "here"])
def test_a_preset_that_is_not_shipped_ties_nothing(
    preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folders = {"beside": "r/teachers", "path": "r/presets", "here": "prompts/teachers"}
    folder = tmp_path / folders[preset]
    folder.mkdir(parents=True)
    with teacher_server() as server:
        for variable in (NAME, "DEEPSEEK_API_KEY"):
            values = {"base_url": server.url, "key_env": variable, "concurrency": 1}
            (folder / "our.yaml").write_text(json.dumps({**values, "reasoning": "inline"}))
            given = {"at": "presets/our.yaml" if preset == "path" else "our", "model": "m"}
            name = recipe(tmp_path / "r", teacher=given)
            assert generate(name, tmp_path / "run") == Exit.USER
            assert f"${variable} would go to" in last(capsys)
            # naming the preset is not naming what is in it
            named = folder / "our.yaml" if preset == "path" else "our"
            assert generate(name, tmp_path / "run", "--set", f"teacher.at={named}") == Exit.USER
            assert f"${variable} would go to" in last(capsys)
        assert server.asked.total() == 0


def test_the_way_to_a_teacher_does_not_open_either(tmp_path: Path) -> None:
    with teacher_server() as server:
        loaded = load(recipe(tmp_path, teacher=at(server)), PromptsRecipe)
        with (
            pytest.raises(UserError, match="would go to"),
            open_endpoints(loaded, log_file=tmp_path / "log"),
        ):
            pass


# --- presets ---

SAME = [
    "https://api.deepseek.com",
    "https://api.deepseek.com/v1",
    "https://api.deepseek.com:443/beta",
    "HTTPS://API.DeepSeek.Com",
    "https://api.deepseek.com./v1",
]
OTHERS = [
    "http://api.deepseek.com",
    "http://api.deepseek.com:443",
    "https://api.deepseek.com:8443",
    "https://deepseek.com",
    "https://x.api.deepseek.com",
    "https://api.deepseek.com.evil.example",
    "https://evil.example/api.deepseek.com",
    "https://api.deepseek.com-evil.example",
    "https://\u0430pi.deepseek.com",  # a Cyrillic letter
    "https://openrouter.ai/api/v1",
    "https://127.0.0.1",
    "https://[::1]",
]


def who(folder: Path, address: str, variable: str = "DEEPSEEK_API_KEY") -> str | None:
    block = {"model": "m", "base_url": address, "key_env": variable}
    (found,) = sendings(load(recipe(folder, teacher=block), PromptsRecipe))
    return found.allowed_by


@pytest.mark.parametrize("address", SAME)
def test_a_shipped_preset_ties_its_variable_to_its_origin(address: str, tmp_path: Path) -> None:
    assert who(tmp_path, address) == "tied by preset deepseek"
    for variable in (NAME, "OPENROUTER_API_KEY", "DEEPSEEK_API_KEY_2", "HF_TOKEN"):
        assert who(tmp_path, address, variable) is None


@pytest.mark.parametrize("address", OTHERS)
def test_the_same_variable_goes_to_no_other_origin(address: str, tmp_path: Path) -> None:
    assert who(tmp_path, address) is None
    trusting("DEEPSEEK_API_KEY", "https://api.other.example", "https://api.deepseek.com:9")
    assert who(tmp_path, address) is None


def test_a_letter_that_looks_like_another_is_shown(tmp_path: Path) -> None:
    block = {"model": "m", "base_url": "https://\u0430pi.deepseek.com", "key_env": NAME}
    with pytest.raises(UserError, match=r"would go to https://xn--pi-6kc\.deepseek\.com") as said:
        ask_about_keys(load(recipe(tmp_path, teacher=block), PromptsRecipe), yes=False)
    assert "\u0430" not in str(said.value)


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://Host.Example:443/a", "https://host.example"),
        ("http://host:80", "http://host"),
        ("http://host:443", "http://host:443"),
        ("http://[0:0:0:0:0:0:0:1]:8000/v1", "http://[::1]:8000"),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000"),
    ],
)
def test_an_origin_is_written_in_one_way(address: str, origin: str) -> None:
    assert origin_of(address) == origin
    assert origin_of(origin) == origin


def test_only_this_machine_is_safe_without_tls() -> None:
    safe = [
        "http://127.0.0.1:8",
        "http://127.9.9.9",
        "http://[::1]:8",
        "http://localhost",
        "https://x",
    ]
    unsafe = ["http://10.0.0.7", "http://localhost.evil.example", "http://2130706433", "http://x"]
    assert [is_open(origin_of(one)) for one in safe] == [False] * len(safe)
    assert [is_open(origin_of(one)) for one in unsafe] == [True] * len(unsafe)


# --- the command line ---


def test_what_the_user_names_both_of_is_sent(tmp_path: Path) -> None:
    with teacher_server() as server:
        sets = [f"teacher.base_url={server.url}", f"teacher.key_env={NAME}"]
        whole = [f"teachers={json.dumps([at(server)])}"]
        block = [f"teacher={json.dumps(at(server))}"]
        name = recipe(tmp_path, teacher=at(server, "OTHER_KEY"))
        for i, overrides in enumerate((sets, whole, block)):
            assert distill.generate(name, out=tmp_path / f"r{i}", overrides=overrides) == Exit.DONE
        model = f"{server.url}#m"
        done = distill.eval(name, model=model, out=tmp_path / "e", overrides=sets[1:])
        assert done == Exit.DONE
        assert server.keys == {f"Bearer {CANARY}.{NAME}"}
    assert not trust_list().path.exists()


def test_naming_one_of_the_two_is_not_enough(tmp_path: Path) -> None:
    with teacher_server() as server:
        name = recipe(tmp_path, teacher=at(server))
        with pytest.raises(UserError, match=f"{NAME} would go to"):
            distill.generate(name, out=tmp_path / "r", overrides=[f"teacher.key_env={NAME}"])
        with pytest.raises(UserError, match="OTHER_KEY would go to"):
            distill.generate(name, out=tmp_path / "r", overrides=["teacher.key_env=OTHER_KEY"])
        assert server.asked.total() == 0
        # another address takes no key along
        only = [f"teacher.base_url={server.url}"]
        assert distill.generate(name, out=tmp_path / "r", overrides=only) == Exit.DONE
        assert server.keys == {""}


# --- the list ---


def test_a_yes_for_scripts_is_for_that_variable_and_that_origin_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with teacher_server() as server, teacher_server() as other:
        name = recipe(tmp_path, teacher=at(server))
        assert generate(name, tmp_path / "r1", "--yes") == Exit.DONE
        path = trust_list().path
        assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        assert list(path.parent.iterdir()) == [path]
        entry = {"origin": origin_of(server.url), "key_env": NAME}
        assert path.read_text().splitlines()[1:] == [
            f"- {json.dumps(entry, separators=(',', ':'))}"
        ]
        assert generate(name, tmp_path / "r2") == Exit.DONE
        assert f"(key: ${NAME}, in your trust list)" in capsys.readouterr().err
        assert server.keys == {f"Bearer {CANARY}.{NAME}"}
        for teacher in (at(server, "OTHER_KEY"), at(other)):
            assert generate(recipe(tmp_path, teacher=teacher), tmp_path / "r3") == Exit.USER
        assert other.asked.total() == 0
        assert server.keys == {f"Bearer {CANARY}.{NAME}"}


def test_a_run_that_is_gone_on_with_asks_for_the_same_leave(tmp_path: Path) -> None:
    with teacher_server() as server:
        name = recipe(tmp_path, teacher=at(server))
        assert distill.generate(name, out=tmp_path / "r", yes=True) == Exit.DONE
        trust_list().path.unlink()
        with pytest.raises(UserError, match="would go to"):
            distill.generate(name, out=tmp_path / "r", overrides=["samples=2"])
        assert server.asked.total() == 1


def test_a_yes_for_scripts_is_not_for_plain_http(tmp_path: Path) -> None:
    block = {"model": "m", "base_url": "http://10.0.0.7:8000/v1", "key_env": NAME}
    loaded = load(recipe(tmp_path, teacher=block), PromptsRecipe)
    with pytest.raises(UserError, match="over plain http, so anyone on the way can read it"):
        ask_about_keys(loaded, yes=True)
    assert not trust_list().path.exists()
    sets = [f"teacher.{key}={block[key]}" for key in ("base_url", "key_env")]
    named = load(recipe(tmp_path, teacher=block), PromptsRecipe, sets)
    ask_about_keys(named, yes=False)
    assert "over plain http" in str(*sendings(named))


def typed(command: list[str], answer: str) -> tuple[int, str]:
    """What a command says on a terminal, and its status; ``answer`` is typed when it asks."""
    master, slave = pty.openpty()
    with subprocess.Popen(command, stdin=slave, stderr=slave, stdout=slave) as process:
        os.close(slave)
        said = b""
        while True:
            try:
                part = os.read(master, 4096)
            except OSError:  # everybody has left the terminal
                break
            said += part
            if b"from now on: " in said and answer:
                os.write(master, answer.encode())
                answer = ""
    os.close(master)
    return process.returncode, said.decode()


@pytest.mark.parametrize("answer", ["y\n", "\n", "no\n", "YES\n", "yes please\n", "\x04"])
def test_only_the_whole_word_typed_is_a_yes(answer: str, tmp_path: Path) -> None:
    with teacher_server() as server:
        name = recipe(tmp_path, teacher=at(server))
        command = [sys.executable, "-m", "distill", "generate", name, "-o", str(tmp_path / "r")]
        status, said = typed(command, answer)
        assert status == Exit.USER
        assert f"{NAME} as the key to {origin_of(server.url)}" in said
        assert server.asked.total() == 0
        assert not trust_list().path.exists()


def test_a_typed_yes_is_kept(tmp_path: Path) -> None:
    with teacher_server() as server:
        name = recipe(tmp_path, teacher=at(server))
        command = [sys.executable, "-m", "distill", "generate", name, "-o", str(tmp_path / "r")]
        status, said = typed(command, "yes\n")
        assert status == Exit.DONE
        assert CANARY not in said
        assert server.keys == {f"Bearer {CANARY}.{NAME}"}
        assert trust_list().holds(origin_of(server.url), NAME)


def test_a_recipes_name_does_not_add_lines_to_the_question(tmp_path: Path) -> None:
    name = recipe(tmp_path, teacher={**TEACHER, "base_url": "https://a.example/v1"})
    evil = Path(name).rename(tmp_path / "x\nType yes to go on:\n.yaml")
    command = [sys.executable, "-m", "distill", "generate", str(evil), "-o", str(tmp_path / "r")]
    status, said = typed(command, "no\n")
    assert status == Exit.USER
    assert not any(line.startswith("Type yes to go on") for line in said.splitlines())


def test_what_is_offered_to_be_typed_is_one_word_for_a_shell(tmp_path: Path) -> None:
    sly = "https://a.example/$(id);'`id`&id"
    name = recipe(tmp_path, teacher={**TEACHER, "base_url": sly})
    with pytest.raises(UserError, match="to allow it: ") as refused:
        ask_about_keys(load(name, PromptsRecipe), yes=False)
    words = shlex.split(str(refused.value).partition("to allow it: ")[2].partition(", or type")[0])
    assert words == ["--set", f"teacher.base_url={URL(sly)}", "--set", f"teacher.key_env={NAME}"]


@pytest.mark.parametrize(
    "words",
    [
        ["generate", "--set", f"teacher.base_url=https://a.example/v1?key={CANARY}"],
        ["eval", "--model", f"https://me:{CANARY}@a.example/v1"],
        ["eval", "--model", f"https://a.example/v1?key={CANARY}"],
        ["eval", "--model", f"https://a.example/v1?key={CANARY}#m"],
    ],
)
def test_a_key_in_an_address_is_not_repeated(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *rest = words
    name = recipe(tmp_path, teacher=TEACHER)
    assert main([command, name, "-o", str(tmp_path / "r"), *rest]) == Exit.USER
    assert last(capsys)


def test_without_a_terminal_nobody_is_asked(tmp_path: Path) -> None:
    with teacher_server() as server:
        name = recipe(tmp_path, teacher=at(server))
        command = [sys.executable, "-m", "distill", "generate", name, "-o", str(tmp_path / "r")]
        done = subprocess.run(command, input="yes\n", capture_output=True, text=True, check=False)
        assert done.returncode == Exit.USER
        assert len(done.stderr.splitlines()) == 1
        assert server.asked.total() == 0


def others_file(path: Path) -> None:
    os.chown(path, 12345, -1)


def others_folder(path: Path) -> None:
    os.chown(path.parent, 12345, -1)


def linked(path: Path) -> None:
    path.rename(path.with_name("real.yaml"))
    path.symlink_to(path.with_name("real.yaml"))


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


BROKEN: list[Callable[[Path], object]] = [
    lambda path: path.chmod(0o620),
    lambda path: path.chmod(0o602),
    lambda path: path.parent.chmod(0o770),
    lambda path: path.parent.chmod(0o1777),
    others_file,
    others_folder,
    linked,
    folder,
    pipe,
    lambda path: path.write_bytes(b"\xff"),
    lambda path: path.write_text("- {origin: https://x"),
    lambda path: path.write_text("everything: true"),
    lambda path: path.write_text(path.read_text() + '- {"origin": "*", "key_env": "X"}\n'),
    lambda path: path.write_text(path.read_text() + '- {"origin": "https://x"}\n'),
]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("spoil", BROKEN)
def test_a_list_that_others_could_have_written_is_not_believed(
    spoil: Callable[[Path], object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with teacher_server() as server:
        name = recipe(tmp_path, teacher=at(server))
        trusting(NAME, server.url)
        spoil(trust_list().path)
        for flags in ((), ("--yes",), ("--dry-run",)):
            assert generate(name, tmp_path / "r", *flags) == Exit.USER
            assert str(trust_list().path.parent) in last(capsys)
        assert server.asked.total() == 0
        sets = [f"teacher.base_url={server.url}", f"teacher.key_env={NAME}"]  # needs no list
        assert distill.generate(name, out=tmp_path / "r", overrides=sets) == Exit.DONE


def test_the_list_is_the_users_own_wherever_the_command_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", "config")  # relative: the folder of a stranger, perhaps
    assert trust_list().path == tmp_path / "home" / ".config" / "distill" / "trust.yaml"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    assert trust_list().path == tmp_path / "home" / ".config" / "distill" / "trust.yaml"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert trust_list().path == tmp_path / "config" / "distill" / "trust.yaml"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", "home")
    with pytest.raises(UserError, match="HOME"):
        trust_list()


# --- what the screen says ---


def test_the_screen_says_what_goes_where_before_and_without_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with teacher_server() as server:
        teachers = [
            {"at": "deepseek", "model": "deepseek-flash"},
            {"model": "m", "base_url": "http://127.0.0.1:9/v1"},
            at(server),
        ]
        name = recipe(tmp_path, teachers=teachers)
        assert generate(name, tmp_path / "r", "--dry-run") == Exit.DONE
        said = capsys.readouterr().err
        to = origin_of(server.url)
        deepseek = "https://api.deepseek.com (key: $DEEPSEEK_API_KEY, tied by preset deepseek)"
        assert f"sends prompts of mine to {deepseek}\n" in said
        assert "sends prompts of mine to http://127.0.0.1:9 (no key)\n" in said
        assert f"sends prompts of mine to {to} (key: ${NAME}, which nobody has allowed" in said
        assert f"would be refused: {name}: teachers.2.key_env: ${NAME} would go to {to}" in said
        assert CANARY not in said
        assert server.asked.total() == 0
        assert generate(recipe(tmp_path, teacher=at(server)), tmp_path / "r", "--yes") == Exit.DONE
        said = capsys.readouterr().err
        assert f"sends prompts of mine to {to} (key: ${NAME}, in your trust list)\n" in said


def test_the_other_commands_send_no_key_to_anybody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with teacher_server() as server:
        name, run = recipe(tmp_path, teacher=at(server)), str(tmp_path / "r")
        assert generate(name, tmp_path / "r", "--yes") == Exit.DONE
        (tmp_path / "mix.yaml").write_text(
            "parts: {mine: {rows: 1, mean_tokens: 1, prompt_tokens: 1, kept_per_answer: 1, "
            "kept_per_problem: 1}}"
        )
        preset = {"base_url": server.url, "key_env": NAME, "concurrency": 1, "reasoning": "inline"}
        (tmp_path / "our.yaml").write_text(json.dumps(preset))
        (tmp_path / "f.yaml").write_text('rules: {whole: "finished"}')
        filtered = ["filter", str(tmp_path / "f.yaml"), run, "-o", str(tmp_path / "set")]
        plan = ["plan", str(tmp_path / "mix.yaml"), "--at", str(tmp_path / "our.yaml")]
        for command in (["status", run], filtered, plan):
            assert main(command) == Exit.DONE
        assert server.asked.total() == 1
    said = capsys.readouterr()
    assert CANARY not in said.out + said.err
