"""What a jail mounts from the host besides its Python, and the size of its own folders."""

from dataclasses import dataclass
from pathlib import Path

TEMPORARY_BYTES = 32 << 20  # of files in the jail: a program's input (up to 16 MiB) and its own
SHARED_BYTES = 4 << 20
PACKAGES = "/packages"  # the place of Python packages in a jail
DEVICES = ("null", "urandom")  # not zero: a shared mapping of it is memory outside every limit
STREAMS = {
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
}


@dataclass(frozen=True, slots=True)
class Mounts:
    """What is mounted, read-only: only public files, which packages install."""

    folders: tuple[str, ...] = ()  # folders or files of the host, each at its own path
    packages: tuple[str, ...] = ()  # of Python: folders or files of the host, all in PACKAGES
    temporary_bytes: int = TEMPORARY_BYTES

    def bound(self) -> dict[str, str]:
        """Path on the host → path in the jail."""
        places = {folder: folder for folder in self.folders}
        return places | {path: f"{PACKAGES}/{Path(path).name}" for path in self.packages}


PLAIN = Mounts()


def libraries() -> tuple[list[str], dict[str, str]]:
    """/usr/lib and /usr/lib64, and the links (name → target) by which the loader finds them."""
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
