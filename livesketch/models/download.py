"""One file over HTTP into one place: resumed where it was cut, of bounded size, never half there.

``pooch.retrieve`` calls a ``Resuming`` to transfer a file. What has come is kept in a ``.part`` file beside the target;
a later transfer asks for the rest with ``Range`` and ``If-Range`` (RFC 9110, sections 13.1.5 and 14.2), so that a file
that has changed meanwhile comes whole. A server without ranges, or one that does not say which version of the file it
sent (no ETag, no Last-Modified), is asked for all of it again.
"""

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NoReturn, TypeAlias

from ..errors import DownloadError, OutputError

if TYPE_CHECKING:
    import requests

Progress: TypeAlias = Callable[[int, int | None], None]
"""Told the bytes that are there, and how many there will be (None: the server does not say)."""

TIMEOUT: float = 20.0
"""Seconds to wait for a connection, and for the next byte."""

SLOWEST: Final = 1000
"""Fewest bytes a second, over a ``WINDOW``: a server that sends a byte now and then is not waited for."""

WINDOW: Final = 30.0
"""Seconds over which the pace is measured."""

PAUSES: tuple[float, ...] = (0.0, 0.5, 2.0)
"""Seconds before the first, second, ... new attempt that follows a fruitless one; then it is given up."""

FRUIT: Final = 1 << 16
"""A cut attempt with so many new bytes was not fruitless."""

_CHUNK: Final = 1 << 16
_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})
"""Answers after which another attempt may succeed."""

_now = time.monotonic


