"""Turns a fork of process 1 into a candidate: reads the program, and drops everything else.

Process 1 never reads a program, because each later candidate inherits its memory and could find
there what it has read.
"""

import os
import struct

from distill.jail.inside import build, execute
from distill.jail.inside.codec import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import Any, NoReturn
else:
    import _signal as signal  # without the names of its constants, which take 3 ms to import

SIZE = struct.Struct("<I")
READ = b"r"  # the first byte up: the program has been read, and the rest comes from it


def become(
    size: int, *, host_in: int, up: int, down: int, out: int, folder: str, processes: bool
) -> "NoReturn":
    """Read exactly the ``size`` bytes of a program from the host, and turn into it.

    ``up``, ``down`` and ``out`` are its ends of the pipes; 0 and 1 are /dev/null here.
    """
    kind, source, names, data, cpu_s = unpacked(execute.read_exactly(host_in, size))
    if kind == "run":
        stdin, program = (unnamed(f"{folder}/{n}", one, 0o500) for n, one in enumerate(data))
        os.write(up, READ)
        keep_only(stdin, out, up, program, inherited=4)
        build.limit(cpu_s=cpu_s, processes=processes, file_bytes=build.FILE_BYTES)
        build.execute(names)
    file, payload = 0, names
    if kind == "script":
        file = unnamed(f"{folder}/stdin", data[0], 0o400)
    elif kind == "calls":
        payload = list(zip(names, data, strict=True))
    elif kind == "reply":
        payload = data
    os.write(up, READ)
    keep_only(file, out if kind == "script" else 1, 1, up, down)
    if kind == "build":
        build.limit(cpu_s=cpu_s, processes=processes, file_bytes=build.BUILT_BYTES)
    else:
        execute.limit(cpu_s=cpu_s, processes=processes)
    execute.child(execute.Pipes(up=3, down=4), kind, source, payload)


def unpacked(body: bytes) -> "tuple[str, str, list[Any], list[bytes], int]":
    """A program: kind, source, names, the bytes for each, seconds of CPU time."""
    (size,) = SIZE.unpack_from(body)
    at = SIZE.size + size
    head: Any = decode(body[SIZE.size : at])
    kind, source, names, sizes, cpu_s = head
    data = []
    for each in sizes:
        data.append(body[at : at + each])
        at += each
    return kind, source, names, data, cpu_s


def unnamed(path: str, data: bytes, mode: int) -> int:
    """An open file with the data, to be read or executed, whose name is removed."""
    written = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    file = os.open(path, os.O_RDONLY)
    os.unlink(path)  # noqa: PTH108  # pathlib is slow to import
    view = memoryview(data)
    while view:
        view = view[os.write(written, view) :]
    os.close(written)  # a file that is open for writing cannot be executed
    return file


def keep_only(*descriptors: int, inherited: int = 3) -> None:
    """Make these 0, 1, 2, ..., close all others, and reset the signals.

    The first ``inherited`` stay open in a program that this process turns into.
    """
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    above = 64
    for i, fd in enumerate(descriptors):
        os.dup2(fd, above + i)
    for i in range(len(descriptors)):
        os.dup2(above + i, i, inheritable=i < inherited)
    os.closerange(len(descriptors), 256)
