"""Guessing what is drawn: Bayes' rule over labels, as the drawing grows."""

import math

import numpy as np
import pytest
from small_models import small_checkpoint

import livesketch as ls
from livesketch import sampling
from livesketch.models.checkpoint import save_checkpoint
from livesketch.streams.condition import label_mix, label_vector

LABELS = ("cat", "pig", "face", "hot-air balloon")
SQUARE = [[[0, 0], [60, 0], [60, 60], [0, 60]], [[20, 20], [40, 40]]]
ROWS = np.array([[60, 0, 0], [0, 60, 0], [-60, 0, 1], [20, -40, 0], [20, 20, 1.0]])
KINDS = {
    "plain": {},
    "labels": {"labels": LABELS, "label_size": 4},
    "both": {"z_size": 6, "encoder": ("lstm", 7), "labels": LABELS, "label_size": 4},
    "optional": {"z_size": 6, "encoder": ("lstm", 7), "labels": LABELS, "label_size": 4, "z_optional": True},
    "decoder": {"z_size": 6, "labels": LABELS, "label_size": 4},
}
GUESSING = ("labels", "both", "optional")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for kind, what in KINDS.items():
        save_checkpoint(small_checkpoint(hidden=24, name=kind, **what), folder / f"{kind}.safetensors")
    return {kind: f"{folder / kind}.safetensors" + "#pig" * ("labels" in what) for kind, what in KINDS.items()}


@pytest.fixture(params=["cpu", "reference"])
def backend(request):
    return request.param


def rows_run(stream):
    """How many rows each call of ``Batch.follow`` ran from now on, as a list that grows."""
    counts, batch = [], stream._guesser._batch
    follow = batch.follow

    def counted(rows, density=None):
        counts.append(len(rows))
        follow(rows, density)

    batch.follow = counted
    return counts


def random_rows(n, seed):
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.normal(0, 25, (n, 2)), rng.random(n) < 0.3])


def nats(stream, rows, label, *, ended):
    """Computed apart from guess: whole drawings by log_prob; the last pen state and END are taken off by difference."""
    stream.label = label
    score = stream.log_prob(rows)
    if ended:
        return score.unmasked * (len(rows) + 1)
    both = [stream.log_prob(np.vstack([rows[:-1], [*rows[-1, :2], lift]])).masked * len(rows) for lift in (0, 1)]
    density = np.empty((len(rows), 3 + 6 * stream.checkpoint.mixtures))
    batch = stream._open(stream.checkpoint, vector(stream))
    batch.force(0, rows, density)
    down, up, _ = sampling.log_softmax(density[-1, :3])
    assert both[0] + down == pytest.approx(both[1] + up, abs=1e-9)
    return both[0] + down


def vector(stream):
    label = label_vector(stream.checkpoint, label_mix(stream.checkpoint, stream.label))
    return np.concatenate([stream.z, label])[None]


# Bad input


def test_a_model_without_labels_cannot_guess_and_says_what_can(models):
    with pytest.raises(ls.UnsupportedModelError, match=r"has no labels to guess; .*sketch\('cat'\)"):
        ls.sketch(models["plain"]).guess(SQUARE)


def test_a_model_that_needs_a_latent_and_has_no_encoder_cannot_guess(models):
    with pytest.raises(ls.UnsupportedModelError, match="has no encoder"):
        ls.sketch(models["decoder"]).guess(SQUARE)


@pytest.mark.parametrize("bad", [[], [[]], [[[0, math.nan], [1, 1]]], np.ones((3, 4)), "cat", 3])
def test_bad_strokes_are_refused_and_the_next_guess_is_as_before(models, bad):
    stream = ls.sketch(models["labels"], seed=1)
    before = stream.guess(SQUARE)
    with pytest.raises(ls.StrokesError):
        stream.guess(bad)
    assert stream.guess(SQUARE) == before


def test_bad_options_are_refused(models):
    stream = ls.sketch(models["labels"], seed=1)
    for bad in (0, -1, 1.5, "3"):
        with pytest.raises(ls.ControlError, match="n "):
            stream.guess(SQUARE, n=bad)
    with pytest.raises(ls.ControlError, match="units"):
        stream.guess(SQUARE, units="mm")


# What it gives


@pytest.mark.parametrize("kind", GUESSING)
def test_probabilities_are_bayes_rule_on_log_prob(models, kind, backend):
    stream = ls.sketch(models[kind], seed=1, backend=backend)
    other = ls.sketch(models[kind], seed=1, backend=backend)
    other.z = other.encode(ROWS) if kind == "both" else None
    for ended in (False, True):
        guesses = stream.guess(ROWS, ended=ended)
        wanted = np.array([nats(other, ROWS, label, ended=ended) for label in LABELS])
        wanted = np.exp(-wanted) / np.exp(-wanted).sum()
        assert [p for _, p in guesses] == pytest.approx(sorted(wanted, reverse=True), rel=1e-9)
        assert [label for label, _ in guesses] == [LABELS[k] for k in np.argsort(-wanted)]
        assert math.fsum(guess.probability for guess in guesses) == pytest.approx(1, abs=1e-12)
        assert stream.guess(ROWS, n=2, ended=ended) == guesses[:2]
    assert len(stream.guess(ROWS, n=100)) == len(LABELS)


