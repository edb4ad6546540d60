"""One running jail: starts it, exchanges frames with it, and ends it."""

import marshal
import os
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from functools import cache
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from types import CodeType

from distill.jail import seccomp
from distill.jail.inside import begin, build, codec, confine, execute, leftovers, supervise
from distill.jail.interpreter import PRELOADED, Account, account, environment, interpreter
from distill.jail.jailer import Jailer
from distill.jail.mounts import PACKAGES, Mounts
from distill.jail.service import SERVICE_NAME, Missing, Service

START_S = 20  # for a jail to be ready; it takes 0.05 s, but machines can be busy
END_S = 2  # for a jail to end by itself; it takes 0.005 s
MAX_FRAME = 1 << 20  # bytes; the supervisor's are 64 KiB at most
_FLAGS = ("-P", "-s", "-S", "-B", "-X", "utf8")


class JailFailed(Exception):
    """The jail could not be started, or broke; not the candidate's fault."""


# Reads its own modules from the pipe and calls the last of them.
_BOOT = """
import marshal, os, sys
data = b""
while len(data) < {size}:
    more = os.read(0, {size} - len(data))
    if not more:
        os._exit(0)
    data += more
rules, modules = marshal.loads(data)
for name, code in modules.items():
    sys.modules[name] = module = type(sys)(name)
    parent, _, last = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], last, module)
    exec(code, module.__dict__)
if rules:
    sys.modules["distill.jail.inside.confine"].confine(rules)
module.main()
"""


@cache
def program(*, compiled: bool, rules: bytes, service: Service | None) -> bytes:
    """The system-call filter, if process 1 is to load it, and the modules that run inside.

    The modules are text rather than bytecode for another version of Python than this one.
    """
    texts = {"distill": "", "distill.jail": "", "distill.jail.inside": ""}
    for module in (codec, confine, build, execute, begin, leftovers):
        texts[module.__name__] = Path(str(module.__file__)).read_text(encoding="utf-8")
    if service is not None:
        texts[SERVICE_NAME] = service.source()
    texts[supervise.__name__] = Path(supervise.__file__).read_text(encoding="utf-8")
    modules: dict[str, str | CodeType] = dict(texts)
    for name, text in texts.items():
        if compiled:
            modules[name] = compile(text, name, "exec", dont_inherit=True)
    return marshal.dumps((rules, modules))


