"""The text networks that are trained, against the formulas of ``text_model`` in plain NumPy."""

import math

import numpy as np
import pytest

from livesketch.errors import CheckpointError
from livesketch.models.text_model import TextInfo, text_shapes

torch = pytest.importorskip("torch")

from livesketch.models import text_network  # noqa: E402 - after the check for torch
from livesketch.models.text_network import Dropout, TextNetwork  # noqa: E402


def info_of(architecture="text_lstm", *, symbols=11, size=12, hidden=12, layers=2, labels=2, tied=True, window=5):
    attention = architecture == "text_attention"
    return TextInfo(
        name="t", architecture=architecture, unit="character",
        vocabulary=("", "", *map(chr, range(97, 95 + symbols))), embedding=size, hidden=hidden, layers=layers,
        tied=tied, heads=3 if attention else 0, window=window if attention else 0,
        label_size=(size if attention else 4) if labels else 0, labels=("x", "y")[:labels], max_steps=99,
        forget_bias=0.0 if attention else 1.0, licence="", attribution="", data="", losses={}, source={},
    )  # fmt: skip


KINDS = {
    "lstm": info_of(),
    "lstm of one layer, untied, without labels": info_of(size=6, hidden=9, layers=1, labels=0, tied=False),
    "attention": info_of("text_attention"),
    "attention, untied, without labels": info_of("text_attention", layers=1, labels=0, tied=False, window=1),
}


def network_of(info, dropout=None, seed=1):
    """Random weights that no part can do without."""
    torch.manual_seed(seed)
    net = TextNetwork(info, dropout)
    with torch.no_grad():
        for value in net.tensors().values():
            value.copy_(torch.randn(value.shape) * 0.4)
    return net


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def norm(x, w, name):
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * w[f"{name}.gamma"] + w[f"{name}.beta"]


def plain_lstm(info, w, ids, label):
    states, out = [(np.zeros(info.hidden), np.zeros(info.hidden)) for _ in range(info.layers)], []
    for token in ids:
        x = w["embed.w"][token]
        x = np.concatenate([x, w["label.w"][label]]) if info.labels else x
        for layer, (c, h) in enumerate(states):
            i, j, f, o = np.split(x @ w[f"layer{layer}.w_x"] + h @ w[f"layer{layer}.w_h"] + w[f"layer{layer}.b"], 4)
            kept = sigmoid(f + info.forget_bias) * c + sigmoid(i) * np.tanh(j)
            x = sigmoid(o) * np.tanh(kept)
            states[layer] = kept, x
        out.append(x)
    return np.stack(out)


def plain_attention(info, w, ids, label):
    size, out = info.embedding // info.heads, []
    keys = [[] for _ in range(info.layers)]
    values = [[] for _ in range(info.layers)]
    for token in ids:
        x = w["embed.w"][token] + (w["label.w"][label] if info.labels else 0)
        for block in range(info.layers):
            part = {k.partition(".")[2]: v for k, v in w.items() if k.startswith(f"block{block}.")}
            q, k, v = np.split(norm(x, part, "norm1") @ part["qkv.w"] + part["qkv.b"], 3)
            keys[block], values[block] = [*keys[block], k][-info.window :], [*values[block], v][-info.window :]
            seen = []
            for head in range(info.heads):
                own = slice(head * size, (head + 1) * size)
                age = np.arange(len(keys[block]))[::-1]
                scores = np.array([q[own] @ k[own] for k in keys[block]]) / math.sqrt(size)
                scores -= 2.0 ** (-8 * (head + 1) / info.heads) * age
                share = np.exp(scores - scores.max())
                seen.append((share / share.sum()) @ np.array([v[own] for v in values[block]]))
            x = x + np.concatenate(seen) @ part["out.w"] + part["out.b"]
            up = norm(x, part, "norm2") @ part["up.w"] + part["up.b"]
            gelu = 0.5 * up * (1 + np.tanh(math.sqrt(2 / math.pi) * (up + 0.044715 * up**3)))
            x = x + gelu @ part["down.w"] + part["down.b"]
        out.append(norm(x, w, "norm"))
    return np.stack(out)


def plain_nats(info, w, ids, targets, label):
    run = plain_attention if info.architecture == "text_attention" else plain_lstm
    logits = run(info, w, ids, label) @ (w["embed.w"].T if info.tied else w["head.w"]) + w["head.b"]
    logits -= logits.max(1, keepdims=True)
    return np.log(np.exp(logits).sum(1)) - logits[np.arange(len(targets)), targets]