def test_what_the_pen_does_after_the_last_point_counts_only_when_the_drawing_has_ended(models):
    stream = ls.sketch(models["labels"], seed=1)
    down = np.vstack([ROWS[:-1], [20, 20, 0]])
    assert stream.guess(ROWS) == stream.guess(SQUARE) == stream.guess(down)
    assert stream.guess(ROWS, ended=True) != stream.guess(down, ended=True)
    assert stream.guess(ROWS, ended=True) != stream.guess(ROWS)
    middle = ROWS.copy()
    middle[2, 2] = 0
    assert stream.guess(middle) != stream.guess(ROWS)


def test_before_anything_is_drawn_all_labels_are_equally_likely(models):
    stream = ls.sketch(models["both"], seed=1)
    assert stream.guess() == [(label, 0.25) for label in LABELS]
    assert stream.guess()[0].label == "cat"


def test_a_stream_guesses_its_own_drawing_and_does_not_move(models):
    stream, still = (ls.sketch(models["labels"], seed=1, temperature=1.0) for _ in range(2))
    for each in (stream, still):
        each.feed(SQUARE)
        each.take(3)
    assert stream.guess() == still.guess(stream) == still.guess(stream.actions) == still.guess(stream.drawing())
    assert stream.take(20) == still.take(20)
    assert stream.label == "pig"


def test_the_label_in_use_plays_no_part(models):
    stream = ls.sketch(models["optional"], seed=1)
    before = stream.guess(SQUARE)
    stream.label, stream.z = "cat", np.ones(6)
    assert stream.guess(SQUARE) == before


# As it grows


@pytest.mark.parametrize("kind", GUESSING)
def test_guessing_as_it_grows_equals_guessing_at_once(models, kind, backend):
    stream = ls.sketch(models[kind], seed=1, backend=backend)
    rows = random_rows(70, 1)
    for n in (1, 2, 5, 5, 40, 70):
        for ended in (False, True):
            fresh = ls.sketch(models[kind], seed=1, backend=backend)
            assert stream.guess(rows[:n], ended=ended) == fresh.guess(rows[:n], ended=ended)


def test_only_new_rows_are_run(models):
    stream = ls.sketch(models["labels"], seed=1)
    rows = random_rows(70, 2)
    stream.guess(rows[:1])
    counts = rows_run(stream)
    for n, run in ((1, 0), (5, 4), (5, 0), (70, 65)):
        stream.guess(rows[:n])
        assert sum(counts) == run
        counts.clear()
    stream.guess(rows, ended=True)
    assert sum(counts) == 1  # the END's, which is taken back


def test_polylines_that_grow_inside_a_stroke_run_one_row_more(models):
    stream = ls.sketch(models["labels"], seed=1)
    line = [[0, 0], [10, 0], [20, 5], [30, 20], [40, 10], [20, 30]]
    stream.guess([line[:3]])
    counts = rows_run(stream)
    assert stream.guess([line]) == ls.sketch(models["labels"]).guess([line])
    assert sum(counts) == 3 + 1  # the third point did not lift the pen after all
    counts.clear()
    stream.guess([line, [[0, 0], [5, 5]]])
    assert sum(counts) == 2  # and the last one did


def test_another_drawing_and_one_that_lost_a_stroke_begin_anew(models):
    stream = ls.sketch(models["labels"], seed=1)
    rows = random_rows(9, 3)
    changed = rows.copy()
    changed[3, 0] += 1e-9
    lifted = rows.copy()
    lifted[4, 2] = 1 - lifted[4, 2]
    for given in (rows, changed, rows[:4], rows, lifted, random_rows(9, 4)):
        fresh = ls.sketch(models["labels"])
        assert stream.guess(given) == fresh.guess(given)


def test_an_own_drawing_that_ends_and_the_next_one(models):
    stream = ls.sketch(models["labels"], seed=1, temperature=1.0)
    for _ in range(60):
        action = next(stream)
        if not all(action.ended for action in stream.actions):
            assert stream.guess() == ls.sketch(models["labels"]).guess(stream)
    assert action.drawing > 0


def test_a_guess_that_is_broken_off_is_made_anew(models):
    stream = ls.sketch(models["labels"], seed=1)
    rows = random_rows(80, 5)
    stream.guess(rows[:10])
    batch = stream._guesser._batch
    follow, calls = batch.follow, []

    def broken(rows, density=None):
        calls.append(len(rows))
        if len(calls) == 2:
            raise KeyboardInterrupt
        follow(rows, density)

    batch.follow = broken
    with pytest.raises(KeyboardInterrupt):
        stream.guess(rows)
    assert stream.guess(rows) == ls.sketch(models["labels"]).guess(rows)


def test_drawings_longer_than_the_model_draws_can_be_guessed(models):
    rows = random_rows(300, 6)  # the model draws 60 steps
    guesses = ls.sketch(models["labels"], seed=1).guess(rows, ended=True)
    assert math.fsum(p for _, p in guesses) == pytest.approx(1)