class StatusError(DownloadError):
    """The server answered that it does not give the file."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"the server answered {status} {reason}".strip())
        self.status = status


class _CutError(Exception):
    """An attempt that ended before the file did; the next may go on from there."""


class Resuming:
    """Transfers a file, as pooch's downloaders do: called with the address and the place to put it.

    Args:
        part: where the beginning of a file is kept; removed or moved away when the transfer is done.
        most: bytes that the file may have; a larger one is refused, by its length before any of it is read.
        progress: told how far it is, some hundred times at most for a small file; None for silence.
    """

    def __init__(self, part: Path, most: int, progress: Progress | None = None) -> None:
        self._part, self._most, self._progress = part, most, progress
        self._version = part.with_name(f"{part.name}.version")

    def __call__(self, url: str, output_file: str, pooch: object) -> None:  # noqa: ARG002 - pooch's signature
        """Leaves the file at ``output_file``.

        Raises:
            DownloadError: it did not come; ``StatusError`` where the server says that it gives none.
            OSError: the folder cannot be written.
        """
        import requests  # noqa: PLC0415 - only where something is fetched

        best, fruitless = self._there(), 0
        with requests.Session() as session:
            while True:
                try:
                    self._attempt(session, url)
                    break
                except _CutError as err:
                    fruitless = 0 if self._there() >= best + FRUIT else fruitless + 1
                    best = max(best, self._there())
                    if fruitless > len(PAUSES):
                        raise DownloadError(f"{err}, after {fruitless} attempts without much more") from err
                    time.sleep(PAUSES[fruitless - 1] if fruitless else 0.0)
        self._part.replace(output_file)
        self._version.unlink(missing_ok=True)

    def _there(self) -> int:
        """Bytes that have come."""
        try:
            return self._part.stat().st_size
        except FileNotFoundError:
            return 0

    def _attempt(self, session: "requests.Session", url: str) -> None:
        """One request; the part file holds the whole file where it returns."""
        import requests  # noqa: PLC0415 - likewise

        headers = {"Accept-Encoding": "identity", "User-Agent": "livesketch"}
        version = self._kept_version(url)
        if version and self._there():
            headers |= {"Range": f"bytes={self._there()}-", "If-Range": version}
        try:
            with session.get(url, headers=headers, stream=True, timeout=(TIMEOUT, TIMEOUT)) as response:
                if url.startswith("https:") and not response.url.startswith("https:"):
                    raise DownloadError(f"the server leads from https to {response.url[:200]}, which anyone can change")
                start = self._start(response)
                self._copy(response, start, url)
        except requests.RequestException as err:
            _fail(err)

    def _kept_version(self, url: str) -> str:
        """Which version of the file at this address the part is the beginning of; empty where that is not known."""
        try:
            address, _, version = self._version.read_text(encoding="latin-1").partition(" ")
        except FileNotFoundError:
            return ""
        return version if address == _digest(url) else ""

    def _start(self, response: "requests.Response") -> int:
        """The place in the file where the body of an answer begins."""
        status = response.status_code
        if status == 200:
            return 0
        if status == 206:
            found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
            if found and int(found[1]) == self._there():
                return self._there()
        if status in {206, 416}:  # it has another file than the one that was begun
            self._part.unlink(missing_ok=True)
            raise _CutError("the server sent another part than the one asked for")
        if status in _AGAIN:
            raise _CutError(f"the server answered {status} {response.reason}".strip())
        raise StatusError(status, response.reason or "")

    def _copy(self, response: "requests.Response", start: int, url: str) -> None:
        """The body of an answer, to the part file."""
        import urllib3  # noqa: PLC0415 - likewise

        encoded = response.headers.get("Content-Encoding", "identity").lower() not in {"", "identity"}
        total = None if encoded else _total(response, start)
        if total is not None and total > self._most:
            raise self._too_large(f"{total} bytes")
        with self._part.open("ab" if start else "wb") as stream:
            if not start:
                kept = "" if encoded else _version_of(response)
                self._version.write_text(f"{_digest(url)} {kept}", encoding="latin-1")
            there = start
            try:
                for chunk in _paced(response.raw):
                    there += len(chunk)
                    if there > self._most:
                        raise self._too_large("more bytes")
                    stream.write(chunk)
                    if self._progress is not None:
                        self._progress(there, total)
            except urllib3.exceptions.HTTPError as err:
                lost = f"the connection was lost after {there} of {total or 'an unknown number of'} bytes"
                raise _CutError(f"{lost} ({_reason(err)})") from err
        if total is not None and there != total:  # a server may answer with less than the range that was asked for
            raise _CutError(f"the server sent {there} of {total} bytes")

    def _too_large(self, came: str) -> DownloadError:
        self._part.unlink(missing_ok=True)
        return DownloadError(f"it has {came}, and no more than {self._most} are fetched")


def _paced(raw: Any) -> Iterator[bytes]:
    """The chunks of a body as they arrive (urllib3's ``read1``: ``read`` would wait until a chunk is full)."""
    began, came = _now(), 0
    while chunk := raw.read1(_CHUNK, decode_content=True):
        yield chunk
        came += len(chunk)
        seconds = _now() - began
        if seconds >= WINDOW:
            if came < SLOWEST * seconds:
                raise _CutError(f"the server sent {came} bytes in {seconds:.0f} s, which is too slow")
            began, came = _now(), 0


def _version_of(response: "requests.Response") -> str:
    """What says in ``If-Range`` which version of the file came; empty where the server does not tell."""
    tag = str(response.headers.get("ETag", ""))
    strong = tag if tag.startswith('"') else ""  # weak ones (W/...) stand for more than one sequence of bytes
    return strong or str(response.headers.get("Last-Modified", ""))


def _total(response: "requests.Response", start: int) -> int | None:
    """Bytes of the whole file; None where the server does not say."""
    if start:
        found = re.fullmatch(r"bytes \d+-\d+/(\d+)", response.headers.get("Content-Range", ""), re.ASCII)
        if found:
            return int(found[1])
    length = response.headers.get("Content-Length", "")
    return start + int(length) if re.fullmatch(r"\d+", length, re.ASCII) else None


def _digest(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()  # an address may hold a password


def _fail(err: "requests.RequestException") -> NoReturn:
    """A failed request: one to be tried again, or the end."""
    import requests  # noqa: PLC0415 - likewise
    import urllib3  # noqa: PLC0415 - likewise

    within = getattr(err.args[0], "reason", None) if err.args else None
    if isinstance(within, urllib3.exceptions.NameResolutionError):
        raise DownloadError("the name of the server is not known here: is there a network?") from err
    if isinstance(err, requests.ConnectTimeout):
        raise DownloadError(f"the server did not answer within {TIMEOUT:g} s") from err
    if isinstance(within, urllib3.exceptions.NewConnectionError):
        raise DownloadError(f"no connection to the server ({_reason(within)})") from err
    if isinstance(err, requests.exceptions.SSLError | requests.exceptions.ProxyError):
        raise DownloadError(f"no safe connection to the server ({_reason(err)})") from err
    if isinstance(err, requests.ReadTimeout):
        raise _CutError(f"the server sent nothing for {TIMEOUT:g} s") from err
    if isinstance(err, requests.ConnectionError):
        raise _CutError(f"the connection was lost ({_reason(err)})") from err
    raise DownloadError(f"the request failed ({_reason(err)})") from err


def _reason(err: BaseException) -> str:
    """The last words of what went wrong, without addresses of objects in memory."""
    while err.__cause__ is not None:
        err = err.__cause__
    words = getattr(err, "strerror", None) or str(err) or type(err).__name__
    return re.sub(r"<[^>]*>:? ?", "", str(words))[:200]


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process (and thread) at a time; the others wait. The file that stands for the lock is removed at the end.

    Raises:
        OutputError: the file cannot be made or locked.
    """
    while True:
        with _taken(path) as stream:
            if not _is_at(stream, path):
                continue  # who had it before has removed it: this one locks nothing
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _taken(path: Path) -> BinaryIO:
    """The file, open and locked."""
    import fcntl  # noqa: PLC0415 - POSIX only; nothing else here is

    try:
        with contextlib.ExitStack() as opened:
            stream = opened.enter_context(path.open("ab"))
            fcntl.flock(stream, fcntl.LOCK_EX)
            opened.pop_all()
            return stream
    except OSError as err:
        raise OutputError(f"{path.parent}: cannot be written ({err.strerror or err})") from err


def _is_at(stream: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False
