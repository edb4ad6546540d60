"""Whether a file system keeps the times of a file's changes correctly."""

from pathlib import Path

# On these the kernel that writes a file sets its time, once. Over a network the server's time takes
# its place a while later, which looks like another program's change.
OWN_TIMES = frozenset(
    ("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "tmpfs", "ramfs", "overlay")
)
MOUNTS = Path("/proc/self/mountinfo")  # see proc(5); only Linux has it


def has_own_times(path: Path, mounts: Path = MOUNTS) -> bool:
    """Whether a file changes its time only when it is changed; where nobody says, it does."""
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return True
    best, kind = -1, ""
    for line in lines:
        where, _, about = line.partition(" - ")
        place = Path(_unescaped(where.split(" ")[4]))
        if path.is_relative_to(place) and len(place.parts) >= best:  # a later one lies above
            best, kind = len(place.parts), about.split(" ")[0]
    return best < 0 or kind in OWN_TIMES


def _unescaped(text: str) -> str:
    r"""As the kernel meant it: it writes a space as ``\040``, and three others like it."""
    for char in " \t\n\\":
        text = text.replace(f"\\{ord(char):03o}", char)
    return text
