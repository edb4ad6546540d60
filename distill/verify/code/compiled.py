"""Checks a program in another language than Python by what it prints.

The compiler runs in a jail too, because a source may attack it.
"""

import re
import time

from distill.errors import UserError
from distill.jail.probe import jail_or_refuse, prove
from distill.jail.program import Binary, Built, Ran
from distill.verify.code.gold import Cases
from distill.verify.code.judge import ENDS, TRIES, Finding, again, judge_output
from distill.verify.code.languages import Language, Toolchain, named, toolchain
from distill.verify.code.suite import SHOWN
from distill.verify.workers.threads import Jails

COMPILE_S = 60.0  # a large C++ program takes 3 s, a first Go program 2 s, on a machine at rest
# Of a compiled program; Go's and Rust's have 2 MB. The jail's folder also holds 16 MB of input.
MADE_BYTES = 12 << 20
# What the runtimes of these languages print when they get no more memory.
_MEMORY = re.compile(
    r"OutOfMemoryError|bad_alloc|out of memory|memory allocation of \d+ bytes failed"
    r"|[Cc]annot allocate memory|Array buffer allocation failed"
)
# A compiler that crashes, or the jail's limits: not the source's fault.
_BROKE = re.compile(
    r"internal compiler|Resource temporarily unavailable|pthread_create failed|No space left"
)
_ERROR = re.compile(r"^.*\berror\b.*$|^.*\bError\b.*$|^\S+\.go:\d+:.*$", re.MULTILINE)


def judge_compiled(
    jails: Jails, gold: Cases, source: str, name: str, *, timeout_s: float
) -> Finding:
    """Judges it input by input; ``name`` is the language's."""
    language = named(name)
    tools = toolchain(language)
    if tools is None:
        return Finding("unverifiable", "no_compiler", f"{name}: apt-get install {language.package}")
    if weak := _weakness(jails, tools):
        return weak
    source = source.lstrip("\ufeff")
    program = source.encode("utf-8", "replace")
    if language.compile:
        built = _built(jails, tools, source)
        if isinstance(built, Finding):
            return built
        program = built
    command, runtime = tools.command(source), jails.runtime(tools.runtime_mounts)

    def attempt(given: str, left_s: float) -> Ran:
        binary = Binary(command, program, given)
        return again(lambda: runtime.execute(binary, timeout_s=left_s))

    return judge_output(gold, attempt, lambda ran: _ended(ran, language), timeout_s=timeout_s)


def _weakness(jails: Jails, tools: Toolchain) -> Finding | None:
    """An error if a jail that holds more than Python is not safe."""
    if jails.isolation.unsafe_no_sandbox:
        return None
    needed = [tools.runtime_mounts, *([tools.compiler_mounts] if tools.language.compile else [])]
    try:
        for mounts in needed:
            prove(jail_or_refuse(), mounts)
    except UserError as error:
        return Finding("error", "jail_failed", str(error)[:SHOWN])
    return None


def _built(jails: Jails, tools: Toolchain, source: str) -> bytes | Finding:
    """The compiled program; else the failure of the first way, the language's newest version."""
    failed: list[Finding] = []
    for build in tools.builds(source):
        jail, until = jails.compiler(tools.compiler_mounts), time.monotonic() + COMPILE_S
        built = Built(Ran("jail_failed"))
        for _ in range(TRIES):
            built = jail.build(build, timeout_s=max(1.0, until - time.monotonic()))
            if built.ran.status != "jail_failed":
                break
        if built.ran.status == "ended" and built.code == 0:
            large = len(built.file) > MADE_BYTES
            return Finding("unverifiable", "too_large", "compiled") if large else built.file
        failed.append(_refused(built, tools.language))
        if failed[-1].label != "wrong" and failed[-1].method != "missing_module":
            break  # it took all its time or memory, or crashed: the next way would too
    return next((one for one in failed if one.label != "wrong"), failed[0])


def _refused(built: Built, language: Language) -> Finding:
    found = _ERROR.search(built.said)
    detail = " ".join((found[0] if found else built.said).split())[:SHOWN]
    if built.ran.status == "ended" and built.code > 0 and not _BROKE.search(built.said):
        if language.missing.search(built.said):
            return Finding("unverifiable", "missing_module", detail)
        if _MEMORY.search(built.said):
            return Finding("timeout", "memory", "compiling")
        return Finding("wrong", "compile_error", detail)
    if built.ran.status in ("timeout", "memory", "jail_failed"):
        found_end = ENDS[built.ran.status]
        return Finding(found_end.label, found_end.method, "compiling")
    return Finding("unverifiable", "compiler_failed", detail or built.ran.error[:SHOWN])


def _ended(ran: Ran, language: Language) -> Finding:
    """How a program failed; what it prints is never enough to pass."""
    if ran.status == "died" and _MEMORY.search(ran.error):
        return Finding("timeout", "memory", "")
    if ran.status == "died" and language.missing.search(ran.error):
        return Finding("unverifiable", "missing_module", "")
    end = ENDS[ran.status]
    return Finding(end.label, end.method, " ".join(ran.error.split())[:SHOWN])
