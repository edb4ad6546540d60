"""The command line: words to a function call, errors to one line and an exit status.

Imports nothing heavy: ``distill --help`` and a mistyped flag answer at once.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import distill
from distill.errors import DistillError, Exit, UserError, first_line
from distill.imports import own_imports_only
from distill.terminal.log import to_stderr, traced
from distill.terminal.numbers import count, rate, usd
from distill.terminal.plain import plain
from distill.terminal.screen import guarded, hang_up, say, say_lines

DATA = "runs, sets, files, folders, globs, hf://datasets/owner/name; NAME=DATA names a source"


class Command(argparse.ArgumentParser):
    """A parser whose complaint is one line, whatever the words it complains about."""

    def error(self, message: str) -> NoReturn:
        """Ends the program."""
        super().error(plain(message))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit status (see ``distill.errors.Exit``)."""
    with guarded(), own_imports_only():
        arguments = _parser().parse_args(argv)
        with to_stderr(verbose=arguments.verbose):
            return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    try:
        return int(arguments.run(arguments))
    except DistillError as error:
        say(str(error))
        return int(error.exit)
    except KeyboardInterrupt:
        say("interrupted; the same command goes on from here")
        return int(Exit.INTERRUPTED)
    except BrokenPipeError:  # the reader of our output went away, e.g. `| head`
        hang_up()
        return int(Exit.DONE)
    except SystemExit:
        raise
    # border: a bug or a broken disk; a panic of polars is no Exception. The traceback is for -v
    except BaseException as error:
        if arguments.verbose:
            say_lines(traced(error))
        say(f"stopped by {_said_by(error)}" + ("" if arguments.verbose else " (-v shows where)"))
        return int(Exit.USER)


def _said_by(error: BaseException) -> str:
    """The kind of an error, the first line of its text, and the files that it was about."""
    text = first_line(error) if str(error).strip() else "it says nothing more"
    files = [getattr(error, name, None) for name in ("filename", "filename2")]
    notes = [*map(str, filter(None, files)), *getattr(error, "__notes__", ())]
    new = [note for note in notes if note not in text]
    return ": ".join([type(error).__name__, text]) + "".join(f"; {note}" for note in new)


def _parser() -> Command:
    parser = Command(
        prog="distill",
        description="Put a big model's reasoning into a small one.",
        epilog="Exit status: 0 done, 1 some rows failed for good, 2 change something, "
        "3 budget reached, 130 interrupted. 2, 3 and 130 are resumed by the same command.",
    )
    parser.add_argument("--version", action="version", version=f"distill {distill.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_plan, _generate, _filter, _train, _eval, _merge, _push, _status):
        add(commands)
    return parser


def _command(commands: "argparse._SubParsersAction[Command]", name: str, text: str) -> Command:
    command = commands.add_parser(name, help=text, description=text)
    command.add_argument("-v", "--verbose", action="store_true", help="say more; show tracebacks")
    return command


def _stage(command: Command, *, limited: str, out_required: bool = True) -> None:
    """The flags of every stage that turns an input into a folder."""
    _out(command, required=out_required)
    command.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="KEY=VALUE",
        help="override a value of the recipe, e.g. --set sampling.max_tokens=8192",
    )
    command.add_argument("--limit", type=count, metavar="N", help=f"only the first N {limited}")
    _careful(command, force="replace a result of another recipe or input")


def _out(command: Command, *, required: bool = True) -> None:
    say = "where the result goes"
    command.add_argument("-o", "--out", required=required, metavar="FOLDER", help=say)


def _careful(
    command: Command, *, dry: str = "say what would be done; do nothing", force: str
) -> None:
    command.add_argument("--dry-run", action="store_true", help=dry)
    command.add_argument("--force", action="store_true", help=force)


