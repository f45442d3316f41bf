"""The networks against magenta's formulas in NumPy, and the fast paths against the plain ones."""

import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from small_models import small_checkpoint  # noqa: E402 - after the check for torch

from livesketch.errors import CheckpointError, ControlError  # noqa: E402
from livesketch.models import recurrence, recurrence_fast  # noqa: E402
from livesketch.models.cells import CELLS, CellSizes, cell_shapes  # noqa: E402
from livesketch.models.checks import shapes_of  # noqa: E402
from livesketch.models.network import NetworkSpec, SketchRNN, _mask  # noqa: E402

T, B, H, C = 7, 5, 12, 6
SMALL = NetworkSpec(
    hidden=H, z_size=4, encoder_hidden=8, labels=3, label_size=2, mixtures=3, hyper_units=6, embedding=2
)


def sizes_of(cell):
    return CellSizes(cell, H, *((6, 2) if cell == "hyper" else ()))


@pytest.mark.parametrize(
    "change",
    [
        {"hidden": 0}, {"hidden": 2.5}, {"hidden": True}, {"z_size": -1}, {"cell": "gru"}, {"encoder_cell": ""},
        {"mixtures": 0}, {"recurrent_dropout": 1.0}, {"input_dropout": -0.1}, {"output_dropout": math.nan},
        {"labels": 3}, {"label_size": 3}, {"labels": -1, "label_size": 2},
    ],
)  # fmt: skip
def test_a_spec_that_makes_no_sense_is_refused(change):
    with pytest.raises(ControlError, match=next(iter(change))):
        NetworkSpec(**change)


def test_weights_of_another_network_are_refused_and_nothing_changes():
    net = SketchRNN(SMALL)
    before = {name: value.clone() for name, value in net.tensors().items()}
    good = {name: value.detach().numpy() * 0 + 1 for name, value in net.tensors().items()}
    missing = {name: value for name, value in good.items() if name != "mu.w"}
    for bad, named in (
        (missing, "mu.w"),
        (good | {"decoder.q": good["mu.w"]}, "decoder.q"),
        (good | {"start.b": good["mu.b"]}, "start.b"),
    ):
        with pytest.raises(CheckpointError, match=named):
            net.load(bad)
    assert all(torch.equal(value, before[name]) for name, value in net.tensors().items())
    net.load(good)
    assert all((value == 1).all() for value in net.tensors().values())


@pytest.mark.parametrize(
    ("change", "count"),
    [
        ({"z_size": 0}, 1_123_963),
        ({}, 2_186_107),
        ({"cell": "layer_norm", "encoder_cell": "layer_norm"}, 2_192_251),
        ({"cell": "hyper", "hidden": 2048, "encoder_cell": "layer_norm", "encoder_hidden": 512}, 24_515_195),
    ],
)
def test_parameters_are_as_many_as_magentas(change, count, monkeypatch):
    monkeypatch.setattr(SketchRNN, "reset", lambda net: None)  # which takes a second for each square of 512
    assert sum(value.numel() for value in SketchRNN(NetworkSpec(**change)).parameters()) == count


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("change", [{}, {"z_size": 0}, {"labels": 0, "label_size": 0}])
def test_tensors_are_those_of_a_checkpoint(cell, change):
    spec = replace(SMALL, cell=cell, encoder_cell=cell, **change)
    info = replace(
        small_checkpoint(), cell=cell, hidden=spec.hidden, mixtures=spec.mixtures, z_size=spec.z_size,
        label_size=spec.label_size, labels=("a", "b", "c")[: spec.labels],
    )  # fmt: skip
    expected = shapes_of(info, spec.encoder_sizes if spec.z_size else None, spec.decoder_sizes)
    assert {name: tuple(value.shape) for name, value in SketchRNN(spec).tensors().items()} == expected


