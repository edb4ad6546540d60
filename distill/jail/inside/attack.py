"""A script that attacks the jail it runs in, and prints which attacks succeeded.

It reads a JSON object (a canary, and where the host keeps it) and prints a JSON object (the name of
every attack, and whether it succeeded).
"""

import ctypes
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

FORKS = 64  # several times more than the jail allows
CLONE_NEWUSER = 0x10000000  # linux/sched.h


def reached(attack: Callable[[dict[str, Any]], bool], given: dict[str, Any]) -> bool:
    """Whether the attack succeeded; False if the system refuses it."""
    try:
        return attack(given)
    except OSError:
        return False


def reads_a_file(given: dict[str, Any]) -> bool:
    """A file of the host."""
    return str(given["canary"]) in Path(given["file"]).read_text(encoding="utf-8")


def _in_processes(name: str, canary: str) -> bool:
    def holds(folder: Path) -> bool:
        try:
            return canary.encode() in (folder / name).read_bytes()
        except OSError:
            return False

    return any(holds(folder) for folder in Path("/proc").iterdir() if folder.name.isdigit())


def reads_the_environment(given: dict[str, Any]) -> bool:
    """Of this process, of its parents, of any other."""
    return given["canary"] in str(os.environ) or _in_processes("environ", given["canary"])


def sees_processes(given: dict[str, Any]) -> bool:
    """A process of the host, by its command line."""
    return _in_processes("cmdline", given["canary"])


def reads_the_supervisor(given: dict[str, Any]) -> bool:
    """The memory of process 1, or of the parent."""
    return any(os.open(f"/proc/{pid}/mem", os.O_RDWR) >= 0 for pid in (1, os.getppid()))


def connects(given: dict[str, Any]) -> bool:
    """A listener of the host on loopback."""
    with socket.create_connection(("127.0.0.1", given["port"]), timeout=1):
        return True


def connects_by_name(given: dict[str, Any]) -> bool:
    """A listener of the host in the abstract Unix namespace, which has no file."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + given["canary"])
        return True


def writes_outside(given: dict[str, Any]) -> bool:
    """A file in a folder that anyone may write to on the host, or in a system folder."""
    theirs = (given["folder"], "/", "/usr/lib", "/etc", "/home", "/proc/sys/kernel", "/dev")
    for folder in (*theirs, "/proc/1", "/python", "/usr/bin"):
        path = Path(folder, "written-from-the-jail")
        with suppress(OSError):
            path.parent.chmod(0o777)
        try:
            path.write_text("x", encoding="utf-8")
        except OSError:
            continue
        path.unlink()
        return True
    return False


def forks(given: dict[str, Any]) -> bool:
    """More processes than the jail allows."""
    made: list[int] = []
    try:
        while len(made) < FORKS:
            pid = os.fork()
            if pid == 0:
                time.sleep(60)
                os._exit(0)
            made.append(pid)
    finally:
        for pid in made:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return True


def makes_a_namespace(given: dict[str, Any]) -> bool:
    """A user namespace, in which it would be root."""
    return bool(ctypes.CDLL(None).unshare(CLONE_NEWUSER) == 0)


def runs_unfiltered(given: dict[str, Any]) -> bool:
    """Without a filter of system calls (mode 2), or able to gain privileges."""
    status = Path("/proc/self/status").read_text(encoding="utf-8").split()
    facts = dict(pairwise(status))
    return (facts["Seccomp:"], facts["NoNewPrivs:"], int(facts["CapEff:"], 16)) != ("2", "1", 0)


ATTACKS = (
    reads_a_file,
    reads_the_environment,
    sees_processes,
    reads_the_supervisor,
    connects,
    connects_by_name,
    writes_outside,
    forks,
    makes_a_namespace,
    runs_unfiltered,
)


def main() -> None:
    """Make every attack."""
    given = json.load(sys.stdin)
    json.dump({attack.__name__: reached(attack, given) for attack in ATTACKS}, sys.stdout)


if __name__ == "__main__":
    main()
