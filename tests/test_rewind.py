"""Taking steps back and branching off: ``rewind`` and ``fork`` of one voice."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_models import small_checkpoint
from test_latent import KINDS, B

import livesketch as ls
from livesketch.models.checkpoint import save_checkpoint
from livesketch.streams import past

LINE = np.array([[20.0, 0, 0], [0, 20, 0], [-20, 0, 1], [5, 5, 0], [0, -9, 1]])


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Paths by kind: a decoder alone, one with a latent by chance for each drawing, one with labels too."""
    folder = tmp_path_factory.mktemp("models")
    save_checkpoint(small_checkpoint(hidden=24, name="alone"), folder / "alone.safetensors")
    for kind in ("vae", "both"):
        save_checkpoint(small_checkpoint(hidden=24, name=kind, **KINDS[kind]), folder / f"{kind}.safetensors")
    names = {kind: str(folder / f"{kind}.safetensors") for kind in ("alone", "vae", "both")}
    return names | {"both": names["both"] + "#cat"}


@pytest.fixture(params=["cpu", "reference"])
def backend(request):
    return request.param


@pytest.mark.parametrize("bad", [0, -1, 1.5, True, None, "2"])
def test_a_number_of_steps_that_is_none_is_refused(models, bad):
    stream = ls.sketch(models["alone"], seed=7)
    stream.take(3)
    with pytest.raises(ls.ControlError, match="rewind"):
        stream.rewind(bad)
    assert len(stream.actions) == 3


def test_more_than_was_made_is_refused_and_nothing_moves(models):
    stream, other = (ls.sketch(models["alone"], seed=7) for _ in range(2))
    stream.take(3)
    other.take(3)
    with pytest.raises(ls.ControlError, match="3 steps can be taken back"):
        stream.rewind(4)
    assert stream.take(20) == other.take(20)


def test_after_a_restart_nothing_can_be_taken_back(models):
    stream = ls.sketch(models["alone"], seed=7)
    stream.take(3)
    stream.restart()
    with pytest.raises(ls.ControlError, match="0 steps"):
        stream.rewind()


@pytest.mark.parametrize("kind", ["alone", "vae", "both"])
@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 130, 300])
def test_what_was_taken_back_comes_again(models, backend, kind, n):
    stream = ls.sketch(models[kind], seed=7, temperature=1.0, backend=backend)
    made = stream.take(300)
    assert made[-1].drawing > 2
    assert stream.rewind(n) is stream
    assert stream.take(n + 5)[:n] == made[300 - n :]


def test_actions_and_a_drawing_that_is_followed_go_back_too(models):
    stream = ls.sketch(models["alone"], seed=7)
    drawing = stream.drawing()
    first = [next(drawing) for _ in range(4)]
    held = stream.actions
    stream.rewind(3)
    assert stream.actions == first[:1]
    assert [next(drawing) for _ in range(3)] == first[1:]
    assert drawing.actions == first
    assert stream.actions is held


def test_a_drawing_that_is_followed_goes_on_from_its_very_beginning(models):
    stream = ls.sketch(models["alone"], seed=7)
    drawing = stream.drawing()
    first = [next(drawing) for _ in range(3)]
    stream.rewind(3)
    assert drawing.actions == []
    assert list(drawing)[:3] == first
    assert len(drawing.actions) > 3


def test_back_into_the_drawing_before(models):
    stream = ls.sketch(models["alone"], seed=7)
    before = list(stream.drawing())
    after = stream.take(3)
    stream.rewind(5)
    assert stream.actions == before[:-2]
    assert stream.take(5) == before[-2:] + after


def test_what_comes_after_going_back_follows_the_controls_of_now(models, backend):
    stream, plain = (ls.sketch(models["both"], seed=7, temperature=1.0, backend=backend) for _ in range(2))
    stream.take(20)
    plain.take(10)
    stream.rewind(10)
    stream.temperature = plain.temperature = 0.2
    stream.label = plain.label = "pig"
    assert stream.take(30) == plain.take(30)


