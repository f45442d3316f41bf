"""Going back and branching off in text streams, with plans, picks, rules, labels, ends of pieces."""

import contextlib
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from text_streams import ARCHITECTURES, BACKENDS, ids_of, opened

import livesketch as ls
from livesketch import forms
from livesketch.streams import past
from livesketch.streams.text import TextStream

RULES: tuple[Any, ...] = ((), (forms.without("山一"),), (forms.form("五绝"),), (forms.grammar(".*[，。]"),))


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


@pytest.fixture(params=ARCHITECTURES)
def architecture(request):
    return request.param


# One by one


@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 130, 300])
def test_what_was_taken_back_comes_again(architecture, backend, n):
    stream = opened(architecture, backend=backend)
    made = stream.take(300)
    assert made[-1].piece > 5
    assert stream.rewind(n) is stream
    assert stream.take(n + 5)[:n] == made[300 - n :]


def test_as_many_as_it_says_are_remembered():
    stream = opened()
    made = stream.take(past.STEPS + 3 * past.EVERY)
    with pytest.raises(ls.ControlError, match=str(past.STEPS)):
        stream.rewind(past.STEPS + 1)
    stream.rewind(past.STEPS)
    assert stream.take(past.STEPS) == made[3 * past.EVERY :]


def test_back_within_a_prompt_out_of_it_and_in_again(architecture, backend):
    stream, plain = (opened(architecture, backend=backend) for _ in range(2))
    before = stream.take(3)
    piece = stream.prompt("山水云")
    made = [next(piece) for _ in range(5)]
    assert next(piece).step == 5
    stream.rewind(4)
    assert stream.actions == piece.actions == made[:2]
    assert [next(piece) for _ in range(3)] == made[2:], "the plan is still there"
    stream.rewind(5)
    assert stream.actions == []
    assert [next(piece) for _ in range(5)] == made
    stream.rewind(7)
    assert stream.actions == before[:1]
    plain.take(1)
    assert stream.take(30) == plain.take(30), "the plan is gone, and the piece before it was never left"


def test_back_to_the_very_beginning_a_piece_goes_on(backend):
    stream = opened(backend=backend)
    piece = stream.piece()
    made = [next(piece) for _ in range(3)]
    stream.rewind(3)
    assert (str(piece), piece.actions) == ("", [])
    assert [next(piece) for _ in range(3)] == made
    assert len(list(piece)) == 12


@pytest.mark.parametrize("forked", [False, True])
@pytest.mark.parametrize("taken", [4, 15])  # a piece that is left, and one that is over
def test_back_to_where_a_prompt_begins_there_is_nothing_of_it(backend, taken, forked):
    stream = opened(backend=backend)
    stream.take(taken)
    stream = stream.fork() if forked else stream
    piece = stream.prompt("山水")
    made = [next(piece) for _ in range(3)]
    stream.rewind(3)
    assert stream.actions == piece.actions == []
    assert [next(piece) for _ in range(3)] == made
    assert stream.actions == made


def test_after_going_back_another_choice_is_made():
    stream = opened()
    stream.prompt("山水")
    made = stream.take(6)
    stream.rewind(1)
    second = stream.peek(2)[1]
    token = stream.pick(1)
    assert (token.text, token.given, token.step) == (second.text, True, 5)
    assert stream.actions == [*made[:5], token]
    stream.rewind(2)
    stream.temperature = 0
    assert next(stream).entropy == 0


def test_a_snapshot_holds_plan_label_and_place(architecture, backend):
    stream = opened(architecture, backend=backend)
    stream.take(3)
    stream.label = "乙"
    stream.first_line("山水云")
    snapshots, made = [], []
    for _ in range(25):
        snapshots.append(stream.snapshot())
        made.append(next(stream))
    stream.label = "甲"
    stream.prompt("天")
    stream.take(7)
    for place in (24, 3, 0, 13):
        assert stream.restore(snapshots[place]) is stream
        assert stream.label == "乙"
        assert stream.take(25 - place) == made[place:]
    with pytest.raises(ls.ControlError, match="12 steps can be taken back"):
        stream.rewind(13)


