"""Makes the folder of a merged student: whole weights, tokenizer, template, generation config.

It is made beside its place and moved there; merge.json, written last, says what was compared.
"""

import logging
import shutil
import tempfile
from pathlib import Path

from distill.errors import UserError
from distill.files.done import fingerprint, is_done
from distill.files.lock import folder_lock
from distill.files.ours import is_ours, refuse_foreign
from distill.files.write import read_json, write_json
from distill.local_models.digest import model_digest
from distill.local_models.open import OR_ADAPTER, Model, open_model
from distill.local_models.servable import merged

log = logging.getLogger("distill")
DONE = "merge.json"
UNFINISHED = ".merge.unfinished"  # is in OUT from the first change until merge.json
PREPARED = ".merge-"  # prefix of the temporary folder in OUT
# What would be loaded with the merged weights, so none of an earlier model may stay.
MODEL = ("*.safetensors", "*.safetensors.index.json", "config.json", "adapter_*", "tokenizer*")
# Other files that are written, if the student has them.
WRITTEN = (
    *("generation_config.json", "chat_template.jinja", "special_tokens_map.json"),
    *("added_tokens.json", "vocab.json", "merges.txt", "train.json", "proof.json", DONE),
)
FACTS = ("proof.json", "train.json")  # how it was trained: still true


def make_whole(student: str, out: Path, *, dry_run: bool, force: bool) -> None:
    """Merges the adapter ``student`` (a folder or Hub id) into its base, in ``out``.

    Raises:
        UserError: it is no adapter; it cannot be merged, or the whole model would answer
            differently; or ``out`` holds something else.
    """
    found = open_model(student, at="STUDENT", needed=OR_ADAPTER)
    _refuse(found, out)
    wanted = fingerprint(student=model_digest(str(found.folder)))
    if dry_run:
        found.with_weights()
        log.info("merge: would merge %s into %s, in %s", student, _base(found).name, out)
        return
    with folder_lock(out):
        if is_done(out / DONE, wanted, force=force):
            log.info("merge: %s is already done; nothing to do", out)
            return
        _make(found, out, wanted)


def _base(found: Model) -> Model:
    return found.base or found


def _refuse(found: Model, out: Path) -> None:
    if found.base is None:
        msg = f"STUDENT: {found.name}: has whole weights already, so there is nothing to merge; "
        raise UserError(msg + "next: use it as it is")
    own = [model for model in (found, found.base) if out.is_dir() and out.samefile(model.folder)]
    if own:
        msg = f"{out}: is the folder of {own[0].name}, which must stay; choose another -o"
        raise UserError(msg)
    if not is_ours(out, {DONE: "fingerprint"}, marker=UNFINISHED):
        at_risk = (file for name in (*MODEL, *WRITTEN) for file in _files(out, name))
        refuse_foreign(at_risk, by="distill merge")


def _make(found: Model, out: Path, wanted: str) -> None:
    for stale in out.glob(f"{PREPARED}*"):  # left by a kill; we have locked the folder
        shutil.rmtree(stale, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=PREPARED) as work:
        made = Path(work) / "whole"
        merged(found, made)
        compared = read_json(made / DONE)
        (made / DONE).unlink()
        for name in FACTS:
            if (found.folder / name).is_file():
                shutil.copy(found.folder / name, made / name)
        (out / UNFINISHED).touch()
        for name in (*MODEL, *WRITTEN):
            for file in _files(out, name):
                file.unlink()
        for file in made.iterdir():
            file.replace(out / file.name)
    names = {"student": found.name, "base_model": _base(found).name}
    write_json(out / DONE, {"fingerprint": wanted, **names, **compared})
    (out / UNFINISHED).unlink()
    apart = compared["largest_difference"]
    log.info(
        "merge: %s: logits as the adapter's to %.1g of their range; as %s to %.1g",
        *(out, apart["float32"], compared["dtype"], apart[compared["dtype"]]),
    )


def _files(out: Path, pattern: str) -> list[Path]:
    return sorted(path for path in out.glob(pattern) if not path.is_dir())
