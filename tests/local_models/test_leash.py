"""The leash ends its command however its holder ends."""

import signal
import subprocess
import sys

import pytest

SLEEPER = "import signal; print('up', flush=True); signal.pause()"
STUBBORN = (
    "import os, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); child = os.fork(); "
    "print('up', flush=True) if child else None; signal.pause()"
)


def leashed(code: str, *, grace_s: float = 5.0) -> list[str]:
    line = f"leash([sys.executable, '-c', {code!r}], grace_s={grace_s})"
    return [
        sys.executable,
        "-c",
        f"import sys; from distill.local_models.leash import leash; {line}",
    ]


def held(command: list[str]) -> subprocess.Popen[bytes]:
    """A leash that we hold, once its command is up.

    Every process below it writes into the same pipe, so the pipe's end is the end of them all.
    """
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    return process


def everything_is_gone(process: subprocess.Popen[bytes]) -> bool:
    assert process.stdout is not None
    with process:
        return process.stdout.read() == b""  # blocks for as long as one of them lives


def test_closing_the_pipe_ends_the_command() -> None:
    process = held(leashed(SLEEPER))
    assert process.stdin is not None
    process.stdin.close()
    assert everything_is_gone(process)


def test_a_killed_holder_takes_the_command_along() -> None:
    holder = (
        "import subprocess, sys, signal; "
        f"p = subprocess.Popen({leashed(SLEEPER)!r}, stdin=subprocess.PIPE); signal.pause()"
    )
    process = held([sys.executable, "-c", holder])
    process.kill()
    assert everything_is_gone(process)


def test_what_ignores_sigterm_is_killed_with_all_its_children() -> None:
    process = held(leashed(STUBBORN, grace_s=0.1))
    assert process.stdin is not None
    process.stdin.close()
    assert everything_is_gone(process)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_leash_ends_the_command(number: signal.Signals) -> None:
    process = held(leashed(SLEEPER))
    process.send_signal(number)
    assert everything_is_gone(process)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal")
def test_a_killed_leash_takes_the_command_along() -> None:
    process = held(leashed(SLEEPER))
    process.kill()
    assert everything_is_gone(process)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("raise SystemExit(7)", 7),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 128 + signal.SIGKILL),
    ],
)
def test_the_exit_status_is_the_commands_own(code: str, status: int) -> None:
    command = [sys.executable, "-m", "distill.local_models.leash", "--", sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.wait() == status


def test_the_command_reads_nothing_of_ours() -> None:
    code = "import sys; sys.exit(3 if sys.stdin.read() == '' else 4)"
    command = [sys.executable, "-m", "distill.local_models.leash", "--", sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.wait() == 3


def test_a_missing_command_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-m", "distill.local_models.leash", "--", "no-such-server"]
    assert subprocess.run(command, stdin=subprocess.PIPE, check=False).returncode == 127
    assert capfd.readouterr().err == (
        "no-such-server: cannot be started: No such file or directory\n"
    )
