"""Measures what a candidate uses and removes what it leaves behind: processes and files."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # without the names of its constants, which take 3 ms to import

# In use by all processes of the jail together, bytes; RLIMIT_AS counts each one separately.
MAX_RESIDENT_BYTES = 1 << 30
# Files and folders in each tmpfs: they take kernel memory that its size does not count.
MAX_FILES = 4096
PAGE = os.sysconf("SC_PAGE_SIZE")


def end_all(*, first: bool) -> None:
    """Kill all processes that are left of the candidate, and wait until they are gone."""
    while True:
        try:
            for pid in [-1] if first else others():  # -1: all others in the namespace, at once
                os.kill(pid, signal.SIGKILL)
            os.wait()
        except (ProcessLookupError, ChildProcessError):  # none is left
            return


def others() -> "list[int]":
    """Children of this process, adopted ones too; read from /proc."""
    me = str(os.getpid())
    return [int(pid) for pid in names_in("/proc") if pid.isdigit() and stat_of(pid)[1:2] == [me]]


def state_of(folder: str, *, own: bool) -> "tuple[object, ...]":
    """A folder's permissions and, if it is a jail's own, its attributes and its free space.

    Attributes can be a default ACL. Free space is bytes and files, of which an open file without a
    name takes some.
    """
    mode = os.stat(folder).st_mode  # noqa: PTH116
    if not own:
        return (mode,)
    about = os.statvfs(folder)
    return mode, os.listxattr(folder), about.f_bfree, about.f_ffree


def names_in(folder: str) -> "list[str]":
    """The names in a folder."""
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def empty(folders: "list[str]") -> None:
    """Remove everything in them."""
    import shutil

    for folder in folders:
        for name in names_in(folder):
            path = f"{folder}/{name}"
            if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112, PTH114
                shutil.rmtree(path)
            else:
                os.unlink(path)  # noqa: PTH108


def stat_of(pid: str) -> "list[str]":
    """The fields of /proc/PID/stat after the name: state, parent, ...; empty when it is gone."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return []
    try:
        return os.read(fd, 1024).decode("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return []
    finally:
        os.close(fd)


def page_tables(pid: str) -> int:
    """Bytes of a process's page tables: mapping an empty terabyte takes gigabytes of them."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:  # noqa: PTH123
            text = file.read()
    except OSError:
        return 0
    _, _, rest = text.partition(b"VmPTE:")
    return int(rest.split(None, 1)[0]) << 10 if rest else 0


def too_much(folders: "list[str]") -> str:
    """``memory`` or ``files`` when the jail as a whole uses more than it may, else nothing."""
    used = 0
    for name in names_in("/proc"):
        if name.isdigit() and name != "1":
            fields = stat_of(name)
            used += int(fields[21]) * PAGE + page_tables(name) if fields else 0
    if used > MAX_RESIDENT_BYTES:
        return "memory"
    for folder in folders:
        about = os.statvfs(folder)
        if about.f_files - about.f_ffree > MAX_FILES:
            return "files"
    return ""


def adopt_orphans() -> None:
    """Without a pid namespace: make orphans our children instead of process 1's."""
    import ctypes

    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
