"""Who draws the parts: this process, or several on this machine."""

import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from typing import Final

import numpy as np

from ..errors import BackendUnavailableError
from ..streams.bulk import Bulk, Subject
from .parts import Kind, Part, drawn_part, part_of

AHEAD: Final = 2
"""Parts for each process that are asked for at a time: one is drawn, one waits."""

_DEATHS: Final = 3
"""So often in a row a process may die without a part finished in between."""


def here(subject: Subject, parts: Sequence[range], kind: Kind, voices: int) -> Generator[Part, None, None]:
    """The parts, drawn in this process: all voices go on from one part to the next."""
    if not parts:
        return
    numbers = np.concatenate([np.arange(part.start, part.stop) for part in parts])
    drawings = Bulk(subject, numbers, voices)
    for part in parts:
        yield part_of(itertools.islice(drawings, len(part)), kind)


def processes(
    subject: Subject, parts: Sequence[range], kind: Kind, voices: int, count: int
) -> Generator[Part, None, None]:
    """The parts, drawn in so many processes, as they are finished; what a process that died had is drawn again.

    Raises:
        BackendUnavailableError: they die one after the other.
    """
    left, deaths = list(parts), 0
    while left:
        try:
            with closing(_pooled(subject, [*left], kind, voices, min(count, len(left)))) as found:
                for part in found:
                    left.remove(part.stretch)
                    deaths = 0
                    yield part
        except BrokenProcessPool as err:
            deaths += 1
            if deaths >= _DEATHS:
                raise BackendUnavailableError(
                    f"{deaths} times a drawing process died, and nothing was finished in between; expected memory for "
                    f"{count} of them: try fewer --processes, or fewer --voices; what is done is kept"
                ) from err


def _pooled(
    subject: Subject, parts: Sequence[range], kind: Kind, voices: int, count: int
) -> Generator[Part, None, None]:
    coming = iter(parts)
    context = multiprocessing.get_context("spawn")  # a copy of this process could hold locks of its threads
    others = multiprocessing.active_children()
    pool = ProcessPoolExecutor(count, context, _begin, (subject, kind, voices))
    try:
        asked: set[Future[Part]] = set()
        while True:
            more = itertools.islice(coming, AHEAD * count - len(asked))
            asked |= {pool.submit(_draw, part) for part in more}
            if not asked:
                return
            done, asked = wait(asked, return_when=FIRST_COMPLETED)
            while done:
                yield done.pop().result()
    except BaseException:  # nobody takes what they are at
        for process in multiprocessing.active_children():
            if process not in others:
                process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


_own: list[tuple[Subject, Kind, int]] = []
"""In a drawing process, what it draws."""


def _begin(subject: Subject, kind: Kind, voices: int) -> None:
    """In a drawing process, before its first part."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(1))  # Ctrl-C ends it at once, without a word
    threading.Thread(target=_end_with_parent, daemon=True, name="livesketch-parent").start()
    _own[:] = [(subject, kind, voices)]


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # it was killed, and nobody takes what is drawn here


def _draw(part: range) -> Part:
    subject, kind, voices = _own[0]
    return drawn_part(subject, part, kind, voices)
