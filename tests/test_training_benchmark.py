"""The port that training is measured against computes the same model and the same loss."""

import importlib
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from livesketch.models.network import NetworkSpec, SketchRNN  # noqa: E402 - after the check for torch
from livesketch.training.losses import kl, losses  # noqa: E402

REPO = Path(__file__).resolve().parent.parent


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(REPO))
    monkeypatch.setattr("benchmarks.training.BATCH", 4, raising=True)
    monkeypatch.setattr("benchmarks.training.LENGTH", 9, raising=True)
    return importlib.import_module("benchmarks.training")


def reordered(value):
    """Columns i, j, f, o as PyTorch's rows i, f, j, o."""
    i, j, f, o = value.chunk(4, -1)
    return torch.cat([i, f, j, o], -1).t()


@torch.no_grad()
def weights_into(port, net):
    w = net.tensors()
    for suffix, way in (("", "forward"), ("_reverse", "backward")):
        lstm(port.encoder, f"_l0{suffix}", {k: w[f"encoder.{way}.{k}"] for k in ("w_x", "w_h", "b")})
    lstm(port.cell, "", {k: w[f"decoder.{k}"] for k in ("w_x", "w_h", "b")})
    for name in ("mu", "sigma", "start", "head"):
        linear = getattr(port, name)
        linear.weight.copy_(w[f"{name}.w"].t())
        linear.bias.copy_(w[f"{name}.b"])


def lstm(module, suffix, w):
    units = len(w["w_h"])
    getattr(module, f"weight_ih{suffix}").copy_(reordered(w["w_x"]))
    getattr(module, f"weight_hh{suffix}").copy_(reordered(w["w_h"]))
    getattr(module, f"bias_ih{suffix}").copy_(reordered(w["b"]))
    getattr(module, f"bias_hh{suffix}").zero_()
    getattr(module, f"bias_hh{suffix}")[units : 2 * units] = 1  # the forget bias


def test_the_port_computes_the_same_loss(benchmark):
    port_module = importlib.import_module("benchmarks.training_peer")
    torch.manual_seed(1)
    net = SketchRNN(NetworkSpec(hidden=16, encoder_hidden=8, z_size=4, mixtures=3, recurrent_dropout=0.0))
    with torch.no_grad():
        for value in net.parameters():
            value.add_(torch.randn_like(value) * 0.1)
    port = port_module.PlainSketchRNN(16, 8, 4, 3)
    weights_into(port, net)
    rows, lengths = benchmark.drawings()
    mu, sigma_hat = net.encode(rows[1:], lengths)
    torch.manual_seed(2)
    z = mu + torch.exp(sigma_hat / 2) * torch.randn_like(mu)
    found = losses(net.decode(rows[:-1], net.condition(z, None)), rows[1:], 9, kl(mu, sigma_hat), reference=True)
    torch.manual_seed(2)
    assert port.loss(rows, lengths, 0.5).item() == pytest.approx(found.cost(0.5).item(), abs=1e-5)


def test_every_engine_is_measured_once_a_round(benchmark):
    calls = []
    engines = {name: lambda name=name: calls.append(name) for name in ("a", "b")}
    series = benchmark.measured(engines, 3)
    assert [len(row.values) for row in series] == [3, 3]
    assert sorted(calls) == ["a"] * 4 + ["b"] * 4
    for step in (benchmark.port_step(*benchmark.drawings()), benchmark.port_step(*benchmark.drawings(), bf16=True)):
        step()
