"""Text written without waiting for whoever reads it: a full pipe or a stalled terminal never stops the clock."""

import io
import os
import select
import time
from typing import Final, TextIO

_AT_ONCE: Final = getattr(select, "PIPE_BUF", 512)  # bytes; a pipe that is ready takes as many without waiting


class Writer:
    """Writes to a text stream what its reader takes, and keeps the rest of a text that was begun.

    Streams with a file descriptor are written to directly, after they have said that they are ready; what is no file
    of the system (a notebook's output, a StringIO) is written to as usual, and so is everything outside POSIX.
    """

    def __init__(self) -> None:
        self._rest = b""

    def put(self, stream: TextIO, text: str, *, queue: int = 0) -> bool:
        """Writes ``text``, whole sooner or later; False where it was dropped, because earlier text still waits.

        It may wait behind earlier text as long as both have at most ``queue`` bytes together; one text alone may have
        any length. Characters that the stream's encoding lacks become ``?``. AttributeError, OSError, ValueError: there
        is no stream, or it is closed or broken.
        """
        encoding = getattr(stream, "encoding", None) or "utf-8"
        data = text.encode(encoding, "replace")
        if _descriptor(stream) is None:
            stream.write(data.decode(encoding))
            stream.flush()
            return True
        if not self.push(stream) and len(self._rest) + len(data) > queue:
            return False
        self._rest += data
        self.push(stream)
        return True

    def push(self, stream: TextIO, seconds: float = 0.0) -> bool:
        """Writes what waits, for at most ``seconds``; True where nothing waits any more. Errors as in ``put``."""
        if not self._rest:
            return True
        descriptor = _descriptor(stream)
        if descriptor is None:  # standard output is another one now
            return False
        until = time.monotonic() + seconds
        while self._rest:
            left = max(0.0, until - time.monotonic())
            if not select.select([], [descriptor], [], left)[1]:
                break
            stream.flush()  # what others have printed comes first
            written = _write(descriptor, self._rest)
            self._rest = self._rest[written:]
            if not written and left == 0.0:
                break
        return not self._rest

    def forget(self) -> bool:
        """Drops what waits; whether there was anything."""
        waited, self._rest = bool(self._rest), b""
        return waited


def _descriptor(stream: TextIO) -> int | None:
    """The stream's file descriptor where it can be written to without waiting; None where it has none.

    ValueError: the stream is closed. Only Python's own text files count: others, such as a notebook's, may name a
    descriptor that is not where their text goes.
    """
    if os.name != "posix" or not isinstance(stream, io.TextIOWrapper):
        return None
    try:
        return stream.fileno()
    except io.UnsupportedOperation:
        return None


def _write(descriptor: int, data: bytes) -> int:
    """How many bytes the ready descriptor took."""
    try:
        if not os.isatty(descriptor):
            return os.write(descriptor, data[:_AT_ONCE])
        # A terminal may be ready for less than is written. It is opened anew to be written to without waiting: to set
        # that on the descriptor itself would also set it for the prompt that reads from the same terminal.
        try:
            own = os.open(os.ttyname(descriptor), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError:  # not ours to open, as after su
            return os.write(descriptor, data[:_AT_ONCE])
        try:
            return os.write(own, data)
        finally:
            os.close(own)
    except BlockingIOError:
        return 0
