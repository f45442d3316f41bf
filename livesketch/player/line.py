"""Questions to the playing process and their answers, one after the other, in order."""

import contextlib
import os
import queue
import socket
import threading
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Final

from ..errors import ControlError

HUNG_UP: Final = "it was ended from here"
"""Why nobody answers any more, where this end was closed."""


@dataclass(slots=True)
class Question:
    """One, and what came of it."""

    message: bytes
    answered: threading.Event = field(default_factory=threading.Event)
    done: bool = False
    """Whether it was done; else ``answer`` is the error."""
    answer: Any = None
    lost: str | None = None
    """Why nobody answers any more."""


class Line:
    """The end of a pipe. Its own thread sends and receives.

    So Ctrl-C in the prompt, or patience that ends, never breaks off a message in the middle, nor leaves an answer
    behind that the next question would take for its own.
    """

    def __init__(self, connection: "Connection[Any, Any]") -> None:
        self._connection: Final = connection
        self._questions: queue.SimpleQueue[Question | None] = queue.SimpleQueue()
        self._changing = threading.Lock()
        """Held while a question is put behind the others, or the end behind them all: none comes after that."""
        self._hung_up = False
        self._thread = threading.Thread(target=self._run, name="livesketch-line", daemon=True)
        self._thread.start()

    def ask(self, message: bytes) -> Question:
        """Sends it as soon as those before it are answered; returns at once. Lost where it was hung up."""
        question = Question(message)
        with self._changing:
            if not self._hung_up:
                self._questions.put(question)
                return question
        question.lost = HUNG_UP
        question.answered.set()
        return question

    def close(self) -> None:
        """Hangs up: the other end sees that, and whoever waits for an answer too. Twice is harmless."""
        with self._changing:
            if not self._hung_up:
                self._hung_up = True
                with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self._connection.fileno())) as end:
                    end.shutdown(socket.SHUT_RDWR)  # closing it alone would wake nobody who reads
                self._questions.put(None)
        self._thread.join()

    def _run(self) -> None:
        lost: str | None = None
        while (question := self._questions.get()) is not None:
            if lost is None:
                try:
                    self._connection.send_bytes(question.message)
                    question.done, question.answer = self._connection.recv()
                except (EOFError, OSError) as err:
                    lost = HUNG_UP if self._hung_up else str(err) or "it ended"
                except Exception as err:  # noqa: BLE001 - an answer that cannot be read is none
                    question.answer = ControlError(f"the playing process gave what cannot be read here ({err})")
            question.lost = lost
            question.answered.set()
        self._connection.close()
