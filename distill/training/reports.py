"""What sft.report_to names: its package is there, and its files lie in OUT."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distill.errors import UserError, nearest


def require_reporters(names: Sequence[str]) -> None:
    """Checks that each is known to transformers and installed.

    Raises:
        UserError: one is not.
    """
    from transformers.integrations import integration_utils as theirs

    known, there = theirs.INTEGRATION_TO_CALLBACK, theirs.get_available_reporting_integrations()
    there += ["flyte"] if theirs.is_flytekit_available() else []  # they forget it
    for name in names:
        if name not in known:
            msg = f"sft.report_to: {name!r:.40}: no such tool; {nearest(name, known)}"
            raise UserError(msg)
        if name not in there:
            named = {"comet_ml": "comet-ml", "azure_ml": "azureml-sdk", "flyte": "flytekit"}
            package = named.get(name, name)
            msg = f"sft.report_to: {name}: is not installed; next: pip install {package}, or leave"
            msg += " report_to out"
            raise UserError(msg)


def report_into(trainer: Any, out: Path, last: Path | None) -> None:
    """Puts TensorBoard's files into ``out``/runs, without the steps after the checkpoint ``last``.

    Else they would be among the checkpoints, which are removed.
    """
    step = int(last.name.removeprefix("checkpoint-")) if last else 0
    for each in trainer.callback_handler.callbacks:
        if type(each).__name__ == "TensorBoardCallback" and each.logging_dir is None:
            from torch.utils.tensorboard import SummaryWriter

            each.logging_dir = str(out / "runs")
            if trainer.is_world_process_zero():
                each.tb_writer = SummaryWriter(each.logging_dir, purge_step=step + 1)
