"""What no row of DATA says, the rules that drop every row for it, and the command that fits."""

import logging
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from distill.errors import UserError
from distill.files.read import own_columns
from distill.filtering.rules import Rule, Rules, judge
from distill.filtering.units import Unit
from distill.rows import SCHEMA
from distill.signals import all_columns

log = logging.getLogger("distill")


@dataclass(frozen=True, slots=True)
class Lack:
    """A fact that no row has, and the rules that no row can pass without it."""

    says: str
    known: Mapping[str, object]  # the values that every row has for it
    fits: str  # SQL in place of such a rule, with {} for it; "null" switches it off
    rules: tuple[Rule, ...] = ()


ENDS = Lack(
    "says how its answer ended (finish_reason)",
    {"finish_reason": None, "finished": None},
    "COALESCE({}, looks_whole)",
)
CHECKS = {"verdict": "unverifiable", "verdict_answer": None, "verdict_detail": None, "domain": None}
GOLDS = Lack("has a reference answer (gold)", {**CHECKS, "gold": None}, "null")
KINDS = Lack("names a kind of check (verify)", {**CHECKS, "verify": None}, "null")
THOUGHTS = Lack(
    "has a thought (recipes without this rule: general, label-all)",
    {"reasoning_chars": 0, "think_shape": "none"},
    "null",
)


def lacks(made: Sequence[Unit], rules: Rules, *, judged: bool) -> list[Lack]:
    """What no row says of that which a rule needs; ``judged``: a judge decides without golds."""
    found = []
    for lack in _missing(made, judged=judged):
        fatal = tuple(rule for rule in rules.rules if _fails(rule, lack, rules))
        if fatal:
            found.append(replace(lack, rules=fatal))
    return found


def _missing(made: Sequence[Unit], *, judged: bool) -> Iterator[Lack]:
    paths = list(dict.fromkeys(unit.path for unit in made))
    if not _any(paths, "finish_reason"):
        yield ENDS
    if not judged and not _any(paths, "gold"):
        yield GOLDS
    elif not judged and not _any(paths, "verify"):
        yield KINDS
    if not _any(paths, "reasoning"):
        yield THOUGHTS


def _any(paths: Sequence[Any], column: str) -> bool:
    """Whether any row says more there than white space; the first file nearly always tells."""
    return any(
        (own_columns(path, [column])[column].str.strip_chars() != "").any() for path in paths
    )


def _fails(rule: Rule, lack: Lack, rules: Rules) -> bool:
    """Whether a row without that fact cannot pass a rule that reads nothing else."""
    read = set(rule.columns)
    if not read <= set(lack.known) or read == {"domain"}:
        return False
    kinds = {**dict(SCHEMA), **all_columns()}
    row = {name: [lack.known[name]] for name in rule.columns}
    table = pl.DataFrame(row, schema={name: kinds[name] for name in rule.columns})
    try:
        return bool(judge(table, Rules(rules.where, (rule,), (), rules.settings)).is_not_null()[0])
    except UserError:
        return False


def say(found: Sequence[Lack], said: Mapping[str, Any], again: Sequence[str]) -> None:
    """Says what is lacking and why nothing was kept, and a command that keeps what it can.

    Args:
        found: what no row says.
        said: the report.
        again: the words of the command that made it.
    """
    if found:
        why = "; ".join(
            f"no row {lack.says}, so none passes {', '.join(rule.name for rule in lack.rules)}"
            for lack in found
        )
        fits = dict.fromkeys(
            f"rules.{rule.name}={lack.fits.format(rule.sql)}"
            for lack in found
            for rule in lack.rules
        )
        words = [*again, *(word for each in fits for word in ("--set", each))]
        force = ["--force"] if said["kept"] and "--force" not in again else []
        log.warning("%s; to judge by the rest: %s", why, shell_line([*words, *force]))
    elif not said["kept"] and said["reasons"]:
        reason, count = next(iter(said["reasons"].items()))
        look = shell_line([*again, "--sample", reason])
        others = ", the others for other reasons" if count < said["read"] else ""
        log.warning(
            "%d of %d rows were dropped as %s%s; some of them: %s",
            count,
            said["read"],
            reason,
            others,
            look,
        )


def shell_line(words: Sequence[str]) -> str:
    """The words as a shell reads them; SQL with quoted values in double quotes."""
    plain = re.compile(r"[^\"$`\\!]*'[^\"$`\\!]*")
    return " ".join(f'"{each}"' if plain.fullmatch(each) else shlex.quote(each) for each in words)
