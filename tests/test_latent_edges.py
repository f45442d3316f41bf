"""Labels and latents at the edges: mixes that are shown, snapshots of a first state, copies, guesses broken off."""

import copy
import pickle

import numpy as np
import pytest
from small_models import small_checkpoint
from test_latent import KINDS, A, B

import livesketch as ls
from livesketch.models.checkpoint import save_checkpoint
from livesketch.streams import model_stream
from livesketch.streams.trail import Trail

DRAWN = np.array([[20.0, 0, 0], [0, 20, 0], [-20, 0, 1], [5, 5, 0], [0, -9, 1]])


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Paths by kind; models with labels are opened at cat."""
    folder = tmp_path_factory.mktemp("models")
    for kind in ("vae", "both", "optional"):
        save_checkpoint(small_checkpoint(hidden=24, name=kind, **KINDS[kind]), folder / f"{kind}.safetensors")
    return {kind: f"{folder / kind}.safetensors" + "#cat" * (kind != "vae") for kind in ("vae", "both", "optional")}


@pytest.mark.parametrize("bad", [["cat", "pig"], {"cat"}, np.array(["cat"]), bytearray(b"cat"), [["cat"]]])
def test_a_label_that_cannot_be_a_key_is_refused_in_words_and_the_old_one_stays(models, bad):
    stream, choir = ls.sketch(models["both"], seed=7), ls.voices(models["both"], 2, seed=7)
    with pytest.raises(ls.ControlError, match="expected one of cat, pig"):
        stream.label = bad
    with pytest.raises(ls.ControlError, match="expected one of cat, pig"):
        choir.label = [bad, "cat"]
    assert (stream.label, choir.label) == ("cat", ("cat", "cat"))


def test_a_stream_with_a_mix_shows_itself(models):
    stream = ls.sketch(models["both"], seed=7)
    stream.label = {"cat": 3, "pig": 1}
    assert "label={'cat': 0.75, 'pig': 0.25}" in repr(stream)


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickle.dumps])
def test_streams_are_not_copied_and_say_what_to_do_instead(models, how):
    for stream in (ls.sketch(models["both"], seed=7), ls.voices(models["both"], 2, seed=7)):
        with pytest.raises(TypeError, match=r"same seed \(7\)"):
            how(stream)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("change", [{"label": "pig"}, {"z": B}])
def test_a_change_after_a_first_state_was_put_back_gives_its_own_first_state(models, backend, change):
    stream, fresh = (ls.sketch(models["optional"], seed=7, backend=backend) for _ in range(2))
    ((key, value),) = change.items()
    before = stream.snapshot()
    for one in (stream, fresh):
        setattr(one, key, value)
    drawn = stream.take(6)
    stream.restore(before)  # its first state is of the old label and z; the backend's constants are of the new
    setattr(stream, key, value)
    assert stream.take(6) == drawn == fresh.take(6)


def test_a_guess_broken_off_as_it_begins_anew_leaves_nothing_behind(models):
    stream, fresh = (ls.sketch(models["optional"], seed=7) for _ in range(2))
    stream.guess(DRAWN[:3])
    batch, restart = stream._guesser._batch, stream._guesser._batch.restart

    def broken(k):
        if k:
            raise KeyboardInterrupt
        restart(k)

    batch.restart = broken
    with pytest.raises(KeyboardInterrupt):
        stream.guess(-DRAWN[:, [1, 0, 2]] * [1, 1, -1])
    batch.restart = restart
    assert stream.guess(DRAWN) == fresh.guess(DRAWN)


def test_only_voices_whose_drawing_ended_get_another_z(models, monkeypatch):
    """A step of thousands of voices does not look at the latents of all of them."""
    choir, solo = ls.voices(models["vae"], 5, seed=7), [ls.sketch(models["vae"], seed=7, voice=k) for k in range(5)]
    asked = []
    found = model_stream.vectors_of
    monkeypatch.setattr(model_stream, "vectors_of", lambda *args: asked.append(list(args[3])) or found(*args))
    ended: list[int] = []
    for _ in range(80):
        asked.clear()
        actions = choir.step()
        assert asked == ([ended] if ended else [])
        ended = np.flatnonzero(actions.last).tolist()
        assert list(actions) == [next(one) for one in solo]
    assert choir.step().drawing.min() >= 1


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_a_vector_that_voices_share_is_worked_out_once_and_is_the_same_for_each(models, backend, monkeypatch):
    choir = ls.voices(models["both"], 6, seed=7, backend=backend)
    choir.z = A
    choir.step()
    worked_out, own = [], choir._batch._conditioned
    monkeypatch.setattr(choir._batch, "_conditioned", lambda vector: worked_out.append(1) or own(vector))
    choir.label = "pig"
    choir.step()
    assert len(worked_out) == 1
    assert (choir._batch.gate_bias == choir._batch.gate_bias[0]).all()
    choir.label = ["pig", "cat", "cat", "pig", "pig", "pig"]
    choir.step()
    assert (choir._batch.gate_bias[1:3] != choir._batch.gate_bias[0]).any(1).all()
    assert (choir._batch.start_hidden[3:] == choir._batch.start_hidden[0]).all()


def test_an_end_that_ctrl_c_kept_back_is_not_lost_when_a_person_begins_the_next_drawing(models, monkeypatch):
    stream, fresh = (ls.sketch(models["both"], seed=7) for _ in range(2))
    drawn = list(fresh.drawing())
    stream.take(len(drawn) - 1)
    with monkeypatch.context() as patch:
        patch.setattr(Trail, "add", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            next(stream)  # drawn, not delivered
    human = stream.feed(DRAWN)
    assert [action.drawing for action in human] == [1] * len(DRAWN)
    assert stream.events()[:-1] == [drawn[-1], *human]


def test_a_guess_and_a_latent_of_the_stream_s_own_drawing_see_an_action_that_ctrl_c_kept_back(models):
    stream, fresh = (ls.sketch(models["optional"], seed=7) for _ in range(2))
    stream.take(4)
    stream._batch.step()  # drawn, not delivered
    fresh.take(5)
    assert stream.guess() == fresh.guess() == stream.guess(stream)
    assert stream.encode(stream).tolist() == fresh.encode(fresh).tolist()
    assert next(stream) == fresh.actions[-1]


def test_a_mix_is_the_same_in_any_order(models):
    one, other = (ls.sketch(models["both"], seed=7, backend="reference") for _ in range(2))
    for share in np.linspace(0.05, 0.6, 12).tolist():
        shares = {"cat": share, "pig": 0.3, "hot-air balloon": 0.7 - share}
        one.label, other.label = shares, dict(reversed(shares.items()))
        assert one.take(3) == other.take(3)
