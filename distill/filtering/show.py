"""What ``distill filter`` shows instead of making a set: rows, reasons, verdicts, teachers."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import orjson

from distill.errors import Exit, UserError
from distill.files.inputs import Data
from distill.files.ours import is_ours, refuse_foreign
from distill.files.write import write_json
from distill.filtering.audit import Disagreement
from distill.filtering.audit import audit as compare
from distill.filtering.explain import Line, examples
from distill.filtering.explain import explain as steps_of
from distill.filtering.prepare import prepare
from distill.filtering.teachers import PROMPTS, Comparison, Pair, shared_prompts
from distill.filtering.teachers import compare as compare_teachers
from distill.intervals import Score
from distill.signals.settings import Settings, refuse_unserved
from distill.terminal.screen import Cell, Column, Sheet, show, show_lines
from distill.verify import Isolation

log = logging.getLogger("distill")


def explain(
    recipe: str,
    data: Data,
    key: str,
    sample: int | None = None,
    *,
    out: str | Path | None = None,
    overrides: Sequence[str] = (),
    unsafe_no_sandbox: bool = False,
    paranoid: bool = False,
    allow_code: bool = False,
) -> Exit:
    """Prints every signal and rule of one row: its value, and whether the rule holds.

    Args:
        recipe: name or path of a filters recipe.
        data: where the row is.
        key: the row's id.
        sample: which of its answers; else the first in DATA.
        out: a filtered set: its stored values are used, and it says what became of the row.
        overrides: ``key.path=value`` for values of the recipe.
        unsafe_no_sandbox: run programs and scorers as this user, without a jail.
        paranoid: run each answer's code in a jail of its own.
        allow_code: run the Python files that the recipe names, as this user and without a jail.

    Raises:
        UserError: recipe or data unusable, or no such row.
    """
    settings = Settings(unsafe_no_sandbox=unsafe_no_sandbox, paranoid=paranoid)
    ready = prepare(recipe, Path(out or NOWHERE), overrides, settings, allow_code=allow_code)
    _print(steps_of(data, key, sample, ready))
    return Exit.DONE


def sample(out: str | Path, reason: str, count: int = 5) -> Exit:
    """Prints some rows that were dropped for ``reason``, or "kept" ones; always the same.

    Raises:
        UserError: no such reason in ``out``, or no filtered set.
    """
    for lines in examples(Path(out), reason, count):
        _print(lines)
    return Exit.DONE


def audit(
    recipe: str,
    data: Data,
    count: int = 10,
    *,
    limit: int | None = None,
    overrides: Sequence[str] = (),
    unsafe_no_sandbox: bool = False,
    paranoid: bool = False,
    allow_code: bool = False,
) -> Exit:
    """Prints rows of kind math on which our verdict and Math-Verify alone disagree.

    It compares at most 2,000 rows, always the same ones, and writes nothing.

    Args:
        recipe: name or path of a filters recipe: its ``map`` counts here, and no rule.
        data: where the rows are.
        count: how many rows to print.
        limit: only the first so many rows of DATA.
        overrides: ``key.path=value`` for values of the recipe.
        unsafe_no_sandbox: ask Math-Verify as this user, without a jail.
        paranoid: ask every question in a jail of its own.
        allow_code: load the Python files that the recipe names; they check no mathematics.

    Raises:
        UserError: recipe or data unusable, no such rows, or no Math-Verify or jail to ask.
    """
    settings = Settings(unsafe_no_sandbox=unsafe_no_sandbox, paranoid=paranoid)
    ready = prepare(recipe, Path(NOWHERE), overrides, settings, allow_code=allow_code)
    isolation = Isolation(paranoid=paranoid, unsafe_no_sandbox=unsafe_no_sandbox)
    found = compare(data, mapped=ready.mapped, limit=limit, isolation=isolation)
    shown = found.disagreements[:count]
    heads = ("row", "gold", "answer found", "verdict", "second opinion")
    if shown:
        columns = [Column(title=title) for title in heads]
        show(Sheet(columns=columns, sections=[[_opinions(one)] for one in shown]))
    show(
        f"{found.looked_at:,} of {found.rows:,} rows compared: "
        f"{len(found.disagreements):,} disagree ({len(shown):,} shown); "
        f"Math-Verify could not judge {found.undecided:,}"
    )
    return Exit.DONE


def teachers(
    recipe: str,
    data: Data,
    *,
    out: str | Path | None = None,
    limit: int | None = None,
    overrides: Sequence[str] = (),
    as_json: bool = False,
    dry_run: bool = False,
    unsafe_no_sandbox: bool = False,
    paranoid: bool = False,
    allow_code: bool = False,
) -> Exit:
    """Prints which teacher's answers to the same prompts suit the recipe's ``score_model`` best.

    Args:
        recipe: name or path of a filters recipe: its ``map`` and ``score_model`` count here.
        data: runs or sets, one for each teacher.
        out: folder for teachers.json and what was measured; None: nothing is written.
        limit: the most prompts to compare; else PROMPTS.
        overrides: ``key.path=value`` for values of the recipe.
        as_json: print JSON instead of a table.
        dry_run: say how many prompts would be compared; load no model.
        unsafe_no_sandbox: run programs and scorers as this user, without a jail.
        paranoid: run each answer's code in a jail of its own.
        allow_code: run the Python files that the recipe names, as this user and without a jail.

    Raises:
        UserError: recipe or data unusable, no ``score_model``, no prompts in common, or a
            teachers.json in ``out`` that distill did not make.
    """
    settings = Settings(unsafe_no_sandbox=unsafe_no_sandbox, paranoid=paranoid)
    ready = prepare(recipe, Path(NOWHERE), overrides, settings, allow_code=allow_code)
    rules = ready.job.rules
    refuse_unserved(rules.settings, rules.where, ["student_fit"])
    named, prompts = shared_prompts(data, ready.mapped)
    chosen = prompts.head(limit or PROMPTS)
    log.info("%d teachers share %d prompts; compares %d", len(named), len(prompts), len(chosen))
    path = None if out is None else Path(out) / "teachers.json"
    if path is not None and path.exists() and not is_ours(path.parent, {path.name: "pairs"}):
        refuse_foreign([path], by="distill filter --compare-teachers")
    if dry_run:
        return Exit.DONE
    store = None if path is None else path.with_suffix("")
    found = compare_teachers(named, chosen, ready, store=store)
    values = {**found.values(), "score_model": rules.settings.score_model}
    if path is not None:
        write_json(path, values)
    if as_json:
        show_lines(orjson.dumps(values, option=orjson.OPT_INDENT_2).decode())
    else:
        show(_ranking(found), *map(_certainty, found.pairs))
    return Exit.DONE


def _ranking(found: Comparison) -> Sheet:
    heads = ("teacher", "student_fit", "nll_per_token", "correct", "answers", "unscored")
    rows = [
        [
            one.name,
            *(_interval(score) for score in (one.student_fit, one.nll_per_token, one.correct)),
            f"{one.answers:,}",
            ", ".join(f"{count:,} {reason}" for reason, count in one.unscored.items()) or "0",
        ]
        for one in found.teachers
    ]
    title = f"{found.prompts:,} prompts; the lower student_fit, the better"
    return Sheet(columns=[Column(title=head) for head in heads], sections=[rows], title=title)


def _interval(score: Score | None) -> str:
    if score is None:
        return ""
    return f"{score.value:.3f} ({score.ci95[0]:.3f} to {score.ci95[1]:.3f})"


def _certainty(pair: Pair) -> str:
    first, second = pair.teachers
    says = "suits better than" if pair.certain else "cannot be told from"
    return f"{first} {says} {second}: {_interval(pair.difference)}"


def _opinions(one: Disagreement) -> list[Cell]:
    ours = one.ours
    said = f"{ours.label}: {ours.method}" + (f", {ours.detail}" if ours.detail else "")
    answer = "none" if ours.answer is None else _cut(ours.answer)
    theirs = "Math-Verify: " + ("the same" if one.same else "not the same, or not found")
    return [one.row.key, _cut(one.row.gold), answer, said[:CELL], theirs]


def _cut(text: str) -> str:
    return text if len(text) <= CELL else f"{text[:CELL]}…"


def one_or_two(words: Sequence[str], usage: str, otherwise: int) -> tuple[str, int]:
    """A name, and a number that may be left out."""
    name, *more = words
    if len(more) > 1 or not all(word.isdecimal() for word in more):
        msg = f"{' '.join(words)!r}: write {usage}"
        raise UserError(msg)
    return name, int(more[0]) if more else otherwise


CELL = 80  # characters of a gold or an answer that are shown
NOWHERE = "/nonexistent"  # a result that is not there


def _print(lines: Iterable[Line]) -> None:
    sections: list[list[Sequence[Cell]]] = [[]]
    style = {"broken": "red", "cannot be told": "yellow", "holds": "green"}
    for line in lines:
        if line.kind == "rule":
            sections.append([])
        name = (line.name, "bold" if line.kind == "rule" else "")
        sections[-1].append((name, (line.value, style.get(line.value, "")), line.note))
    columns = [Column(wraps=False), Column(), Column(style="dim")]
    show(Sheet(columns=columns, sections=sections))
