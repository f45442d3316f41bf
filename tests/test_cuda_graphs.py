"""The cuda backend where there is a GPU: graphs against the same functions run one by one, and real devices' limits."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from cuda_devices import use
from small_models import small_checkpoint
from small_texts import small_text
from strikes import Strikes
from test_cuda_backend import parted

from livesketch import BackendUnavailableError, sampling
from livesketch.backends import cuda, cuda_fused

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def gpu(monkeypatch):
    use("gpu", monkeypatch)


def opened(checkpoint, size, precision="exact"):
    batch = cuda.BACKEND.open(checkpoint, size, precision)
    for k in range(size):
        batch.seat(k, 7, k)
        batch.heat(k, 0.8, 0.6)
    return batch


@pytest.mark.parametrize("size", [1, 3, 16, 17, 300])
@pytest.mark.parametrize("cell", ["lstm", "layer_norm", "hyper"])
def test_steps_are_those_of_the_reference_until_a_near_tie(cell, size):
    checkpoint = small_checkpoint(cell=cell, hidden=130, mixtures=20, max_steps=30)
    parted(opened(checkpoint, size), checkpoint, size, steps=40)


@pytest.mark.parametrize("cell", ["lstm", "hyper"])
def test_fast_densities_are_near_the_exact_ones_for_many_voices(cell):
    checkpoint, size = small_checkpoint(cell=cell, hidden=512, mixtures=20, z_size=8), cuda_fused.FEW + 200
    rows = np.column_stack([np.random.default_rng(5).normal(0, 30, (20, 2)), np.zeros(20)])
    found = []
    for precision in ("exact", "fast"):
        batch, density = opened(checkpoint, size, precision), np.zeros((20, size, 123))
        for k in range(size):
            batch.condition(k, np.random.default_rng(k).normal(size=8))
        batch.follow(rows, density)
        found.append(density)
    assert 1e-5 < np.abs(found[0] - found[1]).max() < 0.3


def test_the_words_of_chance_on_the_device_are_the_definition_s():
    from livesketch.backends import cuda_sampling

    batch = opened(small_checkpoint(), 64)
    batch.step()
    came = cuda_sampling.uniforms(batch._machine.own.device).cpu().numpy()
    for k, voice in enumerate(batch.voices):
        assert came[k].tobytes() == sampling.uniforms(7, voice["step"], k, voice["drawing"]).tobytes()


def test_a_user_s_tf32_does_not_reach_the_exact_precision():
    import torch

    checkpoint = small_checkpoint(hidden=512, mixtures=20)
    plain, density = opened(checkpoint, 200), np.zeros((200, 123))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        other, same = opened(checkpoint, 200), np.zeros((200, 123))
        for _ in range(5):
            plain.step(density=density)
            other.step(density=same)
    finally:
        torch.set_float32_matmul_precision(before)
    assert np.abs(density - same).max() < 1e-5


def test_more_voices_than_fit_are_refused_and_fewer_then_run():
    import torch

    checkpoint, free = small_checkpoint(hidden=2000), torch.cuda.mem_get_info()[0]
    with pytest.raises(BackendUnavailableError, match=r"does not fit into the memory of.*fewer voices"):
        cuda.BACKEND.open(checkpoint, free // 20_000)
    opened(checkpoint, 2).step()


def test_memory_stays_as_it_is_over_many_steps():
    import torch

    batch = opened(small_checkpoint(), 2)
    for _ in range(100):
        batch.step()
    before = torch.cuda.memory_allocated()
    for _ in range(20_000):
        batch.step()
    assert torch.cuda.memory_allocated() == before


@pytest.mark.parametrize("kind", ["sketch", "text"])
def test_a_signal_leaves_a_step_whole_or_not_begun(kind):
    """Ctrl-C at any moment: what was counted was drawn, and the next goes on from there."""

    def made():
        batch = opened(small_checkpoint(), 1) if kind == "sketch" else cuda.BACKEND.open_text(small_text(), 1)
        batch.seat(0, 7, 0)
        return batch

    batch, drawn = made(), []
    with Strikes() as strikes:
        for delay in np.linspace(2e-4, 3e-3, 200):
            try:
                strikes.arm(float(delay))
                while True:
                    strikes.turn += 1
                    batch.step()
                    if batch.steps > len(drawn):
                        drawn.append(batch.actions.tobytes())
            except KeyboardInterrupt:
                if batch.steps > len(drawn):
                    drawn.append(batch.actions.tobytes())
    assert len(drawn) > 200
    plain = made()
    assert drawn == [plain.step().tobytes() for _ in drawn]


def test_two_threads_open_and_step_models_at_the_same_time():
    checkpoint = small_checkpoint()
    wanted = [opened(checkpoint, 2).step().tobytes()] * 8
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: opened(checkpoint, 2).step().tobytes(), range(8)))
    assert found == wanted
