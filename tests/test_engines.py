import os
from collections.abc import Iterator

import polars as pl
import pytest

from distill.engines import AHEAD, map_tables


def tables(count: int) -> list[pl.DataFrame]:
    return [pl.DataFrame({"n": [i]}) for i in range(count)]


def numbers(made: Iterator[pl.DataFrame]) -> list[int]:
    return [table["n"].item() for table in made]


def with_process(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(process=pl.lit(os.getpid()))


def fail_at_three(table: pl.DataFrame) -> pl.DataFrame:
    if table["n"].item() == 3:
        msg = "three"
        raise ValueError(msg)
    return table


@pytest.mark.parametrize("count", [0, 1, 7])
def test_results_come_in_the_order_of_the_tables(count: int) -> None:
    assert numbers(map_tables(with_process, tables(count), workers=1)) == list(range(count))


def test_several_workers_are_other_processes_and_keep_the_order() -> None:
    made = list(map_tables(with_process, tables(9), workers=2))
    assert numbers(iter(made)) == list(range(9))
    assert os.getpid() not in {table["process"].item() for table in made}


def test_a_single_table_is_not_worth_another_process() -> None:
    (made,) = map_tables(with_process, tables(1), workers=4)
    assert made["process"].item() == os.getpid()


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_work_reaches_the_caller_after_what_was_done_before(workers: int) -> None:
    made = map_tables(fail_at_three, tables(9), workers=workers)
    assert [next(made)["n"].item() for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(made)


def test_tables_are_read_only_a_little_ahead() -> None:
    read = []

    def source() -> Iterator[pl.DataFrame]:
        for i, table in enumerate(tables(40)):
            read.append(i)
            yield table

    made = map_tables(with_process, source(), workers=2)
    next(made)
    assert len(read) <= 2 * AHEAD + 1
    assert len(list(made)) == 39