def test_a_fork_has_the_plan_the_rule_and_the_controls(architecture, backend):
    stream, plain = (opened(architecture, backend=backend, divisor=1.2, top_k=30) for _ in range(2))
    for one in (stream, plain):
        one.constrain(forms.without("天"))
        one.acrostic("山水云")
        one.take(2)
        one.label = "乙"
    other = stream.fork()
    assert (other.temperature, other.top_k, other.label, other.name) == (1.2, 30, "乙", "甲")
    assert other.actions == stream.actions == plain.actions
    made = plain.take(60)
    assert other.take(60) == made
    assert stream.take(60) == made
    twin = stream.fork(seed=5)
    assert (twin.seed, twin.actions) == (5, stream.actions)
    assert ids_of(twin.take(20)) != ids_of(stream.take(20))
    twin.constrain()
    assert "without" not in repr(twin)
    assert "without" in repr(stream)


def test_what_is_due_is_kept_in_a_snapshot(architecture, backend):
    """As Ctrl-C may leave it: the batch has stepped, the token was not handed out."""
    whole = opened(architecture, backend=backend).take(80)
    for taken in range(0, 40, 6):
        stream = opened(architecture, backend=backend)
        stream.take(taken)
        stream._ready()
        stream._advance()
        snapshot, due = stream.snapshot(), whole[taken]
        assert stream.peek(4) == [(due.text, 1.0)]
        assert stream.fork().take(10) == whole[taken : taken + 10]
        assert stream.take(3) == whole[taken : taken + 3]
        assert stream.restore(snapshot).actions[-1] == due
        assert stream.pick(0) == due
        stream.restore(snapshot).prompt("山水")
        events = stream.events()
        assert events[0] == due
        assert events[1].text == "山"
        with pytest.raises(ls.ControlError, match=r"[01] steps can be taken back"):
            stream.restore(snapshot).rewind(3)
        assert next(stream) == due, "what was refused has changed nothing"
        stream = opened(architecture, backend=backend)
        stream.take(taken)
        stream._ready()
        stream._advance()
        assert stream.rewind(1).take(20) == whole[taken : taken + 20]


# Any walk


@dataclass
class Told:
    """What made one token, so that a fresh stream can make it again."""

    how: Any
    """None: drawn; ``("pick", i)``; ``("feed", character)``."""
    temperature: float
    rule: tuple[Any, ...]
    before: tuple[Any, ...] = ()
    """What was asked for just before it: calls by name, ``("prompt", "山")``."""


