import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from distill.errors import UserError
from distill.filtering.workers import AHEAD, Engine, Workers


def with_process(value: int) -> tuple[int, int]:
    return value, os.getpid()


def fail_at_three(value: int) -> int:
    if value == 3:
        msg = "three"
        raise ValueError(msg)
    return value


def die_at_three(value: int) -> int:
    if value == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return value


def threads(_: int) -> str | None:
    return os.environ.get("POLARS_MAX_THREADS")


@pytest.mark.parametrize("count", [0, 1, 7])
def test_results_come_in_the_order_of_the_values(count: int) -> None:
    made = Workers(1).map(with_process, range(count))
    assert [value for value, _ in made] == list(range(count))


def test_several_workers_are_other_processes_and_keep_the_order() -> None:
    made = list(Workers(2).map(with_process, range(9)))
    assert [value for value, _ in made] == list(range(9))
    assert os.getpid() not in {process for _, process in made}


def test_a_single_value_is_not_worth_another_process() -> None:
    assert list(Workers(4).map(with_process, [1])) == [(1, os.getpid())]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_work_reaches_the_caller_after_what_was_done_before(workers: int) -> None:
    made = Workers(workers).map(fail_at_three, range(9))
    assert [next(made) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(made)


def test_a_worker_that_is_killed_is_one_line_that_says_what_to_do() -> None:
    with pytest.raises(
        UserError, match=r"a worker process was killed, .* the same command goes on"
    ):
        list(Workers(2).map(die_at_three, range(9)))


def report_and_wait(file: str) -> None:
    Path(f"{file}-{os.getpid()}").touch()
    time.sleep(60)


def work_until_killed(file: str) -> None:
    list(Workers(2).map(report_and_wait, [file, file]))


def gone(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return False
    return True


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    parent = context.Process(target=work_until_killed, args=(str(tmp_path / "worker"),))
    parent.start()
    deadline = time.monotonic() + 30
    while len(workers := list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    parent.kill()
    parent.join()
    pids = [int(path.name.rpartition("-")[2]) for path in workers]
    assert len(pids) == 2
    while not all(map(gone, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert all(map(gone, pids))


def test_values_are_taken_only_a_little_ahead() -> None:
    taken = []

    def source() -> Iterator[int]:
        for i in range(40):
            taken.append(i)
            yield i

    made = Workers(2).map(with_process, source())
    next(made)
    assert len(taken) <= 2 * AHEAD + 1
    assert len(list(made)) == 39


def test_workers_share_the_cores_and_leave_the_setting_as_it_was() -> None:
    before = os.environ.get("POLARS_MAX_THREADS")
    shared = before or str(max(1, (os.cpu_count() or 1) // 2))
    assert set(Workers(2).map(threads, range(4))) == {shared}
    assert os.environ.get("POLARS_MAX_THREADS") == before


def refuse(value: int) -> int:
    msg = f"{value}: change it"
    raise UserError(msg)


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_what_the_user_must_change_is_one_line_on_every_engine(engine: Engine) -> None:
    if engine == "ray":
        pytest.importorskip("ray")
    with pytest.raises(UserError) as stopped:
        list(Workers(2, engine).map(refuse, range(2)))
    assert str(stopped.value) == "0: change it"
