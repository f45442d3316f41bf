"""Whether drawings are recognised by a classifier that no generator was trained with.

    python -m benchmarks.quality.recognition MODEL DATA... --minutes 8

A small convolutional network over the points is trained on real training drawings, and scored on real test drawings and
on the model's samples at several temperatures. The samples should come near the real ones.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from livesketch.controls import Controls
from livesketch.data.drawings import DrawingSet, Split, load_drawings
from livesketch.models.catalogue import open_whole, plain_name
from livesketch.models.checkpoint import Checkpoint
from livesketch.streams.sketch import SketchStream
from livesketch.strokes import to_stroke3

from . import record

Rows: TypeAlias = NDArray[np.float32]
"""Stroke-3, (n, 3)."""
TEMPERATURES = (0.4, 0.65, 1.0)
LONGEST = 200
"""Points that the classifier looks at; what is behind them is cut off."""


class Classifier(nn.Module):
    """Four convolutions over the points, their mean and maximum, and two layers."""

    def __init__(self, labels: int, width: int = 128) -> None:
        super().__init__()
        sizes = [(5, width // 2, 5, 1), (width // 2, width, 5, 2), (width, width, 5, 4), (width, 2 * width, 3, 1)]
        self.layers = nn.ModuleList(nn.Conv1d(a, b, k, dilation=d, padding=d * (k // 2)) for a, b, k, d in sizes)
        self.out = nn.Sequential(
            nn.Linear(4 * width, 2 * width), nn.GELU(), nn.Dropout(0.2), nn.Linear(2 * width, labels)
        )

    def forward(self, points: Tensor, present: Tensor) -> Tensor:
        """Logits (B, labels) for points (B, 5, T); ``present`` (B, 1, T) is 0 behind a drawing."""
        x = points
        for layer in self.layers:
            x = functional.gelu(layer(x)) * present
        mean = x.sum(2) / present.sum(2)
        most = x.masked_fill(present == 0, -1e4).amax(2)
        logits: Tensor = self.out(torch.cat([mean, most], 1))
        return logits


def points_of(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """x, y in the drawing's own box, dx, dy, and whether the pen lifts: (n, 5)."""
    rows = rows[:LONGEST]
    place = rows[:, :2].cumsum(0)
    low, high = np.minimum(place.min(0), 0), np.maximum(place.max(0), 0)
    size = max(float((high - low).max()), 1e-6)
    middle = (low + high) / 2
    return np.concatenate([(place - middle) / size * 2, rows[:, :2] / size * 4, rows[:, 2:]], 1).astype(np.float32)


def batch_of(points: Sequence[NDArray[np.float32]], ids: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    longest = max(len(points[i]) for i in ids)
    x, present = np.zeros((len(ids), 5, longest), np.float32), np.zeros((len(ids), 1, longest), np.float32)
    for k, i in enumerate(ids):
        x[k, :, : len(points[i])], present[k, 0, : len(points[i])] = points[i].T, 1
    return torch.from_numpy(x), torch.from_numpy(present)


def train(data: Split, labels: int, minutes: float, seed: int) -> Classifier:
    """Trained for so many minutes, the learning rate falling to nothing."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = Classifier(labels)
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-2)
    points = [points_of(rows) for rows in data.drawings]
    lengths = np.array([len(p) for p in points])
    began, step = time.monotonic(), 0
    while True:
        order = rng.permutation(len(points))
        for first in range(0, len(order) - 256 * 20, 256 * 20):
            part = order[first : first + 256 * 20]
            part = part[np.argsort(lengths[part], kind="stable")].reshape(20, 256)
            for ids in part[rng.permutation(20)]:
                spent = (time.monotonic() - began) / (60 * minutes)
                if spent >= 1:
                    return net.eval()
                for group in optimizer.param_groups:
                    group["lr"] = 2e-3 * (1 - spent)
                x, present = batch_of(points, ids)
                x[:, :4] *= torch.from_numpy(rng.uniform(0.85, 1.15, (len(ids), 1, 1)).astype(np.float32))
                flip = torch.from_numpy((rng.random((len(ids), 1)) < 0.3).astype(np.float32)) * -2 + 1
                x[:, 0] *= flip
                x[:, 2] *= flip
                loss = functional.cross_entropy(
                    net(x, present), torch.from_numpy(data.label[ids]), label_smoothing=0.05
                )
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                step += 1
                if step % 200 == 0:
                    print(f"classifier: step {step}, {spent:.0%}, loss {loss.item():.3f}", file=sys.stderr)


@torch.no_grad()
def accuracy(
    net: Classifier, drawings: Sequence[Rows], labels: NDArray[np.int64]
) -> tuple[float, float, NDArray[np.bool_]]:
    """(top-1, top-5, whether each was right)."""
    points = [points_of(rows) for rows in drawings]
    rank = []
    for first in range(0, len(points), 256):
        ids = np.arange(first, min(first + 256, len(points)))
        logits = net(*batch_of(points, ids)).numpy()
        rank.append((logits > logits[np.arange(len(ids)), labels[ids]][:, None]).sum(1))
    found = np.concatenate(rank)
    return float((found < 1).mean()), float((found < 5).mean()), found < 1


def samples(checkpoint: Checkpoint, labels: Sequence[str], each: int, temperature: float, seed: int) -> list[Rows]:
    """``each`` drawings of every label."""
    streams = [SketchStream(checkpoint, label, Controls(temperature, "js"), seed, "cpu", 0) for label in labels]
    return [to_stroke3(list(stream.drawing())) for stream in streams for _ in range(each)]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality.recognition", description=__doc__)
    parser.add_argument("model")
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--minutes", type=float, default=8, help="of training the classifier")
    parser.add_argument("--each", type=int, default=20, help="samples of each class and temperature")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=record.RESULTS)
    options = parser.parse_args(arguments)
    checkpoint = open_whole(options.model)
    data: DrawingSet = load_drawings(options.data)
    names = {plain_name(name): name for name in checkpoint.labels}
    labels = [names[plain_name(name)] for name in data.labels]
    net = train(data.train, len(labels), options.minutes, options.seed)
    real1, real5, _ = accuracy(net, data.test.drawings, data.test.label)
    print(f"real test drawings ({len(data.test.drawings)}): top-1 {real1:.1%}, top-5 {real5:.1%}")
    facts: dict[str, object] = {"model": checkpoint.name, "minutes": options.minutes, "each": options.each,
                                "real": {"top1": real1, "top5": real5}}  # fmt: skip
    truth = np.repeat(np.arange(len(labels)), options.each)
    for temperature in TEMPERATURES:
        drawn = samples(checkpoint, labels, options.each, temperature, options.seed)
        one, five, right = accuracy(net, drawn, truth)
        print(f"samples at {temperature} ({len(drawn)}): top-1 {one:.1%}, top-5 {five:.1%}, {one / real1:.1%} of real")
        by_class = right.reshape(len(labels), options.each).mean(1)
        by_name = dict(zip(labels, by_class.tolist(), strict=True))
        worst = np.argsort(by_class)[:10]
        print("  hardest:", ", ".join(f"{labels[k]} {by_class[k]:.0%}" for k in worst))
        facts[f"temperature {temperature}"] = {"top1": one, "top5": five, "of real": one / real1,
                                               "by class": by_name}  # fmt: skip
    print(f"written: {record.write('recognition', facts, options.out)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
