"""Latents and labels: given to a stream while it draws, found by the encoder, and what lies between them."""

import contextlib
import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
from small_models import small_checkpoint
from test_streams import interrupted_at

import livesketch as ls
from livesketch import latents
from livesketch.models.checkpoint import save_checkpoint

LABELS = ("cat", "pig", "hot-air balloon")
SQUARE = [[[0, 0], [60, 0], [60, 60], [0, 60]], [[20, 20], [40, 40]]]
A, B = np.arange(6.0) / 3, np.array([1.0, -2, 0.5, 0, 0, 3])
KINDS = {
    "plain": {},
    "labels": {"labels": LABELS, "label_size": 4},
    "vae": {"z_size": 6, "encoder": ("lstm", 7)},
    "both": {"z_size": 6, "encoder": ("lstm", 7), "labels": LABELS, "label_size": 4},
    "optional": {"z_size": 6, "encoder": ("lstm", 7), "labels": LABELS, "label_size": 4, "z_optional": True},
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Paths by kind; models with labels are opened at cat."""
    folder = tmp_path_factory.mktemp("models")
    for kind, what in KINDS.items():
        save_checkpoint(small_checkpoint(hidden=24, name=kind, **what), folder / f"{kind}.safetensors")
    return {kind: f"{folder / kind}.safetensors" + "#cat" * ("labels" in what) for kind, what in KINDS.items()}


@pytest.fixture(params=["cpu", "reference"])
def backend(request):
    return request.param


def conditions(stream):
    """The calls of ``Batch.condition`` from now on, as a list that grows."""
    calls, condition = [], stream._batch.condition

    def counted(k, vector):
        calls.append((k, vector.copy()))
        condition(k, vector)

    stream._batch.condition = counted
    return calls


def plain(actions):
    return [(a.drawing, a.step, a.dx, a.dy, a.pen) for a in actions]


# Bad input


@pytest.mark.parametrize(
    "bad",
    [1.0, [1.0] * 5, [1.0] * 7, [[1.0] * 6], [math.nan] * 6, [1001.0] * 6, ["1"] * 6, "z", {}, [1j] * 6, [[1], 2]],
)
def test_a_bad_z_is_refused_with_the_legal_form_and_the_old_one_stays(models, bad):
    stream = ls.sketch(models["vae"], seed=7)
    stream.z = A
    with pytest.raises(ls.ControlError, match="6 numbers within ±1000"):
        stream.z = bad
    assert stream.z.tolist() == A.tolist()
    next(stream)


def test_a_model_without_latent_takes_no_z_and_says_so(models):
    for kind in ("plain", "labels"):
        stream = ls.sketch(models[kind], seed=7)
        with pytest.raises(ls.ControlError, match="has no latent"):
            stream.z = A
        stream.z = None
        assert stream.z.shape == (0,)
        with pytest.raises(ls.UnsupportedModelError, match=r"has no encoder.*sketch_vae"):
            stream.encode(SQUARE)


@pytest.mark.parametrize(
    "bad",
    [
        "", "dog", 3, None, {}, {"cat": 0}, {"cat": 1, "dog": 1}, {"cat": math.nan}, {3: 1},
        {"cat": 1e308, "pig": 1e308}, {"cat": 10**400}, {"cat": 1, "pig": -0.9999}, {"cat": 1e-9, "pig": 1e-9},
        {"cat": 1, "pig": -1},
    ],
)  # fmt: skip
def test_a_bad_label_is_refused_and_the_old_one_stays(models, bad):
    stream = ls.sketch(models["both"], seed=7)
    stream.label = "pig"
    with pytest.raises(ls.ControlError, match="expected"):
        stream.label = bad
    assert stream.label == "pig"


def test_an_unknown_label_gets_the_nearest_names(models):
    with pytest.raises(ls.ControlError, match=r"expected one of cat, pig, hot-air balloon; did you mean 'pig'"):
        ls.sketch(models["labels"]).label = "pigg"
    with pytest.raises(ls.ControlError, match="has no labels"):
        ls.sketch(models["plain"]).label = "cat"


@pytest.mark.parametrize("bad", [-0.1, math.nan, "1", 101, None])
def test_bad_noise_is_refused(models, bad):
    with pytest.raises(ls.ControlError, match="noise"):
        ls.sketch(models["vae"]).encode(SQUARE, noise=bad)


def test_encode_refuses_bad_strokes_units_and_seeds(models):
    stream = ls.sketch(models["vae"], seed=1)
    for bad in ([], None, "cat", [[[0, math.nan], [1, 1]]], stream):  # the stream has drawn nothing
        with pytest.raises(ls.StrokesError):
            stream.encode(bad)
    with pytest.raises(ls.ControlError, match="units"):
        stream.encode(SQUARE, units="mm")
    with pytest.raises(ls.ControlError, match="seed"):
        stream.encode(SQUARE, 1.0, seed=-1)


def test_voices_refuse_latents_and_labels_of_another_number(models):
    choir = ls.voices(models["both"], 3, seed=1)
    for bad in (np.zeros((2, 6)), np.zeros((3, 5)), np.zeros((1, 3, 6)), np.full((3, 6), np.inf), [1, 2]):
        with pytest.raises(ls.ControlError):
            choir.z = bad
    for bad in (["cat", "pig"], [], "dog", ["cat", "dog", "pig"], None):
        with pytest.raises(ls.ControlError):
            choir.label = bad
    assert choir.label == ("cat",) * 3


@pytest.mark.parametrize("function", [ls.lerp, ls.slerp])
@pytest.mark.parametrize(
    ("a", "b", "t"),
    [(A, B[:5], 0.5), ([A], [B], 0.5), (A, B, [[0.5]]), (A, B, math.nan), (A, B, "half"), ([], [], 0.5), (A, "z", 0)],
)
def test_ways_between_what_is_no_latent_are_refused(function, a, b, t):
    with pytest.raises(ls.ControlError):
        function(a, b, t)


@pytest.mark.parametrize(
    "arguments", [(A, -1, 3), (A, math.nan, 3), (A, 1, 0), ([A], 1, 3), (A, 1, 2.5), (A, 1, 3, -1)]
)
def test_near_refuses_what_makes_no_points(arguments):
    with pytest.raises(ls.ControlError):
        ls.near(*arguments)
    with pytest.raises(ls.ControlError):
        ls.analogy(A, B, B[:3])


@pytest.mark.parametrize(
    "wander",
    [
        lambda: ls.near(A + 600, 1000, 50, seed=1),
        lambda: ls.near(A * 0 + 999, 3, 50, seed=1),
        lambda: ls.lerp(A, B, 900),
        lambda: ls.lerp(A, B, [0.5, -900]),
        lambda: ls.slerp(A, 3 * B, 900),
        lambda: ls.slerp(A, 3 * A, 900),
        lambda: ls.analogy(A * -500, A * 500, A),
    ],
)
def test_what_leads_out_of_the_range_of_latents_says_so_there(wander):
    with pytest.raises(ls.ControlError, match=r"leads to a component of -?[\d.e+]+.*within ±1000"):
        wander()


def test_a_label_whose_shares_are_absurd_says_what_they_may_be(models):
    stream = ls.sketch(models["both"])
    with pytest.raises(ls.ControlError, match=r"share of 'cat' 1e\+308: expected .*within ±1e\+06"):
        stream.label = {"cat": 1e308, "pig": 1}
    with pytest.raises(ls.ControlError, match=r"share of 'cat' is 10000 times the sum.*at most 1000"):
        stream.label = {"cat": 1, "pig": -0.9999}
    stream.label = {"cat": 1e6, "pig": 1e6}
    assert stream.label == {"cat": 0.5, "pig": 0.5}
    stream.label = {"cat": 2, "pig": -1.9}
    assert stream.label == pytest.approx({"cat": 20, "pig": -19})


# Between latents


@pytest.mark.parametrize("function", [ls.lerp, ls.slerp])
def test_the_ends_are_exact_and_numbers_give_rows(function):
    assert function(A, B, 0).tolist() == A.tolist()
    assert function(A, B, 1).tolist() == B.tolist()
    rows = function(A, B, np.array([0, 0.25, 1]))
    assert rows.shape == (3, 6)
    assert rows.tolist() == [function(A, B, t).tolist() for t in (0, 0.25, 1)]
    assert function(A, B, []).shape == (0, 6)


@pytest.mark.parametrize(
    ("a", "b"), [(A, A), (A, 2 * A), (A, -A), (0 * A, B), (A, 0 * B), (0 * A, 0 * A), (A, A * (1 + 1e-15)), (A, -3 * A)]
)
def test_where_there_is_no_one_way_round_slerp_goes_straight(a, b):
    t = np.linspace(0, 1, 5)
    assert ls.slerp(a, b, t) == pytest.approx(ls.lerp(a, b, t))


def test_slerp_turns_evenly_and_its_length_changes_evenly():
    way = ls.slerp(A, B, np.linspace(0, 1, 9))
    lengths = np.linalg.norm(way, axis=1)
    assert lengths == pytest.approx(np.linspace(np.linalg.norm(A), np.linalg.norm(B), 9))
    turns = np.einsum("ij,ij->i", way[1:], way[:-1]) / lengths[1:] / lengths[:-1]
    assert turns == pytest.approx([turns[0]] * 8)
    x, y = [1.0, 0.0], [0.0, 1.0]
    assert ls.slerp(x, y, 1 / 3) == pytest.approx([math.sqrt(3) / 2, 0.5])
    assert np.linalg.norm(ls.slerp([1.0, 0], [-1, 1e-6], 0.5)) == pytest.approx(1)


def test_an_analogy_adds_the_difference():
    assert ls.analogy(A, B, A).tolist() == pytest.approx(B.tolist())
    assert ls.analogy([1, 1], [4, 1], [1, 7]).tolist() == [4, 7]


def test_near_points_lie_at_that_distance_in_all_directions():
    points = ls.near(A, 2.5, 400, seed=1)
    ways = points - A
    assert np.linalg.norm(ways, axis=1) == pytest.approx([2.5] * 400)
    assert np.abs(ways.mean(0)).max() < 0.25
    assert ways.std(0) == pytest.approx([2.5 / math.sqrt(6)] * 6, rel=0.15)
    assert ls.near(A, 2.5, 3, seed=1).tolist() == points[:3].tolist()
    assert ls.near(A, 5, 3, seed=1) - A == pytest.approx(2 * ways[:3])
    assert ls.near(A, 1, 1, seed=2).tolist() != ls.near(A, 1, 1, seed=1).tolist()
    assert ls.near(A, 1, 1).tolist() != ls.near(A, 1, 1).tolist()
    assert ls.near(A, 0, 2).tolist() == [A.tolist()] * 2


def test_normal_numbers_are_normal_and_their_own():
    many = latents.normals(3, 20_001, 0, 0, latents.USE_Z)
    assert many.shape == (20_001,)
    assert (many.mean(), many.std(), (many**4).mean()) == pytest.approx((0, 1, 3), abs=0.1)
    others = [(4, 8, 0, 0, 1), (3, 8, 1, 0, 1), (3, 8, 0, 1, 1), (3, 8, 0, 0, 2)]
    assert all(latents.normals(*other).tolist() != many[:8].tolist() for other in others)


# z on a stream


def test_z_acts_on_the_very_next_step_and_pen_and_place_go_on(models, backend):
    a, b = (ls.sketch(models["vae"], seed=3, temperature=1.0, backend=backend) for _ in range(2))
    for stream in (a, b):
        stream.z = A
    assert a.take(4) == b.take(4)
    a.z = B
    first, other = next(a), next(b)
    assert (first.drawing, first.step) == (other.drawing, other.step) == (0, 4)
    assert first.ink == other.ink
    assert (first.dx, first.dy) != (other.dx, other.dy)
    assert first.x == pytest.approx(a.actions[-2].x + first.dx / 400)


def test_z_before_the_first_step_is_the_whole_drawing_s(models, backend):
    given, late = (ls.sketch(models["vae"], seed=3, temperature=1.0, backend=backend) for _ in range(2))
    given.z = B
    first = list(given.drawing())
    late.z = A
    late.take(3)
    late.z = B
    assert plain(late.restart().drawing()) == plain(first)
    assert plain(given.restart().drawing()) == plain(first)


def test_z_is_a_copy_in_and_out(models):
    stream, z = ls.sketch(models["vae"], seed=3), A.copy()
    stream.z = z
    z[:] = 9
    got = stream.z
    assert (got.dtype, got.shape) == (np.float64, (6,))
    got[:] = 8
    assert stream.z.tolist() == A.tolist()


def test_each_drawing_has_its_own_z_by_chance_and_the_same_seed_gives_it_again(models, backend):
    def drawn(n):
        stream, out = ls.sketch(models["vae"], seed=3, temperature=1.0, backend=backend), []
        for _ in range(n):
            actions = list(stream.drawing())
            out.append((stream.z.tolist(), plain(actions)))
        return stream, out

    stream, out = drawn(4)
    assert drawn(4)[1] == out
    zs = [z for z, _ in out]
    assert len({tuple(z) for z in zs}) == 4
    assert zs[2] == latents.normals(3, 6, 0, 2, latents.USE_Z).tolist()
    assert plain(stream.restart().drawing()) == out[3][1]
    for number, (z, actions) in enumerate(out):  # the same z, given: the same drawing
        other = ls.sketch(models["vae"], seed=3, temperature=1.0, backend=backend)
        other.z = z
        while plain(other.drawing()) != actions:
            assert other.actions[0].drawing < number


def test_holding_on_to_a_z_and_letting_it_go(models):
    stream = ls.sketch(models["vae"], seed=3, temperature=1.0)
    list(stream.drawing())
    z = stream.z
    stream.z = z
    list(stream.drawing())
    assert stream.z.tolist() == z.tolist()
    stream.z = None
    list(stream.drawing())
    again = ls.sketch(models["vae"], seed=3, temperature=1.0)
    for _ in range(3):
        wanted = list(again.drawing())
    assert stream.actions == wanted
    assert stream.z.tolist() == again.z.tolist()


def test_a_drawing_that_is_fed_has_its_own_z_too(models, backend):
    stream = ls.sketch(models["vae"], seed=3, temperature=1.0, backend=backend)
    list(stream.drawing())
    stream.feed(SQUARE)
    assert stream.z.tolist() == latents.normals(3, 6, 0, 1, latents.USE_Z).tolist()
    rest = stream.take(3)
    other = ls.sketch(models["vae"], seed=3, temperature=1.0, backend=backend)
    other.z = stream.z
    list(other.drawing())
    other.feed(SQUARE)
    assert plain(other.take(3)) == plain(rest)


def test_a_model_that_learnt_it_draws_with_zeros(models):
    stream, zeros = (ls.sketch(models["optional"], seed=3, temperature=1.0) for _ in range(2))
    zeros.z = [0] * 6
    assert stream.take(30) == zeros.take(30)
    assert stream.z.tolist() == [0.0] * 6


def test_log_prob_is_that_of_the_z_and_label_in_use(models):
    stream = ls.sketch(models["both"], seed=3)
    scores = []
    for z, label in ((A, "cat"), (B, "cat"), (A, "pig")):
        stream.z, stream.label = z, label
        scores.append(stream.log_prob(SQUARE).unmasked)
    assert len(set(scores)) == 3
    stream.z, stream.label = A, "cat"
    assert stream.log_prob(SQUARE).unmasked == scores[0]


# Labels


def test_a_label_acts_on_the_very_next_step(models, backend):
    a, b = (ls.sketch(models["labels"], seed=3, temperature=1.0, backend=backend) for _ in range(2))
    assert a.take(4) == b.take(4)
    a.label = "pig"
    first, other = next(a), next(b)
    assert first.step == other.step == 4
    assert (first.dx, first.dy) != (other.dx, other.dy)


def test_a_label_before_the_first_step_is_the_model_of_that_name(models):
    stream = ls.sketch(models["labels"], seed=3)
    stream.label = "Hot_air  BALLOON"
    assert (stream.label, stream.name, stream.labels) == ("hot-air balloon", "cat", LABELS)
    other = ls.sketch(models["labels"].replace("#cat", "#hot air balloon"), seed=3)
    assert plain(stream.take(40)) == plain(other.take(40))
    assert repr(stream).startswith("<SketchStream 'cat' label='hot-air balloon' seed=3")
    assert ls.sketch(models["plain"]).label is None


def test_a_mix_of_labels_lies_between_them(models):
    stream = ls.sketch(models["labels"], seed=3)
    scores = []
    for label in ("cat", {"cat": 3, "PIG": 1}, {"cat": 0.0, "pig": 2}, "pig"):
        stream.label = label
        scores.append(stream.log_prob(SQUARE).unmasked)
    assert scores[2] == scores[3]
    assert len(set(scores)) == 3
    stream.label = {"cat": 3, "PIG": 1}
    assert stream.label == {"cat": 0.75, "pig": 0.25}
    calls = conditions(stream)
    next(stream)
    rows = stream.checkpoint.tensors["label.w"].dense()
    stream.label = {"cat": 1, "pig": 1}
    next(stream)
    assert calls[-1][1] == pytest.approx(rows[:2].mean(0))


# Both


def test_the_condition_is_computed_once_per_change_and_not_per_step(models, backend):
    for kind in ("both", "optional"):
        stream = ls.sketch(models[kind], seed=3, temperature=1.0, backend=backend)
        calls = conditions(stream)
        stream.take(5)
        assert calls == []
        stream.z = A
        stream.z, stream.label = A, "pig"
        stream.take(5)
        assert len(calls) == 1
        stream.label = "PIG"
        stream.take(30)
        assert len(calls) == 1
        stream.label = "cat"
        stream.temperature = 0.9
        stream.take(5)
        assert len(calls) == 2
        assert calls[-1][1][:6].tolist() == A.tolist()
        stream.z = None
        ended = sum(action.last for action in stream.take(200)[:-1])
        assert len(calls) == 3 + (ended if kind == "both" else 0)
        assert ended > 2


def test_a_snapshot_puts_label_and_z_back(models, backend):
    stream = ls.sketch(models["both"], seed=3, temperature=1.0, backend=backend)
    for before in (0, 3, 40):
        stream.take(before)
        stream.z, stream.label = A, "pig"
        snapshot = stream.snapshot()  # they have not acted yet
        wanted = stream.take(40)
        stream.z, stream.label = B, "cat"
        stream.take(7)
        assert stream.restore(snapshot).take(40) == wanted
        assert (stream.z.tolist(), stream.label) == (A.tolist(), "pig")
        stream.z = None
        snapshot = stream.snapshot()
        wanted = stream.take(150)
        stream.z = B
        stream.take(9)
        assert stream.restore(snapshot).take(150) == wanted


def test_restart_after_a_look_ahead_still_gives_the_drawing_that_ended(models, backend):
    stream = ls.sketch(models["vae"], seed=3, temperature=1.0, backend=backend)
    first = list(stream.drawing())
    ended = stream.snapshot()  # the next drawing's z is in place now
    assert list(stream.restart().drawing()) == first
    while next(stream).last:
        pass  # the last step that was taken is to be none that ends a drawing
    stream.restore(ended).snapshot()
    assert list(stream.restart().drawing()) == first


def test_a_snapshot_before_the_first_step_holds_the_first_state_of_a_z_just_set(models, backend):
    stream = ls.sketch(models["vae"], seed=3, temperature=1.0, backend=backend)
    stream.z = A
    snapshot = stream.snapshot()
    wanted = stream.take(20)
    assert stream.restore(snapshot).take(20) == wanted


def test_a_change_broken_off_and_taken_back_leaves_the_old_z(models):
    stream, still = (ls.sketch(models["vae"], seed=3, temperature=1.0) for _ in range(2))
    for each in (stream, still):
        each.z = A
        each.take(3)
    condition = stream._batch.condition

    def broken(k, vector):
        condition(k, vector)
        raise KeyboardInterrupt

    stream._batch.condition = broken
    stream.z = B
    with pytest.raises(KeyboardInterrupt):
        next(stream)
    stream._batch.condition = condition
    stream.z = A
    assert stream.take(20) == still.take(20)


def test_voices_equal_streams_alone_with_their_z_and_label(models, backend):
    way, labels = ls.slerp(A, B, np.linspace(0, 1, 5)), ["cat", "pig", {"cat": 1, "pig": 1}, "PIG", "hot air balloon"]
    row = ls.voices(models["both"], 5, seed=3, temperature=1.0, backend=backend)
    alone = [ls.sketch(models["both"], seed=3, temperature=1.0, backend=backend, voice=k) for k in range(5)]

    def step(n):
        for _ in range(n):
            assert list(row.step()) == [next(stream) for stream in alone]

    step(40)
    assert row.z.tolist() == [stream.z.tolist() for stream in alone]
    row.z, row.label = way, labels
    for k, stream in enumerate(alone):
        stream.z, stream.label = way[k], labels[k]
    step(40)
    assert row.z.tolist() == way.tolist()
    assert row.label == tuple(stream.label for stream in alone)
    row.z, row.label = A, "pig"
    for stream in alone:
        stream.z, stream.label = A, "pig"
    step(20)
    assert row.z.tolist() == [A.tolist()] * 5
    row.z = None
    for stream in alone:
        stream.z = None
    step(60)


def test_voices_whose_z_stays_are_not_conditioned_again(models):
    row = ls.voices(models["both"], 5, seed=3, temperature=1.0)
    row.z = A
    row.step()
    calls = conditions(row)
    z = row.z
    z[3] = B
    row.z = z
    row.step()
    assert [k for k, _ in calls] == [3]


@pytest.mark.slow
def test_ctrl_c_at_any_line_of_a_change_leaves_the_same_drawing(models):
    """As the same test of a plain step, where the step begins a drawing with a z of its own, or takes a new one."""

    def ended(stream, number):
        return bool(stream.actions) and (stream.actions[-1].drawing, stream.actions[-1].last) == (number, True)

    def begun(new_z):
        stream = ls.sketch(models["vae"], seed=7, temperature=1.0)
        if new_z:
            stream.take(4)
            stream.z = A
        else:
            list(stream.drawing())
        return stream

    for new_z in (True, False):
        stream = begun(new_z)
        next(stream)
        wanted = stream.actions
        list(stream.drawing())
        assert len(wanted) > 5
        for line in itertools.count(1):
            stream = begun(new_z)
            with interrupted_at(line) as left, contextlib.suppress(KeyboardInterrupt):
                next(stream)
            while not ended(stream, wanted[0].drawing):
                next(stream)
            assert stream.actions == wanted, line
            if left[0] > 0:  # the step has fewer lines
                break
        assert line > 30


# The encoder


def test_without_noise_encoding_is_the_mean_and_repeatable(models, backend):
    from livesketch.backends.encoder import Encoder

    stream = ls.sketch(models["vae"], seed=3, backend=backend)
    z = stream.encode(SQUARE)
    rows = np.array([[60, 0, 0], [0, 60, 0], [-60, 0, 1], [20, -40, 0], [20, 20, 1.0]])
    mu, sigma_hat = Encoder(stream.checkpoint).encode(rows / [30, 30, 1])
    assert z.tolist() == mu.tolist() == stream.encode(rows).tolist()
    in_stage = [np.array(line) / 400 for line in SQUARE]
    assert stream.encode(in_stage, units="stage") == pytest.approx(mu)
    noise = latents.normals(5, 6, 0, 0, latents.USE_NOISE)
    assert stream.encode(rows, 0.5, seed=5) == pytest.approx(mu + 0.5 * np.exp(sigma_hat / 2) * noise)
    assert stream.encode(rows, 0.5, seed=5).tolist() == stream.encode(rows, 0.5, seed=5).tolist()
    assert next(stream).step == 0


def test_noise_goes_on_and_a_stream_made_again_repeats_it(models):
    first, again = (ls.sketch(models["vae"], seed=3) for _ in range(2))
    zs = [first.encode(SQUARE, 1.0).tolist() for _ in range(4)]
    assert len({tuple(z) for z in zs}) == 4
    again.encode(SQUARE)  # without noise nothing is used up
    again.encode(SQUARE, 1.0, seed=9)
    assert [again.encode(SQUARE, 1.0).tolist() for _ in range(4)] == zs


def test_drawings_streams_and_actions_are_encoded_as_their_rows(models):
    stream = ls.sketch(models["vae"], seed=3, temperature=1.0)
    fed = stream.feed(SQUARE)
    z = stream.encode(SQUARE).tolist()
    assert stream.encode(fed).tolist() == stream.encode(stream).tolist() == z
    assert stream.encode(fed, units="stage").tolist() == z
    drawing = stream.drawing()
    assert stream.encode(drawing).tolist() == z
    list(drawing)
    assert stream.encode(drawing) == pytest.approx(stream.encode(ls.to_stroke3(drawing)), abs=1e-6)
    assert stream.encode(drawing).tolist() != z
    for given in (fed, drawing):
        again = ls.sketch(models["vae"], seed=3).feed(given)
        assert [(a.dx, a.dy) for a in again] == [(a.dx, a.dy) for a in ls.sketch(models["vae"], seed=3).feed(again)]
        assert len(again) == sum(not action.ended for action in getattr(given, "actions", given))


def test_the_encoder_is_built_once(models, monkeypatch):
    from livesketch.backends import encoder

    built, make = [], encoder.Encoder

    def counted(checkpoint):
        built.append(checkpoint)
        return make(checkpoint)

    monkeypatch.setattr(encoder, "Encoder", counted)
    stream = ls.sketch(models["vae"], seed=3)
    stream.encode(SQUARE)
    stream.encode(SQUARE, 1.0)
    assert len(built) == 1


def test_latents_load_no_backend():
    code = "import sys, livesketch as ls; ls.slerp([1, 0], [0, 1], .5); sys.exit('livesketch.backends' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
