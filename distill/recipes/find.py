"""Finds the file that a name means: a path, one in this folder, or a shipped one."""

import sys
from pathlib import Path

from distill.errors import UserError, nearest

PRESETS = "prompts/teachers"  # a separate kind inside prompts: what vendors' endpoints need


def shipped(kind: str) -> Path:
    """The folder of the recipes that come with distill: in the wheel, or in the checkout."""
    package = Path(__file__).parent.parent
    wheel = package / "data" / kind
    return wheel if wheel.is_dir() else package.parent / kind


def find(name: str, kind: str, suffix: str = ".yaml") -> Path:
    """The file meant by ``name``: a path as given, then ./<kind>/<name>, then the shipped one.

    Raises:
        UserError: no such file; the text offers the nearest shipped name.
    """
    plain = name.removesuffix(suffix)
    places = (Path(name), Path(kind) / f"{plain}{suffix}", shipped(kind) / f"{plain}{suffix}")
    for place in places:
        if place.is_file():
            return place
    msg = f"{name}: no such recipe in {kind}/; {nearest(plain, names(kind, suffix))}"
    raise UserError(msg)


def shipped_file(name: str, kind: str, suffix: str = ".yaml") -> Path | None:
    """The shipped file of that name, with or without its suffix; None if there is none."""
    return _file_in(shipped(kind), name, suffix)


def own_file(name: str, kind: str, suffix: str = ".yaml") -> Path | None:
    """The file of that name in the user's own ./<kind>; None if there is none."""
    return _file_in(Path(kind), name, suffix)


def _file_in(folder: Path, name: str, suffix: str) -> Path | None:
    try:
        file = (folder / f"{name.removesuffix(suffix)}{suffix}").resolve()
        there = file.is_relative_to(folder.resolve()) and file.is_file()
    except (OSError, ValueError, RuntimeError):  # a name that no file can have, links in a ring
        return None
    return file if there else None


def names(kind: str, suffix: str = ".yaml") -> list[str]:
    """The names of the shipped recipes of a kind, e.g. ``eval/gsm8k``; presets are a kind."""
    root, presets = shipped(kind), shipped(PRESETS)
    paths = [p for p in root.rglob(f"*{suffix}") if root == presets or p.parent != presets]
    return sorted(p.relative_to(root).with_suffix("").as_posix() for p in paths)


if __name__ == "__main__":  # python -m distill.recipes.find students/fsdp2-8.yml: its path
    kind, _, file = sys.argv[1].partition("/")
    sys.stdout.write(f"{shipped(kind) / file}\n")
