"""``distill merge``: a student that is an adapter → one with whole weights."""

from pathlib import Path

from distill.errors import Exit
from distill.local_models.whole import make_whole


def merge(
    student: str | Path, *, out: str | Path, dry_run: bool = False, force: bool = False
) -> Exit:
    """A whole model in ``out``: weights in the base's dtype, tokenizer, template, merge.json last.

    ``student`` is an adapter's folder or Hub id; its base is the one that it names, in the base's
    own precision, also if the adapter was trained on 4 bits. The logits of both are compared on a
    few prompts. ``dry_run`` says what would be merged, and writes nothing.

    Raises:
        UserError: it has whole weights already; it cannot be merged, or the whole model would
            answer differently; or ``out`` holds another result and ``force`` is not set, or a model
            that distill did not make.
    """
    make_whole(str(student), Path(out), dry_run=dry_run, force=force)
    return Exit.DONE
