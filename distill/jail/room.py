"""What a jail holds of the host besides its Python, and how large its own folders are.

Does not make it.
"""

from dataclasses import dataclass
from pathlib import Path

TEMPORARY_BYTES = 32 << 20  # of files in the jail: a program's input of 16 MiB at most, and its own
SHARED_BYTES = 4 << 20
DEVICES = ("null", "urandom")  # not zero: mapped and shared, it is memory that nobody counts
STREAMS = {
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
}


@dataclass(frozen=True, slots=True)
class Room:
    """All read-only, all in its own place, and public: what packages install."""

    folders: tuple[str, ...] = ()  # folders or files of the host
    temporary_bytes: int = TEMPORARY_BYTES


PLAIN = Room()


def libraries() -> tuple[list[str], dict[str, str]]:
    """/usr/lib and /usr/lib64, and the names by which the loader looks for them: links, targets."""
    folders, links = [], {}
    for name in ("lib", "lib64"):
        real, link = Path("/usr", name), Path("/", name)
        if real.is_dir():
            folders.append(str(real))
        if link.is_symlink():
            links[str(link)] = str(link.readlink())
        elif link.is_dir():
            folders.append(str(link))
    return folders, links
