"""The losses against NumPy in float64, their masks against magenta's, and numbers far outside what a network gives."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from livesketch import sampling  # noqa: E402 - after the check for torch
from livesketch.training import losses, schedules  # noqa: E402

M = 4
LENGTHS = [6, 3, 1]
N_MAX = 8


def batch(seed=1, width=N_MAX):
    """Head outputs (T, B, 3 + 6M) and targets (T, B, 5) of drawings of ``LENGTHS`` rows, END rows behind them."""
    rng = np.random.default_rng(seed)
    head = rng.normal(0, 1, (width, len(LENGTHS), 3 + 6 * M))
    target = np.zeros((width, len(LENGTHS), 5))
    for b, n in enumerate(LENGTHS):
        target[:n, b, :2] = rng.normal(0, 1, (n, 2))
        lift = rng.random(n) < 0.4
        target[:n, b, 2], target[:n, b, 3], target[n:, b, 4] = ~lift, lift, 1
    return torch.tensor(head, dtype=torch.float32), torch.tensor(target, dtype=torch.float32)


def magenta(head, target, *, training):
    """(L_s, L_p) as magenta's get_lossfunc computes them, step by step in float64; divided by N_max by its mean."""
    head, target = head.double().numpy(), target.double().numpy()
    pi, mx, my, sx, sy, rho = np.split(head[..., 3:], 6, -1)
    pi, sx, sy, rho = np.exp(pi) / np.exp(pi).sum(-1, keepdims=True), np.exp(sx), np.exp(sy), np.tanh(rho)
    dx, dy = target[..., 0:1] - mx, target[..., 1:2] - my
    z = (dx / sx) ** 2 + (dy / sy) ** 2 - 2 * rho * dx * dy / (sx * sy)
    normal = np.exp(-z / (2 * (1 - rho**2))) / (2 * np.pi * sx * sy * np.sqrt(1 - rho**2))
    fs = 1 - target[..., 4]
    offset = -np.log((pi * normal).sum(-1) + 1e-6) * fs
    pen = np.exp(head[..., :3])
    pen = -(target[..., 2:] * np.log(pen / pen.sum(-1, keepdims=True))).sum(-1)
    if not training:
        pen *= fs
    return offset.mean(), pen.mean()


@pytest.mark.parametrize("value", [1e30, -1e30, 3e38, 1e4, -1e4, 100.0, -100.0, 15.0, -15.0])
@pytest.mark.parametrize("part", range(7))
@pytest.mark.parametrize("distance", [0.0, 0.5, 1e3])
def test_no_head_makes_a_loss_or_a_gradient_that_is_not_finite(value, part, distance):
    head = torch.zeros(2, 1, 3 + 6 * M)
    head[..., slice(0, 3) if part == 0 else slice(3 + (part - 1) * M, 3 + part * M)] = value
    head[1, :, ::2] *= -1
    head.requires_grad_()
    target = torch.tensor([[[distance, -distance, 1.0, 0.0, 0.0]]] * 2)
    total = losses.offset_nats(head, target).sum() + losses.pen_nats(head, target).sum()
    (gradient,) = torch.autograd.grad(total, head)
    assert torch.isfinite(total)
    assert torch.isfinite(gradient).all()


def test_nan_in_a_head_comes_through():
    head, target = batch()
    head[2, 1] = math.nan
    assert losses.offset_nats(head, target)[2, 1].isnan()
    assert losses.pen_nats(head, target)[2, 1].isnan()


def test_all_extremes_at_once_stay_finite():
    rng = np.random.default_rng(4)
    head = torch.tensor(rng.normal(0, 1, (500, 1, 3 + 6 * M)) * 10.0 ** rng.uniform(-2, 30, (500, 1, 3 + 6 * M)))
    head = head.float().requires_grad_()
    target = torch.tensor(rng.normal(0, 30, (500, 1, 5)), dtype=torch.float32)
    total = losses.offset_nats(head, target).clamp(max=1e30).sum() + losses.pen_nats(head, target).mean()
    assert torch.isfinite(total)
    assert torch.isfinite(torch.autograd.grad(total, head)[0]).all()


def test_nats_are_those_that_drawing_reports():
    head, target = batch()
    head = head * 3
    pen = target[..., 2:].argmax(-1).numpy()
    offset, state = sampling.nats(head.numpy(), target[..., 0].numpy(), target[..., 1].numpy(), pen)
    assert np.abs(losses.offset_nats(head, target).numpy() - offset).max() < 1e-4 * (1 + np.abs(offset).max())
    assert np.abs(losses.pen_nats(head, target).numpy() - state).max() < 1e-5


def test_the_reference_mode_is_magentas_and_the_other_nearly():
    head, target = batch()
    offset, pen = magenta(head, target, training=True)
    found = losses.losses(head, target, N_MAX, reference=True)
    assert found.l_s.item() == pytest.approx(offset, abs=1e-6)
    assert found.l_p.item() == pytest.approx(pen, abs=1e-6)
    assert found.l_r.item() == pytest.approx(offset + pen, abs=1e-6)
    assert losses.losses(head, target, N_MAX).l_s.item() == pytest.approx(offset, abs=1e-2)


