"""Runs a command that cannot outlive the process that holds our standard input.

``python -m distill.local_models.leash -- CMD ARGS…``: when standard input ends (its holder is gone,
however it died) or SIGTERM, SIGINT or SIGHUP arrives, CMD's whole process group is stopped.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

GRACE_S = 5.0  # from SIGTERM to SIGKILL: enough for an HTTP server to close its sockets
LOOK_S = 1.0  # how often to check whether our parent has changed, in case the pipe has leaked
PR_SET_PDEATHSIG = 1  # linux/prctl.h
STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def leash(command: list[str], *, grace_s: float = GRACE_S) -> int:
    """Runs ``command``; its exit status as in a shell (128 + signal), once its group is gone."""
    with _noticed_signals() as wake:
        try:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=_dies_with(os.getpid()),
            )
        except OSError as error:
            sys.stderr.write(f"{command[0]}: cannot be started: {error.strerror}\n")
            return 127
        if not _ended_by_itself(child, wake):
            _stop(child, grace_s=grace_s)
    _signal_group(child, signal.SIGKILL)  # what the command left behind
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def _dies_with(parent: int) -> Callable[[], None] | None:
    """What the child does before exec, so that it dies even if the leash gets SIGKILL."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)

    def tie() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died between fork and prctl
            os._exit(1)

    return tie


@contextmanager
def _noticed_signals() -> Iterator[int]:
    """A file descriptor on which each arriving signal appears as one byte, its number."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    os.set_blocking(read, False)
    numbers = (*STOP, signal.SIGCHLD)
    before = [signal.signal(number, lambda *_: None) for number in numbers]
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    try:
        yield read
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
        os.close(read)
        os.close(write)


def _ended_by_itself(child: "subprocess.Popen[bytes]", wake: int) -> bool:
    """Waits for the child; False if we have to end it."""
    parent = os.getppid()
    while child.poll() is None:
        ready, _, _ = select.select([0, wake], [], [], LOOK_S)
        if wake in ready and any(number in STOP for number in os.read(wake, 64)):
            return False
        if 0 in ready and not os.read(0, 4096):
            return False
        if os.getppid() != parent:
            return False
    return True


def _stop(child: "subprocess.Popen[bytes]", *, grace_s: float) -> None:
    _signal_group(child, signal.SIGTERM)
    try:
        child.wait(grace_s)
    except subprocess.TimeoutExpired:
        _signal_group(child, signal.SIGKILL)
        child.wait()


def _signal_group(child: "subprocess.Popen[bytes]", number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # PermissionError: only zombies, on macOS
        os.killpg(child.pid, number)


def main() -> int:
    """Runs what follows ``--``."""
    if len(sys.argv) < 3 or sys.argv[1] != "--":
        sys.stderr.write("usage: python -m distill.local_models.leash -- CMD ARGS…\n")
        return 2
    return leash(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
