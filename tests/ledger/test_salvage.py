"""Repairing a ledger: what is readable is kept, what is not is asked again, and nothing else is."""

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import distill
from distill.errors import Exit, UserError
from distill.files.lock import folder_lock
from distill.ledger import wal
from distill.ledger.salvage import Repaired, repair
from distill.teachers.wire import parse
from tests.builders.faults import recipe
from tests.builders.old_ledgers import make_version_1
from tests.builders.runs import ledger, traces
from tests.builders.teacher_server import TeacherServer, completion, teacher_server

PAGE = 4096
ROWS = 300


def answer(body: dict[str, Any], n: int) -> Any:
    """Of many lengths; every seventh is refused, so that there are rows without an answer."""
    question = body["messages"][0]["content"]
    rng = random.Random(question)
    text = "".join(rng.choices("abcdefgh \n", k=rng.choice([10, 2_000, 9_000, 30_000])))
    return completion(text, usage={"prompt_tokens": 7, "completion_tokens": len(text)})


class Made:
    """A finished run of 300 rows, its recipe, and the server that it asked."""

    def __init__(self, folder: Path, server: TeacherServer) -> None:
        self.server = server
        most = {"max_tokens": 40_000}  # what the server says of its answers is possible
        teacher = {"key_env": None}
        self.name = recipe(folder, server.url, problems=ROWS, teacher=teacher, sampling=most)
        self.run = folder / "run"
        assert distill.generate(self.name, out=self.run) == Exit.DONE
        self.traces = traces(self.run)

    def copy(self, folder: Path) -> Path:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.run, folder)
        return folder

    def asked_by(self, run: Path) -> int:
        """How many requests the same command sends there."""
        before = self.server.asked.total()
        assert distill.generate(self.name, out=run) == Exit.DONE
        return self.server.asked.total() - before


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    with teacher_server(answer) as server:
        yield Made(tmp_path_factory.mktemp("made"), server)


