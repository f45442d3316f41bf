"""Trains the class-conditional decoder that ships with livesketch.

    python -m livesketch.training.sketch cat.npz pig.npz --minutes 90 --out run/

Inputs are official Sketch-RNN ``.npz`` data sets, one class each (the file name is the label). The run keeps an
exponential moving average of the weights, and writes it as float32 safetensors (``best.safetensors``) whenever the
validation loss improves; ``livesketch.training.export`` turns that into a checkpoint for drawing.
"""

import argparse
import copy
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..data.sketch_npz import Stroke3, read_sketch_npz
from ..models.network import ClassConditionalDecoder, nats

MIXTURES = 20
LAST_RATE = 2e-5
"""The learning rate at the end of the budget."""
MAX_ROWS = 200
"""Longer drawings are left out of training, and counted."""


@dataclass(frozen=True, slots=True)
class Example:
    """One drawing with its class."""

    rows: Stroke3
    label: int


def stroke5(rows: Stroke3, length: int) -> NDArray[np.float32]:
    """Stroke-5 rows, padded with the end row (0, 0, 0, 0, 1) to ``length``; model units stay as they are."""
    out = np.zeros((length, 5), np.float32)
    n = len(rows)
    out[:n, :2] = rows[:, :2]
    out[:n, 2] = 1 - rows[:, 2]
    out[:n, 3] = rows[:, 2]
    out[n:, 4] = 1
    return out


def drop_points(rows: Stroke3, probability: float, rng: np.random.Generator) -> Stroke3:
    """Magenta's ``augment_strokes``: merges random inner points of a stroke into the point before."""
    drop = rng.random(len(rows)) < probability
    out: list[list[float]] = []
    inner = 0
    for (dx, dy, lift), chance in zip(rows.tolist(), drop.tolist(), strict=True):
        inner = 0 if lift else inner + 1
        if chance and inner > 2:
            out[-1][0] += dx
            out[-1][1] += dy
        else:
            out.append([dx, dy, lift])
    return np.array(out, np.float32)


