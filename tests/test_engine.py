"""The pipe to the playing process, from this end: who asks while it starts, runs and ends, and from which thread."""

import pickle
import subprocess
import threading
from multiprocessing import Pipe

import pytest

import livesketch as ls
from livesketch.player import engine as engines
from livesketch.player import remote_player
from livesketch.player.engine import Engine
from livesketch.player.line import Line

PATIENCE = 10.0
"""Seconds; far from the 30 that an answer may take."""


class Asking(threading.Thread):
    """Asks, and keeps what came of it."""

    def __init__(self, engine):
        super().__init__(daemon=True)
        self._engine = engine
        self.answer = self.error = None
        self.start()

    def run(self):
        try:
            self.answer = self._engine.ask("tempo")
        except ls.LivesketchError as err:
            self.error = err

    def ended(self):
        self.join(PATIENCE)
        return not self.is_alive()


class Process:
    """One that is gone only when it is let go."""

    pid = 4711

    def __init__(self):
        self.waited_for, self.go = threading.Event(), threading.Event()

    def poll(self):
        return None

    def wait(self, timeout=None):
        self.waited_for.set()
        if not self.go.wait(timeout):
            raise subprocess.TimeoutExpired("it", timeout)

    def kill(self):
        self.go.set()


class Made(Engine):
    """An engine whose process is the end of a pipe in the test's hands."""

    starts = 0

    def _start(self):
        ours, self.theirs = Pipe()
        self._line, self._process, self._told = Line(ours), Process(), ls.clock.tempo.changes
        self.starts += 1


@pytest.fixture
def engine():
    made = Made()
    yield made
    if made._process is not None:
        made._process.go.set()
    made.close()
    made.theirs.close()


def test_a_line_that_was_hung_up_takes_no_question_and_leaves_none_waiting():
    ours, theirs = Pipe()
    line = Line(ours)
    questions = [line.ask(b"one"), line.ask(b"two")]
    assert theirs.recv_bytes() == b"one"
    line.close()
    line.close()
    questions.append(line.ask(b"three"))
    for question in questions:
        assert question.answered.wait(PATIENCE)
        assert (question.done, question.lost) == (False, "it was ended from here")
    theirs.close()


def test_a_line_whose_other_end_goes_says_so_to_all_that_wait():
    ours, theirs = Pipe()
    line = Line(ours)
    questions = [line.ask(b"one"), line.ask(b"two")]
    assert theirs.recv_bytes() == b"one"
    theirs.close()
    for question in questions:
        assert question.answered.wait(PATIENCE)
        assert question.lost not in (None, "it was ended from here")
    line.close()


def test_who_waits_for_an_answer_is_told_at_once_that_it_is_being_ended(engine):
    asking = Asking(engine)
    while engine._process is None:
        asking.join(0.001)
    assert pickle.loads(engine.theirs.recv_bytes())[0] == "tempo"
    gone = engine._process
    closing = threading.Thread(target=engine.close, daemon=True)
    closing.start()
    assert gone.waited_for.wait(PATIENCE)
    assert asking.ended(), "it waits for the end of the process"
    assert isinstance(asking.error, ls.ControlError)
    assert "ended from here" in str(asking.error)
    assert closing.is_alive()
    late = Asking(engine)
    assert late.ended(), "it waits for the end of the process"
    assert "just being ended" in str(late.error)
    assert engine.starts == 1
    again = threading.Thread(target=engine.close, daemon=True)
    again.start()
    again.join(0.05)
    assert again.is_alive(), "who ends it too has to wait until it is gone"
    gone.go.set()
    for thread in (closing, again):
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert not engine.alive
    asking = Asking(engine)  # and now another is started
    while engine.starts < 2:
        asking.join(0.001)
    engine.theirs.recv_bytes()
    engine.theirs.send((True, "so"))
    assert asking.ended()
    assert asking.answer == "so"


def test_a_start_that_is_ended_is_given_up_at_once(monkeypatch, capfd):
    monkeypatch.setattr(engines, "_PROGRAM", "import time; time.sleep(60)")
    engine = Engine()
    asking = Asking(engine)
    while engine._process is None:
        asking.join(0.001)
    child = engine._process
    closing = threading.Thread(target=engine.close, daemon=True)
    closing.start()
    closing.join(PATIENCE)
    assert not closing.is_alive(), "it waits for the start"
    assert asking.ended(), "it waits for the start"
    assert "just being ended" in str(asking.error)
    assert child.poll() is not None
    assert not [thread for thread in threading.enumerate() if thread.name == "livesketch-start"]
    assert capfd.readouterr() == ("", "")


def test_a_program_that_does_not_start_is_told_with_its_code(monkeypatch):
    monkeypatch.setattr(engines, "_PROGRAM", "raise SystemExit(3)")
    with pytest.raises(ls.BackendUnavailableError, match="ended with 3"):
        Engine().ask("tempo")


def test_a_stream_comes_back_though_nobody_can_say_any_more_where_it_was(monkeypatch):
    class Gone:
        alive = True  # as far as was known

        def ask(self, *_):
            raise ls.ControlError("the playing process is gone")

    class Stream:
        name, places = "cat", ()

        def come_back(self, place):
            self.places = (*self.places, place)

    monkeypatch.setattr(remote_player, "engine", Gone())
    stream = Stream()
    player = remote_player.RemotePlayer(1, "cat", stream, (), None)
    player.settle()
    player.settle()
    assert stream.places == (None,)
