"""What lies outside the folder of a set or student is never sent, whatever leads there."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from distill.commands.push import push
from distill.errors import Exit, UserError
from distill.files.inside import ChangedError, Folder
from distill.files.write import write_json, write_parquet
from distill.rows import to_frame
from tests.builders.hub_state import Hub
from tests.builders.pushed import row, write_set, write_student

SECRET = b'{"canary": "of a file that is nobody\'s business"}'
pytestmark = pytest.mark.timeout(60)  # a pipe that is opened waits for ever


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of secrets beside what is pushed."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.json").write_bytes(SECRET)
    write_parquet(folder / "part-00000.parquet", to_frame([row(7)]))
    write_json(folder / "report.json", {"read": 1, "kept": 1, "dropped": 0})
    return folder


@pytest.fixture
def student(tmp_path: Path) -> Path:
    return write_student(tmp_path / "student", "ada/base", trained_on="ada/base")


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return write_set(tmp_path / "set", [row(0), row(1)])


def refused(at: Hub, path: Path, said: str) -> None:
    """The push ends with one line, and nothing at all was asked of the Hub."""
    with pytest.raises(UserError, match=said) as stopped:
        push(path, "ada/thing")
    assert "\n" not in str(stopped.value)
    assert at.requests == []
    assert at.repos == {}


def by_chain(place: Path, target: Path) -> None:
    middle = place.with_name("middle")
    middle.symlink_to(target)
    place.symlink_to(middle.name)


def through_a_folder(place: Path, target: Path) -> None:
    place.with_name("aside").symlink_to(target.parent)
    place.symlink_to(f"aside/{target.name}")


LINKS: dict[str, Callable[[Path, Path], object]] = {
    "absolute": lambda place, target: place.symlink_to(target),
    "relative": lambda place, target: place.symlink_to(os.path.relpath(target, place.parent)),
    "chain": by_chain,
    "folder": through_a_folder,
    "process": lambda place, _: place.symlink_to("/proc/self/environ"),
    "own process": lambda place, _: place.symlink_to(f"/proc/{os.getpid()}/cmdline"),
    "device": lambda place, _: place.symlink_to("/dev/zero"),
    "root": lambda place, _: place.symlink_to("/"),
}
STUDENT_FILES = (
    *("vocab.json", "merges.txt", "chat_template.jinja", "tokenizer.model", "train.json"),
    *("proof.json", "scores.json", "adapter_config.json", "adapter_model.safetensors"),
)


@pytest.mark.parametrize("kind", LINKS)
@pytest.mark.parametrize("name", STUDENT_FILES)
def test_no_link_out_of_a_students_folder_is_followed(
    at: Hub, student: Path, outside: Path, name: str, kind: str
) -> None:
    (student / name).unlink(missing_ok=True)
    LINKS[kind](student / name, outside / "secret.json")
    refused(at, student, rf"{name}: a link out of .*next: push a copy")


@pytest.mark.parametrize("kind", LINKS)
@pytest.mark.parametrize("name", ["report.json", "kept/part-00000.parquet", "kept/part-1.parquet"])
def test_no_link_out_of_a_sets_folder_is_followed(
    at: Hub, made: Path, outside: Path, name: str, kind: str
) -> None:
    (made / name).unlink(missing_ok=True)
    LINKS[kind](made / name, outside / Path(name).name)
    refused(at, made, "a link out of|leads nowhere" if "1" in name else "a link out of")


def test_kept_as_a_whole_may_not_be_elsewhere(at: Hub, made: Path, outside: Path) -> None:
    (made / "kept").rename(outside / "kept")
    (made / "kept").symlink_to(outside / "kept")
    refused(at, made, "kept: a link out of")


@pytest.mark.parametrize("target", ["nothing", "vocab.json"])  # gone, and itself
def test_a_link_that_leads_nowhere_is_refused(at: Hub, student: Path, target: str) -> None:
    (student / "vocab.json").symlink_to(target)
    refused(at, student, "vocab.json: a link that leads nowhere")


def test_what_is_no_file_is_refused_without_waiting_for_it(at: Hub, student: Path) -> None:
    place = student / "vocab.json"
    os.mkfifo(place)
    refused(at, student, "vocab.json: not a regular file")
    place.unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        os.chdir(student)  # an address has at most 108 bytes
        listening.bind("vocab.json")
        refused(at, student, "vocab.json: not a regular file")
    place.unlink()
    place.mkdir()
    refused(at, student, "vocab.json: not a regular file")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_a_device_is_not_opened(at: Hub, student: Path) -> None:
    try:
        os.mknod(student / "merges.txt", 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero
    except PermissionError:
        pytest.skip("not even root may make devices here")
    refused(at, student, "merges.txt: not a regular file")


@pytest.mark.parametrize("name", ["report.json", "kept/part-00000.parquet"])
def test_a_pipe_in_a_set_is_refused_too(at: Hub, made: Path, name: str) -> None:
    (made / name).unlink()
    os.mkfifo(made / name)
    refused(at, made, "not a regular file")


def test_a_hard_link_is_refused_for_its_other_name_is_elsewhere(
    at: Hub, student: Path, outside: Path
) -> None:
    (student / "merges.txt").hardlink_to(outside / "secret.json")
    refused(at, student, "merges.txt: has a second name elsewhere")


def test_a_link_to_a_file_inside_and_a_link_to_the_folder_are_fine(
    at: Hub, student: Path, made: Path, tmp_path: Path
) -> None:
    (student / "blobs").mkdir()
    (student / "adapter_model.safetensors").rename(student / "blobs" / "weights")
    (student / "adapter_model.safetensors").symlink_to("blobs/weights")
    (tmp_path / "other").symlink_to(student)
    assert push(tmp_path / "other", "ada/student") == Exit.DONE
    sent = at.files("model", "ada/student")["adapter_model.safetensors"]
    assert sent == (student / "blobs" / "weights").read_bytes()
    (tmp_path / "latest").symlink_to("set")
    assert push(tmp_path / "latest", "ada/set") == Exit.DONE


@pytest.mark.parametrize("place", [".env", ".git/config"])
def test_a_link_to_what_is_hidden_in_the_folder_is_refused(
    at: Hub, student: Path, place: str
) -> None:
    (student / place).parent.mkdir(exist_ok=True)
    (student / place).write_bytes(SECRET)
    (student / "merges.txt").symlink_to(place)
    refused(at, student, "merges.txt: a link to a hidden file")


@pytest.mark.parametrize("name", [b"a\nb\x1b[2J", b"a\\..\\b", b"\xff\xfe", "\u202eb".encode()])
def test_a_name_that_is_not_plain_text_is_refused(at: Hub, student: Path, name: bytes) -> None:
    weights = (student / "adapter_model.safetensors").read_bytes()
    Path(os.fsdecode(os.fsencode(student) + b"/" + name + b".safetensors")).write_bytes(weights)
    refused(at, student, "unusual characters, so nothing was sent; next: rename")


def test_two_files_with_the_same_bytes_arrive(at: Hub, student: Path) -> None:
    size = 12 << 20
    weights = (2).to_bytes(8, "little") + b"{}" + bytes(size)
    for i in range(6):
        (student / f"part-{i}.safetensors").write_bytes(weights)
    assert push(student, "ada/student") == Exit.DONE
    sent = at.files("model", "ada/student")
    assert [len(sent[f"part-{i}.safetensors"]) for i in range(6)] == [len(weights)] * 6
    assert len(at.uploads) == len(set(at.uploads))


def test_links_that_would_not_be_sent_are_nobodys_business(
    at: Hub, student: Path, outside: Path
) -> None:
    (student / "checkpoint-9").symlink_to(outside)
    (student / "optimizer.pt").symlink_to(outside / "secret.json")
    assert push(student, "ada/student") == Exit.DONE
    assert not any(SECRET in body for body in at.bodies)


@pytest.mark.parametrize("moment", ["POST .*/create", "POST .*/preupload", "POST .*/objects/batch"])
@pytest.mark.parametrize("name", ["proof.json", "adapter_model.safetensors"])
@pytest.mark.parametrize("how", ["link", "other file", "content"])
def test_what_was_looked_through_is_what_is_sent(
    at: Hub, student: Path, outside: Path, name: str, how: str, moment: str
) -> None:
    place = student / name
    if name == "proof.json":
        place.write_bytes(b" " * len(SECRET))
        place.write_bytes(b"{}".ljust(len(SECRET)))
    else:
        place.write_bytes((2).to_bytes(8, "little") + b"{}".ljust(len(SECRET) - 8, b"\1"))

    def swap() -> None:
        if how == "content":
            place.write_bytes(SECRET)  # as many bytes, in the same file
            return
        place.unlink()
        if how == "link":
            place.symlink_to(outside / "secret.json")
        else:
            place.write_bytes(SECRET)

    at.meanwhile[moment] = swap
    with pytest.raises(UserError, match=rf"{name}: changed meanwhile; next: run the same command"):
        push(student, "ada/student")
    assert at.meanwhile == {}
    assert at.files("model", "ada/student") == {}
    assert not any(SECRET in body for body in at.bodies)


def test_a_file_that_was_seen_is_read_as_it_was_or_not_at_all(tmp_path: Path) -> None:
    data = os.urandom(3 << 20)
    (tmp_path / "big").write_bytes(data)
    folder = Folder(tmp_path)
    seen = folder.see("big")
    with folder.steady(seen) as stream:
        assert stream.read() == data
        assert stream.seek(-10, os.SEEK_END) == len(data) - 10
        assert stream.read() == data[-10:]
        stream.seek(0)
        assert stream.read(10) == data[:10]
        (tmp_path / "big").rename(tmp_path / "moved")
        (tmp_path / "big").write_bytes(data)
        with pytest.raises(ChangedError, match="changed meanwhile"):
            stream.read()


def test_names_with_dots_do_not_leave_the_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").write_bytes(SECRET)
    for name in ("../out", str(tmp_path / "out"), "../in/../out"):
        with pytest.raises(UserError, match="a link out of"):
            Folder(tmp_path / "in").see(name)
