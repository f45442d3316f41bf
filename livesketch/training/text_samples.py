"""A page of pieces of a text model that is still learning."""

from pathlib import Path

import torch

from ..files import replacing
from ..models.text_model import END
from ..models.text_network import TextNetwork
from ..models.tokens import tokenizer
from ..sampling import uniforms
from ..token_sampling import choose, distribution

TITLE = "Samples of {name} at step {step}, by livesketch train text"
LONGEST = 400
"""Tokens of a sample, at most."""


def is_samples(text: bytes) -> bool:
    """Whether a file holds samples as ``write_samples`` writes them."""
    title = text.partition(b"\n")[0]
    return title.startswith(b"Samples of ") and title.endswith(b", by livesketch train text")


def write_samples(net: TextNetwork, path: Path, *, name: str, count: int, seed: int, step: int) -> int:
    """Writes ``count`` pieces at temperature 1; several labels take turns. Returns how many ended by themselves.

    Raises:
        OutputError: the file cannot be written.
    """
    made, ended = sample(net, count, seed)
    labels = net.info.labels
    parts = [f"[{labels[k % len(labels)]}]\n{text}" if labels else text for k, text in enumerate(made)]
    title = TITLE.format(name=" ".join(name.split()), step=step)
    with replacing(path) as stream:
        stream.write("\n\n".join([title, *parts, ""]).encode())
    return ended


@torch.no_grad()
def sample(net: TextNetwork, count: int, seed: int) -> tuple[list[str], int]:
    """``count`` pieces, and how many ended by themselves; the voices of a stream with this seed, but for rounding."""
    net.eval()
    tokens, device = tokenizer(net.info), next(net.parameters()).device
    decoders, texts, done = [tokens.decoder() for _ in range(count)], [""] * count, [False] * count
    label = torch.arange(count, device=device) % len(net.info.labels) if net.info.labels else None
    last, state, ended = [END] * count, None, 0
    for step in range(min(LONGEST, net.info.max_steps)):
        hidden, state = net(torch.tensor([last], device=device), label, state)
        logits = net.logits(hidden[0]).double().cpu().numpy()
        for k in range(count):
            if done[k]:
                continue
            last[k] = choose(distribution(logits[k]), float(uniforms(seed, step, k, 0)[0]))
            texts[k] += decoders[k].feed(last[k])
            done[k] = last[k] == END
            ended += done[k]
        if all(done):
            break
    return [text + decoder.flush() for text, decoder in zip(texts, decoders, strict=True)], ended