@pytest.mark.parametrize("cell", CELLS)
def test_weights_begin_as_magentas(cell):
    torch.manual_seed(1)
    net = SketchRNN(NetworkSpec(cell=cell, hidden=64, z_size=32, labels=9, label_size=16))
    w = {name: value.detach().numpy() for name, value in net.tensors().items()}
    for block in np.split(w["decoder.w_h"], 4, 1):
        assert np.abs(block @ block.T - np.eye(64)).max() < 1e-5
    rows, columns = w["decoder.w_x"].shape
    limit = math.sqrt(6 / (rows + columns))
    assert limit * 0.98 < np.abs(w["decoder.w_x"]).max() <= limit
    assert 0 < np.abs(w["head.b"]).max() <= math.sqrt(3 / 123)
    for name in ("mu.w", "sigma.w", "start.w"):
        assert w[name].std() == pytest.approx(0.001, rel=0.1)
    for name in ("mu.b", "sigma.b", "start.b"):
        assert (w[name] == 0).all()
    if cell == "hyper":
        assert (w["decoder.scale_x.z"] == 0).all()
        assert (w["decoder.scale_x.z_b"] == 1).all()
        assert np.abs(w["decoder.scale_h.w"] - 0.1 / 32).max() < 1e-9
        assert w["decoder.shift.z"].std() == pytest.approx(0.01, rel=0.1)
        assert (w["decoder.shift.w"] == 0).all()
        assert (w["decoder.hyper.c_gamma"] == 1).all()


def random_cell(cell, seed=0, inputs=5 + C):
    """Weights as after some training, a state, inputs and a mask."""
    rng = np.random.default_rng(seed)
    sizes = sizes_of(cell)
    w = {k[2:]: rng.normal(0, 0.5, s) for k, s in cell_shapes("d", sizes, inputs).items()}
    given = rng.normal(0, 1, (T, B, 5)), rng.normal(0, 1, (B, C)), rng.normal(0, 0.5, (B, 2 * sizes.state))
    return w, *given, (rng.random((T, B, H)) > 0.3) / 0.7


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def norm(x, gamma, beta):
    """magenta rnn.py layer_norm."""
    shifted = x - x.mean(1, keepdims=True)
    return gamma * shifted / np.sqrt((shifted**2).mean(1, keepdims=True) + 1e-3) + beta