def test_the_reference_mode_never_exceeds_its_epsilon():
    head, target = batch()
    head[..., 3 + M : 3 + 2 * M] = 1e4
    assert losses.offset_nats(head, target, reference=True).max().item() == pytest.approx(-math.log(1e-6), abs=1e-4)
    assert losses.offset_nats(head, target).max() > 1000


def test_masked_pen_nats_are_magentas_without_is_training():
    head, target = batch()
    offset, pen = magenta(head, target, training=False)
    found = losses.losses(head, target, N_MAX, reference=True)
    assert found.l_p_masked.item() == pytest.approx(pen, abs=1e-6)
    assert found.l_r_masked.item() == pytest.approx(offset + pen, abs=1e-6)
    assert found.l_p > found.l_p_masked  # the END and the padding


def test_nats_per_step_count_one_end_and_no_padding():
    head, target = batch()
    offset, pen = losses.offset_nats(head, target).numpy(), losses.pen_nats(head, target).numpy()
    expected = sum(offset[:n, b].sum() + pen[: n + 1, b].sum() for b, n in enumerate(LENGTHS))
    found = losses.losses(head, target, N_MAX)
    assert found.nats_per_step.item() == pytest.approx(expected / (sum(LENGTHS) + len(LENGTHS)), abs=1e-6)
    assert (found.rows, found.drawings) == (sum(LENGTHS), len(LENGTHS))
    shorter = losses.losses(head[:7], target[:7], 7)  # the longest and its END
    assert shorter.nats_per_step.item() == pytest.approx(found.nats_per_step.item(), abs=1e-6)


def test_l_r_divides_by_n_max_whatever_the_tensors_hold():
    head, target = batch()
    one, other = losses.losses(head, target, N_MAX), losses.losses(head, target, 3 * N_MAX)
    assert other.l_r_masked.item() == pytest.approx(one.l_r_masked.item() / 3)
    cut = losses.losses(head, target, 7)  # padding behind N_max does not count
    assert cut.padding < one.padding


def test_losses_of_parts_add_up():
    head, target = batch()
    mu, sigma_hat = torch.randn(3, 5), torch.randn(3, 5)
    divergence = losses.kl(mu, sigma_hat)
    whole = losses.losses(head, target, N_MAX, divergence)
    parts = [losses.losses(head[:, b : b + 1], target[:, b : b + 1], N_MAX, divergence[b : b + 1]) for b in range(3)]
    added = parts[0] + parts[1] + parts[2]
    for name in ("l_s", "l_p", "l_p_masked", "l_r", "l_r_masked", "nats_per_step", "l_kl"):
        assert getattr(added, name).item() == pytest.approx(getattr(whole, name).item(), rel=1e-5), name


def test_kl_is_the_mean_over_numbers_and_its_floor_takes_the_gradient_away():
    mu, sigma_hat = torch.tensor([[0.5, -1.0]], requires_grad=True), torch.tensor([[0.2, -0.7]])
    by_hand = [-0.5 * (1 + s - m * m - math.exp(s)) for m, s in ((0.5, 0.2), (-1.0, -0.7))]
    found = losses.kl(mu, sigma_hat)
    assert found.tolist() == pytest.approx([sum(by_hand) / 2])
    assert losses.kl(torch.zeros(1, 3), torch.zeros(1, 3)).item() == 0
    floor = losses.floored(found.mean(), 10.0)
    assert floor.item() == 10
    assert torch.autograd.grad(floor, mu)[0].abs().sum() == 0
    assert losses.floored(found.mean(), 0.01).item() == pytest.approx(sum(by_hand) / 2)


def test_the_cost_is_l_r_unmasked_and_the_weighted_floored_kl():
    head, target = batch()
    found = losses.losses(head, target, N_MAX, torch.tensor([0.3, 0.1, 0.2]))
    assert found.l_kl.item() == pytest.approx(0.2)
    assert found.cost(0.5).item() == pytest.approx(found.l_r.item() + 0.5 * 0.2)
    assert found.cost(0.5, 1.0).item() == pytest.approx(found.l_r.item() + 0.5)


def test_schedules_begin_and_end_where_magentas_do():
    assert schedules.exponential(0) == pytest.approx(1e-3)
    assert schedules.exponential(10_000) == pytest.approx((1e-3 - 1e-5) * 0.9999**10_000 + 1e-5)
    assert schedules.exponential(10**7) == pytest.approx(1e-5)
    assert schedules.kl_weight(0) == pytest.approx(0.01)
    assert schedules.kl_weight(20_000) == pytest.approx(0.5 - 0.49 * 0.99995**20_000)
    assert schedules.kl_weight(10**7) == pytest.approx(0.5)
    assert schedules.cosine(0, 100, 1e-2, 1e-4) == pytest.approx(1e-2)
    assert schedules.cosine(50, 100, 1e-2, 1e-4) == pytest.approx((1e-2 + 1e-4) / 2)
    assert schedules.cosine(500, 100, 1e-2, 1e-4) == pytest.approx(1e-4)


def test_gradients_are_clipped_one_by_one():
    weight, unused = torch.nn.Parameter(torch.zeros(4)), torch.nn.Parameter(torch.zeros(1))
    weight.grad = torch.tensor([3.0, -0.5, -7.0, math.nan])
    schedules.clip_by_value([weight, unused], 1.0)
    assert weight.grad[:3].tolist() == [1.0, -0.5, -1.0]
    assert weight.grad[3].isnan()
    schedules.clip_by_value([unused])
