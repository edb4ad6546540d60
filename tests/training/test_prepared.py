"""Tokens are made once, are whole or not there, and are made anew when anything changes."""

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")

from distill.errors import UserError
from distill.files.once import made_once
from distill.recipes.load import Loaded
from distill.recipes.places import Origin
from distill.recipes.students import StudentRecipe
from distill.training.base import ChatFormat
from distill.training.chosen import Part
from distill.training.prepared import Prepared, Tokens, prepared
from distill.training.sets import open_sets
from distill.training.store import opened
from tests.builders.models import chat_format_of
from tests.builders.rows import jsonl, row
from tests.builders.templates import FORGETFUL


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return jsonl(tmp_path / "rows.jsonl", *(row(i) for i in range(5)), row(5, response=""))


def tokens(chat: ChatFormat | None = None, longest: int | None = 512, **recipe: Any) -> Tokens:
    made = StudentRecipe(base="b", **recipe)
    return Tokens(chat=chat or chat_format_of("lossy"), recipe=made, longest=longest)


class Reads:
    """Sets of one file, which count how often their rows are read."""

    def __init__(self, path: Path, key: str = "d", *, end: Callable[[], object] = bool) -> None:
        loaded = Loaded(recipe=StudentRecipe(base="b"), origin=Origin(path=path))
        self.sets = open_sets(loaded, path, out=path.parent / "o", limit=None, unfiltered=False)
        self.told, self.times, self.end = key, 0, end

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sets, name)

    def key(self) -> str:
        return self.told

    def parts(self) -> Iterator[Part]:
        self.times += 1
        yield from self.sets.parts()
        self.end()


def made(tokens: Tokens, sets: Reads, out: Path | None) -> Prepared:
    return prepared(tokens, sets, out=out)  # type: ignore[arg-type]


def folders(out: Path) -> list[str]:
    return sorted(path.name for path in (out / "tokens").iterdir())


def test_a_second_start_reads_no_row_and_has_the_same_tokens(data: Path, tmp_path: Path) -> None:
    reads, out = Reads(data), tmp_path / "out"
    first = made(tokens(), reads, out)
    again = made(tokens(), reads, out)
    assert reads.times == 1
    assert again.store.dataset()[:] == first.store.dataset()[:]
    assert list(again.store.lengths) == again.store.dataset()["length"][:]
    assert (again.proof, again.thoughtless) == (first.proof, first.thoughtless)
    for name in ("examples", "tokens", "trained_tokens", "longest", "skipped", "lengths"):
        assert getattr(again.store, name) == getattr(first.store, name)
    assert again.store.skipped == {"empty_response": 1}


@pytest.mark.parametrize(
    ("changed", "of_data"),
    [
        (tokens(), "other rows"),
        (tokens(longest=511), "d"),
        (tokens(prompt="last_user"), "d"),
        (tokens(turns="all"), "d"),
        (tokens(history="strip"), "d"),
        (tokens(chat_format_of("lossy", FORGETFUL)), "d"),
        (tokens(chat_format_of("composing")), "d"),
    ],
    ids=["data", "length", "prompt", "turns", "history", "template", "tokenizer"],
)
def test_whatever_decides_the_tokens_makes_new_ones_which_replace_the_old(
    data: Path, tmp_path: Path, changed: Tokens, of_data: str
) -> None:
    reads, out = Reads(data), tmp_path / "out"
    made(tokens(), reads, out)
    (old,) = folders(out)
    reads.told = of_data
    made(changed, reads, out)
    assert reads.times == 2
    assert len(folders(out)) == 1
    assert folders(out) != [old]


def test_epochs_and_learning_rate_change_no_tokens(data: Path, tmp_path: Path) -> None:
    reads, out = Reads(data), tmp_path / "out"
    made(tokens(), reads, out)
    made(tokens(sft={"num_train_epochs": 9}, lora={"r": 2}), reads, out)
    assert reads.times == 1


def cut_shard(place: Path) -> None:
    file = place / "000000.arrow"
    file.write_bytes(file.read_bytes()[:-8])


def one_bit(place: Path) -> None:
    file = place / "000000.arrow"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def zeros(place: Path) -> None:
    file = place / "000000.arrow"
    file.write_bytes(bytes(file.stat().st_size))


def other_manifest(place: Path) -> None:
    (place / "store.json").write_text('{"shards": []}')


def no_shard(place: Path) -> None:
    (place / "000000.arrow").unlink()


def cut_lengths(place: Path) -> None:
    (place / "lengths.int32").write_bytes(b"\0" * 6)


