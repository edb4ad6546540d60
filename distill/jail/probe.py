"""Attacks a jail from inside before it is trusted.

That a jailer is installed proves nothing: kernels, containers and wrappers differ. What counts is
that a program inside cannot reach the canaries that this process has placed.
"""

import json
import os
import secrets
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from distill.errors import UserError
from distill.jail.inside import attack
from distill.jail.interpreter import account
from distill.jail.jailer import HINT, Jailer, installed
from distill.jail.mounts import PLAIN, Mounts
from distill.jail.program import Program
from distill.jail.session import Jail

TIMEOUT_S = 20  # it takes 0.2 s


@cache
def jail_or_refuse(mounts: Mounts = PLAIN) -> Jailer:
    """The jailer whose jails with these mounts repel every attack; tried once per process.

    A refusal is not cached.

    Raises:
        UserError: none does, or none is installed; says what to install, and what it means to
            do without.
    """
    return first_trusted(installed(), mounts)


def first_trusted(jailers: Sequence[Jailer], mounts: Mounts = PLAIN) -> Jailer:
    """The first jailer whose jail is safe.

    Raises:
        UserError: none is.
    """
    problems = []
    for jailer in jailers:
        problem = weakness(jailer, mounts)
        if not problem:
            return jailer
        problems.append(problem)
    said = "; ".join(problems) or "neither bubblewrap nor nsjail is installed"
    text = (
        "programs that models wrote, and libraries that evaluate what a data set says, cannot be "
        f"run safely here: {said}; {HINT}"
    )
    raise UserError(text)


@cache
def prove(jailer: Jailer, mounts: Mounts) -> None:
    """Returns if a jail with more than Python in it also repels every attack; tried once.

    Raises:
        UserError: it does not; this is not cached.
    """
    if problem := weakness(jailer, mounts):
        raise UserError(problem)


def weakness(jailer: Jailer, mounts: Mounts = PLAIN) -> str:
    """What is wrong with a jail made by this program, in words; "" if it is safe."""
    script = Path(attack.__file__).read_text(encoding="utf-8")
    with _canaries() as given, Jail(jailer=jailer, mounts=mounts) as jail:
        program = Program(script, stdin=json.dumps(given))
        ran = jail.run(program, timeout_s=TIMEOUT_S)
        written = sorted(path.name for path in Path(given["folder"]).iterdir())
    if ran.status != "ended":
        return f"{jailer.path} does not start a jail ({ran.status}: {ran.error[:300]})"
    try:
        made = json.loads(ran.stdout)
    except ValueError:
        made = None
    names = {each.__name__ for each in attack.ATTACKS}
    if not isinstance(made, dict) or set(made) != names:
        return f"{jailer.path} started something that did not answer"
    reached = [name for name in names if made[name] is not False]
    if written != ["canary"]:
        reached.append("left_a_file")
    if not reached:
        return ""
    return f"a program in a jail of {jailer.path} " + ", ".join(sorted(reached)).replace("_", " ")


@contextmanager
def _canaries() -> Iterator[dict[str, Any]]:
    """Puts a secret where only a leaking jail finds it: file, environment, process, sockets."""
    canary = f"canary-{secrets.token_hex(8)}"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="distill-")))
        folder.chmod(0o777)
        file = folder / "canary"
        file.write_text(canary, encoding="utf-8")
        file.chmod(0o644)
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        named = stack.enter_context(socket.socket(socket.AF_UNIX))
        named.bind("\0" + canary)
        named.listen()
        stack.enter_context(_neighbour(canary))
        yield {
            "canary": canary,
            "file": str(file),
            "folder": str(folder),
            "port": tcp.getsockname()[1],
        }


@contextmanager
def _neighbour(canary: str) -> Iterator[None]:
    """A process of the jail's user with the canary in its command line and environment."""
    command = ["/bin/sh", "-c", "read wait", canary]
    quiet = subprocess.DEVNULL
    env = {"CANARY": canary, "PATH": os.defpath}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, env=env, **account()
    ) as process:
        yield
        process.kill()
