"""Inside the jail, for programs in other languages: runs a compiler, or turns into a built program.

Outside, nothing from here is trusted but "this is what the compiler made of its own program".
"""

import os
import resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import NoReturn
else:
    import _signal as signal  # without the names of its constants, which take 3 ms to import

# Memory that a process may write to, bytes. A limit on the address space would not work: Java and
# JavaScript reserve many GB. What is in use is limited by leftovers.MAX_RESIDENT_BYTES.
DATA_BYTES = 3 << 30
PROCESSES = 64  # and threads: Java has 20 before its program starts
BUILT_BYTES = 64 << 20  # of one file that a compiler writes
FILE_BYTES = 16 << 20  # of one file that a program writes
# Contest programs recurse a million deep; C++ programs use the main thread's stack for that.
STACK_BYTES = 256 << 20
MAX_SAID = 4000  # characters of a compiler's output
PROGRAM = "/proc/self/fd/3"  # the file that was built
IGNORED = (13, 25)  # SIGPIPE, SIGXFSZ: Python ignores them, and its children would inherit that


def limit(*, cpu_s: int, processes: bool, file_bytes: int) -> None:
    """Set the limits of this process and its children, for good; ``execute.limit`` for others."""
    limits = [
        (resource.RLIMIT_DATA, DATA_BYTES),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_STACK, STACK_BYTES),
        (resource.RLIMIT_CORE, 1),
    ]
    if processes:
        limits.append((resource.RLIMIT_NPROC, PROCESSES))
    lower(limits, cpu_s=cpu_s)
    for number in IGNORED:
        signal.signal(number, signal.SIG_DFL)


def lower(limits: "list[tuple[int, int]]", *, cpu_s: int) -> None:
    """Set these limits and the seconds of CPU time, unless they are lower already."""
    for which, most in limits:
        _, hard = resource.getrlimit(which)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(which, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))


def environment() -> "dict[str, str]":
    """The whole environment of a compiler or a program."""
    folder = os.environ.get("TMPDIR", "/tmp")
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": folder,
        "TMPDIR": folder,
        "LANG": "C.UTF-8",
        "GOCACHE": f"{folder}/build/cache",
        "GOPATH": f"{folder}/build/go",
        "GOFLAGS": "-p=2",
        "GO111MODULE": "off",
        "CGO_ENABLED": "0",
        "GOMAXPROCS": "2",  # on a machine with many cores Go would start too many threads
    }


def execute(command: "list[str]") -> "NoReturn":
    """Become the program: 0 is its input, 1 its output, 2 its errors, 3 the built file."""
    os.execve(command[0], command, environment())


def compiled(names: "list[str]", source: str) -> "tuple[int, str, bytes]":
    """A compiler's exit code, its output, and what it made.

    ``names``: the source's file, the compiled file or folder (a folder is returned as a zip
    archive), and the command.
    """
    file, made, *command = names
    folder = os.environ.get("TMPDIR", "/tmp") + "/build"
    os.mkdir(folder)  # noqa: PTH102  # pathlib is slow to import
    os.chdir(folder)
    try:
        with open(file, "w", encoding="utf-8", errors="replace") as out:  # noqa: PTH123
            out.write(source)
        code, said = _spawn(command)
        return code, said, _bytes(made) if code == 0 else b""
    finally:
        os.chdir("..")
        import shutil

        shutil.rmtree(folder, ignore_errors=True)


def _spawn(command: "list[str]") -> "tuple[int, str]":
    actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions += [(os.POSIX_SPAWN_OPEN, fd, "said", flags, 0o600) for fd in (1, 2)]
    pid = os.posix_spawn(command[0], command, environment(), file_actions=actions)
    _, status = os.waitpid(pid, 0)
    with open("said", encoding="utf-8", errors="replace") as said:  # noqa: PTH123
        return os.waitstatus_to_exitcode(status), said.read(MAX_SAID)


def _bytes(made: str) -> bytes:
    if not os.path.isdir(made):  # noqa: PTH112
        with open(made, "rb") as file:  # noqa: PTH123
            return file.read()
    import io
    import zipfile

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for place, _, files in os.walk(made):
            for name in files:
                path = f"{place}/{name}"
                archive.write(path, path[len(made) + 1 :])
    return packed.getvalue()