@pytest.mark.parametrize("info", KINDS.values(), ids=KINDS)
def test_nats_are_those_of_the_formulas(info, monkeypatch):
    net = network_of(info).eval()
    rng = np.random.default_rng(1)
    ids = rng.integers(0, 11, (14, 3))
    labels = np.array([1, 0, 1])
    w = {name: value.detach().double().numpy() for name, value in net.tensors().items()}
    assert {name: value.shape for name, value in w.items()} == text_shapes(info)
    with torch.no_grad():
        hidden, _ = net(torch.tensor(ids[:-1]), torch.tensor(labels) if info.labels else None)
        got = net.nats(hidden.flatten(0, 1), torch.tensor(ids[1:]).flatten()).view(13, 3).numpy()
        monkeypatch.setattr(text_network, "_SLICE", 100)
        sliced = net.nats(hidden.flatten(0, 1), torch.tensor(ids[1:]).flatten()).view(13, 3).numpy()
    for k in range(3):
        np.testing.assert_allclose(got[:, k], plain_nats(info, w, ids[:-1, k], ids[1:, k], labels[k]), atol=1e-4)
    np.testing.assert_allclose(sliced, got, atol=1e-5)


@pytest.mark.parametrize("info", KINDS.values(), ids=KINDS)
def test_a_text_in_parts_is_the_same_as_in_one(info):
    net = network_of(info).eval()
    ids = torch.randint(0, 11, (17, 2))
    label = torch.tensor([0, 1]) if info.labels else None
    with torch.no_grad():
        whole, _ = net(ids, label)
        state, parts = None, []
        for first, last in ((0, 3), (3, 4), (4, 17)):
            part, state = net(ids[first:last], label, state)
            parts.append(part)
    torch.testing.assert_close(torch.cat(parts), whole, atol=2e-5, rtol=0)


@pytest.mark.parametrize("info", KINDS.values(), ids=KINDS)
def test_slices_give_the_same_gradients(info, monkeypatch):
    net = network_of(info)
    ids, label = torch.randint(0, 11, (9, 2)), torch.tensor([0, 1]) if info.labels else None

    def gradients():
        hidden, _ = net(ids[:-1], label)
        loss = net.nats(hidden.flatten(0, 1), ids[1:].flatten()).sum()
        return torch.autograd.grad(loss, list(net.tensors().values()))

    whole = gradients()
    monkeypatch.setattr(text_network, "_SLICE", 33)
    for name, one, other in zip(net.tensors(), whole, gradients(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4, msg=name)
        assert one.abs().max() > 0, name


def test_dropout_takes_the_same_units_at_all_steps_and_none_when_measured():
    info = info_of("text_lstm", symbols=5)
    net = network_of(info, Dropout(output=0.5))
    ids = torch.randint(0, 5, (20, 4))
    torch.manual_seed(3)
    out, _ = net(ids, torch.zeros(4, dtype=torch.long))
    gone = (out == 0).all(0)
    assert torch.equal(gone, (out == 0).any(0))
    assert 0.2 < gone.float().mean() < 0.8
    net.eval()
    assert not (net(ids, torch.zeros(4, dtype=torch.long))[0] == 0).any()


@pytest.mark.parametrize("part", ["embedding", "layers", "output"])
@pytest.mark.parametrize("architecture", ["text_lstm", "text_attention"])
def test_each_dropout_acts(architecture, part):
    net = network_of(info_of(architecture), Dropout(**{part: 0.5}))
    ids, label = torch.randint(0, 5, (4, 2)), torch.zeros(2, dtype=torch.long)
    dropped = net(ids, label)[0]
    assert (dropped - net.eval()(ids, label)[0]).abs().max() > 0.01


@torch.no_grad()
def test_random_weights_begin_as_said():
    torch.manual_seed(1)
    lstm, attention = (TextNetwork(info_of(name, size=48, hidden=48)) for name in ("text_lstm", "text_attention"))
    square = lstm.tensors()["layer1.w_h"][:, 48:96]
    torch.testing.assert_close(square @ square.t(), torch.eye(48), atol=1e-5, rtol=0)
    assert float(lstm.tensors()["embed.w"].std()) == pytest.approx(0.05, rel=0.15)
    assert float(attention.tensors()["block1.out.w"].std()) == pytest.approx(0.01, rel=0.1)
    assert (attention.tensors()["block0.norm2.gamma"] == 1).all()
    assert all((net.tensors()["head.b"] == 0).all() for net in (lstm, attention))


def test_weights_of_another_size_are_refused_and_none_is_taken():
    net, other = network_of(info_of()), network_of(info_of(symbols=12), seed=2)
    before = {name: value.detach().clone() for name, value in net.tensors().items()}
    with pytest.raises(CheckpointError, match="of another size"):
        net.load(other.tensors())
    with pytest.raises(CheckpointError, match=r"label\.w"):
        net.load({name: value for name, value in before.items() if name != "label.w"})
    assert all(torch.equal(value, before[name]) for name, value in net.tensors().items())


def test_bfloat16_is_close(recwarn):
    for architecture in ("text_lstm", "text_attention"):
        net = network_of(info_of(architecture)).eval()
        ids, label = torch.randint(0, 11, (9, 2)), torch.tensor([0, 1])
        with torch.no_grad():
            exact, rough = net(ids, label)[0], net(ids, label, dtype=torch.bfloat16)[0]
        assert 0 < (exact - rough).abs().max() < 0.2