def cut_manifest(place: Path) -> None:
    (place / "store.json").write_text("{")


def no_manifest(place: Path) -> None:
    (place / "store.json").unlink()


def told(place: Path, **values: Any) -> None:
    whole = json.loads((place / "store.json").read_text())
    (place / "store.json").write_text(json.dumps({**whole, **values}))


def older_manifest(place: Path) -> None:
    whole = json.loads((place / "store.json").read_text())
    (place / "store.json").write_text(
        json.dumps({key: value for key, value in whole.items() if key != "weighted"})
    )


DAMAGES = {
    "cut shard": cut_shard,
    "no shard": no_shard,
    "one bit": one_bit,
    "zeros": zeros,
    "another manifest": other_manifest,
    "cut lengths": cut_lengths,
    "cut manifest": cut_manifest,
    "no manifest": no_manifest,
    "a manifest with fewer keys": older_manifest,
    "another kind of value": lambda place: told(place, shards=None),
    "more that is not known": lambda place: told(place, more={"proof": {}}),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_tokens_are_made_again(data: Path, tmp_path: Path, damage: Any) -> None:
    reads, out = Reads(data), tmp_path / "out"
    whole = made(tokens(), reads, out).store.dataset()[:]
    (name,) = folders(out)
    damage(out / "tokens" / name / "trained")
    assert made(tokens(), reads, out).store.dataset()[:] == whole
    assert reads.times == 2


def _killed(data: Path, out: Path) -> None:
    made(tokens(), Reads(data, end=lambda: os.kill(os.getpid(), signal.SIGKILL)), out)


def _shared(data: Path, out: Path, told: Any) -> None:
    reads = Reads(data)
    found: Prepared = made(tokens(), reads, out)
    told.put((reads.times, found.store.tokens))


def test_what_a_killed_process_left_is_removed_and_never_used(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    out, reads = tmp_path / "out", Reads(data)
    killed = multiprocessing.get_context("spawn").Process(target=_killed, args=(data, out))
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    (half,) = folders(out)
    assert half.endswith(".part")
    assert made(tokens(), reads, out).store.examples == 5
    assert reads.times == 1
    assert not any(name.endswith(".part") for name in folders(out))
    assert not list((tmp_path / "tmp").iterdir())


def test_of_several_processes_one_tokenises_and_the_others_read(data: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    all_of_them = [
        context.Process(target=_shared, args=(data, tmp_path / "out", told)) for _ in range(2)
    ]
    for process in all_of_them:
        process.start()
    found = [told.get(timeout=60) for _ in all_of_them]
    for process in all_of_them:
        process.join()
    assert sorted(times for times, _ in found) == [0, 1]
    assert len({count for _, count in found}) == 1


def test_a_dry_run_counts_the_same_and_writes_nothing(data: Path, tmp_path: Path) -> None:
    before = set(tmp_path.rglob("*"))
    dry = made(tokens(), Reads(data), None).store
    assert set(tmp_path.rglob("*")) == before
    wet = made(tokens(), Reads(data), tmp_path / "out").store
    for name in ("examples", "tokens", "trained_tokens", "longest", "skipped", "lengths"):
        assert getattr(dry, name) == getattr(wet, name)


def test_rows_that_fail_leave_nothing_and_other_files_stay(data: Path, tmp_path: Path) -> None:
    def broken() -> None:
        raise UserError("broken")

    out = tmp_path / "out"
    with pytest.raises(UserError, match="broken"):
        made(tokens(), Reads(data, end=broken), out)
    assert not list(out.iterdir())
    (out / "tokens" / "mine").mkdir(parents=True)
    made(tokens(), Reads(data), out)
    assert (out / "tokens" / "mine").is_dir()


def test_a_folder_that_cannot_be_written_to_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot be written to: .*; choose another -o"):
        made_once(tmp_path / "file" / "x", "0" * 16, make=lambda _: None, read=opened)


def test_a_weight_is_stored_where_one_is_not_1(tmp_path: Path) -> None:
    lines = [row(0), row(1, weight=0.5), row(2, weight=0)]
    path = jsonl(tmp_path / "rows.jsonl", *lines)
    store = made(tokens(), Reads(path), tmp_path / "out").store
    assert store.dataset()["weights"][:] == [1.0, 0.5]
    assert (store.weighted, store.skipped) == (1, {"weight_0": 1})
    plain = jsonl(tmp_path / "plain.jsonl", row(0), json.loads(json.dumps(row(1))))
    store = made(tokens(), Reads(plain, "e"), tmp_path / "out").store
    assert store.dataset().column_names == ["input_ids", "labels", "length"]
