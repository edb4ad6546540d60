"""Threads are chosen from the cores that others leave free."""

import subprocess
import sys
from pathlib import Path

import pytest

from distill.local_models.threads import Moment, choose, chosen, free, moment, patient, quota

NOBODY: dict[str, str] = {}


@pytest.mark.parametrize(
    ("cores", "taken", "limit", "count"),
    [
        (2, 0.0, None, 2),
        (2, 0.3, None, 2),  # what a desktop does anyway
        (2, 1.0, None, 1),
        (2, 0.7, None, 1),  # a busy process beside us does not get a whole core
        (2, 2.0, None, 1),  # never none
        (1, 1.0, None, 1),
        (16, 5.2, None, 11),
        (64, 64.0, None, 1),
        (64, 30.0, 4.0, 4),  # the quota is less than what is free
        (64, 62.0, 4.0, 2),  # and here more
        (8, 0.0, 1.5, 1),  # a second thread would be stopped half the time
        (8, 0.0, 0.2, 1),
    ],
)
def test_a_thread_for_each_free_core(
    cores: int, taken: float, limit: float | None, count: int
) -> None:
    assert choose(cores=cores, taken=taken, quota=limit).count == count


@pytest.mark.parametrize(
    ("cores", "taken", "limit", "why"),
    [
        (2, 1.0, None, "1 thread, because other processes keep 1.0 of 2 cores busy"),
        (8, 0.1, None, "8 threads, one for each of 8 cores"),
        (1, 0.0, None, "1 thread, the only core"),
        (8, 0.0, 2.5, "2 threads, because the control group allows 2.5 cores"),
    ],
)
def test_the_reason_is_one_line(cores: int, taken: float, limit: float | None, why: str) -> None:
    assert str(choose(cores=cores, taken=taken, quota=limit)) == why


def test_the_recipe_overrides_the_environment_and_the_environment_the_machine() -> None:
    env = {"OMP_NUM_THREADS": "3"}
    assert str(chosen(5, key="serve.threads", env=env)) == "5 threads, as serve.threads says"
    assert str(chosen(None, key="serve.threads", env=env)) == "3 threads, as OMP_NUM_THREADS says"
    assert chosen(None, key="x", env={"OMP_NUM_THREADS": "3,2"}).count == 3  # levels of nesting
    assert chosen(None, key="x", env={"OMP_NUM_THREADS": "many"}).count >= 1


def test_our_own_work_takes_no_core_from_us() -> None:
    before = Moment(at=10.0, busy=100.0, own=5.0)
    after = Moment(at=20.0, busy=100.0 + 10.0, own=5.0 + 10.0)
    alone = Moment(at=20.0, busy=100.0, own=5.0)
    assert free(before, after).count == free(before, alone).count


def test_another_process_is_seen() -> None:
    if not Path("/proc/stat").exists():
        pytest.skip("nobody else is ever seen without /proc")
    spinning = [sys.executable, "-c", "print(flush=True)\nwhile True: pass"]
    with subprocess.Popen(spinning, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        before = moment()
        while (after := moment()).at - before.at < 0.3:
            pass
        other.kill()
    others = (after.busy - before.busy) - (after.own - before.own)
    assert others >= 0.05  # whatever else this machine does


def test_waiting_threads_sleep_unless_the_user_decides() -> None:
    assert int(patient(NOBODY)["GOMP_SPINCOUNT"]) <= 1000
    assert patient({"OMP_WAIT_POLICY": "ACTIVE"}) == {}


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {}, None),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),  # as a container sees itself
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/a/b\n", {"a/cpu.max": "200000 100000\n", "a/b/cpu.max": "max 100000\n"}, 2.0),
        ("0::/a/b\n", {"a/cpu.max": "200000 100000\n", "a/b/cpu.max": "50000 100000\n"}, 0.5),
        (
            "4:cpu,cpuacct:/docker/x\n3:memory:/\n0::/\n",  # version 1, mounted in a container
            {"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"},
            3.0,
        ),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "1\n"}, None),
    ],
)
def test_a_containers_limit_is_read(
    own: str, files: dict[str, str], expected: float | None, tmp_path: Path
) -> None:
    for name, text in files.items():
        file = tmp_path / "groups" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "own").write_text(own)
    assert quota(tmp_path / "groups", tmp_path / "own") == expected


def test_a_machine_without_control_groups_has_no_limit(tmp_path: Path) -> None:
    assert quota(tmp_path, tmp_path / "none") is None
