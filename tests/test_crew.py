"""Threads that share a step: every voice once, all or nothing, and the same numbers as without them."""

import os
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import small_checkpoint
from strikes import Strikes

import livesketch as ls
from livesketch import backends
from livesketch.backends import crew
from livesketch.backends.kernels.tiles import BF16, factor, interleaved


@given(st.integers(1, 3000), st.integers(1, 9), st.integers(1, 8))
def test_every_voice_is_in_one_share(size, whole, threads):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIVESKETCH_THREADS", str(threads))
        parts = crew.shares(size, whole)
    assert [k for part in parts for k in range(part.start, part.stop)] == list(range(size))
    assert 1 <= len(parts) <= max(1, min(threads, size // crew.LEAST))
    assert all(part.start % whole == 0 for part in parts)


@pytest.mark.parametrize("asked", ["", "0", "two", "-1"])
def test_without_a_number_there_are_as_many_threads_as_cores(monkeypatch, asked):
    monkeypatch.setenv("LIVESKETCH_THREADS", asked)
    assert 1 <= crew.threads() <= (os.cpu_count() or 1)


def test_all_shares_run_at_the_same_time_and_each_once():
    together, done = threading.Barrier(3), []

    def share(k):
        together.wait(20)  # only where all three are in it
        done.append(k)

    for _ in range(20):
        crew.crew(3).run(share)
    assert sorted(done) == sorted([0, 1, 2] * 20)


def test_what_a_share_raises_comes_when_all_are_done():
    done = []

    def share(k):
        if k == 0:
            raise MemoryError("no room")
        done.append(k)

    with pytest.raises(MemoryError, match="no room"):
        crew.crew(2).run(share)
    assert done == [1]
    crew.crew(2).run(done.append)
    assert sorted(done) == [0, 1, 1]


@pytest.mark.parametrize("struck", ["wake", "wait"])
def test_broken_off_all_are_done_or_none_has_begun(monkeypatch, struck):
    done = []
    real = crew._Job.wait

    def wait(job):
        if struck == "wait":
            raise KeyboardInterrupt
        real(job)

    class Struck:
        def put(self, job):
            raise KeyboardInterrupt

    own = crew.Crew(2)
    monkeypatch.setattr(crew._Job, "wait", wait)
    if struck == "wake":
        monkeypatch.setattr(own, "_queues", [Struck(), Struck()])
    with pytest.raises(KeyboardInterrupt):
        own.run(done.append)
    assert sorted(done) in ([], [0, 1])
    if struck == "wake":
        assert done == []


def batch_of(model, size, threads, monkeypatch):
    monkeypatch.setenv("LIVESKETCH_THREADS", str(threads))
    batch = backends.load("cpu").open(model, size)
    for k in range(size):
        batch.seat(k, 11, k)
        batch.heat(k, 0.8, 0.8)
    return batch


def test_voices_are_the_same_in_one_thread_and_in_three(monkeypatch):
    model = ls.sketch("cat", seed=0).checkpoint
    alone, together = (batch_of(model, 77, threads, monkeypatch) for threads in (1, 3))
    for _ in range(12):
        assert alone.step().tobytes() == together.step().tobytes()
    assert alone.steps == together.steps == 12
    assert np.array_equal(alone.hidden, together.hidden)
    uniforms = np.random.default_rng(1).random((77, 4))
    assert alone.step(uniforms=uniforms).tobytes() == together.step(uniforms=uniforms).tobytes()


def test_ctrl_c_at_any_moment_loses_no_step_of_any_voice(monkeypatch):
    """Real signals, while threads share the steps."""
    monkeypatch.setenv("LIVESKETCH_THREADS", "2")
    choir, got, count = ls.voices("cat", 48, seed=7), [], 0
    choir.step()
    with Strikes() as strikes:
        for delay in np.linspace(2e-4, 1e-2, 40):
            try:
                strikes.arm(float(delay))
                while True:
                    strikes.turn += 1
                    got.append(choir.step())
            except KeyboardInterrupt:
                count += 1
    assert count == 40
    steps = choir.step()
    again = ls.voices("cat", 48, seed=7)
    made = choir._batch.steps
    for _ in range(made):
        last = again.step()
    assert [last[k] for k in range(48)] == [steps[k] for k in range(48)]
    assert made - 2 - 40 <= len(got) <= made - 2


def test_a_fork_has_a_crew_of_its_own(monkeypatch):
    first = crew.crew(2)
    assert crew.crew(2) is first
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert crew.crew(2) is not first


def test_pairs_of_rows_hold_what_the_rows_held():
    rows = np.random.default_rng(4).integers(-32767, 32768, (2, 8, 128)).astype(np.int16)
    rows[0, :4, 0], rows[0, :4, 1] = -32767, 32767
    words = np.ascontiguousarray(interleaved(rows)).view("<i4").reshape(2, 4, 128).astype(np.int64)
    assert np.array_equal(words, 65536 * rows[:, 1::2].astype(np.int64) + rows[:, ::2])
    halves = words.astype("<i4") << 16
    assert np.array_equal(halves.astype(np.float32) * np.float32(factor(rows)), rows[:, ::2].astype(np.float32))
    plain = rows.astype(np.float32)
    assert interleaved(plain) is plain
    assert factor(plain) == 1.0


def test_the_least_of_int16_is_taken_as_float32():
    """65,536 b + a has no room in a word where b is -32,768 and a less than 0."""
    from livesketch.backends.cpu_layout import raw
    from livesketch.models.checkpoint import Tensor

    weights = np.array([[5, -32767], [-1, 7]], np.int16)
    kept, scales = raw([Tensor(weights, 0.5)])
    assert (kept[0].dtype, scales) == (np.dtype(np.int16), [0.5])
    weights[1, 1] = -32768
    kept, scales = raw([Tensor(weights, 0.5)])
    assert (kept[0].dtype, scales) == (np.dtype(np.float32), [1.0])
    assert kept[0].tolist() == [[2.5, -16383.5], [-0.5, -16384.0]]


@pytest.mark.slow  # other weights are other kernels, which take seconds to compile
@pytest.mark.parametrize("cell", ["lstm", "layer_norm", "hyper"])
@pytest.mark.skipif(not BF16, reason="this processor does not multiply bfloat16")
def test_in_fast_precision_densities_are_near(cell):
    checkpoint = small_checkpoint(hidden=40, cell=cell)
    exact, fast = (backends.load(name).open(checkpoint, 9) for name in ("cpu", "cpu-fast"))
    rows = np.random.default_rng(2).normal(0, 3, (20, 3))
    rows[:, 2] = 0
    seen = [np.zeros((20, 9, 3 + 6 * checkpoint.mixtures)) for _ in range(2)]
    for batch, density in zip((exact, fast), seen, strict=True):
        batch.follow(rows, density)
    assert 0 < np.abs(seen[0] - seen[1]).max() < 0.15
    assert fast.backend == "cpu-fast"


def test_fast_precision_is_had_or_refused(monkeypatch):
    if BF16:
        assert ls.sketch("cat", seed=1, precision="fast").backend == "cpu-fast"
    monkeypatch.setattr("livesketch.backends.cpu.BF16", False)
    with pytest.raises(ls.BackendUnavailableError, match="bfloat16"):
        ls.sketch("cat", seed=1, precision="fast")
    with pytest.raises(ls.BackendUnavailableError, match="reference has none"):
        ls.sketch("cat", seed=1, precision="fast", backend="reference")
    with pytest.raises(ls.ControlError, match="'exact' or 'fast'"):
        ls.sketch("cat", seed=1, precision="half")
    with pytest.raises(ls.ControlError, match="models that draw"):
        ls.voices("wuyan", 3, precision="fast")
