"""Process 1 of the jail: starts one candidate at a time, watches it, and cleans up after it.

As process 1 of its own pid namespace it cannot be killed or stopped from inside, and ptrace is
filtered. Each candidate starts as its copy, so no part of a program may ever be in its memory:
``begin`` reads the program in the child, data going down passes from pipe to pipe, and data coming
up passes through pages that no child inherits. The candidate's frames are passed on unread.
"""

import mmap
import os
import select
import struct
import sys
import time

from distill.jail.inside import begin, execute, leftovers
from distill.jail.inside.codec import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import NoReturn
else:
    import _signal as signal  # without the names of its constants, which take 3 ms to import

WATCH_S = 0.05  # between two measurements of what the candidate uses
CHUNK = 1 << 16
# nonce, kind: r ready, u frames up, o output, e ended; from the host s start, d frames down, x end.
HEAD = struct.Struct("<I8sc")
NO_NONCE = bytes(8)


def write_all(fd: int, data: "bytes | memoryview") -> None:
    """Write all of it; if the host has gone, the jail ends."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def read_head(fd: int) -> "tuple[int, bytes, bytes]":
    """The head of a frame, (bytes that follow, nonce, kind); exits if the host has gone."""
    data = b""
    while len(data) < HEAD.size:
        more = os.read(fd, HEAD.size - len(data))
        if not more:
            leave()
        data += more
    size, nonce, kind = HEAD.unpack(data)
    return size, nonce, kind


def leave() -> "NoReturn":
    """Exit, because the host has gone; in a pid namespace all other processes end too."""
    if os.getpid() != 1:
        leftovers.end_all(first=False)
    os._exit(0)


class Running:
    """One child and its pipes."""

    def __init__(self, pid: int, *, sources: "dict[int, bytes]", down: int) -> None:
        self.pid = pid
        self.sources = sources  # descriptor → kind of its frames; output first, the end last
        self.down = down
        self.status: int | None = None  # as wait gives it
        self.cpu_s = 0.0
        self.reason = ""  # why we ended it
        for fd in sources:  # the child can open them too, and read what poll has announced
            os.set_blocking(fd, False)

    def reap(self) -> None:
        """Reap all children that have ended; orphans become ours."""
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.pid:
                self.status = status
                self.cpu_s = used.ru_utime + used.ru_stime

    def close(self) -> None:
        """Close our ends of its pipes."""
        for fd in (*self.sources, self.down):
            os.close(fd)


class Supervisor:
    """The pipes to the host, and the state shared by all candidates."""

    def __init__(self, *, folders: "list[str]") -> None:
        self._host_in = os.dup(0)  # dup gives descriptors that are closed on exec
        self._host_out = os.dup(1)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        self._first = os.getpid() == 1
        self._folders = {name: leftovers.state_of(name, own=self._first) for name in folders}
        self._wake, wake = os.pipe()
        for fd in (self._wake, wake):
            os.set_blocking(fd, False)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        pages = mmap.mmap(-1, HEAD.size + CHUNK, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        pages.madvise(mmap.MADV_DONTFORK)
        self._passing = memoryview(pages)  # the only place that ever holds a program's data
        self._left = 0  # bytes of the host's last frame that have not come yet
        self._nonce = NO_NONCE

    def send(self, kind: bytes, body: bytes) -> None:
        """One frame of our own to the host."""
        write_all(self._host_out, HEAD.pack(len(body), self._nonce, kind) + body)

    def serve(self, *, lacking: str) -> None:
        """Run one program after another until the host goes; ``lacking`` is reported to it."""
        self.send(b"r", lacking.encode())
        while True:
            while self._left:  # what the last program did not read
                self._drop()
            size, nonce, kind = read_head(self._host_in)
            if kind == b"s":
                self._nonce = nonce
                self._one(size)
            else:
                self._left = size

    def _one(self, size: int) -> None:
        running = self._start(size)
        self._watch(running)
        leftovers.end_all(first=self._first)
        clean = self._drained(running)
        running.close()
        clean = clean and all(map(self._clean, self._folders))
        self.send(b"e", encode((running.status, running.cpu_s, running.reason, clean)))

    def _drained(self, running: Running) -> bool:
        """Pass on what is left; whether the other ends of the pipes are all closed."""
        for fd, tag in running.sources.items():
            try:
                while self._pass_up(fd, tag):
                    pass
            except BlockingIOError:
                return False
        return True

    def _clean(self, folder: str) -> bool:
        """Whether it is as before: empty, and with as much space for the next program."""
        if self._first:
            os.utime(folder, ns=(0, 0))  # a time could be a message to the next program
        state = leftovers.state_of(folder, own=self._first)
        return state == self._folders[folder] and not leftovers.names_in(folder)

    def _start(self, size: int) -> Running:
        """Fork, and wait until the child has read its program from the host's pipe."""
        up, up_child = os.pipe()
        down_child, down = os.pipe()
        out, out_child = os.pipe()
        pid = os.fork()
        if pid == 0:
            begin.become(
                size,
                host_in=self._host_in,
                up=up_child,
                down=down_child,
                out=out_child,
                folder=next(iter(self._folders)),
                processes=self._first,
            )
        for fd in (up_child, down_child, out_child):
            os.close(fd)
        if os.read(up, 1) != begin.READ:
            leave()  # it is unknown how much of the frame is still in the pipe
        return Running(pid, sources={out: b"o", up: b"u"}, down=down)

    def _watch(self, running: Running) -> None:
        """Wait until the child has ended, or has used too much."""
        poll = select.poll()
        for fd in (self._wake, self._host_in, *running.sources):
            poll.register(fd, select.POLLIN)
        due = time.monotonic() + WATCH_S
        while running.status is None and not running.reason:
            for fd, event in poll.poll(1000 * WATCH_S):
                self._serve_one(running, poll, fd, event)
            if self._first and time.monotonic() > due:
                running.reason = leftovers.too_much(list(self._folders))
                due = time.monotonic() + WATCH_S

    def _serve_one(self, running: Running, poll: "select.poll", fd: int, event: int) -> None:
        if fd == self._wake:
            os.read(fd, CHUNK)
            running.reap()
        elif fd == self._host_in:
            self._hear(running, poll, event)
        elif fd == running.down:  # it has space again, or its reader has gone
            poll.unregister(fd)
            poll.modify(self._host_in, select.POLLIN)
        elif event & select.POLLIN:
            try:
                self._pass_up(fd, running.sources[fd])
            except BlockingIOError:  # the candidate has read it itself
                return
        else:  # closed by the child, which may live on
            poll.unregister(fd)

    def _hear(self, running: Running, poll: "select.poll", event: int) -> None:
        """Read a frame of the host, or more of it; what the child cannot take yet has to wait."""
        if not event & select.POLLIN:
            leave()
        if not self._left:
            self._left, _, kind = read_head(self._host_in)
            running.reason = "hung up" if kind == b"x" else ""
        if self._left and not self._pass_down(running.down):
            poll.modify(self._host_in, 0)  # a hang-up is reported all the same
            poll.register(running.down, select.POLLOUT)

    def _pass_down(self, down: int) -> bool:
        """Move data from pipe to pipe, past our memory; whether the child could take any."""
        flags = os.SPLICE_F_NONBLOCK
        try:
            moved = os.splice(self._host_in, down, min(self._left, CHUNK), flags=flags)
        except BlockingIOError:
            return False
        except BrokenPipeError:  # it will never read it
            self._drop()
            return True
        if not moved:
            leave()
        self._left -= moved
        return True

    def _drop(self) -> None:
        """Read and discard data from the host."""
        taken = os.readv(self._host_in, [self._passing[: min(self._left, CHUNK)]])
        if not taken:
            leave()
        self._left -= taken

    def _pass_up(self, fd: int, tag: bytes) -> int:
        """Send what is there as a frame to the host; returns its size, 0 at the end of the pipe."""
        size = os.readv(fd, [self._passing[HEAD.size :]])
        if size:
            HEAD.pack_into(self._passing, 0, size, self._nonce, tag)
            write_all(self._host_out, self._passing[: HEAD.size + size])
        return size


def load(name: str, path: "list[str]", folders: "list[str]") -> str:
    """Load a service quietly, and remove its files; returns the import that failed, or ""."""
    sys.path += path
    said = os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    try:
        execute.SERVICE.append(sys.modules[name].load())
    except ImportError as error:
        return str(error)[: execute.MAX_TEXT] or "an import failed"
    finally:
        os.dup2(said, 1)
        os.close(said)
        os.close(null)
        if any(map(leftovers.names_in, folders)):
            leftovers.empty(folders)
    return ""


def main() -> None:
    """Arguments: folders to be empty after each program, a comma, modules to load beforehand.

    Then, after another comma, the module of a service and the paths of its packages, if any.
    """
    import gc

    gc.disable()  # imports leave no garbage
    first = sys.argv.index(",")
    second = sys.argv.index(",", first + 1)
    folders, service = sys.argv[1:first], sys.argv[second + 1 :]
    for name in sys.argv[first + 1 : second]:
        __import__(name)
    lacking = load(service[0], service[1:], folders) if service else ""
    if os.getpid() != 1:
        leftovers.adopt_orphans()
    gc.freeze()  # what is loaded now stays shared with every child
    gc.enable()
    Supervisor(folders=folders).serve(lacking=lacking)
