"""Real-time priority: asked for by players of the playing process only, and never needed."""

import os
import threading
from pathlib import Path

import pytest
from small_models import small_checkpoint
from test_latent import KINDS
from test_process_engine import wait_for

import livesketch as ls
from livesketch.models.checkpoint import save_checkpoint
from livesketch.player import urgency
from livesketch.player.course import How
from livesketch.player.engine import engine
from livesketch.player.tempo import Tempo

linux = pytest.mark.skipif(not hasattr(os, "sched_setscheduler"), reason="this system has no such call")
POLICY, PRIORITY = 41, 40
"""Fields of /proc/<pid>/stat, counted from 1: proc_pid_stat(5)."""
RR = 2
"""SCHED_RR there."""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    save_checkpoint(small_checkpoint(hidden=24, name="small", **KINDS["both"]), path)
    return f"{path}#cat"


@pytest.fixture(autouse=True)
def silence():
    yield
    ls.hush()
    assert not ls.players()


@pytest.fixture
def asked(monkeypatch):
    """What the system was asked for; it allows all."""
    calls = []
    monkeypatch.setattr(os, "sched_setscheduler", lambda *call: calls.append(call), raising=False)
    monkeypatch.delenv(urgency.SWITCH, raising=False)
    return calls


def player(model, *, urgent):
    how = How(ls.pace.steps(1000), "stop", 0.1, None)
    return ls.Player(ls.sketch(model, seed=3), [ls.Recorder()], how, "cat", ls.OfflineClock(), Tempo(), urgent=urgent)


@pytest.mark.parametrize("error", [PermissionError(1, "no"), OSError(22, "what?")])
@linux
def test_where_the_system_refuses_it_plays_on_and_says_nothing(model, monkeypatch, caplog, capfd, error):
    def refuse(*_):
        raise error

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    one = player(model, urgent=True)
    with one.start():
        assert one.wait(10)
    stats = one.stats()
    assert (one.error, stats.realtime, stats.drawings) == (None, False, 1)
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_a_system_without_such_a_call_is_not_asked(monkeypatch):
    monkeypatch.delattr(os, "sched_setscheduler", raising=False)
    assert not urgency.hurry()


def test_it_can_be_switched_off(monkeypatch, asked):
    monkeypatch.setenv("LIVESKETCH_REALTIME", "0")
    assert not urgency.hurry()
    assert asked == []


@linux
def test_it_is_asked_for_this_thread_alone_and_below_sound_servers(model, asked):
    one = player(model, urgent=True)
    with one.start():
        assert one.wait(10)
    ((thread, policy, parameters),) = asked
    assert (thread, policy, parameters.sched_priority) == (0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, 3)
    assert one.stats().realtime


def test_threads_of_the_prompts_process_never_ask(model, asked):
    one = ls.play(ls.sketch(model, seed=3), ls.Recorder(), rate=1000, then="stop", clock=ls.OfflineClock())
    assert one.wait(10)
    assert asked == []
    assert not one.stats().realtime
    ls.play(ls.sketch(model, seed=3), ls.Recorder(), rate=100)
    row = repr(ls.players()).splitlines()[1]
    assert "thread" in row
    assert "real-time" not in row


def policies(pid):
    """Policy and priority of each thread of a process."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        found.append((int(fields[POLICY - 3]), int(fields[PRIORITY - 3])))
    return found


def allowed():
    """Whether the system allows it here, tried in a thread that ends at once."""
    said = []
    trying = threading.Thread(target=lambda: said.append(urgency.hurry()))
    trying.start()
    trying.join()
    return said[0]


@pytest.mark.parametrize("switch", ["", "0"])
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")
def test_in_the_playing_process_the_players_thread_has_it_where_it_may(model, tmp_path, monkeypatch, switch):
    monkeypatch.setenv("LIVESKETCH_REALTIME", switch)
    may = allowed()
    assert not (may and switch)
    engine.close()  # one that was started before knows another switch
    try:
        one = ls.play(ls.sketch(model, seed=3), ls.trace(tmp_path / "a.jsonl"), rate=50, name="cat", engine="process")
        wait_for(lambda: one.stats().steps > 3)
        assert policies(engine.pid).count((RR, urgency.PRIORITY)) == may, "the player's thread, and no other"
        assert one.stats().realtime is may
        assert ("process, real-time" in repr(ls.players())) is may
        assert not [policy for policy, _ in policies(os.getpid()) if policy == RR]
    finally:
        ls.hush()
        engine.close()
