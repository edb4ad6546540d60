"""The frames between the host and one program, and how the program ended.

The supervisor's frames are trusted; the candidate's, which it passes on unread, are hostile bytes.
"""

import math
import os
import signal
import struct
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from distill.jail.inside import codec
from distill.jail.process import JailFailed, Process
from distill.jail.program import Returned, Status

# Bytes that one program may send up, its results and its standard output together.
MAX_UP = 24 << 20
MAX_DOWN = 64 << 20  # bytes of all arguments of one program; the largest public tests have 30 MB
FRAME_ITEMS = 8  # values in a frame: a frame is flat
HANG_UP_S = 1.0  # for a supervisor to end a program, which takes a millisecond
MAX_TEXT = 2000  # characters of an error
MAX_NAME = 200  # characters of an exception's type name
_SIZE = struct.Struct("<I")
_T = TypeVar("_T")
Frame = tuple[object, ...]


class Flooded(Exception):
    """More comes out, or should go in, than allowed."""


class Malformed(Exception):
    """The candidate sent something that its runner never sends."""


class Exchange:
    """One program in a jail that is ready."""

    def __init__(self, process: Process, *, timeout_s: float, blames_candidate: bool) -> None:
        self._process = process
        self._blames = blames_candidate  # without a pid namespace, it can kill its supervisor
        self._nonce = os.urandom(8)
        self._cpu_s = math.ceil(timeout_s) + 1
        self._deadline = time.monotonic() + timeout_s
        self._up = bytearray()
        self._left = MAX_UP
        self._said: tuple[Status, str] | None = None  # the runner's last frame
        self._end: tuple[int | None, float, str, bool] | None = None  # the supervisor's
        self._failed: tuple[Status, str] | None = None  # noticed on this side
        self._started = False  # whether all of the program was sent
        self._kind = ""
        self.stdout = bytearray()
        self.stderr = b""  # the end of it

    def start(self, kind: str, source: str, names: Sequence[str], data: Sequence[bytes]) -> None:
        """Send the program: its function names with the arguments of each, or its input.

        Raises:
            Flooded: that is more than ``MAX_DOWN`` bytes, or one of them more than ``MAX_BYTES``.
        """
        self._kind = kind
        sizes = [len(each) for each in data]
        if sum(sizes) > MAX_DOWN or max(sizes, default=0) > codec.MAX_BYTES:
            text = f"more than {MAX_DOWN} bytes of input, or {codec.MAX_BYTES} of one"
            raise Flooded(text)
        head = _encoded((kind, source, list(names), sizes, self._cpu_s))
        body = b"".join((_SIZE.pack(len(head)), head, *data))
        self._process.send(b"s", self._nonce, body, self._deadline)
        self._started = True

    def tell(self, value: object) -> None:
        """Send a value down to the program.

        Raises:
            Flooded: with its frame it is more than ``MAX_BYTES``.
        """
        body = _encoded(value)
        self._process.send(b"d", self._nonce, _SIZE.pack(len(body)) + body, self._deadline)

    def hang_up(self) -> None:
        """Have the supervisor end the program, and wait until it has.

        This includes one that took too long, if it has started; its status stays ``timeout``.
        """
        late = self._started and self._end is None and self._failed == ("timeout", "")
        if late or not self.over:
            self._deadline = time.monotonic() + HANG_UP_S
            self._process.send(b"x", self._nonce, b"", self._deadline)
            while self._end is None:
                self._receive()

    def next(self) -> Frame | None:
        """The program's next frame, or None when it has ended.

        Raises:
            TimeoutError, JailFailed, Flooded, Malformed: see ``guarded``.
        """
        while (frame := self._frame()) is None:
            if self._end is not None:
                if self._up:
                    text = "half a frame"
                    raise Malformed(text)
                return None
            self._receive()
        if self._said is not None:
            text = "a frame after the last"
            raise Malformed(text)
        if frame[0] == "end":
            self._said = _last(frame)
            return self.next()
        return frame

    def _receive(self) -> None:
        kind, nonce, body = self._process.receive(self._deadline)
        if nonce != self._nonce:
            text = "a frame of another program"
            raise JailFailed(text)
        if kind == b"e":
            self._end = _end(body)
            return
        self._left -= len(body)
        if self._left < 0:
            text = f"more than {MAX_UP} bytes"
            raise Flooded(text)
        if kind == b"u" and self._kind == "run":  # its standard error
            self.stderr = (self.stderr + body)[-MAX_TEXT:]
        elif kind == b"u":
            self._up += body
        else:
            self.stdout += body

    def _frame(self) -> Frame | None:
        if len(self._up) < _SIZE.size:
            return None
        (size,) = _SIZE.unpack(self._up[: _SIZE.size])
        if size > codec.MAX_BYTES:
            text = "a frame too large"
            raise Malformed(text)
        if len(self._up) < _SIZE.size + size:
            return None
        body = bytes(self._up[_SIZE.size : _SIZE.size + size])
        del self._up[: _SIZE.size + size]
        try:
            frame = codec.decode(body, items=FRAME_ITEMS)
        except codec.CodecError as error:
            raise Malformed(str(error)) from None
        if type(frame) is not tuple or not frame:
            text = "not a frame"
            raise Malformed(text)
        return frame

    def guarded(self, step: Callable[[], _T]) -> _T | None:
        """The step's result; None if the exchange fails, which is then how the program ended."""
        try:
            return step()
        except TimeoutError:
            self._fail("timeout", "")
        except Flooded as error:
            self._fail("flooded", str(error))
        except Malformed as error:
            self._fail("died", str(error))
        except JailFailed as error:
            self._fail("died" if self._blames else "jail_failed", str(error))
        return None

    def _fail(self, status: Status, text: str) -> None:
        """Records the first failure, which is how the program ended."""
        self._failed = self._failed or (status, text)

    @property
    def over(self) -> bool:
        """Whether no more frames can come."""
        return self._failed is not None or self._end is not None

    @property
    def clean(self) -> bool:
        """Whether the supervisor saw the end and found nothing left behind."""
        return self._failed is None and self._end is not None and self._end[3]

    @property
    def swept(self) -> bool:
        """Whether the supervisor has ended it in any way, and found nothing left behind."""
        return self._end is not None and self._end[3]

    def ended(self) -> tuple[Status, str]:
        """How it ended, and the error; ``jail_failed`` if it has not."""
        if self._failed is not None:
            return self._failed
        if self._end is None:
            return "jail_failed", "the program was not waited for"
        status, cpu_s, reason, _ = self._end
        if reason == "hung up":
            return "ended", ""
        if reason:
            return "memory" if reason == "memory" else "flooded", reason
        assert status is not None
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            spent = number == signal.SIGXCPU or cpu_s >= self._cpu_s
            return "timeout" if spent else "died", f"signal {number}"
        code = os.WEXITSTATUS(status)
        if code == 0 and self._said is not None:
            return self._said
        if code == 0 and self._kind in ("script", "run"):  # os._exit(0): only the output counts
            return "ended", ""
        return "died", f"exit code {code}{'' if self._kind == 'run' else ', without a word'}"


