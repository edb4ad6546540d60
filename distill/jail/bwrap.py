"""The command line with which bubblewrap makes a jail."""

from pathlib import Path

from distill.jail.interpreter import HOME, Interpreter, environment
from distill.jail.mounts import DEVICES, SHARED_BYTES, STREAMS, Mounts, libraries


def command(bwrap: Path, python: Interpreter, mounts: Mounts, *, filter_fd: int) -> list[str]:
    """Its arguments with everything closed, up to and including the Python that it starts."""
    library = f"{HOME}/lib/{python.library.name}"
    args = [str(bwrap), "--unshare-all", "--unshare-user", "--disable-userns"]
    args += ["--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL"]
    args += ["--hostname", "jail", "--clearenv"]
    for name, value in environment(HOME).items():
        args += ["--setenv", name, value]
    folders, links = libraries()
    for source, target in {**dict(zip(folders, folders, strict=True)), **mounts.bound()}.items():
        args += ["--ro-bind", source, target]
    args += ["--ro-bind", str(python.executable), f"{HOME}/bin/python3"]
    args += ["--ro-bind", str(python.library), library]
    for shared in python.shared():
        args += ["--ro-bind", str(shared), f"{HOME}/lib/{shared.name}"]
    if (python.library / "site-packages").exists():
        args += _tmpfs(f"{library}/site-packages", 4096, final=True)
    args += ["--proc", "/proc", *_tmpfs("/proc/1", 4096, final=True)]
    for device in DEVICES:
        args += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    for name, target in (links | STREAMS).items():
        args += ["--symlink", target, name]
    args += _tmpfs("/dev/shm", SHARED_BYTES) + _tmpfs("/tmp", mounts.temporary_bytes)
    args += ["--remount-ro", "/", "--chdir", "/tmp"]
    args += ["--seccomp", str(filter_fd), f"{HOME}/bin/python3"]
    return args


def _tmpfs(path: str, size: int, *, final: bool = False) -> list[str]:
    return ["--size", str(size), "--tmpfs", path] + (["--remount-ro", path] if final else [])
