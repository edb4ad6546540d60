"""What a jail holds of the host besides its Python, and how large its own folders are.

Does not make it.
"""

from dataclasses import dataclass
from pathlib import Path

TEMPORARY_BYTES = 32 << 20  # of files in the jail: a program's input of 16 MiB at most, and its own
SHARED_BYTES = 4 << 20
PACKAGES = "/packages"  # where Python packages lie in a jail
DEVICES = ("null", "urandom")  # not zero: mapped and shared, it is memory outside every limit
STREAMS = {
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
}


@dataclass(frozen=True, slots=True)
class Mounts:
    """All read-only and public: what packages install."""

    folders: tuple[str, ...] = ()  # folders or files of the host, each in its own place
    packages: tuple[str, ...] = ()  # of Python: folders or files of the host, all in PACKAGES
    temporary_bytes: int = TEMPORARY_BYTES

    def bound(self) -> dict[str, str]:
        """Where each lies in the jail, by where it lies on the host."""
        places = {folder: folder for folder in self.folders}
        return places | {path: f"{PACKAGES}/{Path(path).name}" for path in self.packages}


PLAIN = Mounts()


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
