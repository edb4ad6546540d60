"""The command line with which nsjail makes a jail.

nsjail accepts no compiled system-call filter, so process 1 loads it itself (``confine``) before its
first program. That filter also refuses user namespaces, for which nsjail has no switch.
"""

from pathlib import Path

from distill.jail.interpreter import HOME, NOBODY, Interpreter, environment
from distill.jail.mounts import DEVICES, SHARED_BYTES, STREAMS, Mounts, libraries


def command(nsjail: Path, python: Interpreter, mounts: Mounts) -> list[str]:
    """Its arguments with everything closed, up to and including the Python that it starts."""
    library = f"{HOME}/lib/{python.library.name}"
    args = [str(nsjail), "--mode", "o", "--really_quiet", "--disable_rlimits", "--disable_proc"]
    args += ["--time_limit", "0", "--nice_level", "0", "--iface_no_lo"]
    args += ["--user", str(NOBODY), "--group", str(NOBODY), "--hostname", "jail", "--cwd", "/tmp"]
    for name, value in environment(HOME).items():
        args += ["--env", f"{name}={value}"]
    folders, links = libraries()
    for source, target in {**dict(zip(folders, folders, strict=True)), **mounts.bound()}.items():
        args += ["--bindmount_ro", f"{source}:{target}"]
    args += ["--bindmount_ro", f"{python.executable}:{HOME}/bin/python3"]
    args += ["--bindmount_ro", f"{python.library}:{library}"]
    for shared in python.shared():
        args += ["--bindmount_ro", f"{shared}:{HOME}/lib/{shared.name}"]
    if (python.library / "site-packages").exists():
        args += _tmpfs(f"{library}/site-packages", 4096, final=True)
    args += ["--mount", "none:/proc:proc:", *_tmpfs("/proc/1", 4096, final=True)]
    for device in DEVICES:
        args += ["--bindmount", f"/dev/{device}"]
    for name, target in (links | STREAMS).items():
        args += ["--symlink", f"{target}:{name}"]
    args += _tmpfs("/dev/shm", SHARED_BYTES) + _tmpfs("/tmp", mounts.temporary_bytes)
    return [*args, "--", f"{HOME}/bin/python3"]


def _tmpfs(path: str, size: int, *, final: bool = False) -> list[str]:
    return ["--mount", f"none:{path}:tmpfs:{'ro,' if final else ''}size={size}"]
