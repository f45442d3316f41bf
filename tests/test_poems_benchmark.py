"""The baselines that a poem model is measured beside: they are distributions, and all count the same."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from test_text_training import poems, train  # noqa: E402, F401 - a fixture, after the check for torch

from benchmarks.quality import ngram, window  # noqa: E402
from benchmarks.quality import poems as suite  # noqa: E402
from livesketch.data.corpus import load_corpus  # noqa: E402
from livesketch.models.checkpoint import load_text  # noqa: E402
from livesketch.training.text_evaluation import total_text  # noqa: E402
from livesketch.training.text_measure import measure_text  # noqa: E402


def some_documents(count=300, tokens=7, seed=1):
    rng = np.random.default_rng(seed)
    table = rng.dirichlet(np.full(tokens, 0.3), (tokens, tokens))  # of two tokens, what follows
    found = []
    for _ in range(count):
        document = [0, 0]
        while len(document) < 40:
            token = int(rng.choice(tokens, p=table[document[-2], document[-1]]))
            if token == 0:
                break
            document.append(token)
        found.append(np.array(document[2:], np.int64))
    return found


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_an_ngram_is_a_distribution_in_any_context(order):
    model = ngram.KneserNey(some_documents(), 9, order)  # tokens 7 and 8 never come
    for context in ([], [3], [1, 2, 3, 4, 5], [8, 7], [6, 8, 1]):
        total = 0.0
        for token in range(9):
            if token:
                total += model.probabilities([np.array([*context, token])])[len(context)]
            else:
                total += model.probabilities([np.array(context, np.int64)])[len(context)]
        assert total == pytest.approx(1, abs=1e-12)
        assert model.probabilities([np.array([*context, 8])])[len(context)] > 0


def plain_kneser_ney(documents, order, context, token, tokens):
    """The formula by counting, one order at a time."""
    grams = [{} for _ in range(order)]
    for document in documents:
        row = [0] * (order - 1) + document.tolist() + [0]
        for i in range(order - 1, len(row)):
            for n in range(order):
                gram = tuple(row[i - n : i + 1])
                grams[n][gram] = grams[n].get(gram, 0) + 1
    for n in range(order - 1):
        grams[n] = {gram: sum(longer[1:] == gram for longer in grams[n + 1]) for gram in grams[n]}
    value = 1 / tokens
    for n in range(order):
        history = tuple(context[len(context) - n :]) if n else ()
        discount = ngram._discounts(np.array(list(grams[n].values())))
        here = {gram[-1]: count for gram, count in grams[n].items() if gram[:-1] == history}
        total = sum(here.values())
        if total:
            taken = sum(discount[min(count, 3)] for count in here.values())
            count = here.get(token, 0)
            value = (count - discount[min(count, 3)] + taken * value) / total
    return value


def test_an_ngram_is_kneser_neys():
    documents = some_documents(25, 5)
    model = ngram.KneserNey(documents, 6, 3)
    for context, token in (([0, 0], 1), ([1, 2], 3), ([2, 2], 0), ([5, 1], 4)):
        asked = [k for k in context if k] + ([token] if token else [])
        got = model.probabilities([np.array(asked, np.int64)])[sum(k > 0 for k in context)]
        assert got == pytest.approx(plain_kneser_ney(documents, 3, context, token, 6)), (context, token)


def test_longer_contexts_help_where_the_text_has_them():
    seen, held = some_documents(3000), some_documents(200, seed=1)[100:]
    nats = [-np.log(ngram.KneserNey(seen, 7, order).probabilities(held)).mean() for order in (1, 2, 3)]
    assert nats[0] > nats[1] + 0.1 > nats[2] + 0.2


def test_the_best_share_is_the_likeliest():
    rng = np.random.default_rng(1)
    one, other = rng.random(1000), rng.random(1000)
    share = ngram.best_share(one, other)
    values = [np.log(k * one + (1 - k) * other).sum() for k in (share - 0.02, share, share + 0.02)]
    assert max(values) == values[1]


def test_windows_end_before_their_target_and_never_hold_another_document():
    x, y, label = window.windows_of([np.array([5, 6, 7]), np.array([8])], np.array([1, 0]))
    assert x.tolist() == [
        [0] * 6, [0] * 5 + [5], [0] * 4 + [5, 6], [0] * 3 + [5, 6, 7], [0] * 6, [0] * 5 + [8],
    ]  # fmt: skip
    assert y.tolist() == [5, 6, 7, 0, 8, 0]
    assert label.tolist() == [1, 1, 1, 1, 0, 0]


@pytest.mark.slow
def test_the_suite_measures_all_alike_and_writes_it(poems, tmp_path, monkeypatch, capsys):  # noqa: F811
    model = tmp_path / "a.safetensors"
    train(poems, model, steps=2)
    corpus = load_corpus(poems)
    assert suite.main([str(model), *map(str, poems), "--minutes", "0.001", "--out", str(tmp_path / "out")]) == 0
    (path,) = (tmp_path / "out").iterdir()
    found = json.loads(path.read_text())
    rows = found["nats per character"]
    assert list(rows) == ["checkpoint", "5-gram", "window LSTM"]
    assert all(list(row) == ["all", "five", "seven", "behind six characters"] for row in rows.values())
    checkpoint = load_text(model)
    eval_found = total_text(measure_text(checkpoint, poems)).figures()["nats per character"]
    assert rows["checkpoint"]["all"] == pytest.approx(eval_found, rel=1e-5)
    assert rows["5-gram"]["all"] < rows["checkpoint"]["all"]  # of two steps
    assert found["characters"] == corpus.test.characters + len(corpus.test)
    assert "window LSTM" in capsys.readouterr().out
