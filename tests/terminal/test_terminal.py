"""What a server, a row, a file name or a library says never steers a terminal, nor fakes a line."""

import ast
import json
import logging
import os
import pty
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import distill
from distill.cli import main
from distill.errors import Exit, UserError
from distill.filtering.workers import Workers
from distill.terminal.screen import Column, Sheet, show
from tests.builders.faults import KEY_ENV, recipe
from tests.builders.sockets import http, raw_server
from tests.builders.teacher_server import completion, refusal, teacher_server

ROOT = Path(__file__).parents[2]
FAKE = "12:00:00 all is well"
# Title, clear screen, a line nobody logged, colour by C1, bidi, ends of lines, a tag, a link.
EVIL = (
    f"\x1b]0;pwned\x07\x1b[2J\r\n{FAKE}\x9b31m\u202e\u2066\u2028\u2029\x85\x0b\x0c\x08\x7f"
    "\u200f\u061c\U000e0041\x1b]8;;http://x\x1b\\[bold]b[/bold][link=http://x]y[/link]\n"
)
NAME = EVIL.replace("/", "|")[:120]  # a file's name has no slash, and a length
# What rich draws with: colours, and for the live line the cursor and the clearing of a line.
DRAWN = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[hl]|\x1b\[1?A|\x1b\[2K|\r")


def shown(*words: str, status: int | None = None, **env: str) -> str:
    """What the command writes on a terminal, which is checked."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "distill", *words],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, KEY_ENV: "canary-51ab9e77", "COLUMNS": "200", "TERM": "xterm", **env},
    )
    os.close(theirs)
    data = b"".join(_all_of(ours))
    os.close(ours)
    assert process.wait(60) in (range(4) if status is None else (status,)), data
    return checked(data.decode())


def _all_of(handle: int) -> Iterator[bytes]:
    while True:
        try:
            data = os.read(handle, 65536)
        except OSError:  # nobody holds the other end any more
            return
        if not data:
            return
        yield data


def checked(text: str) -> str:
    """Without what rich draws; nothing else that is not seen may be there."""
    left = DRAWN.sub("", text)
    hidden = {c for c in left if not c.isprintable() and c != "\n"}
    assert not hidden, (hidden, left)
    assert not any(line.startswith((FAKE, "pwned")) for line in left.split("\n")), left
    return left


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_ENV, "canary-51ab9e77")


# --- servers ---


def test_a_server_that_calls_itself_something_evil_is_quoted_on_the_terminal_and_in_status(
    tmp_path: Path,
) -> None:
    def answer(body: dict[str, Any], n: int) -> Any:
        number = int(body["messages"][-1]["content"].split()[2])
        evil = f"{number}{EVIL}"
        return completion(model=evil, finish_reason=evil if number == 3 else "stop")

    with teacher_server(answer) as server:
        name, run = recipe(tmp_path, server.url, teacher={"concurrency": 1}), tmp_path / "run"
        said = shown("generate", name, "-o", str(run), status=Exit.ROWS_FAILED)
    assert "calls itself 1\\x1b]0;pwned\\x07\\x1b[2J\\r\\n12:00:00" in said
    assert "\\u202e\\u2066\\u2028\\u2029\\x85" in said
    assert "pwned" in shown("status", str(run), status=0)


@pytest.mark.parametrize("status", [401, 404, 400, 500])
def test_the_text_of_a_refusal_is_quoted(status: int, tmp_path: Path) -> None:
    with teacher_server(lambda body, n: refusal(status, EVIL)) as server:
        name, run = recipe(tmp_path, server.url, problems=1), tmp_path / "run"
        words = [sys.executable, "-c", QUICK, "generate", name, "-o", str(run)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        checked(done.stdout + done.stderr)
        assert "\\x1b[2J" in done.stderr or status in (400, 500)  # then it is in the ledger
        if run.exists():
            assert "\\x1b[2J" in shown("status", str(run))


QUICK = """
import sys
from distill.cli import main
from distill.teachers import retry
retry.WAIT_FIRST_S = retry.WAIT_MAX_S = retry.JITTER_S = 0.01
sys.exit(main(sys.argv[1:]))
"""


def test_a_status_line_and_headers_are_quoted(tmp_path: Path) -> None:
    def speak(n: int) -> list[bytes]:
        return [http(EVIL.encode(), "X-Evil: \x1b[2J\x9b", status="401 \x1b]0;pwned\x07\x1b[2J")]

    with raw_server(speak) as server:
        name = recipe(tmp_path, server.url, problems=1)
        shown("generate", name, "-o", str(tmp_path / "run"), status=Exit.USER)


# --- rows, files, words ---


@pytest.fixture
def evil_set(tmp_path: Path) -> Path:
    """A filtered set of rows that are evil throughout."""
    row = {"id": f"a{EVIL}", "question": EVIL, "source": EVIL, "domain": EVIL, "response": EVIL}
    rows = tmp_path / f"{NAME}.jsonl"
    rows.write_text(json.dumps({**row, "reasoning": f"x{EVIL}", "model": EVIL}))
    rules = tmp_path / "rules.yaml"
    rules.write_text(json.dumps({"rules": {"short": "LENGTH(response) < 5"}}))
    said = shown("filter", str(rules), str(rows), "-o", str(tmp_path / "set"), status=0)
    assert "kept 0 of 1" in said
    return tmp_path


def test_rows_are_quoted_where_they_are_explained(evil_set: Path) -> None:
    words = ["filter", str(evil_set / "rules.yaml"), str(evil_set / f"{NAME}.jsonl")]
    said = shown(*words, "--explain", f"a{EVIL}", "-o", str(evil_set / "set"), status=0)
    assert "a\\x1b]0;pwned\\x07" in said
    assert "[link=http://x]y[/link]" in said  # data is no markup
    said = shown(*words, "-o", str(evil_set / "set"), "--sample", "short", status=0)
    assert "a\\x1b]0;pwned\\x07" in said
    shown(*words, "--explain", "absent", status=Exit.USER)
    shown(*words, "-o", str(evil_set / "set"), "--sample", EVIL, status=Exit.USER)


@pytest.mark.parametrize(
    "words",
    [
        ["status", EVIL],
        ["status", NAME],
        ["generate", EVIL, "-o", "x"],
        ["generate", "gsm8k", "-o", "x", "--set", f"a.{EVIL}=1"],
        ["generate", "gsm8k", "-o", "x", "--set", EVIL],
        ["generate", "gsm8k", "-o", "x", "--limit", EVIL],
        ["generate", "gsm8k", "-o", "x", EVIL],
        ["filter", "r1", EVIL, "-o", "x"],
        ["filter", "r1", f"hf://datasets/{EVIL}", "-o", "x"],
        ["eval", "gsm8k", "--model", EVIL, "-o", "x", "--dry-run"],
        ["push", EVIL, EVIL],
        ["plan", EVIL],
        ["plan", "r1-800k", "--at", EVIL],
        [EVIL],
        [f"--{EVIL}"],
    ],
)
def test_words_are_quoted_in_the_complaint_about_them(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        status: object = main(words)
    except SystemExit as left:
        status = left.code
    assert status == Exit.USER
    checked("".join(capsys.readouterr()))


def test_files_are_named_in_visible_characters(tmp_path: Path) -> None:
    run = tmp_path / f"run{NAME}"
    with teacher_server() as server:
        name = recipe(tmp_path, server.url)
        said = shown("generate", name, "-o", str(run), status=0)
        assert "traces are in" in said
        assert "\\x1b[2J" in said
    assert "\\x1b[2J" in shown("status", str(run), status=0)
    (run / "ledger.sqlite").write_bytes(b"x" * 5000)
    shown("status", str(run), status=Exit.USER)


def test_a_name_that_is_no_text_is_no_crash(tmp_path: Path) -> None:
    words: list[str | bytes] = [sys.executable, "-m", "distill", "status"]
    words.append(os.fsencode(tmp_path) + b"/\xff\x9b2J")
    for env in ({}, {"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}):
        done = subprocess.run(words, capture_output=True, check=False, env={**os.environ, **env})
        assert done.returncode == Exit.USER
        assert b"\\udcff\\udc9b2J: no run" in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_of_few_letters_is_no_crash(encoding: str, evil_set: Path) -> None:
    with teacher_server() as server:
        name, run = recipe(evil_set, server.url), str(evil_set / "run")
        rules, rows = evil_set / "rules.yaml", evil_set / f"{NAME}.jsonl"
        for words in (
            ["generate", name, "-o", run],
            ["status", run],
            ["filter", str(rules), str(rows), "--explain", f"a{EVIL}"],
        ):
            done = subprocess.run(
                [sys.executable, "-m", "distill", *words],
                capture_output=True,
                check=False,
                env={**os.environ, "PYTHONIOENCODING": encoding},
            )
            assert done.returncode == 0, done.stderr
            checked((done.stdout + done.stderr).decode(encoding))


# --- our own errors, and what libraries write ---


class _Broken(Exception):
    pass


class _Panic(BaseException):
    """As polars panics: no Exception."""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (_Broken(EVIL), "stopped by _Broken: \\x1b]0;pwned"),
        (MemoryError(), "stopped by MemoryError: it says nothing more"),
        (OSError(5, "Input/output error", "rows.jsonl"), "OSError: [Errno 5] Input/output error"),
        (OSError(f"lost {EVIL}"), "OSError: lost \\x1b]0;pwned"),
        (_Broken("\n\n  \nx"), "stopped by _Broken: x"),
        (_Panic(EVIL), "stopped by _Panic: \\x1b]0;pwned"),
    ],
)
@pytest.mark.parametrize("verbose", [True, False])
def test_an_error_that_nobody_expected_is_one_plain_line_and_its_traceback_indented(
    error: BaseException,
    said: str,
    verbose: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(*_: object, **__: object) -> None:
        try:
            raise UserError(EVIL)
        except UserError:
            raise error  # noqa: B904

    monkeypatch.setattr(distill, "status", broken, raising=False)
    assert main(["status", "x", *["-v"] * verbose]) == Exit.USER
    *before, last = checked(capsys.readouterr().err).splitlines()
    assert said in last
    assert last.startswith("distill: ")
    assert bool(before) == verbose
    assert all(line.startswith("  ") for line in before)
    if isinstance(error, OSError) and error.filename:
        assert "rows.jsonl" in last


def test_what_a_file_was_read_for_is_said_where_memory_ran_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> Any:
        raise MemoryError

    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"question": "a", "response": "b"}\n')
    monkeypatch.setattr("distill.files.read.json_object", full)
    assert main(["filter", "r1", str(rows), "-o", str(tmp_path / "set")]) == Exit.USER
    assert str(rows) in capsys.readouterr().err


def libraries() -> int:
    """All the ways in which a library writes."""
    sys.stdout.write(EVIL)
    sys.stderr.writelines([EVIL])
    warnings.warn(EVIL, UserWarning, stacklevel=1)
    logging.getLogger("some.library").warning("%s", EVIL)
    logging.getLogger("asyncio").error("Task exception was never retrieved\n%s", EVIL)
    try:
        raise ValueError(EVIL)
    except ValueError:
        logging.getLogger("some.library").exception("it broke")
        sys.excepthook(*sys.exc_info())
    logging.getLogger("distill").warning("%s", UserError(EVIL))
    logging.getLogger("distill").warning("%(a)s", {"a": EVIL})
    return 0


def test_what_libraries_write_is_plain(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(distill, "status", lambda *_, **__: libraries(), raising=False)
    streams = sys.stdout, sys.stderr, logging.lastResort, warnings.showwarning
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(["status", "x"]) == 0
    assert streams == (sys.stdout, sys.stderr, logging.lastResort, warnings.showwarning)
    out, err = capsys.readouterr()
    for text in (out, err):
        hidden = {c for c in DRAWN.sub("", text) if not c.isprintable() and c != "\n"}
        assert not hidden
    quoted = [line for line in err.split("\n") if FAKE in line and "UserWarning" in line]
    assert len(quoted) == 1
    assert "some.library: \\x1b]0;pwned" in err


def test_a_librarys_bar_is_drawn_on_its_own_line() -> None:
    bar = "from distill.terminal.screen import guarded\nimport sys, tqdm\nwith guarded():\n"
    bar += "    for _ in tqdm.tqdm(range(3), desc='a\\x1b[2J\\rb'): pass"
    done = subprocess.run([sys.executable, "-c", bar], capture_output=True, check=True)
    lines = done.stderr.replace(b"\r\n", b"\n").split(b"\r")
    assert len(lines) > 2
    assert all(b"a\\x1b[2J\\rb: " in line for line in lines if line)
    assert b"\x1b" not in done.stderr


def shout(number: int) -> int:
    sys.stderr.write(EVIL)
    return number


def test_what_a_worker_process_writes_is_plain(capfd: pytest.CaptureFixture[str]) -> None:
    assert list(Workers(2).map(shout, range(4))) == [0, 1, 2, 3]
    out, err = capfd.readouterr()
    assert "\\x1b]0;pwned" in err
    assert not {c for c in out + err if not c.isprintable() and c != "\n"}


def test_a_record_is_plain_for_every_handler(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("distill")
    with caplog.at_level(logging.INFO, "distill"):
        log.info("%s is %d of %s, %r, %s", EVIL, 3, Path(NAME), EVIL, None)
        try:
            raise ValueError(EVIL)
        except ValueError as error:
            log.warning("broken", exc_info=error)
    first, second = caplog.records
    assert "\n" not in first.getMessage()
    assert first.getMessage().endswith(", None")
    for text in (first.getMessage(), logging.Formatter().format(second)):
        assert not {c for c in text if not c.isprintable() and c != "\n"}
    assert not any(line.startswith(FAKE) for line in caplog.text.splitlines())


def test_an_error_of_ours_is_one_plain_line_wherever_it_is_shown() -> None:
    assert str(UserError(EVIL)).isprintable()


def test_a_question_is_plain_and_asked_only_where_somebody_can_answer() -> None:
    code = "from distill.terminal.screen import ask; import sys; print(repr(ask(sys.argv[1])))"
    command = [sys.executable, "-c", code, f"{EVIL} sure? "]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("None\n", "")
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        os.write(ours, b" yes\n")
        assert process.stdout is not None
        assert process.stdout.read() == b"'yes'\n"
        said = b"".join(_all_of(ours)).decode()
    os.close(ours)
    assert "\\x1b[2J" in said
    assert not {c for c in said if not c.isprintable() and c not in "\r\n"}


def test_a_line_of_a_question_stays_one_line() -> None:
    code = "from distill.terminal.screen import ask; import sys; ask(*sys.argv[1:])"
    said = typed_at([sys.executable, "-c", code, f"a\nyes?\n{FAKE}", "sure? "])
    assert said.split("\r\n") == [f"a\\nyes?\\n{FAKE}", "sure? no", ""]


def typed_at(command: list[str]) -> str:
    """All that stands on a terminal on which somebody answers no."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdin=theirs, stderr=theirs, stdout=theirs) as process:
        os.close(theirs)
        said = b""
        while b"sure? " not in said:
            said += os.read(ours, 4096)
        os.write(ours, b"no\n")
        said += b"".join(_all_of(ours))
        process.wait(60)
    os.close(ours)
    return said.decode()


def test_an_error_has_its_status_where_standard_error_is_closed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "distill", "status", str(tmp_path / "none")]
    done = subprocess.run(["sh", "-c", '"$@" 2>&-', "sh", *command], check=False)
    assert done.returncode == Exit.USER


def test_a_table_reads_nothing_as_markup(capsys: pytest.CaptureFixture[str]) -> None:
    columns = [Column(title="[red]a"), Column(title=":smile:"), Column(right=True)]
    rows = [("[bold]x[/bold]", ("[link=http://x]y", "bold"), "2 lines\n\tand a tab")]
    show(Sheet(title="[blue]t", columns=columns, sections=[rows]), "[red]line :smile:\n2")
    said = capsys.readouterr().out
    for text in ("[red]a", ":smile:", "[bold]x[/bold]", "[link=http://x]y", "[blue]t"):
        assert text in said
    assert "[red]line :smile:\\n2" in said


# --- nothing goes past it ---

SCREEN = "distill/terminal/screen.py"
# Programs of their own, which write to a pipe or a log file, or inside a jail.
OWN = {
    "distill/local_models/leash.py",
    "distill/local_models/llamacpp.py",
    "distill/verify/workers/inside.py",
    "distill/jail/inside/execute.py",
    "distill/jail/inside/attack.py",
    "distill/recipes/find.py",  # run by itself, for the path of a shipped file
    "distill/training/fit.py",  # hands the screen's stream to a library that prints
}
OTHERS = {"distill/training/quiet.py", "distill/local_models/bits.py"}  # they silence libraries
STREAMS = {"stdout", "stderr", "__stdout__", "__stderr__"}
WRITERS = {"print_exc", "print_exception", "print_stack", "print_tb", "pprint", "perror"}
LEVELS = {"debug", "info", "warning", "error", "critical", "exception", "log"}
TREES = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "distill").rglob("*.py"))
}