def _plan(commands: "argparse._SubParsersAction[Command]") -> None:
    command = _command(
        commands, "plan", "a mix of recipes → rows, tokens, money and hours it takes"
    )
    command.add_argument("mix", help="a mix: a name, e.g. r1-800k, a folder or a file")
    command.add_argument(
        "--at",
        action="extend",
        nargs="+",
        default=[],
        metavar="PRESET",
        help="teachers to compare; else all whose prices are known",
    )
    command.add_argument(
        "--rows", type=count, metavar="N", help="of the whole set, in the mix's proportions"
    )
    command.add_argument(
        "--concurrency", type=count, metavar="N", help="answers in flight; else the preset's"
    )
    command.add_argument(
        "--tokens-per-s",
        type=rate,
        metavar="F",
        help="of one answer in flight; else 30, an assumption",
    )
    command.set_defaults(run=_run_plan)


def _run_plan(a: argparse.Namespace) -> int:
    from distill.commands.plan import plan

    return plan(a.mix, at=a.at, rows=a.rows, concurrency=a.concurrency, tokens_per_s=a.tokens_per_s)


def _generate(commands: "argparse._SubParsersAction[Command]") -> None:
    command = _command(commands, "generate", "prompts → traces of a teacher")
    command.add_argument("recipe", help="a prompts recipe: a name or a file")
    _stage(command, limited="problems")
    _sends(command)
    _sandbox(command)
    command.set_defaults(
        run=lambda a: distill.generate(a.recipe, **_sending(a), **_running(a), **_common(a))
    )


def _filter(commands: "argparse._SubParsersAction[Command]") -> None:
    command = _command(commands, "filter", "traces → kept, dropped with reasons, report.json")
    command.add_argument("recipe", help="a filters recipe: a name or a file")
    command.add_argument("data", nargs="+", metavar="DATA", help=DATA)
    _stage(command, limited="rows", out_required=False)
    command.add_argument("--workers", type=count, default=1, metavar="N", help="processes")
    say = "measure everything, for audits"
    command.add_argument("--all-signals", action="store_true", help=say)
    say = "where the workers run"
    command.add_argument("--engine", choices=("local", "ray"), default="local", help=say)
    command.add_argument(
        "--explain",
        nargs="+",
        metavar=("ID", "SAMPLE"),
        help="instead: every signal and rule of one row; -o, if given, says what is stored of it",
    )
    command.add_argument(
        "--sample",
        nargs="+",
        metavar=("REASON", "N"),
        help="instead: some rows of the set in -o that were dropped for REASON (or kept); else 5",
    )
    command.add_argument(
        "--audit-verdicts",
        type=count,
        metavar="N",
        help="instead: N rows on which our verdict and Math-Verify alone disagree",
    )
    say = "instead: which DATA, a teacher's run each, suits score_model best, on 200 prompts or N"
    command.add_argument("--compare-teachers", action="store_true", help=say)
    command.add_argument("--json", action="store_true", help="print the comparison as JSON")
    _sandbox(command)
    command.set_defaults(run=_run_filter)


def _run_filter(a: argparse.Namespace) -> int:
    from distill.filtering.show import audit, explain, one_or_two, sample, teachers

    if a.compare_teachers:
        more = {"out": a.out, "dry_run": a.dry_run, "as_json": a.json}
        return teachers(a.recipe, a.data, **more, **_running(a), **_read(a))
    if a.audit_verdicts:
        return audit(a.recipe, a.data, a.audit_verdicts, **_running(a), **_read(a))
    if a.explain:
        key, number = one_or_two(a.explain, "--explain ID [SAMPLE]", 0)
        wanted = number if len(a.explain) > 1 else None
        more = {"out": a.out, "overrides": a.overrides}
        return explain(a.recipe, a.data, key, wanted, **more, **_running(a))
    if a.out is None:
        msg = "-o FOLDER is missing: it says where the result goes"
        raise UserError(msg)
    if a.sample:
        reason, count = one_or_two(a.sample, "--sample REASON [N]", 5)
        return sample(a.out, reason, count)
    return distill.filter(
        a.recipe,
        a.data,
        workers=a.workers,
        engine=a.engine,
        all_signals=a.all_signals,
        **_running(a),
        **_common(a),
    )