def _encoded(value: object) -> bytes:
    try:
        return codec.encode(value)
    except codec.CodecError as error:
        raise Flooded(str(error)) from None


def _end(body: bytes) -> tuple[int | None, float, str, bool]:
    """The supervisor's last frame; checked, because without a jail the candidate can forge it."""
    try:
        decoded = codec.decode(body)
    except codec.CodecError as error:
        raise JailFailed(str(error)) from None
    match decoded:
        case (int() | None as status, float(cpu_s), str(reason), bool(clean)) if (
            status is not None or reason
        ):
            return status, cpu_s, reason, clean
    text = "not how a program ends"
    raise JailFailed(text)


def _last(frame: Frame) -> tuple[Status, str]:
    match frame:
        case ("end", "ended" | "raised" | "memory" | "flooded" as status, str(error)):
            return status, _clean(error)[:MAX_TEXT]
    text = "not a last frame"
    raise Malformed(text)


def _clean(text: str) -> str:
    """Without lone surrogates, which cannot be written to a file."""
    return text.encode("utf-8", "replace").decode("utf-8")


def returned(value: object, raised: object) -> Returned:
    """The result of a call, as the candidate claims it.

    Raises:
        Malformed: it is neither a value nor the name of an exception.
    """
    if isinstance(value, bytes) and raised is None:
        return Returned(value)
    if value is None and isinstance(raised, str):
        return Returned(None, _clean(raised)[:MAX_NAME])
    text = "neither a value nor an exception"
    raise Malformed(text)
