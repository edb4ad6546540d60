"""Python looks for garbage less often during a run, and as before afterwards."""

import gc

import pytest

from distill.generating.collecting import OBJECTS, collecting_seldom


@pytest.mark.parametrize("own", [(700, 10, 10), (0, 10, 10), (2 * OBJECTS, 5, 5)])
def test_a_run_puts_back_what_the_program_had_set(own: tuple[int, int, int]) -> None:
    before = gc.get_threshold()
    gc.set_threshold(*own)
    try:
        with collecting_seldom():
            assert gc.get_threshold()[0] == (OBJECTS if own[0] == 700 else own[0])
        assert gc.get_threshold() == own
    finally:
        gc.set_threshold(*before)
