"""The course's poem model as a baseline: six characters in, the seventh out.

Source: ioiogoo/poetry_generator_Keras (LSTM 512 and 256, dropout 0.6 behind each, softmax, Adam; windows of 6). Three
things differ, so that every character and END can be scored, and all are to its advantage: a window that reaches
before its document is filled with END there, and trained on (the course skips such windows); END is a target; the
class stands beside each character. An embedding of 512 takes the place of one-hot vectors. Matrices are multiplied in
bfloat16 where ``livesketch train`` does so too.
"""

import sys
import time
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from livesketch.training.options import Settings
from livesketch.training.run import precision_of

from .ngram import Ids, padded

WINDOW = 6
BATCH = 256
LOOKS = 8
LOOKED_AT = 100
"""Validation documents of a look; the time that it takes counts."""


class WindowModel(nn.Module):
    """The logits of what follows a window."""

    def __init__(self, tokens: int, labels: int) -> None:
        super().__init__()
        self.embed, self.labels = nn.Embedding(tokens, 512), labels
        self.first, self.second = nn.LSTM(512 + labels, 512, batch_first=True), nn.LSTM(512, 256, batch_first=True)
        self.drop, self.head = nn.Dropout(0.6), nn.Linear(256, tokens)

    def forward(self, windows: Tensor, label: Tensor) -> Tensor:
        """``windows`` (B, 6), ``label`` (B,)."""
        beside = nn.functional.one_hot(label, self.labels).float()[:, None].expand(-1, WINDOW, -1)
        out, _ = self.first(torch.cat([self.embed(windows), beside], 2))
        out, _ = self.second(self.drop(out))
        logits: Tensor = self.head(self.drop(out[:, -1]))
        return logits


def windows_of(documents: Sequence[Ids], labels: Ids) -> tuple[Tensor, Tensor, Tensor]:
    """Windows (N, 6), what follows each (N,), and its class (N,): every token and one END a document."""
    stream, target = padded(documents, WINDOW + 1)
    ends = np.flatnonzero(target)
    windows = np.lib.stride_tricks.sliding_window_view(stream, WINDOW)[ends - WINDOW]
    owner = np.repeat(labels, [len(document) + 1 for document in documents])
    return torch.from_numpy(windows.copy()), torch.from_numpy(stream[ends]), torch.from_numpy(owner)


@torch.no_grad()
def nats_of(model: WindowModel, documents: Sequence[Ids], labels: Ids) -> NDArray[np.float64]:
    """Of every token and one END a document, one document after the other."""
    model.eval()
    found = [
        nn.functional.cross_entropy(model(x, label), y, reduction="none").double().numpy()
        for x, y, label in zip(*(part.split(1024) for part in windows_of(documents, labels)), strict=True)
    ]
    model.train()
    return np.concatenate(found)


def train(
    documents: Sequence[Ids], labels: Ids, valid: tuple[Sequence[Ids], Ids], tokens: int, minutes: float, seed: int = 1
) -> tuple[WindowModel, dict[str, float]]:
    """Trains for so long, measuring included; keeps the weights of the best of eight looks at ``valid``."""
    torch.manual_seed(seed)
    model = WindowModel(tokens, int(labels.max()) + 1)
    adam, rng = torch.optim.Adam(model.parameters()), np.random.default_rng(seed)
    windows, following, owner = windows_of(documents, labels)
    low = precision_of(Settings(), torch.device("cpu")) == torch.bfloat16
    some = rng.permutation(len(valid[0]))[:LOOKED_AT]
    held = [valid[0][k] for k in some], valid[1][some]
    began, step, looked, best, kept = time.monotonic(), 0, 0, np.inf, model.state_dict()
    order = rng.permutation(len(windows))
    while looked < LOOKS:
        place = step * BATCH % len(order)
        if step and place < BATCH:
            order = rng.permutation(len(windows))
        ids = torch.from_numpy(order[place : place + BATCH])
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            logits = model(windows[ids], owner[ids])
        loss = nn.functional.cross_entropy(logits.float(), following[ids])
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        step += 1
        if time.monotonic() - began >= (looked + 1) * minutes * 60 / LOOKS:
            looked += 1
            seen = float(nats_of(model, *held).mean())
            if seen < best:
                best, kept = seen, {name: value.clone() for name, value in model.state_dict().items()}
            print(f"window model, step {step}: {seen:.4f} valid nats per character", file=sys.stderr)
    model.load_state_dict(kept)
    count = sum(value.numel() for value in model.parameters())
    epochs = step * BATCH / len(order)
    return model, {"minutes": minutes, "steps": step, "epochs": epochs, "valid nats": best, "parameters": count}