class Process:
    """A jail that was just started; without a ``jailer`` only the resource limits hold."""

    def __init__(
        self,
        *,
        preload: bool,
        jailer: Jailer | None,
        mounts: Mounts,
        service: Service | None = None,
    ) -> None:
        self.started_by = threading.current_thread()  # bubblewrap ends with this thread
        self.runs = 0
        self._ready = False
        compiled = not jailer or interpreter().magic == MAGIC_NUMBER
        rules = b"" if not jailer or jailer.filters else seccomp.program()
        modules = program(compiled=compiled, rules=rules, service=service)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed in close
        # not TemporaryDirectory: a fork that drops its copy of us would remove the folder
        self._folder = None if jailer else tempfile.mkdtemp(prefix="distill-")
        folders = [self._folder] if self._folder else ["/tmp", "/dev/shm"]
        arguments = [*_FLAGS, "-c", _BOOT.format(size=len(modules)), *folders]
        arguments += [",", *(PRELOADED if preload else ()), ","]
        if service is not None:
            arguments += [SERVICE_NAME]
            arguments += [PACKAGES] if jailer else service.path
        if jailer:
            self._popen = self._jailed(jailer, mounts, arguments)
        else:
            self._popen = self._bare(arguments, folders[0])
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self._pipes = (self._popen.stdin, self._popen.stdout)
        for pipe in self._pipes:
            os.set_blocking(pipe.fileno(), False)
        self._buffer = bytearray()
        self._unsent = memoryview(modules)
        with suppress(BrokenPipeError, BlockingIOError):  # ``ready`` reports it, or sends the rest
            # 25 KB: most pipes hold it, but a user with many pipes gets smaller ones (pipe(7))
            self._unsent = self._unsent[os.write(self._pipes[0].fileno(), modules) :]

    def _jailed(
        self, jailer: Jailer, mounts: Mounts, arguments: list[str]
    ) -> "subprocess.Popen[bytes]":
        rules = seccomp.program()
        filter_fd, write = os.pipe()
        os.write(write, rules)  # 2 KB: the pipe holds it
        os.close(write)
        jail = jailer.command(interpreter(), mounts, filter_fd=filter_fd)
        try:
            return self._start([*jail, *arguments], pass_fds=(filter_fd,), account=account())
        finally:
            os.close(filter_fd)

    def _bare(self, arguments: list[str], folder: str) -> "subprocess.Popen[bytes]":
        python = str(Path(sys.base_prefix, "bin", "python3"))
        env = environment(sys.base_prefix) | {"TMPDIR": folder}
        return self._start([python, *arguments], cwd=folder, env=env, account={})

    def _start(
        self,
        command: list[str],
        *,
        account: Account,
        env: dict[str, str] | None = None,
        cwd: str = "/",
        pass_fds: tuple[int, ...] = (),
    ) -> "subprocess.Popen[bytes]":
        """Starts it in its own session, so that Ctrl-C does not look like a broken jail."""
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                bufsize=0,
                start_new_session=True,
                env=env or {},
                cwd=cwd,
                pass_fds=pass_fds,
                **account,
            )
        except OSError as error:
            self._clear()
            raise JailFailed(str(error)) from None

    def ready(self) -> None:
        """Wait until it takes programs.

        Raises:
            JailFailed: it does not; the text is what its maker printed.
            Missing: its service has nothing to import.
        """
        if self._ready:
            return
        deadline_s = time.monotonic() + START_S
        try:
            self._write(self._unsent, deadline_s)
            _, _, lacking = self.receive(deadline_s)
        except TimeoutError:
            text = f"the jail was not ready after {START_S} s"
            raise JailFailed(text) from None
        if lacking:  # can be trusted: it was sent before any program
            raise Missing(lacking.decode("utf-8", "replace"))
        self._ready = True

    @property
    def alive(self) -> bool:
        """Whether it runs, and the thread with which it would end."""
        return self._popen.poll() is None and self.started_by.is_alive()

    def send(self, kind: bytes, nonce: bytes, body: bytes, deadline_s: float) -> None:
        """Write one frame before ``deadline_s`` of the monotonic clock, or raise TimeoutError."""
        head = supervise.HEAD.pack(len(body), nonce, kind)
        self._write(memoryview(head + body), deadline_s)

    def _write(self, data: memoryview, deadline_s: float) -> None:
        fd = self._pipes[0].fileno()
        while data:
            _wait(fd, select.POLLOUT, deadline_s)
            try:
                data = data[os.write(fd, data) :]
            except BrokenPipeError:
                raise self._broken() from None

    def receive(self, deadline_s: float) -> tuple[bytes, bytes, bytes]:
        """Read one frame, (kind, nonce, body), before ``deadline_s``, or raise TimeoutError."""
        head = supervise.HEAD
        self._fill(head.size, deadline_s)
        size, nonce, kind = head.unpack(self._buffer[: head.size])
        if size > MAX_FRAME:
            raise self._broken()
        self._fill(head.size + size, deadline_s)
        body = bytes(self._buffer[head.size : head.size + size])
        del self._buffer[: head.size + size]
        return kind, nonce, body

    def _fill(self, n: int, deadline_s: float) -> None:
        fd = self._pipes[1].fileno()
        while len(self._buffer) < n:
            _wait(fd, select.POLLIN, deadline_s)
            more = os.read(fd, 1 << 20)
            if not more:
                raise self._broken()
            self._buffer += more

    def _broken(self) -> JailFailed:
        self._errors.seek(0)
        said = self._errors.read(2000).decode("utf-8", "replace").strip()
        return JailFailed(said or "the jail ended without a word")

    def end(self) -> None:
        """Have it end with everything in it; ``close`` waits for that.

        Process 1 of the jail ends when our pipes close, and its pid namespace with it.
        """
        for pipe in self._pipes:
            pipe.close()

    def close(self) -> None:
        """End it and leave nothing behind, not even a zombie."""
        self.end()
        try:
            self._popen.wait(END_S)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        self._clear()

    def _clear(self) -> None:
        self._errors.close()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


def _wait(fd: int, event: int, deadline_s: float) -> None:
    poll = select.poll()
    poll.register(fd, event)
    if not poll.poll(max(0.0, deadline_s - time.monotonic()) * 1000):
        raise TimeoutError
