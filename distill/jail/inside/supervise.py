"""Process 1 of the jail: starts one candidate at a time, watches it, and ends all it left behind.

As process 1 of its own pid namespace it cannot be killed or stopped from inside, and ptrace is
filtered. Each candidate starts as its copy, so nothing of a program may ever lie in its memory:
``begin`` reads the program in the child, what goes down passes from pipe to pipe, and what comes up
passes through pages that no child inherits. Does not execute a candidate (``execute`` does, in a
child) and does not read its frames.
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

WATCH_S = 0.05  # between two looks at what the candidate uses
CHUNK = 1 << 16
# nonce, kind: r ready, u frames up, o output, e ended; from the host s start, d frames down, x end.
HEAD = struct.Struct("<I8sc")
NO_NONCE = bytes(8)


def write_all(fd: int, data: "bytes | memoryview") -> None:
    """Write it all; the end of the host is the end of the jail."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def read_head(fd: int) -> "tuple[int, bytes, bytes]":
    """The head of a frame, (bytes that follow, nonce, kind), or leave: the host has gone."""
    data = b""
    while len(data) < HEAD.size:
        more = os.read(fd, HEAD.size - len(data))
        if not more:
            leave()
        data += more
    size, nonce, kind = HEAD.unpack(data)
    return size, nonce, kind


def leave() -> "NoReturn":
    """End, as the host has. In a jail of its own, process 1 takes all others with it."""
    if os.getpid() != 1:
        leftovers.end_all(first=False)
    os._exit(0)


class Running:
    """One child and its pipes."""

    def __init__(self, pid: int, *, sources: "dict[int, bytes]", down: int) -> None:
        self.pid = pid
        self.sources = sources  # descriptor: kind of the frames made of it; output before its end
        self.down = down
        self.status: int | None = None  # as wait gives it
        self.cpu_s = 0.0
        self.reason = ""  # why we ended it
        for fd in sources:  # the child can open them as well, and take what we were told is there
            os.set_blocking(fd, False)

    def reap(self) -> None:
        """Take whatever has ended; orphans end as ours."""
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
    """The pipes to the host, and whatever holds for every candidate."""

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
        self._passing = memoryview(pages)  # the only place where data of a program ever are
        self._left = 0  # bytes of the host's last frame that are still to come
        self._nonce = NO_NONCE

    def send(self, kind: bytes, body: bytes) -> None:
        """One frame of our own to the host."""
        write_all(self._host_out, HEAD.pack(len(body), self._nonce, kind) + body)

    def serve(self, *, lacking: str) -> None:
        """One program after another, until the host goes; it is told what there is not."""
        self.send(b"r", lacking.encode())
        while True:
            while self._left:  # what the last program did not take
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
        """Pass on what is left; whether that ends, as nobody holds the other ends any more."""
        for fd, tag in running.sources.items():
            try:
                while self._pass_up(fd, tag):
                    pass
            except BlockingIOError:
                return False
        return True

    def _clean(self, folder: str) -> bool:
        """Whether it is as it was: empty, and as much room for the next program."""
        if self._first:
            os.utime(folder, ns=(0, 0))  # times could be a message to the next program
        state = leftovers.state_of(folder, own=self._first)
        return state == self._folders[folder] and not leftovers.names_in(folder)

    def _start(self, size: int) -> Running:
        """Fork, and wait until the child has taken its program from the host's pipe."""
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
            leave()  # nobody knows how much of the frame is still in the pipe
        return Running(pid, sources={out: b"o", up: b"u"}, down=down)

    def _watch(self, running: Running) -> None:
        """Until the child has ended by itself, or has taken too much."""
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
        elif fd == running.down:  # there is room in it again, or nobody who reads it
            poll.unregister(fd)
            poll.modify(self._host_in, select.POLLIN)
        elif event & select.POLLIN:
            try:
                self._pass_up(fd, running.sources[fd])
            except BlockingIOError:  # the candidate has taken it back
                return
        else:  # closed by the child, which may live on
            poll.unregister(fd)

    def _hear(self, running: Running, poll: "select.poll", event: int) -> None:
        """A frame of the host, or more of it; what the child does not take yet has to wait."""
        if not event & select.POLLIN:
            leave()
        if not self._left:
            self._left, _, kind = read_head(self._host_in)
            running.reason = "hung up" if kind == b"x" else ""
        if self._left and not self._pass_down(running.down):
            poll.modify(self._host_in, 0)  # its end is told all the same
            poll.register(running.down, select.POLLOUT)

    def _pass_down(self, down: int) -> bool:
        """From pipe to pipe, past our memory; whether the child could take any."""
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
        """Take from the host what nobody wants."""
        taken = os.readv(self._host_in, [self._passing[: min(self._left, CHUNK)]])
        if not taken:
            leave()
        self._left -= taken

    def _pass_up(self, fd: int, tag: bytes) -> int:
        """What is there, as a frame to the host; its bytes, 0 at the end of the pipe."""
        size = os.readv(fd, [self._passing[HEAD.size :]])
        if size:
            HEAD.pack_into(self._passing, 0, size, self._nonce, tag)
            write_all(self._host_out, self._passing[: HEAD.size + size])
        return size


def load(name: str, path: "list[str]", folders: "list[str]") -> str:
    """Load a service, in silence, and clear away what it wrote; what is not there to import."""
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
    """``folders`` that must be empty after each program, a comma, modules to load beforehand.

    Then, after a comma, the module of a service and where its packages lie, if there is one.
    """
    import gc

    gc.disable()  # of what is imported nothing becomes garbage
    first = sys.argv.index(",")
    second = sys.argv.index(",", first + 1)
    folders, service = sys.argv[1:first], sys.argv[second + 1 :]
    for name in sys.argv[first + 1 : second]:
        __import__(name)
    lacking = load(service[0], service[1:], folders) if service else ""
    if os.getpid() != 1:
        leftovers.adopt_orphans()
    gc.freeze()  # what is loaded now is shared with every child, not copied by its collector
    gc.enable()
    Supervisor(folders=folders).serve(lacking=lacking)
