"""Official models and data sets, fetched by name into a cache.

    fetch("magenta:owl")            # the decoder, owl.gen.json
    fetch("magenta:owl.vae")        # encoder and decoder, owl.vae.json
    fetch("quickdraw:cat")          # drawings as a Sketch-RNN data set, cat.npz
    fetch("quickdraw:cat.ndjson")   # the simplified drawings, cat.ndjson

``livesketch.sketch("magenta:owl")`` fetches once and then asks the network nothing. Nothing else in livesketch fetches.

The weights are Google's, and Google states no licence for them; the drawings are the Quick, Draw! Dataset, CC BY 4.0.

No hashes of these files are published, so that what comes can be checked for its format only; its SHA-256 is kept
beside it (``.origin``), and a file that comes back different is reported. This module was tested against a server on
the same machine only, not against Google's, which was out of reach where it was written.
"""

import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ..errors import DownloadError, LivesketchError, ModelNotFoundError, OutputError
from .download import Progress, Resuming, StatusError, locked
from .fetched import check_file, keep_record, read_record
from .official import SOURCES, Wanted, is_official, near_names, shown, wanted

_LOG: Final = logging.getLogger("livesketch")
_LOG.addHandler(logging.NullHandler())  # nothing is printed into a prompt unless the performer asks for it


def cache_folder() -> Path:
    """Where fetched files are kept: ``LIVESKETCH_CACHE``, or the user's cache folder of the operating system."""
    named = os.environ.get("LIVESKETCH_CACHE")
    if named:
        return Path(named).expanduser()
    import pooch  # noqa: PLC0415 - only where something is fetched

    return Path(pooch.os_cache("livesketch"))


def fetch(
    name: str,
    *,
    base: str | None = None,
    to: str | os.PathLike[str] | None = None,
    again: bool = False,
    progress: Progress | None = None,
) -> Path:
    """The path of an official model or data set, which is fetched where it is not in the cache.

    A download that breaks off is tried again, and what has come is kept for the next call. Several processes may ask
    for the same file: one fetches it, the others wait. A file that comes is checked, then put in its place in one move;
    a ``.origin`` file beside it says from where, when, and its SHA-256, and a model gets a card (``owl.gen.md``).

    Args:
        name: ``magenta:owl``, ``magenta:owl.vae``, ``quickdraw:cat`` or ``quickdraw:cat.ndjson``; several words as in
            ``quickdraw:hot air balloon``, capitals and kinds of space forgiven.
        base: the address of a copy of the official folders, instead of Google's; ``LIVESKETCH_MAGENTA_BASE`` and
            ``LIVESKETCH_QUICKDRAW_BASE`` give one for all calls. A file that is in the cache is used wherever it came
            from.
        to: another folder than the cache.
        again: fetches also what is there; a file that comes back different is reported as a warning of the logger
            ``livesketch``. The old file stays where this fails.
        progress: called with the bytes that are there and the bytes that there will be (None: not known).

    Raises:
        ModelNotFoundError: no such name, or the server has no such file (404).
        DownloadError: no network, a server that refuses, breaks off or is too slow, or a file that is too large.
        CheckpointError, DataError: what came, or what lies in the cache, is something else; what came is deleted.
        OutputError: the folder cannot be written.
        ControlError: the base is no http address.
    """
    asked = wanted(name)
    url = asked.url(base)
    folder = cache_folder() / asked.source if to is None else Path(to)
    target = folder / asked.file
    if not again and _usable(asked, target):
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(target.with_name(f".{target.name}.lock")):
            if again or not _usable(asked, target):
                _transfer(asked, url, target, progress)
    except LivesketchError:
        raise
    except OSError as err:
        raise OutputError(
            f"{folder}: cannot be written ({err.strerror or err}); give another folder with --to, or another "
            "cache with LIVESKETCH_CACHE"
        ) from err
    return target


def _usable(asked: Wanted, target: Path) -> bool:
    """Whether the file is there; one that was put there by hand, or changed since, is checked first."""
    if not target.is_file():
        return False
    record = read_record(target)
    if record is None or record.bytes != target.stat().st_size:
        try:
            check_file(target, target)
        except LivesketchError as err:
            raise type(err)(f"{target}: {err}; `livesketch fetch {asked.name!r} --again` fetches it anew") from err
    return True


def _transfer(asked: Wanted, url: str, target: Path, progress: Progress | None) -> None:
    import pooch  # noqa: PLC0415 - only where something is fetched

    fresh = target.with_name(f".{target.name}.new")
    downloader = Resuming(target.with_name(f".{target.name}.part"), SOURCES[asked.source].most, progress)
    fresh.unlink(missing_ok=True)
    try:
        with _quiet(pooch.get_logger()):
            pooch.retrieve(url, known_hash=None, fname=fresh.name, path=fresh.parent, downloader=downloader)
        check_file(fresh, target)
        fresh.replace(target)
    except DownloadError as err:
        raise _failed(asked, url, target, err) from err
    except OutputError:
        raise
    except LivesketchError as err:
        raise type(err)(f"{asked.name}: what came from {shown(url)} was deleted: {err}") from err
    finally:
        fresh.unlink(missing_ok=True)
    record, before = keep_record(target, shown(url), asked.name, official=is_official(url))
    if before is not None and before.sha256 != record.sha256:
        was = (before.sha256, before.fetched)
        _LOG.warning("%s has changed: sha256 %s, it was %s when fetched on %s", target, record.sha256, *was)


@contextlib.contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Nothing that this thread says to the logger is shown: pooch's prints addresses, with their passwords."""
    here = threading.get_ident()

    def elsewhere(record: logging.LogRecord) -> bool:
        return record.thread != here

    logger.addFilter(elsewhere)
    try:
        yield
    finally:
        logger.removeFilter(elsewhere)


def _failed(asked: Wanted, url: str, target: Path, err: DownloadError) -> LivesketchError:
    """The error that says what to do."""
    status = err.status if isinstance(err, StatusError) else 0
    near = near_names(asked) if status in {403, 404, 410} else ""
    why = " (Google's storage also says so where there is no such file)" if status == 403 else ""
    text = (
        f"{asked.name}: cannot be fetched from {shown(url)}: {err}{why}{near}; try again later, give another address "
        f"with --base or {SOURCES[asked.source].variable}, or put the file at {target} yourself"
    )
    return ModelNotFoundError(text) if status in {404, 410} else DownloadError(text)