def _train(commands: "argparse._SubParsersAction[Command]") -> None:
    command = _command(commands, "train", "kept traces → a student")
    command.add_argument("recipe", help="a students recipe: a name or a file")
    command.add_argument("data", nargs="+", metavar="DATA", help=DATA)
    _stage(command, limited="rows")
    command.add_argument(
        "--unfiltered", action="store_true", help="allow a run's traces and dropped rows"
    )
    command.set_defaults(run=lambda a: distill.train(a.recipe, a.data, **_training(a)))


def _eval(commands: "argparse._SubParsersAction[Command]") -> None:
    command = _command(commands, "eval", "a benchmark and a model → scores.json")
    command.add_argument("recipe", help="a prompts recipe with verify, e.g. eval/gsm8k")
    say = "folder, GGUF file, Hub id, or http://host/v1#name"
    command.add_argument("--model", required=True, help=say)
    _stage(command, limited="questions")
    _sends(command)
    _sandbox(command)
    command.set_defaults(
        run=lambda a: distill.eval(
            a.recipe, model=a.model, **_sending(a), **_running(a), **_common(a)
        )
    )


def _merge(commands: "argparse._SubParsersAction[Command]") -> None:
    command = _command(commands, "merge", "a student that is an adapter → one with whole weights")
    command.add_argument("student", help="an adapter: a folder or a Hub id")
    _out(command)
    _careful(command, force="replace another student's result")
    command.set_defaults(run=lambda a: distill.merge(a.student, out=a.out, **_writing(a)))


def _push(commands: "argparse._SubParsersAction[Command]") -> None:
    command = _command(commands, "push", "a filtered set or a student → the Hub, with its card")
    command.add_argument("path", help="a filtered set or a student")
    command.add_argument("repo_id", help="owner/name on the Hub")
    command.add_argument("--public", action="store_true", help="let everybody see it")
    _careful(command, dry="say what would be sent; send nothing", force="send again what is there")
    command.set_defaults(
        run=lambda a: distill.push(a.path, a.repo_id, public=a.public, **_writing(a))
    )


def _status(commands: "argparse._SubParsersAction[Command]") -> None:
    command = _command(commands, "status", "what is done, what it cost, what is left")
    command.add_argument("paths", nargs="+", help="runs, filtered sets, students, evaluations")
    say = "save what can be read of a run's damaged ledger"
    command.add_argument("--repair", action="store_true", help=say)
    command.set_defaults(run=lambda a: distill.status(*a.paths, repair=a.repair))


def _sends(command: Command) -> None:
    """The flags of every stage that sends prompts."""
    say = "the most that this run may ever cost"
    command.add_argument("--budget-usd", type=usd, metavar="USD", help=say)
    say = "let the recipe send the keys that it names to the hosts that it names, from now on"
    command.add_argument("--yes", action="store_true", help=say)


def _sandbox(command: Command) -> None:
    """The flags of every stage that may run others' code; no recipe can set them."""
    say = "a fresh jail for every program and every scorer's question"
    command.add_argument("--paranoid", action="store_true", help=say)
    say = "run programs, and scorers of what rows say, as yourself, without a jail"
    command.add_argument("--unsafe-no-sandbox", action="store_true", help=say)
    say = "run the Python files that the recipe names (signals, checks) as yourself"
    command.add_argument("--allow-code", action="store_true", help=say)


def _given(*names: str) -> Callable[[argparse.Namespace], dict[str, Any]]:
    return lambda arguments: {name: getattr(arguments, name) for name in names}


_sending = _given("budget_usd", "yes")
_running = _given("unsafe_no_sandbox", "paranoid", "allow_code")
_writing = _given("dry_run", "force")
_read = _given("overrides", "limit")
_common = _given("out", "overrides", "limit", "dry_run", "force")
_training = _given("out", "overrides", "limit", "dry_run", "force", "unfiltered")
