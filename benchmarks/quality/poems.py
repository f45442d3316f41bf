"""Held-out nats per character of a text model beside two baselines that are trained in the same run.

    python -m benchmarks.quality.poems MODEL CORPUS... --minutes 30 --out results/

All know the class, have the checkpoint's vocabulary, learn from the ``train`` documents of ``livesketch train text``
(by the documents' hashes, ``data.corpus``), are chosen by the ``valid`` ones and measured on the ``test`` ones. Counted
alike are every character and one END a document; a character that is not in the vocabulary is UNK, to all of them.

* 5-gram: interpolated, modified Kneser-Ney (``ngram``), of all documents and of each class, mixed with the share that
  makes the class's validation documents likeliest; a context that reaches before its document is filled with END.
* window LSTM: the course's design (``window``), as long as ``--minutes`` says. Its first six predictions in a document
  have windows filled with END, which the course does not train; so the figures are also given for what comes after
  six characters of the document, where every window is full.
"""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from livesketch.data.corpus import Corpus, Texts, load_corpus
from livesketch.models.catalogue import open_any
from livesketch.models.text_model import TextCheckpoint
from livesketch.models.tokens import tokenizer
from livesketch.training.measure import classes_of
from livesketch.training.text_batches import TokenTexts
from livesketch.training.text_evaluation import evaluate_text
from livesketch.training.text_measure import text_network_of

from . import record, window
from .ngram import Ids, KneserNey, best_share

Split = tuple[list[Ids], Ids]
"""Tokens of each document, and its class."""


@torch.no_grad()
def checkpoint_nats(model: TextCheckpoint, texts: TokenTexts) -> NDArray[np.float64]:
    """Of every token and one END a document, one document after the other; float32, dropout off."""
    net, found = text_network_of(model).eval(), []
    for k in range(len(texts)):
        batch = texts.batch(texts.whole(np.array([k])), [0])
        hidden, _ = net(batch.inputs, batch.labels if model.labels else None)
        found.append(net.nats(hidden[:, 0], batch.targets[:, 0]).double().numpy())
    return np.concatenate(found)


def ngram_nats(splits: Mapping[str, Split], tokens: int, classes: int) -> tuple[NDArray[np.float64], list[float]]:
    """The same of the mixture of two 5-grams, and the share of the class's own."""
    everything, shares = KneserNey(splits["train"][0], tokens), []
    out: list[NDArray[np.float64]] = [np.zeros(0)] * len(splits["test"][0])
    for label in range(classes):
        own = {name: [d for d, k in zip(*split, strict=True) if k == label] for name, split in splits.items()}
        model = KneserNey(own["train"], tokens)
        shares.append(best_share(model.probabilities(own["valid"]), everything.probabilities(own["valid"])))
        mixed = shares[-1] * model.probabilities(own["test"])
        mixed += (1 - shares[-1]) * everything.probabilities(own["test"])
        parts = iter(np.split(-np.log(mixed), np.cumsum([len(document) + 1 for document in own["test"]])[:-1]))
        for place in np.flatnonzero(splits["test"][1] == label):
            out[place] = next(parts)
    return np.concatenate(out), shares


def tokens_of(part: Texts, model: TextCheckpoint) -> Split:
    words = tokenizer(model)
    return [np.array(words.ids(document), np.int64) for document in part.documents], part.label


def figures(nats: NDArray[np.float64], test: Split, names: tuple[str, ...]) -> dict[str, float]:
    """Nats per character: of all, of each class, and behind the first six characters."""
    lengths = np.array([len(document) + 1 for document in test[0]])
    owner = np.repeat(test[1], lengths)
    place = np.concatenate([np.arange(length) for length in lengths])
    found = {"all": nats.mean()} | {name: nats[owner == k].mean() for k, name in enumerate(names) if k in owner}
    found["behind six characters"] = nats[place >= window.WINDOW].mean()
    return {name: float(value) for name, value in found.items()}


def compared(model: TextCheckpoint, corpus: Corpus, minutes: float, order: tuple[str, ...]) -> dict[str, Any]:
    """The figures of those models that ``order`` names, and facts about them."""
    splits = {name: tokens_of(getattr(corpus, name), model) for name in ("train", "valid", "test")}
    tokens, test = len(model.vocabulary), splits["test"]
    found: dict[str, dict[str, float]] = {}
    facts: dict[str, Any] = {}
    if "checkpoint" in order:
        classes = classes_of(model, corpus.labels, None)
        texts = TokenTexts(replace(corpus.test, label=classes[corpus.test.label]), tokenizer(model))
        nats = checkpoint_nats(model, texts)
        whole = sum(part.nats for part in evaluate_text(text_network_of(model), texts).values())
        assert abs(nats.sum() - whole) < 1e-3 * whole, "two ways of measuring differ"
        found["checkpoint"] = figures(nats, test, corpus.labels)
    if "5-gram" in order:
        nats, facts["share of the class's own 5-gram"] = ngram_nats(splits, tokens, len(corpus.labels))
        found["5-gram"] = figures(nats, test, corpus.labels)
    if "window LSTM" in order:
        net, facts["window LSTM"] = window.train(*splits["train"], splits["valid"], tokens, minutes)
        found["window LSTM"] = figures(window.nats_of(net, *test), test, corpus.labels)
    unknown = float(np.mean(np.concatenate(test[0]) == 1))
    characters = sum(len(document) + 1 for document in test[0])
    return {
        "nats per character": found,
        **facts,
        "unknown": unknown,
        "documents": len(test[0]),
        "characters": characters,
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality.poems", description=__doc__)
    parser.add_argument("model", help="a text model of characters")
    parser.add_argument("corpus", nargs="+", type=Path, help="what it was trained on; each file is a class")
    parser.add_argument("--minutes", type=float, default=30.0, help="of the window LSTM's training (default 30)")
    parser.add_argument("--out", type=Path, default=record.RESULTS)
    options = parser.parse_args(arguments)
    model = open_any(options.model)
    if not isinstance(model, TextCheckpoint) or model.unit != "character":
        parser.error(f"{options.model}: expected a text model whose tokens are characters")
    corpus = load_corpus(options.corpus, way=str(model.source.get("documents", "line")))
    if corpus.running:
        parser.error("the corpus is running text; expected documents")
    facts = compared(model, corpus, options.minutes, ("checkpoint", "5-gram", "window LSTM"))
    rows = facts["nats per character"]
    print(f"{'nats per character':20}" + "".join(f"{name:>24}" for name in next(iter(rows.values()))))
    for name, row in rows.items():
        print(f"{name:20}" + "".join(f"{value:24.4f}" for value in row.values()))
    weights = sum(tensor.values.size for tensor in model.tensors.values())
    about = {
        "model": model.name, "step": model.source.get("step"), "weights": weights,
        "vocabulary": len(model.vocabulary), "threads": torch.get_num_threads(), "classes": list(corpus.labels),
        "counted": "every character and one END a document, of the test split by the documents' hashes",
    }  # fmt: skip
    print(f"written: {record.write('poems', about | facts, options.out)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
