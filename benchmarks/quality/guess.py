"""How often a class-conditional model guesses a drawing, by how much of it is seen.

    python -m benchmarks.quality.guess MODEL DATA... --each 10 --out results/

Bayes over all labels with a uniform prior, from the likelihood of the rows so far given each label, without a latent
(``SketchStream.guess`` does the same, one drawing at a time): test drawings, float32, in PyTorch for speed.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from livesketch.data.drawings import load_drawings
from livesketch.models.catalogue import open_whole, plain_name
from livesketch.training.batches import Sketches
from livesketch.training.losses import masks, offset_nats, pen_nats
from livesketch.training.measure import network_of

from . import record

SHARES = tuple(k / 10 for k in range(1, 11))
"""Of a drawing's rows; the last with its END."""


@torch.no_grad()
def evidence(net: torch.nn.Module, sketches: Sketches, ids: NDArray[np.int64], labels: int) -> NDArray[np.float64]:
    """Nats of the first rows of each drawing given each label, (drawings, shares, labels)."""
    batch = sketches.batch(ids)
    target = batch.rows[1:]
    drawn, counted = masks(target)
    lengths = batch.lengths.numpy()
    out = np.zeros((len(ids), len(SHARES), labels))
    for label in range(labels):
        z = torch.zeros(len(ids), net.spec.z_size) if net.spec.z_size else None
        head = net.decode(batch.rows[:-1], net.condition(z, torch.full((len(ids),), label)))
        nats = (offset_nats(head, target) * drawn + pen_nats(head, target) * counted).double().cumsum(0).numpy()
        for k, share in enumerate(SHARES):
            rows = lengths + 1 if share == 1 else np.maximum(1, np.round(share * lengths).astype(int))
            out[:, k, label] = nats[rows - 1, np.arange(len(ids))]
    return out


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality.guess", description=__doc__)
    parser.add_argument("model")
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--each", type=int, default=10, help="test drawings of each class")
    parser.add_argument("--out", type=Path, default=record.RESULTS)
    options = parser.parse_args(arguments)
    checkpoint = open_whole(options.model)
    net = network_of(checkpoint).eval()
    data = load_drawings(options.data)
    known = {plain_name(name): number for number, name in enumerate(checkpoint.labels)}
    truth_of = np.array([known[plain_name(name)] for name in data.labels])
    ids = np.concatenate([np.flatnonzero(data.test.label == k)[: options.each] for k in range(len(data.labels))])
    chosen = [data.test.drawings[i] for i in ids]
    sketches = Sketches(chosen, truth_of[data.test.label[ids]], checkpoint.scale_factor, checkpoint.start_token)
    ranks, order = [], []
    for group in sketches.by_length(200):
        found = evidence(net, sketches, group, len(checkpoint.labels))
        truth = sketches.labels[group]
        own = np.take_along_axis(found, truth[:, None, None].repeat(len(SHARES), 1), 2)
        ranks.append((found < own).sum(2))
        order.append(truth)
        print(f"{sum(map(len, ranks))} of {len(ids)}", file=sys.stderr)
    rank, truth = np.concatenate(ranks), np.concatenate(order)
    top1, top5 = (rank < 1).mean(0), (rank < 5).mean(0)
    for share, one, five in zip(SHARES, top1, top5, strict=True):
        print(f"{share:4.0%} of the rows: top-1 {one:.1%}, top-5 {five:.1%}")
    worst = sorted((float((rank[truth == k, -1] < 1).mean()), name) for k, name in enumerate(checkpoint.labels))
    print("hardest:", ", ".join(f"{name} {share:.0%}" for share, name in worst[:10]))
    path = record.write("guess", {
        "model": checkpoint.name, "drawings": len(ids), "shares": list(SHARES), "top1": top1.tolist(),
        "top5": top5.tolist(), "top1 of complete drawings by class": {name: share for share, name in worst},
    }, options.out)  # fmt: skip
    print(f"written: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
