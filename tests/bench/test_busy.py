"""What is measured beside a busy process is the Makefile's own demo."""

from pathlib import Path

from bench.busy import Step, _lines, _table


def test_the_steps_are_those_of_make_demo(tmp_path: Path) -> None:
    lines = _lines(tmp_path / "demo")
    assert [line.split()[1] for line in lines] == [
        *("generate", "filter", "train", "eval", "eval", "status")
    ]
    assert all(str(tmp_path / "demo") in line for line in lines)


def test_every_side_is_compared_with_the_first() -> None:
    alone = [Step(name="a", wall_s=10, pss_mb=100), Step(name="b", wall_s=30, pss_mb=900)]
    nice = [Step(name="a", wall_s=20, pss_mb=110), Step(name="b", wall_s=30, pss_mb=800)]
    last = _table({"alone": alone, "nice": nice}).splitlines()[-1]
    assert last.split() == ["demo", "40", "1.0", "900", "50", "1.2", "800"]