def batches(
    examples: list[Example], size: int, rng: np.random.Generator, augment: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of about equal length: stroke-5 (batch, steps + 1, 5) with the start token in row 0, and labels."""
    order = rng.permutation(len(examples))
    pool = size * 40
    groups: list[NDArray[Any]] = []
    for first in range(0, len(order), pool):
        part = sorted(order[first : first + pool], key=lambda i: len(examples[i].rows))
        groups += [np.array(part[i : i + size]) for i in range(0, len(part), size)]
    for group in (groups[i] for i in rng.permutation(len(groups))):
        drawings = [examples[i].rows for i in group]
        if augment:
            drawings = [drop_points(rows, 0.10, rng) for rows in drawings]
        length = max(map(len, drawings)) + 1
        batch = np.stack([stroke5(rows, length) for rows in drawings])
        if augment:
            batch[:, :, :2] *= rng.uniform(0.85, 1.15, (len(batch), 1, 2)).astype(np.float32)
        start = np.zeros((len(batch), 1, 5), np.float32)
        start[:, 0, 2] = 1
        yield torch.from_numpy(np.concatenate([start, batch], 1)), torch.tensor([examples[i].label for i in group])


def loss_of(net: ClassConditionalDecoder, rows: Tensor, label: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(offset nats summed, pen nats summed, steps): END is counted once, its offset not at all, padding never."""
    inputs, target = rows[:, :-1], rows[:, 1:]
    offset, pen = nats(net(inputs, label), target, net.mixtures)
    ended = inputs[..., 4]
    return (offset * (1 - target[..., 4])).sum(), (pen * (1 - ended)).sum(), (1 - ended).sum()


@torch.no_grad()
def evaluate(net: ClassConditionalDecoder, examples: list[Example]) -> dict[str, float]:
    """Nats per step on unaugmented drawings."""
    net.eval()
    totals = torch.zeros(3)
    for rows, label in batches(examples, 200, np.random.default_rng(0), augment=False):
        totals += torch.stack(loss_of(net, rows, label))
    net.train()
    offset, pen, steps = totals.tolist()
    return {"offset": offset / steps, "pen": pen / steps, "nats": (offset + pen) / steps}


@torch.no_grad()
def follow(average: ClassConditionalDecoder, net: ClassConditionalDecoder) -> None:
    """Moves the average a little towards the weights: exponential moving average, about 1,000 steps long."""
    for mean, value in zip(average.parameters(), net.parameters(), strict=True):
        mean.lerp_(value, 1e-3)


def load(paths: list[Path]) -> tuple[list[str], dict[str, list[Example]], dict[str, float]]:
    """Labels, splits in model units, and what was measured on the training drawings (data units)."""
    labels = [path.stem for path in paths]
    splits: dict[str, list[Example]] = {"train": [], "valid": [], "test": []}
    too_long = 0
    for label, path in enumerate(paths):
        data = read_sketch_npz(path)
        for split, examples in splits.items():
            kept = [rows for rows in getattr(data, split) if len(rows) <= MAX_ROWS]
            too_long += len(getattr(data, split)) - len(kept)
            examples += [Example(rows, label) for rows in kept]
    print(f"{len(splits['train'])} training drawings; {too_long} longer than {MAX_ROWS} rows left out", flush=True)
    offsets = np.concatenate([example.rows[:, :2].ravel() for example in splits["train"]])
    scale = float(offsets.std())
    reach = [np.abs(example.rows[:, :2].cumsum(0)).max() for example in splits["train"]]
    measured = {
        "scale_factor": scale,
        "stage_units": 2 * float(np.quantile(reach, 0.95)),
        "max_steps": float(max(len(example.rows) for example in splits["train"]) + 1),
    }
    for examples in splits.values():
        for example in examples:
            example.rows[:, :2] /= scale
    return labels, splits, measured


def options_of(args: argparse.Namespace) -> str:
    """The options of a run as they are typed, without its data and its folder."""
    shown = {key: value for key, value in sorted(vars(args).items()) if key not in {"data", "out", "init", "bf16"}}
    options = [f"--{key.replace('_', '-')} {value}" for key, value in shown.items()]
    options += ["--bf16"] * args.bf16 + ["--init run/best.safetensors"] * bool(args.init)
    return " ".join(options)


class Run:
    """One training run within a budget of minutes; the learning rate falls along half a cosine."""

    def __init__(self, args: argparse.Namespace) -> None:
        torch.manual_seed(args.seed)
        self.args, self.rng = args, np.random.default_rng(args.seed)
        self.labels, self.splits, self.measured = load(args.data)
        self.net = ClassConditionalDecoder(
            len(self.labels), args.hidden, MIXTURES, args.label_size, args.dropout, args.weight_dropout
        )
        self.runs = [options_of(args)]
        if args.init:
            self.net.load_state_dict(load_file(args.init))
            with safe_open(args.init, "pt") as before:
                self.runs = [*json.loads(before.metadata()["facts"])["runs"], *self.runs]
        self.average = copy.deepcopy(self.net)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=args.lr, weight_decay=args.weight_decay)
        self.began = time.monotonic()
        self.steps = self.epochs = 0

    def spent(self) -> float:
        """Share of the budget, 0 to 1 and a little over."""
        return (time.monotonic() - self.began) / (float(self.args.minutes) * 60)

    def step(self, rows: Tensor, label: Tensor) -> tuple[float, float]:
        """One batch: summed nats and counted steps."""
        for group in self.optimizer.param_groups:
            group["lr"] = LAST_RATE + (self.args.lr - LAST_RATE) * 0.5 * (
                1 + math.cos(math.pi * min(self.spent(), 1.0))
            )
        with torch.autocast("cpu", torch.bfloat16, enabled=self.args.bf16):
            offset, pen, count = loss_of(self.net, rows, label)
        loss = (offset + pen) / count
        if not torch.isfinite(loss):
            raise SystemExit(f"loss is {loss.item()} at step {self.steps}: try a smaller --lr")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_value_(self.net.parameters(), 1.0)
        self.optimizer.step()
        follow(self.average, self.net)
        self.steps += 1
        return (offset + pen).item(), count.item()

    def epoch(self) -> float:
        """All training drawings once, or as many as the budget allows: mean nats per step."""
        total, counted = 0.0, 0.0
        for rows, label in batches(self.splits["train"], self.args.batch, self.rng, augment=True):
            if self.spent() > 1:
                break
            nats_sum, count = self.step(rows, label)
            total, counted = total + nats_sum, counted + count
            if self.steps % 50 == 0:
                rate = self.steps * self.args.batch / (time.monotonic() - self.began)
                print(f"step {self.steps} epoch {self.epochs} {total / counted:.4f} {rate:.0f}/s", flush=True)
        self.epochs += 1
        return total / max(counted, 1.0)

    def save(self, valid: dict[str, float], minutes: float) -> None:
        """The average's weights as float32 safetensors, with what the checkpoint and its card need to know."""
        facts = {
            "labels": self.labels, **self.measured, "hidden": self.args.hidden, "mixtures": MIXTURES, "steps": self.steps,
            "epochs": self.epochs, "valid": valid, "test": evaluate(self.average, self.splits["test"]),
            "minutes": minutes, "seed": self.args.seed, "runs": self.runs,
        }  # fmt: skip
        save_file(self.average.state_dict(), self.args.out / "best.safetensors", {"facts": json.dumps(facts)})


def train(args: argparse.Namespace) -> None:
    """One run, as the command line describes it; the weights with the lowest validation nats are kept."""
    run, best = Run(args), math.inf
    args.out.mkdir(parents=True, exist_ok=True)
    log: list[dict[str, float]] = []
    while run.spent() <= 1:
        nats_per_step, minutes = run.epoch(), (time.monotonic() - run.began) / 60
        valid = evaluate(run.average, run.splits["valid"])
        log.append({"epoch": run.epochs, "step": run.steps, "minutes": minutes, "train": nats_per_step, **valid})
        print(json.dumps(log[-1]), flush=True)
        if valid["nats"] < best:
            best = valid["nats"]
            run.save(valid, minutes)
        (args.out / "log.json").write_text(json.dumps(log, indent=1))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--label-size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--weight-decay", type=float, default=1e-4)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--weight-dropout", type=float, default=0.0)
    parser.add_argument("--init", type=Path, help="weights of an earlier run (best.safetensors) to go on from")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
