"""What is shown of a training that runs, or was interrupted."""

from pathlib import Path

from distill.showing.status import describe
from distill.training.steps import Steps


def test_a_training_that_is_not_finished_shows_its_steps_and_where_it_goes_on(
    tmp_path: Path,
) -> None:
    steps = Steps(path=tmp_path / "train.jsonl")
    steps.restart(None)
    assert dict(describe(tmp_path)[1]) == {"steps": "0", "last checkpoint": "none yet"}
    for step, loss in ((1, 2.0), (2, 1.5)):
        steps.add({"step": step, "loss": loss, "wall_s": 4.0 * step})
    for step in (9, 10):
        (tmp_path / f"checkpoints/0a/checkpoint-{step}").mkdir(parents=True)
    with (tmp_path / "train.jsonl").open("ab") as file:
        file.write(b'{"step": 3, "lo')  # while it is being written
    kind, lines = describe(tmp_path)
    assert kind == "unfinished student"
    assert dict(lines) == {
        "steps": "2 in 8 s",
        "loss": "2.000 → 1.500",
        "last checkpoint": "step 10",
    }
