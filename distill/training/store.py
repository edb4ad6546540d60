"""Stores examples on disk as Arrow streams, so that a set larger than memory can be trained on."""

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from distill.errors import missing_extra
from distill.files.done import file_digest
from distill.files.write import read_json, write_json
from distill.training.tokens import Example

# ``length`` is used by trl's train_sampling_strategy: group_by_length, which would otherwise read
# every row again. 8 bytes a token: 34 GB for the 800,000 examples of R1's students.
TOKENS = pl.List(pl.Int32)
SCHEMA = pl.Schema(
    {"input_ids": TOKENS, "labels": TOKENS, "length": pl.Int32(), "weights": pl.Float32()}
)
BEGINS = b"\xff" * 4  # every Arrow stream
MANIFEST, LENGTHS = "store.json", "lengths.int32"


@dataclass(slots=True, kw_only=True)
class Store:
    """The examples' folder and their counts."""

    folder: Path | None  # None: they are only counted
    examples: int = 0
    tokens: int = 0
    trained_tokens: int = 0
    longest: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    lengths: "array[int]" = field(default_factory=lambda: array("i"))  # tokens of each, in order
    weighted: int = 0  # examples whose weight is not 1
    _shards: list[str] = field(default_factory=list)  # the digest of each

    def add(self, examples: Iterable[Example]) -> None:
        """Appends the examples."""
        found = list(examples)
        if not found:
            return
        lengths = [len(one.input_ids) for one in found]
        if self.folder is not None:
            self._write(self.folder / f"{len(self._shards):06}.arrow", found, lengths)
        self.lengths.extend(lengths)
        self.examples += len(found)
        self.tokens += sum(lengths)
        self.trained_tokens += sum(end - start for one in found for start, end in one.answers)
        self.longest = max(self.longest, *lengths)
        self.weighted += sum(one.weight != 1 for one in found)

    def _write(self, path: Path, found: list[Example], lengths: list[int]) -> None:
        columns = {
            "input_ids": [np.asarray(one.input_ids) for one in found],
            "labels": [np.asarray(one.labels) for one in found],
            "length": lengths,
            "weights": [one.weight for one in found],
        }
        level = pl.CompatLevel.oldest()  # list and int32 as every reader of Arrow knows them
        pl.DataFrame(columns, schema=SCHEMA).write_ipc_stream(path, compat_level=level)
        self._shards.append(file_digest(path))

    def save(self, **more: Any) -> None:
        """Writes the counts into the folder, after which it can be opened; ``more``: JSON values.

        They come back from ``opened``.
        """
        if self.folder is None:
            return
        with (self.folder / LENGTHS).open("wb") as file:
            self.lengths.tofile(file)
        told = {
            **{name: getattr(self, name) for name in COUNTS},
            "skipped": dict(self.skipped),
            "shards": self._shards,
            "lengths": file_digest(self.folder / LENGTHS),
            "more": more,
        }
        write_json(self.folder / MANIFEST, told)

    def dataset(self) -> Any:
        """All examples as a memory-mapped ``datasets.Dataset`` of input_ids, labels, length.

        And ``weights``, of all tokens of an example, if one of them has another than 1.
        """
        try:
            from datasets import Dataset, concatenate_datasets
        except ImportError:
            raise missing_extra(module="datasets", extra="train") from None
        shards = () if self.folder is None else sorted(self.folder.glob("*.arrow"))
        found = concatenate_datasets([Dataset.from_file(str(path)) for path in shards])
        return found if self.weighted else found.remove_columns("weights")


COUNTS = ("examples", "tokens", "trained_tokens", "longest", "weighted")


def opened(folder: Path) -> tuple[Store, dict[str, Any]] | None:
    """A saved Store, and what else was saved with it; None if it is not as it was saved.

    Every byte is read: a proof holds only for the tokens that it was made of.
    """
    told = read_json(folder / MANIFEST)
    if not isinstance(told, dict) or not isinstance(told.get("shards"), list):
        return None
    wanted = {f"{i:06}.arrow": digest for i, digest in enumerate(told["shards"])}
    wanted[LENGTHS] = told.get("lengths")
    try:
        if any(file_digest(folder / name) != digest for name, digest in wanted.items()):
            return None
        lengths = array("i", (folder / LENGTHS).read_bytes())
        counts = {name: told[name] for name in COUNTS}
        skipped: Counter[str] = Counter(told["skipped"])
        more = dict(told["more"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return Store(folder=folder, skipped=skipped, lengths=lengths, **counts), more