@pytest.fixture(scope="module")
def half_logged(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose later half is in the write-ahead log, as a kill leaves it."""
    folder = tmp_path_factory.mktemp("logged")
    source, run = folder / "source", folder / "run"
    distill.generate(made.name, out=source, limit=ROWS // 2)
    with closing(sqlite3.connect(source / "ledger.sqlite")) as open_still:
        open_still.execute("SELECT * FROM meta").fetchall()
        distill.generate(made.name, out=source)
        shutil.copytree(source, run)
    assert (run / "ledger.sqlite-wal").stat().st_size > 100 * PAGE
    return run


@pytest.fixture
def logged(half_logged: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(half_logged, tmp_path / "run"))


def mend(run: Path) -> Repaired | None:
    return repair(run, parse=parse)


def assert_mended(made: Made, run: Path, found: Repaired) -> None:
    """Going on brings back every row as it was, by asking for the lost ones only."""
    kept, lost = found.rows["requests"]
    assert ledger(run, "SELECT COUNT(*) FROM requests") == [kept]
    assert mend(run) is None
    assert kept + lost == ROWS
    assert made.asked_by(run) == lost
    assert traces(run).equals(made.traces)
    assert (
        ledger(run, "SELECT id, sample, COUNT(*) FROM requests GROUP BY 1, 2 HAVING COUNT(*) > 1")
        == []
    )
    assert mend(run) is None


def damage(path: Path, change: Callable[[bytearray], None]) -> None:
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(data)


def test_a_sound_ledger_is_left_as_it_is(made: Made, tmp_path: Path) -> None:
    run = made.copy(tmp_path / "run")
    before = (run / "ledger.sqlite").read_bytes()
    assert mend(run) is None
    assert (run / "ledger.sqlite").read_bytes() == before
    assert not list(run.glob("*damaged*"))


def _random(rng: random.Random, data: bytearray) -> None:
    """Up to five places are overwritten: some bytes, a whole page, or zeros; two pages swapped."""
    one, two = (slice(at, at + PAGE) for at in rng.choices(range(0, len(data) - PAGE, PAGE), k=2))
    data[one], data[two] = data[two], data[one]
    for _ in range(rng.randint(1, 5)):
        size = rng.choice([1, 16, 200, PAGE, 3 * PAGE])
        at = rng.randrange(len(data) - size)
        at -= at % PAGE if size >= PAGE else 0
        data[at : at + size] = rng.choice([rng.randbytes(size), bytes(size)])


@pytest.mark.parametrize("seed", range(8))
def test_random_damage_costs_the_rows_it_hit_and_no_others(
    seed: int, made: Made, tmp_path: Path
) -> None:
    run = made.copy(tmp_path / "run")
    damage(run / "ledger.sqlite", lambda data: _random(random.Random(seed), data))
    found = mend(run)
    if found is None:  # it hit what nothing is kept in
        assert made.asked_by(run) == 0
        assert traces(run).equals(made.traces)
    else:
        assert_mended(made, run, found)
        assert found.kept_as == run / "ledger.damaged-1.sqlite"


def roots(run: Path, *names: str) -> list[int]:
    """Where the pages begin at which these trees begin: without them SQLite reads none of it."""
    marks = ", ".join("?" * len(names))
    with closing(sqlite3.connect(run / "ledger.sqlite")) as db:
        found = db.execute(f"SELECT rootpage FROM sqlite_master WHERE name IN ({marks})", names)
        return [(page - 1) * PAGE for (page,) in found]


def leaves_of_requests(run: Path) -> list[int]:
    """Where the pages begin that hold the request in the middle: of the table, and its index."""
    (key,) = ledger(run, f"SELECT key FROM requests ORDER BY key LIMIT 1 OFFSET {ROWS // 2}")
    data = (run / "ledger.sqlite").read_bytes()
    pages = (data[at : at + PAGE] for at in range(0, len(data), PAGE))
    return [i * PAGE for i, page in enumerate(pages) if page[0] == 0x0A and key.encode() in page]


def wipe(run: Path, starts: list[int]) -> None:
    def zeros(data: bytearray) -> None:
        for at in starts:
            data[at : at + PAGE] = bytes(PAGE)

    damage(run / "ledger.sqlite", zeros)


def test_one_bad_page_costs_the_rows_on_it_only(made: Made, tmp_path: Path) -> None:
    """Whichever: also the first, with the schema, and those where the tables begin."""
    size = (made.run / "ledger.sqlite").stat().st_size
    tops = roots(made.run, "meta", "problems", "requests", "attempts", "answers")
    for at in (
        0,
        *tops,
        *leaves_of_requests(made.run),
        *range(20 * PAGE, size - PAGE, size // 4 // PAGE * PAGE),
    ):
        run = made.copy(tmp_path / "run")

        def noise(data: bytearray, at: int = at) -> None:
            data[at : at + PAGE] = random.Random(at).randbytes(PAGE)

        damage(run / "ledger.sqlite", noise)
        found = mend(run)
        assert found is not None
        assert found.rows["requests"][1] <= 40  # rows of an attempts page, the fullest
        assert_mended(made, run, found)


def test_two_pages_in_each_others_place_cost_no_row(made: Made, tmp_path: Path) -> None:
    run = made.copy(tmp_path / "run")
    roots_of_two = roots(made.run, "attempts", "answers")

    def swap(data: bytearray) -> None:
        one, other = (slice(at, at + PAGE) for at in roots_of_two)
        data[one], data[other] = data[other], data[one]

    damage(run / "ledger.sqlite", swap)
    found = mend(run)
    assert found is not None
    assert found.rows["attempts"] == found.rows["answers"] == (ROWS, 0)


@pytest.mark.parametrize("to", [b"q", b"\xb4"])  # a letter, and what is no text
@pytest.mark.parametrize(
    "name",
    [b"body BLOB", b"finish TEXT, model", b"after INTEGER", b"gold TEXT", b"_by_problemrequests"],
)
def test_a_column_or_index_whose_name_changed_costs_no_row(
    name: bytes, to: bytes, made: Made, tmp_path: Path
) -> None:
    run = made.copy(tmp_path / "run")
    place = (run / "ledger.sqlite").read_bytes().index(name) + 1
    damage(run / "ledger.sqlite", lambda data: data.__setitem__(slice(place, place + 1), to))
    found = mend(run)
    assert found is not None
    assert {lost for _, lost in found.rows.values()} == {0}
    assert_mended(made, run, found)


def test_a_request_that_is_lost_is_found_again_by_the_key_of_its_try(
    made: Made, tmp_path: Path
) -> None:
    run = made.copy(tmp_path / "run")
    wipe(run, roots(run, "requests", "requests_by_problem"))
    found = mend(run)
    assert found is not None
    assert found.rows["requests"] == (ROWS, 0)
    assert_mended(made, run, found)


def test_an_answer_that_changed_by_one_bit_is_not_taken_for_one(made: Made, tmp_path: Path) -> None:
    for number in (1, 100, 200):
        run = made.copy(tmp_path / "run")
        (body,) = ledger(run, f"SELECT body FROM answers WHERE attempt = {number}")
        changed = bytearray(body)
        changed[len(body) // 2] ^= 1
        with closing(sqlite3.connect(run / "ledger.sqlite")) as db, db:
            db.execute("UPDATE answers SET body = ? WHERE attempt = ?", (bytes(changed), number))
        with pytest.raises(UserError, match="next: distill status --repair"):
            distill.generate(made.name, out=run)
        found = mend(run)
        assert found is not None
        assert found.damage == "1 answers that cannot be read"
        assert found.rows["requests"] == (ROWS - 1, 1)
        assert_mended(made, run, found)


@pytest.mark.parametrize(
    ("sql", "damage", "lost"),
    [
        ("DELETE FROM answers WHERE attempt < 8", "7 requests without their answer", 7),
        (
            "DELETE FROM attempts WHERE attempt < 8",
            "7 requests that do not agree with their try",
            7,
        ),
        ("UPDATE requests SET finish = 'x' WHERE attempt < 8", "7 requests that do not agree", 0),
        ("UPDATE requests SET sample = 1 WHERE attempt < 8", "7 requests that are not of their", 0),
        (
            "UPDATE problems SET question = question || '?' WHERE position < 7",
            "7 requests that are not of their problem's text",
            0,
        ),
    ],
)
def test_rows_that_contradict_each_other_are_noticed_and_only_answers_that_are_lost_asked_again(
    sql: str, damage: str, lost: int, made: Made, tmp_path: Path
) -> None:
    run = made.copy(tmp_path / "run")
    with closing(sqlite3.connect(run / "ledger.sqlite")) as db, db:
        db.execute(sql)
    found = mend(run)
    assert found is not None
    assert damage in found.damage
    assert found.rows["requests"] == (ROWS - lost, lost)
    assert_mended(made, run, found)


def test_an_answer_under_the_number_of_a_failed_try_is_not_taken_for_one_that_it_kept_unread(
    made: Made, tmp_path: Path
) -> None:
    run = made.copy(tmp_path / "run")
    with closing(sqlite3.connect(run / "ledger.sqlite")) as db, db:
        db.execute("DELETE FROM requests WHERE attempt = 6")
        db.execute("DELETE FROM answers WHERE attempt = 6")
        db.execute("UPDATE attempts SET finish = NULL WHERE attempt = 6")
        db.execute("UPDATE answers SET attempt = 6 WHERE attempt = 5")
    found = mend(run)
    assert found is not None
    assert found.rows["requests"] == (ROWS - 2, 1)  # that of the failed try was not answered
    assert made.asked_by(run) == 2
    assert traces(run).equals(made.traces)


@pytest.mark.parametrize("where", ["header", "first frames", "middle", "end"])
def test_a_damaged_log_is_noticed_before_sqlite_forgets_what_it_holds(
    where: str, made: Made, logged: Path
) -> None:
    run = logged
    assert not wal.is_damaged(run / "ledger.sqlite")
    size = (run / "ledger.sqlite-wal").stat().st_size
    at, length = {
        "header": (0, 32),
        "first frames": (32, PAGE),
        "middle": (size // 2, 100),
        "end": (size - 20 * PAGE, 1),
    }[where]

    def noise(data: bytearray) -> None:
        data[at : at + length] = bytes(255 - b for b in data[at : at + length])

    damage(run / "ledger.sqlite-wal", noise)
    with pytest.raises(UserError, match=r"write-ahead log is damaged.*status --repair"):
        distill.generate(made.name, out=run)
    found = mend(run)
    assert found is not None
    assert found.rows["requests"][1] <= 40
    assert (run / "ledger.damaged-1.sqlite-wal").stat().st_size == size
    assert_mended(made, run, found)


@pytest.mark.parametrize("part", ["a frame", "half a frame", "a commit"])
def test_a_log_whose_end_was_not_written_is_no_damage(part: str, made: Made, logged: Path) -> None:
    """As after a kill or a power cut: what was not committed was not counted as answered."""
    run = logged

    def cut(data: bytearray) -> None:
        if part == "a commit":
            data[-2000:] = bytes(2000)
        else:
            del data[-(24 + PAGE) // (1 if part == "a frame" else 2) :]

    damage(run / "ledger.sqlite-wal", cut)
    assert not wal.is_damaged(run / "ledger.sqlite")
    assert mend(run) is None
    assert 1 <= made.asked_by(run) <= 50
    assert traces(run).equals(made.traces)


def no_heads(run: Path) -> None:
    """Overwrites the first bytes of both files."""
    for name in ("ledger.sqlite", "ledger.sqlite-wal"):
        damage(run / name, lambda data: data.__setitem__(slice(0, 20), b"\xff" * 20))


def test_the_log_is_read_with_a_damaged_ledger(made: Made, logged: Path) -> None:
    no_heads(logged)
    found = mend(logged)
    assert found is not None
    assert found.rows["requests"][1] <= 40  # its first frame cannot be checked
    assert_mended(made, logged, found)


def test_a_ledger_of_version_1_is_repaired_into_one_of_today(made: Made, tmp_path: Path) -> None:
    run = made.copy(tmp_path / "run")
    make_version_1(run)
    damage(run / "ledger.sqlite", lambda data: data.__setitem__(slice(0, 100), bytes(100)))
    found = mend(run)
    assert found is not None
    assert found.rows["requests"] == (ROWS, 0)
    assert_mended(made, run, found)


def test_each_damaged_ledger_is_kept_under_its_own_name(made: Made, tmp_path: Path) -> None:
    run = made.copy(tmp_path / "run")
    for number in (1, 2):
        damage(run / "ledger.sqlite", lambda data: data.__setitem__(slice(0, 100), bytes(100)))
        before = (run / "ledger.sqlite").read_bytes()
        found = mend(run)
        assert found is not None
        assert found.kept_as is not None
        assert found.kept_as.name == f"ledger.damaged-{number}.sqlite"
        assert found.kept_as.read_bytes() == before
    assert {p.name for p in run.iterdir()} == {
        ".lock",
        "ledger.damaged-1.sqlite",
        "ledger.damaged-2.sqlite",
        "ledger.sqlite",
        "traces",
    }


def test_a_repair_that_was_killed_is_taken_up_again(
    made: Made, logged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = logged
    no_heads(run)

    def killed(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            mend(run)
    assert not (run / "ledger.sqlite-wal").exists()  # the worst moment
    found = mend(run)
    assert found is not None
    assert found.damage == "an earlier repair was interrupted"
    assert found.rows["requests"][1] <= 40
    assert len(list(run.glob("*damaged-*.sqlite"))) == 1
    assert_mended(made, run, found)


def test_a_run_that_is_under_way_is_not_repaired(made: Made, tmp_path: Path) -> None:
    run = made.copy(tmp_path / "run")
    damage(run / "ledger.sqlite", lambda data: data.__setitem__(slice(0, 100), bytes(100)))
    with folder_lock(run), pytest.raises(UserError, match="in use by another run"):
        distill.status(run, repair=True)
    assert not list(run.glob("*damaged*"))


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 1000, bytes(50 * PAGE)])
def test_where_nothing_can_be_read_it_is_said_and_nothing_is_changed(
    content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(content)
    with pytest.raises(UserError, match="nothing in it can be read; it is left as it is"):
        distill.status(tmp_path, repair=True)
    assert (tmp_path / "ledger.sqlite").read_bytes() == content
    assert sorted(p.name for p in tmp_path.iterdir()) == [".lock", "ledger.sqlite"]


def test_what_is_no_run_is_not_repaired(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no ledger\.sqlite in it"):
        distill.status(tmp_path / "nowhere", repair=True)
    assert not (tmp_path / "nowhere").exists()


def test_a_repair_for_which_there_is_no_room_changes_nothing(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made.copy(tmp_path / "run")
    damage(run / "ledger.sqlite", lambda data: data.__setitem__(slice(0, 100), bytes(100)))
    before = {path.name: path.read_bytes() for path in run.glob("l*")}

    def full(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("distill.ledger.remake.reconcile", full)
    with pytest.raises(UserError, match=r"cannot be repaired: .*full; it is left as it is"):
        mend(run)
    assert {path.name: path.read_bytes() for path in run.glob("l*")} == before
    assert not list(run.glob(".ledger*"))


def test_the_command_prints_what_was_kept_and_lost(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from distill.cli import main

    run = made.copy(tmp_path / "run")
    assert main(["status", "--repair", str(run)]) == 0
    assert "sound: nothing to repair" in capsys.readouterr().out
    damage(run / "ledger.sqlite", lambda data: data.__setitem__(slice(0, 100), bytes(100)))
    assert main(["status", str(run)]) == 2
    assert f"next: distill status --repair {run}" in capsys.readouterr().err
    assert main(["status", "--repair", str(run)]) == 0
    out = capsys.readouterr().out
    assert "ledger.damaged-1.sqlite" in out
    assert "300 kept, 0 known to be lost" in out