def past_the_screen(name: str) -> Iterator[str]:
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Attribute):
            if ast.unparse(node.value) == "sys" and node.attr in STREAMS:
                yield ast.unparse(node)
            if node.attr in WRITERS or ast.unparse(node) == "logging.basicConfig":
                yield ast.unparse(node)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module]
            yield from (n for n in names if n and n.split(".")[0] in ("rich", "tqdm", "curses"))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "input"):
            yield ast.unparse(node.func)


@pytest.mark.parametrize("name", TREES)
def test_only_the_screen_writes_to_a_stream(name: str) -> None:
    found = set(past_the_screen(name))
    if name == SCREEN:
        assert found
    elif name in OWN:
        assert found <= {"sys.stdout", "sys.stderr", "print"}
    else:
        assert not found


@pytest.mark.parametrize("name", TREES)
def test_there_is_one_log_and_its_templates_are_ours(name: str) -> None:
    """What is put into a template is made plain; a template is not, and so may hold no data."""
    for node in ast.walk(TREES[name]):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        called = ast.unparse(node.func)
        if called == "logging.getLogger" and name not in OTHERS:
            assert [ast.unparse(arg) for arg in node.args] in (
                ["'distill'"],
                ["NAME"],
                ["_log.NAME"],
            )
        if node.func.attr in LEVELS and ast.unparse(node.func.value) == "log":
            assert isinstance(node.args[0], ast.Constant), ast.unparse(node)


def test_only_the_command_line_has_a_parser() -> None:
    users = {
        name
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Import) and "argparse" in [alias.name for alias in node.names]
    }
    own = {"distill/cli.py", "distill/terminal/numbers.py"}
    assert users == {*own, "distill/local_models/llamacpp.py"}
    calls = [
        ast.unparse(n.func) for n in ast.walk(TREES["distill/cli.py"]) if isinstance(n, ast.Call)
    ]
    assert "argparse.ArgumentParser" not in calls
