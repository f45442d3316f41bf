"""One voice in two threads: the drawings of ``cpu``, bit for bit, whatever the second thread does or does not do."""

import gc
import multiprocessing
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from small_models import small_checkpoint
from strikes import Strikes

import livesketch as ls
from livesketch import backends
from livesketch.backends import cpu_two
from livesketch.backends.crew import threads
from livesketch.backends.kernels.common import UNITS
from livesketch.backends.protocol import ACTION

pytestmark = pytest.mark.skipif(threads() < 2, reason="one core has no use for a second thread")

ASLEEP = 24
"""Where the helper says that it sleeps."""


def pair(**model):
    """A batch of either backend for the same model."""
    checkpoint = small_checkpoint(**model)
    return backends.load("cpu").open(checkpoint, 1), backends.load("cpu-two").open(checkpoint, 1)


def lonely(monkeypatch, **model):
    """A pair whose second thread has not begun."""
    monkeypatch.setattr(cpu_two.Helper, "begin", lambda self: None)
    return pair(**model)


def steps(batch, count):
    return np.concatenate([batch.step().copy() for _ in range(count)])


def storm(step, longest):
    """Ctrl-C at forty moments of what is done over and over."""
    count = 0
    with Strikes() as strikes:
        for delay in np.linspace(2e-4, longest, 40):
            try:
                strikes.arm(float(delay))
                while True:
                    strikes.turn += 1
                    step()
            except KeyboardInterrupt:
                count += 1
    assert count == 40


def helpers():
    return [thread for thread in threading.enumerate() if thread.name == "cpu-two"]


@pytest.mark.parametrize("model", [{"hidden": 40}, {"hidden": 37, "mixtures": 20}, {"hidden": 300, "mixtures": 25}])
def test_it_draws_what_one_thread_draws(model):
    one, two = pair(**model)
    drawn = steps(two, 2000)
    assert drawn.dtype == ACTION
    assert drawn.tobytes() == steps(one, 2000).tobytes()
    assert len(set(drawn["drawing"])) > 3
    assert one.steps == two.steps == 2000


@pytest.mark.parametrize("model", [{"hidden": 40}, {"hidden": 300}])
def test_alone_it_draws_the_same(model, monkeypatch):
    """As in a fork, whose second thread stayed behind."""
    one, two = lonely(monkeypatch, **model)
    assert steps(two, 500).tobytes() == steps(one, 500).tobytes()


def test_a_late_helper_comes_in_the_middle(monkeypatch):
    one, two = lonely(monkeypatch, hidden=300)
    assert steps(two, 100).tobytes() == steps(one, 100).tobytes()
    monkeypatch.undo()
    two._helper.begin()
    for pause in (0.0, 1e-4, 2e-3, 1e-2) * 5:
        assert steps(two, 100).tobytes() == steps(one, 100).tobytes()
        time.sleep(pause)


def test_between_other_steps_it_draws_the_same():
    one, two = pair(hidden=40)
    rows = np.array([[3.0, -2.0, 0.0], [5.0, 1.0, 1.0]])
    for k in range(40):
        assert steps(two, 5).tobytes() == steps(one, 5).tobytes()
        density = [np.zeros((1, one._head.shape[1])) for _ in range(2)]
        got = [batch.step(density=seen).tobytes() for batch, seen in zip((one, two), density, strict=True)]
        assert got[0] == got[1]
        assert np.array_equal(*density)
        for batch in (one, two):
            batch.force(0, rows)
            if k % 7 == 0:
                batch.restart(0)


def test_what_is_changed_between_steps_counts_though_the_helper_worked_ahead():
    """Its sums are of the h that the last step left; everything else is known or compared when the step begins."""
    one, two = pair(hidden=300, labels=("a", "b", "c"), label_size=3)
    rng = np.random.default_rng(1)
    kept = [None, None]
    changes = {
        "begin again": lambda batch, k: batch.restart(0),
        "another seed": lambda batch, k: batch.seat(0, 9, 4),
        "another label": lambda batch, k: batch.condition(0, np.eye(3)[k % 3]),
        "another heat": lambda batch, k: batch.heat(0, 0.3, 0.5),
        "strokes": lambda batch, k: batch.force(0, np.array([[3.0, -2.0, 0.0], [5.0, 1.0, 1.0]])),
        "a look": lambda batch, k: batch.force(0, np.array([[1.0, 1.0, 0.0]]), np.zeros((2, 21)), end=True),
        "nothing": lambda batch, k: None,
    }
    for k in range(60):
        change = rng.choice(list(changes))
        before = rng.random() < 0.3
        for own, batch in enumerate((one, two)):
            changes[change](batch, k)
            if before:
                kept[own] = batch.snapshot()
            elif kept[own] is not None and k % 5 == 0:
                batch.restore(kept[own])
        count = int(rng.integers(1, 4))
        assert steps(two, count).tobytes() == steps(one, count).tobytes(), change
        time.sleep(float(rng.choice([0.0, 1e-4, 5e-3])))


def test_after_a_pause_a_step_finds_its_sums_made():
    _, two = pair(hidden=300)
    steps(two, 10)
    panels = two.hidden.shape[1] // UNITS
    until = time.monotonic() + 20
    while two._led[0][0] != panels << 36:  # nothing is free, what waits begins at 0 and ends with the last
        assert time.monotonic() < until
        time.sleep(0.01)


def test_broken_off_a_step_is_done_or_has_not_begun():
    one, two = pair(hidden=300)
    steps(two, 1)
    storm(two.step, 5e-3)
    steps(one, two.steps)
    assert steps(two, 300).tobytes() == steps(one, 300).tobytes()