@dataclass
class Walk:
    """A stream that does what it is told, and the straight way to where it is."""

    stream: TextStream
    told: list[Told] = field(default_factory=list)
    waiting: tuple[Any, ...] = ()
    floor: int = 0
    temperature: float = 1.0
    rule: tuple[Any, ...] = ()
    kept: Any = None

    def made(self, count: int, how: Any = None) -> None:
        for _ in range(count):
            self.told.append(Told(how, self.temperature, self.rule, self.waiting))
            self.waiting = ()

    def begin(self, name: str, *given: Any) -> None:
        getattr(self.stream, name)(*given)
        self.waiting = (*self.waiting, ("constrain", *self.rule), (name, *given))

    def do(self, what: str, n: int) -> None:
        with contextlib.suppress(ls.ControlError):  # a rule that does not fit what is there, a piece that is full
            getattr(self, what)(n)

    def take(self, n: int) -> None:
        for _ in range(n):
            next(self.stream)
            self.made(1)

    def pick(self, n: int) -> None:
        self.stream.pick(n % 9)
        self.made(1, ("pick", n % 9))

    def feed(self, n: int) -> None:
        text = ("山", "水云", "风日天")[n % 3]
        fed = self.stream.feed(text)
        assert all(token.given for token in fed)
        for character in text:
            self.made(1, ("feed", character))

    def prompt(self, n: int) -> None:
        self.begin("prompt", ("山水云风", "日")[n % 2])

    def line(self, n: int) -> None:
        self.begin("first_line", ("山水云风日", "天来，")[n % 2])

    def acrostic(self, n: int) -> None:
        self.begin("acrostic", ("山水云风", "日天")[n % 2])

    def finish(self, n: int) -> None:
        self.begin("finish")

    def label(self, n: int) -> None:
        label = ("甲", "乙", {"甲": 0.3, "乙": 0.7})[n % 3]
        self.stream.label = label
        self.waiting = (*self.waiting, ("label", label))

    def heat(self, n: int) -> None:
        self.temperature = self.stream.temperature = (0.5, 1.0, 1.6)[n % 3]

    def hold(self, n: int) -> None:
        self.rule = RULES[n % len(RULES)]
        self.stream.constrain(*self.rule)

    def rewind(self, n: int) -> None:
        n = min(n, len(self.told) - self.floor)
        if n:
            self.stream.rewind(n)
            self.waiting = self.told[-n].before
            del self.told[-n:]

    def keep(self, n: int) -> None:
        self.kept = self.stream.snapshot(), list(self.told), self.waiting

    def restore(self, n: int) -> None:
        if self.kept is not None:
            self.stream.restore(self.kept[0])
            self.told, self.waiting = list(self.kept[1]), self.kept[2]
            self.floor = len(self.told)

    def fork(self, n: int) -> None:
        seed = (None, 5)[n % 2]
        self.stream = self.stream.fork(seed=seed)
        self.floor = len(self.told)
        if seed:
            self.waiting, self.kept = (*self.waiting, ("fork", seed)), None  # a snapshot is of one seed

    def straight(self, backend: str, architecture: str) -> tuple[TextStream, list[Any]]:
        """A fresh stream at the same place, and all that it made."""
        stream, made = opened(architecture, backend=backend), []
        for told in self.told:
            stream = asked(stream, told.before)
            stream.temperature = told.temperature
            stream.constrain(*told.rule)
            if told.how is None:
                made.append(next(stream))
            else:
                found = getattr(stream, told.how[0])(told.how[1])
                made += found if isinstance(found, list) else [found]
        stream = asked(stream, self.waiting)
        stream.temperature = self.temperature
        return stream.constrain(*self.rule), made


def asked(stream: TextStream, calls: tuple[Any, ...]) -> TextStream:
    for name, *values in calls:
        if name == "label":
            stream.label = values[0]
        elif name == "fork":
            stream = stream.fork(seed=values[0])
        else:
            getattr(stream, name)(*values)
    return stream


def on(stream: TextStream, n: int) -> list[Any]:
    """The next n tokens, or as many as the rule lets come."""
    made: list[Any] = []
    with contextlib.suppress(ls.ControlError):
        made.extend(next(stream) for _ in range(n))  # what came before an error stays
    return made


MOVES = [
    "take", "take", "take", "rewind", "rewind", "pick", "feed", "prompt", "line", "acrostic", "finish", "label", "heat",
    "hold", "keep", "restore", "fork",
]  # fmt: skip


@pytest.mark.parametrize("walker", BACKENDS)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from(MOVES), st.integers(1, 45)), max_size=25), st.sampled_from(ARCHITECTURES)
)  # fmt: skip
def test_any_walk_ends_where_the_straight_way_does(walker, moves, architecture):
    walk = Walk(opened(architecture, backend=walker))
    for what, n in moves:
        walk.do(what, n)
    plain, _ = walk.straight(walker, architecture)
    other, _ = walk.straight("reference" if walker == "cpu" else "cpu", architecture)
    assert walk.stream.label == plain.label
    for _ in range(2):
        ours = walk.stream.actions
        assert ours == plain.actions, "bit for bit"
        assert ids_of(ours) == ids_of(other.actions), "token by token"
        ours = on(walk.stream, 20)
        assert ours == on(plain, 20)
        assert ids_of(ours) == ids_of(on(other, 20))
        walk.stream.constrain(), plain.constrain(), other.constrain()