def test_a_label_and_latent_that_changed_meanwhile_are_those_of_then(models, backend):
    stream, plain = (ls.sketch(models["both"], seed=7, backend=backend) for _ in range(2))
    stream.take(10)
    made = plain.take(40)
    stream.label, stream.z = "pig", B
    stream.take(10)
    stream.rewind(15)
    assert stream.label == "cat"
    assert stream.take(35) == made[5:]


def test_what_a_person_drew_is_taken_back_and_not_sent(models):
    stream, plain = (ls.sketch(models["alone"], seed=7) for _ in range(2))
    stream.take(4)
    made = plain.take(20)
    stream.feed(LINE)
    stream.rewind(len(LINE))
    assert stream.events() == made[4:5]
    stream.feed(LINE)
    stream.rewind(2)
    assert [action.source for action in stream.events()] == ["human"] * 3 + ["model"]


def test_a_long_line_that_is_fed_can_be_taken_back_in_part(models):
    stream, plain = (ls.sketch(models["alone"], seed=7) for _ in range(2))
    rows = np.tile([[1.0, 0.5, 0.0]], (20, 1))
    limit = past.EVERY
    for _ in range(limit // 20 + 2):
        for one in (stream, plain):
            one.feed(rows)
            list(one.drawing())
    stream.feed(rows)
    stream.rewind(7)
    plain.feed(rows[:13])
    assert [action.dx for action in stream.take(9)] == [action.dx for action in plain.take(9)]


def test_as_many_as_it_says_are_remembered(models):
    stream = ls.sketch(models["alone"], seed=7)
    made = stream.take(past.STEPS + 3 * past.EVERY)
    with pytest.raises(ls.ControlError, match=str(past.STEPS)):
        stream.rewind(past.STEPS + 1)
    stream.rewind(past.STEPS)
    assert stream.take(past.STEPS) == made[3 * past.EVERY :]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["take", "rewind", "label"]), st.integers(1, 90)), max_size=12))
def test_any_walk_ends_where_the_straight_way_does(models, moves):
    stream, plain = (ls.sketch(models["vae"], seed=5, temperature=1.0) for _ in range(2))
    place = 0
    for what, n in moves:
        if what == "rewind":
            back = min(n, place)
            if back:
                stream.rewind(back)
            place -= back
        else:
            stream.take(n)
            place += n
    plain.take(place)
    assert stream.actions == plain.actions
    assert stream.take(10) == plain.take(10)


def test_a_fork_makes_what_the_stream_would_and_leaves_it_where_it_is(models, backend):
    stream, plain = (ls.sketch(models["both"], seed=7, temperature=1.0, backend=backend) for _ in range(2))
    made = plain.take(60)
    stream.take(10)
    stream.label = "pig"
    other = stream.fork()
    assert (other.seed, other.label, other.temperature, other.name) == (7, "pig", 1.0, stream.name)
    other.label = "cat"
    assert other.take(50) == made[10:]
    stream.label = "cat"
    assert stream.take(50) == made[10:]


def test_a_fork_with_another_seed_goes_another_way_from_here(models):
    stream = ls.sketch(models["alone"], seed=7, temperature=1.0)
    stream.take(5)
    other, third = stream.fork(seed=8), stream.fork(voice=3)
    assert other.actions == stream.actions
    ways = [[action.dx for action in one.take(10)] for one in (stream, other, third)]
    assert ways[0] != ways[1] != ways[2] != ways[0]
    assert (other.seed, third.voice) == (8, 3)


@pytest.mark.parametrize("bad", [{"seed": -1}, {"seed": "x"}, {"voice": -1}, {"voice": 2**32}])
def test_a_fork_with_no_seed_or_voice_is_refused(models, bad):
    with pytest.raises(ls.ControlError, match=next(iter(bad))):
        ls.sketch(models["alone"], seed=7).fork(**bad)