def test_it_rests_comes_again_and_ends():
    one, two = pair(hidden=40)
    steps(two, 10)
    until = time.monotonic() + 20
    while not two._helper.shared[ASLEEP]:
        assert time.monotonic() < until
        time.sleep(0.01)
    steps(one, 10)
    assert steps(two, 100).tobytes() == steps(one, 100).tobytes()
    assert helpers()
    open_ends = two._helper.ends
    del two
    gc.collect()
    until = time.monotonic() + 20
    while helpers():
        assert time.monotonic() < until
        time.sleep(0.01)
    for descriptor in open_ends:
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(descriptor)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is told which cores a thread may use")
def test_it_sleeps_and_wakes_on_another_core_than_the_one_that_leads():
    _, two = pair(hidden=40)
    steps(two, 10)
    until = time.monotonic() + 20
    (helper,) = (thread for thread in helpers() if thread is two._helper._thread)
    while not os.sched_getaffinity(helper.native_id) < os.sched_getaffinity(0):
        assert time.monotonic() < until
        time.sleep(0.01)
        steps(two, 1)


@pytest.mark.parametrize("name", ["cpu", "cpu-two"])
def test_too_deep_in_calls_nothing_is_done_or_all(name):
    checkpoint = small_checkpoint(hidden=40)
    plain, batch = (backends.load(own).open(checkpoint, 1) for own in ("cpu", name))
    steps(plain, 5), steps(batch, 5)

    def down(depth):
        return batch.step() if depth == 0 else down(depth - 1)

    failed = 0
    for depth in range(sys.getrecursionlimit() - 120, sys.getrecursionlimit()):
        try:
            down(depth)
        except RecursionError:
            failed += 1
    assert 0 < failed < 120
    steps(plain, batch.steps - 5)
    assert steps(batch, 300).tobytes() == steps(plain, 300).tobytes()


def _drawn(batch, pipe):
    drawn = steps(batch, 50).tobytes()
    ends = batch._helper.ends
    batch._helper.end()  # as where it is dropped: nothing is written to what may be another's file by now
    pipe.send((drawn, ends))


@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
@pytest.mark.parametrize("pause", [0.0, 1e-4, 5e-3])
def test_a_fork_draws_on(pause):
    """Though the second thread stayed behind, with what it had taken to work ahead."""
    one, two = pair(hidden=300)
    steps(two, 10), steps(one, 10)
    here, there = multiprocessing.Pipe()
    context = multiprocessing.get_context("fork")
    child = context.Process(target=_drawn, args=(two, there))
    time.sleep(pause)
    child.start()
    assert here.poll(60)
    drawn, ends = here.recv()
    assert drawn == steps(one, 50).tobytes() == steps(two, 50).tobytes()
    assert ends == ()
    child.join(30)
    assert child.exitcode == 0


def test_what_the_helper_had_taken_in_a_fork_is_done_by_the_other(monkeypatch):
    one, two = lonely(monkeypatch, hidden=300)
    assert steps(two, 5).tobytes() == steps(one, 5).tobytes()
    panels = two.hidden.shape[1] // UNITS
    two._led[0][0] = panels - 1 << 12 | panels << 24 | panels << 36  # it sums the last panel, and never will have
    two._helper.lost()  # as in a fork; here only this one may be, whose thread listens to nothing
    assert steps(two, 100).tobytes() == steps(one, 100).tobytes()


def test_dropped_before_its_first_step_or_not_started_it_ends(monkeypatch):
    checkpoint, before = small_checkpoint(), set(helpers())
    pair()
    batches = [cpu_two.TwoBatch(checkpoint) for _ in range(20)]
    ends = [descriptor for batch in batches for descriptor in batch._helper.ends]
    monkeypatch.setattr(cpu_two, "_cores", lambda: (_ for _ in ()).throw(PermissionError("not here")))
    with pytest.raises(ls.BackendUnavailableError, match=r"no second thread.*not here"):
        backends.load("cpu-two").open(checkpoint, 1)
    del batches
    gc.collect()
    until = time.monotonic() + 20
    while set(helpers()) - before:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert len(ends) == 40


@pytest.mark.slow
def test_compiled_for_another_processor_it_draws():
    """LLVM ends the process where that one lacks an instruction that a kernel asks for by name."""
    code = "import livesketch as ls; print(next(ls.sketch('cat', backend='cpu', seed=1)).step)"
    environment = {**os.environ, "NUMBA_CPU_NAME": "generic"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "0"), done.stderr


def test_what_it_is_not_for_is_refused():
    with pytest.raises(ls.BackendUnavailableError, match=r"3 voices.*one voice"):
        ls.voices("cat", 3, backend="cpu-two")
    with pytest.raises(ls.BackendUnavailableError, match="hyper cells"):
        backends.load("cpu-two").open(small_checkpoint(cell="hyper"), 1)
    with pytest.raises(ls.BackendUnavailableError, match=r"tang.*writes"):
        ls.text("wuyan", backend="cpu-two")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIVESKETCH_THREADS", "1")
        with pytest.raises(ls.BackendUnavailableError, match="one thread"):
            ls.sketch("cat", backend="cpu-two")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            threading.Thread, "start", lambda self: (_ for _ in ()).throw(RuntimeError("can't start new thread"))
        )
        with pytest.raises(ls.BackendUnavailableError, match="no second thread"):
            ls.sketch("cat", backend="cpu-two")
    with pytest.raises(ls.BackendUnavailableError, match="cpu-two has none"):
        ls.sketch("cat", backend="cpu-two", precision="fast")
