"""The parts drawn on a Dask cluster (extra ``cluster``): Dask hands them out, and again where a worker is lost.

A task gets the model, a range of numbers and no more, and gives back arrays, so that workers need no files; each needs
the same version of livesketch. Dask's workers run what its scheduler sends: a cluster belongs in a network that is
trusted, or behind Dask's own TLS.
"""

import importlib
import itertools
import logging
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final

from ..errors import BackendUnavailableError, LivesketchError, MissingExtraError, OutputError
from ..streams.bulk import Subject
from .notes import version
from .parts import Kind, Part, drawn_part

_AHEAD: Final = 2
"""Parts for each thread of the cluster that are asked for at a time."""

_PATIENCE: Final = "20s"
"""For a scheduler to answer."""


def on_cluster(
    subject: Subject, parts: Sequence[range], kind: Kind, voices: int, address: str
) -> Generator[Part, None, None]:
    """The parts, drawn by the workers of the cluster with this address, as they are finished.

    Args:
        subject: what is drawn.
        parts: their numbers.
        kind: what their rows are.
        voices: drawings that a task makes at a time.
        address: of the scheduler, such as ``tcp://10.0.0.1:8786``, or its scheduler file, ``*.json``.

    Raises:
        MissingExtraError: Dask is not installed.
        OutputError: no scheduler answers.
        BackendUnavailableError: a worker cannot draw, or workers die again and again.
    """
    distributed = _distributed()
    with _quiet(), closing(_client(distributed, address)) as client:
        yield from _drawn(distributed, client, subject, parts, kind, voices)


@contextmanager
def _quiet() -> Iterator[None]:
    """What Dask logs of lost connections is left out: what it means for the run is raised."""
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "distributed"]
    logs = [log for log in map(logging.getLogger, names) if not log.disabled]
    for log in logs:
        log.disabled = True
    try:
        yield
    finally:
        for log in logs:
            log.disabled = False


def _distributed() -> Any:
    try:
        return importlib.import_module("distributed")  # an extra, and it takes a second to load
    except ModuleNotFoundError as err:
        raise MissingExtraError('a cluster needs the package distributed; pip install "livesketch[cluster]"') from err


def _client(distributed: Any, address: str) -> Any:
    where = {"scheduler_file": address} if address.endswith(".json") else {"address": address}
    try:
        return distributed.Client(**where, timeout=_PATIENCE, set_as_default=False, name="livesketch")
    except (OSError, ValueError, TypeError) as err:
        raise OutputError(
            f"cluster {address!r:.80}: no scheduler answers ({err}); expected an address such as tcp://10.0.0.1:8786, "
            "or a scheduler file; `dask scheduler` shows its own"
        ) from err


def _drawn(
    distributed: Any, client: Any, subject: Subject, parts: Sequence[range], kind: Kind, voices: int
) -> Generator[Part, None, None]:
    with importlib.import_module("dask.config").set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
        # A task's result, not scattered data: where the worker that holds it is lost, Dask makes it again.
        own = client.submit(_same, subject, pure=False)
    coming, done, asked = iter(parts), distributed.as_completed(loop=client.loop), 0
    while True:
        wanted = _AHEAD * max(1, sum(client.nthreads().values()))  # workers come and go
        for part in itertools.islice(coming, max(0, wanted - asked)):
            done.add(client.submit(_draw, own, part, kind, voices, version(), pure=False))
            asked += 1
        if not asked:
            return
        yield _result(next(done))
        asked -= 1


def _result(future: Any) -> Part:
    """A finished part. BackendUnavailableError: it could not be drawn."""
    try:
        part: Part = future.result()
    except LivesketchError:
        raise
    except Exception as err:
        raise BackendUnavailableError(
            f"the cluster could not draw a part ({type(err).__name__}: {err!s:.300}); each worker needs livesketch "
            f"{version()} and memory for it; what is done is kept, and the same command goes on"
        ) from err
    future.release()
    return part


def _same(subject: Subject) -> Subject:
    return subject


def _draw(subject: Subject, part: range, kind: Kind, voices: int, wanted: str) -> Part:
    """On a worker."""
    if version() != wanted:
        raise BackendUnavailableError(
            f"a worker has livesketch {version()}; expected {wanted}, as here: install the same there"
        )
    return drawn_part(subject, part, kind, voices)