def by_magenta(cell, w, x, state, drop):
    """One step as rnn.py has it, in float64: (h, packed state)."""
    if cell == "lstm":
        c, h = np.split(state, 2, 1)
        i, j, f, o = np.split(np.concatenate([x, h], 1) @ np.concatenate([w["w_x"], w["w_h"]]) + w["b"], 4, 1)
        c = c * sigmoid(f + 1) + sigmoid(i) * (np.tanh(j) * drop)
        h = np.tanh(c) * sigmoid(o)
        return h, np.concatenate([c, h], 1)
    if cell == "layer_norm":
        h, c = np.split(state, 2, 1)
        return normed(w, x @ w["w_x"] + h @ w["w_h"], c, drop)
    total_h, total_c = np.split(state, 2, 1)
    h, hyper_h, c, hyper_c = total_h[:, :H], total_h[:, H:], total_c[:, :H], total_c[:, H:]
    own = {name[6:]: value for name, value in w.items() if name.startswith("hyper.")}
    hyper_gates = np.concatenate([x, h], 1) @ own["w_x"] + hyper_h @ own["w_h"]
    hyper_h, packed = normed(own, hyper_gates, hyper_c, 1.0)
    hyper_c = packed[:, len(packed[0]) // 2 :]
    gates = []
    for g in range(4):
        part, cut = slice(2 * g, 2 * g + 2), slice(g * H, (g + 1) * H)
        alpha_x = (hyper_h @ w["scale_x.z"][:, part] + w["scale_x.z_b"][part]) @ w["scale_x.w"][g]
        alpha_h = (hyper_h @ w["scale_h.z"][:, part] + w["scale_h.z_b"][part]) @ w["scale_h.w"][g]
        beta = hyper_h @ w["shift.z"][:, part] @ w["shift.w"][g]
        gates.append(alpha_x * (x @ w["w_x"][:, cut]) + alpha_h * (h @ w["w_h"][:, cut]) + beta + w["b"][cut])
    h, packed = normed(w, np.concatenate(gates, 1), c, drop)
    return h, np.concatenate([h, hyper_h, packed[:, H:], hyper_c], 1)


def normed(w, gates, c, drop):
    parts = [
        norm(gate, gamma, beta)
        for gate, gamma, beta in zip(
            np.split(gates, 4, 1), np.split(w["gamma"], 4), np.split(w["beta"], 4), strict=True
        )
    ]
    i, j, f, o = parts
    c = c * sigmoid(f + 1) + sigmoid(i) * (np.tanh(j) * drop)
    h = np.tanh(norm(c, w["c_gamma"], w["c_beta"])) * sigmoid(o)
    return h, np.concatenate([h, c], 1)


def run(how, cell, w, rows, beside, state, mask, dtype=torch.float32):
    inputs = recurrence.Inputs(rows, beside, dtype)
    return how(cell, w, inputs, state, mask, 1.0)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("how", [recurrence.run_plain, recurrence_fast.run_fast])
def test_every_step_is_magentas(how, cell, masked):
    w, rows, beside, state, mask = random_cell(cell)
    mask = mask if masked else None
    tensors = {name: torch.tensor(value, dtype=torch.float32) for name, value in w.items()}
    given = [torch.tensor(value, dtype=torch.float32) for value in (rows, beside, state)]
    found = run(how, cell, tensors, *given, None if mask is None else torch.tensor(mask, dtype=torch.float32))
    for t in range(T):
        drop = 1.0 if mask is None else mask[t]
        h, state = by_magenta(cell, w, np.concatenate([rows[t], beside], 1), state, drop)
        assert np.abs(found[t].numpy() - h).max() < 1e-5, t


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_the_fast_path_is_the_plain_one(cell, masked, dtype, tolerance):
    """Outputs and every gradient; the tolerance is a share of the largest number."""
    w, *rest, mask = random_cell(cell, seed=3)
    weights = {name: torch.tensor(value, dtype=torch.float32, requires_grad=True) for name, value in w.items()}
    rows, beside, state = (torch.tensor(value, dtype=torch.float32, requires_grad=True) for value in rest)
    mask = torch.tensor(mask, dtype=torch.float32) if masked else None
    weigh = torch.randn(T, B, H, generator=torch.Generator().manual_seed(1))
    leaves, found = [*weights.values(), rows, beside, state], []
    for how in (recurrence.run_plain, recurrence_fast.run_fast):
        out = run(how, cell, weights, rows, beside, state, mask, dtype).float()
        gradients = torch.autograd.grad((out * weigh).sum(), leaves, retain_graph=True)
        again = torch.autograd.grad((out * weigh).sum(), leaves)
        assert all(torch.equal(a, b) for a, b in zip(gradients, again, strict=True))
        found.append([out, *gradients])
    for name, plain, fast in zip(["out", *w, "rows", "beside", "state"], *found, strict=True):
        assert (plain - fast).abs().max() <= tolerance * plain.abs().max(), name
    if dtype == torch.bfloat16:
        exact = run(recurrence.run_plain, cell, weights, rows, beside, state, mask)
        assert 0 < (found[1][0] - exact).abs().max() < 0.1


def test_the_gpu_path_is_the_plain_one_as_far_as_a_cpu_can_tell():
    """torch.lstm with gates in its own order; on a GPU it is cuDNN's."""
    w, *rest, _ = random_cell("lstm", seed=5)
    weights = {name: torch.tensor(value, dtype=torch.float32, requires_grad=True) for name, value in w.items()}
    rows, beside, state = (torch.tensor(value, dtype=torch.float32) for value in rest)
    inputs = recurrence.Inputs(rows, beside)
    plain = recurrence.run_plain("lstm", weights, inputs, state, None, 1.0)
    other, _ = recurrence_fast.torch_lstm(weights, inputs, state, 1.0)
    assert (plain - other).abs().max() < 1e-5
    leaves = list(weights.values())
    for one, two in zip(*(torch.autograd.grad(out.square().sum(), leaves) for out in (plain, other)), strict=True):
        assert (one - two).abs().max() < 1e-5 * (1 + one.abs().max())


@pytest.mark.parametrize("where", ["w_h", "rows", "state"])
def test_nan_comes_through_the_compiled_kernel(where):
    w, rows, beside, state, _ = random_cell("lstm")
    {"rows": rows, "state": state, **w}[where][0, 0] = math.nan
    weights = {name: torch.tensor(value, dtype=torch.float32) for name, value in w.items()}
    given = [torch.tensor(value, dtype=torch.float32) for value in (rows, beside, state)]
    assert run(recurrence_fast.run_fast, "lstm", weights, *given, None).isnan().any()


@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_dropout_is_on_the_candidate_only(cell):
    """With everything dropped c only decays: in magenta's step, tanh(j) gone and all else as it was."""
    w, rows, beside, state, _ = random_cell(cell)
    weights = {name: torch.tensor(value, dtype=torch.float32) for name, value in w.items()}
    given = [torch.tensor(value, dtype=torch.float32) for value in (rows, beside, state)]
    found = run(recurrence_fast.run_fast, cell, weights, *given, torch.zeros(T, B, H))
    h = None
    for t in range(T):
        h, state = by_magenta(cell, w, np.concatenate([rows[t], beside], 1), state, 0.0)
    assert np.abs(found[-1].numpy() - h).max() < 1e-5


def test_masks_drop_their_share_and_keep_the_mean():
    torch.manual_seed(2)
    mask = _mask((50, 40, 101), 0.1, torch.device("cpu"))
    assert mask.unique().tolist() == pytest.approx([0, 1 / 0.9], rel=1e-4)
    assert (mask == 0).float().mean().item() == pytest.approx(0.1, abs=0.003)
    assert mask.mean().item() == pytest.approx(1, abs=0.004)
    by_place = (mask == 0).float().mean((0, 1))
    assert by_place.min() > 0.06
    assert by_place.max() < 0.14
    both = (mask[..., 1:] == 0) & (mask[..., :-1] == 0)
    assert both.float().mean().item() == pytest.approx(0.01, abs=0.002)


def test_dropout_acts_in_training_only():
    torch.manual_seed(3)
    net = SketchRNN(replace(SMALL, input_dropout=0.5, output_dropout=0.5))
    rows, label = torch.randn(T, B, 5), torch.zeros(B, dtype=torch.int64)
    condition = net.condition(torch.randn(B, 4), label)
    assert not torch.equal(net.decode(rows, condition), net.decode(rows, condition))
    net.eval()
    quiet = net.decode(rows, condition)
    assert torch.equal(quiet, net.decode(rows, condition))
    plain = SketchRNN(net.spec, fast=False).eval()
    plain.load(net.tensors())
    assert (plain.decode(rows, condition) - quiet).abs().max() < 1e-5


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_what_stands_behind_a_drawing_changes_nothing(cell, fast):
    torch.manual_seed(4)
    net = SketchRNN(replace(SMALL, cell=cell, encoder_cell=cell), fast=fast).eval()
    rows, lengths = torch.randn(T, B, 5), torch.tensor([7, 3, 1, 5, 2])
    changed = torch.cat([rows, torch.randn(4, B, 5)])
    for b, n in enumerate(lengths):
        changed[n:, b] = torch.randn(T + 4 - n, 5)
    for one, other in zip(net.encode(rows, lengths), net.encode(changed, lengths), strict=True):
        assert (one - other).abs().max() < 1e-6
    condition = net.condition(torch.randn(B, 4), torch.tensor([0, 1, 2, 0, 1]))
    one, other = net.decode(rows, condition), net.decode(changed, condition)
    for b, n in enumerate(lengths):
        assert (one[:n, b] - other[:n, b]).abs().max() < 1e-6
    alone = net.encode(rows[:3, 1:2], lengths[1:2])[0]
    assert (alone - net.encode(rows, lengths)[0][1]).abs().max() < 1e-6


def test_the_backward_encoder_reads_each_drawing_from_its_end():
    """With both encoders alike, a drawing turned round swaps the halves that mu is made of."""
    torch.manual_seed(5)
    net = SketchRNN(SMALL).eval()
    w = dict(net.tensors())
    w |= {name.replace("forward", "backward"): value for name, value in w.items() if "forward" in name}
    w["mu.w"] = torch.randn(16, 4)
    net.load(w)
    rows, lengths = torch.randn(T, 2, 5), torch.tensor([7, 4])
    turned = rows.clone()
    turned[:7, 0], turned[:4, 1] = rows[:7, 0].flip(0), rows[:4, 1].flip(0)
    swapped = SketchRNN(SMALL).eval()
    swapped.load(w | {"mu.w": torch.cat([w["mu.w"][8:], w["mu.w"][:8]])})
    assert (net.encode(rows, lengths)[0] - swapped.encode(turned, lengths)[0]).abs().max() < 1e-6
    assert (net.encode(rows, lengths)[0] - net.encode(turned, lengths)[0]).abs().max() > 1e-3


def test_an_empty_drawing_is_encoded_as_zeros():
    net = SketchRNN(SMALL).eval()
    mu, _ = net.encode(torch.randn(T, 2, 5), torch.tensor([0, 3]))
    assert torch.equal(mu[0], net.tensors()["mu.b"])


@pytest.mark.parametrize("cell", CELLS)
def test_without_a_condition_the_state_begins_with_zeros(cell):
    torch.manual_seed(6)
    spec = replace(SMALL, cell=cell, z_size=0, labels=0, label_size=0)
    net = SketchRNN(spec).eval()
    assert net.condition(None, None) is None
    assert not any(name.startswith(("start", "encoder", "label", "mu")) for name in net.tensors())
    row = torch.tensor([[[0.0, 0.0, 1.0, 0.0, 0.0]]])
    w = {k[8:]: v.detach().double().numpy() for k, v in net.tensors().items() if k.startswith("decoder.")}
    h, _ = by_magenta(cell, w, row[0].numpy(), np.zeros((1, 2 * spec.decoder_sizes.state)), 1.0)
    head = h @ net.tensors()["head.w"].detach().numpy() + net.tensors()["head.b"].detach().numpy()
    assert np.abs(net.decode(row, None)[0].detach().numpy() - head).max() < 1e-5


@pytest.mark.parametrize("cell", CELLS)
def test_training_reaches_every_weight(cell):
    torch.manual_seed(7)
    net = SketchRNN(replace(SMALL, cell=cell, encoder_cell=cell))
    with torch.no_grad():
        for value in net.tensors().values():
            value.add_(torch.randn_like(value) * 0.1)
    mu, sigma_hat = net.encode(torch.randn(T, B, 5), torch.tensor([7, 3, 1, 5, 2]), torch.bfloat16)
    z = mu + torch.exp(sigma_hat / 2) * torch.randn_like(mu)
    head = net.decode(torch.randn(T, B, 5), net.condition(z, torch.tensor([0, 1, 2, 0, 1])), torch.bfloat16)
    assert head.shape == (T, B, 21)
    (head.square().mean() + mu.square().mean()).backward()
    for name, value in net.tensors().items():
        assert value.grad is not None, name
        assert torch.isfinite(value.grad).all(), name
        assert value.grad.abs().max() > 0, name


@pytest.mark.parametrize("cell", ["lstm", "layer_norm", "hyper"])
@pytest.mark.parametrize("fast", [True, False])
def test_no_drawing_to_encode_is_no_failure(cell, fast):
    """A batch whose drawings are all trained without their latent."""
    spec = NetworkSpec(hidden=8, encoder_hidden=6, z_size=4, encoder_cell=cell, mixtures=2, hyper_units=5, embedding=2)
    net = SketchRNN(spec, fast=fast)
    mu, sigma_hat = net.encode(torch.zeros(5, 0, 5), torch.zeros(0, dtype=torch.long))
    (mu.sum() + sigma_hat.sum()).backward()
    assert mu.shape == (0, 4)
    assert net.tensors()["encoder.forward.w_h"].grad is not None
