"""Stores examples on disk as Arrow streams, so that a set larger than memory can be trained on."""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from distill.errors import missing_extra
from distill.training.tokens import Example

# ``length`` is used by trl's train_sampling_strategy: group_by_length, which would otherwise read
# every row again.
TOKENS = pl.List(pl.Int32)
SCHEMA = pl.Schema({"input_ids": TOKENS, "labels": TOKENS, "length": pl.Int32()})


@dataclass(slots=True, kw_only=True)
class Store:
    """The examples' folder and their counts."""

    folder: Path
    examples: int = 0
    tokens: int = 0
    trained_tokens: int = 0
    longest: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    lengths: "array[int]" = field(default_factory=lambda: array("i"))  # tokens of each, in order
    _shards: int = 0

    def add(self, examples: Iterable[Example]) -> None:
        """Appends the examples."""
        found = list(examples)
        if not found:
            return
        lengths = [len(one.input_ids) for one in found]
        columns = {
            "input_ids": [np.asarray(one.input_ids) for one in found],
            "labels": [np.asarray(one.labels) for one in found],
            "length": lengths,
        }
        path = self.folder / f"{self._shards:06}.arrow"
        level = pl.CompatLevel.oldest()  # list and int32 as every reader of Arrow knows them
        pl.DataFrame(columns, schema=SCHEMA).write_ipc_stream(path, compat_level=level)
        self._shards += 1
        self.lengths.extend(lengths)
        self.examples += len(found)
        self.tokens += sum(lengths)
        self.trained_tokens += sum(len(one.input_ids) - one.prompt_length for one in found)
        self.longest = max(self.longest, *lengths)

    def dataset(self) -> Any:
        """All examples as a memory-mapped ``datasets.Dataset`` of input_ids, labels, length."""
        try:
            from datasets import Dataset, concatenate_datasets
        except ImportError:
            raise missing_extra(module="datasets", extra="train") from None
        shards = sorted(self.folder.glob("*.arrow"))
        return concatenate_datasets([Dataset.from_file(str(path)) for path in shards])


@contextmanager
def store() -> Iterator[Store]:
    """An empty Store in a temporary folder, which is removed when the block ends."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="distill-tokens-") as folder:
        yield Store(folder=Path(folder))
