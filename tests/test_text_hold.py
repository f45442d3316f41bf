"""What a text stream is held to: rules that leave nothing, rules that contradict what is given, forms, threads."""

import itertools
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from poem_checker import complaints, made_vocabulary
from small_texts import small_text
from text_streams import ARCHITECTURES, BACKENDS, ids_of, opened, text_of

import livesketch as ls
from livesketch import forms
from livesketch.models.text_model import TextCheckpoint
from livesketch.streams.text import TextStream

KINDS = [("五绝", True), ("七绝", False), ("五律", True), ("五绝", False), ("五绝", True)]
"""Forms, and whether tones are asked for: five poems of 24 to 48 marks."""


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


def verses() -> TextCheckpoint:
    """A small model that knows enough characters of every rhyme group."""
    return small_text(vocabulary=made_vocabulary(), size=16, max_steps=100)


# What leaves nothing


@pytest.mark.parametrize(
    "nothing",
    [lambda n: set(), lambda n: np.zeros(n, bool), lambda n: np.full(n, -np.inf), lambda n: np.arange(n) == 1],
    ids=["set", "false", "inf", "unknown"],
)
def test_a_rule_that_forbids_everything_is_an_error_at_that_step_and_the_stream_is_usable(nothing, backend):
    stream, plain = opened(backend=backend), opened(backend=backend)

    def picky(text, symbols):
        return nothing(len(symbols)) if len(text) == 3 else None

    stream.constrain(picky)
    made = stream.take(3)
    for act in (lambda: next(stream), lambda: stream.peek(3), lambda: stream.pick(0), stream.events):
        for _ in range(2):
            with pytest.raises(ls.ControlError, match="the function picky forbids every symbol at place 4 of the pie"):
                act()
    assert stream.actions == made
    stream.constrain()
    assert [*made, *stream.take(30)] == plain.take(33)


def test_what_a_rule_raises_comes_out_and_the_stream_is_usable():
    stream, plain = opened(), opened()

    def broken(text, symbols):
        if len(text) == 3:
            raise KeyError(text)

    stream.constrain(broken)
    made = stream.take(3)
    with pytest.raises(KeyError):
        next(stream)
    with pytest.raises(KeyError):
        stream.prompt("山水云风")
    assert stream.actions == made
    stream.constrain()
    assert [*made, *stream.take(30)] == plain.take(33)


def test_rules_that_contradict_each_other_are_named():
    stream, plain = opened(), opened()
    with pytest.raises(
        ls.ControlError, match=r"without '山' forbids every symbol that grammar '山\+水' allowed at place"
    ):
        stream.constrain(forms.grammar("山+水"), forms.without("山")).take(1)
    with pytest.raises(ls.ControlError, match=r"grammar '山\+水' .* allowed|grammar '山\+水'"):
        stream.prompt("山")
    assert stream.constrain().take(20) == plain.take(20)


def test_a_rule_that_what_is_there_does_not_fit():
    stream = opened()
    made = [*stream.feed("山水"), *stream.take(2)]
    stream.constrain(forms.grammar("云.*"))
    with pytest.raises(ls.ControlError, match="'山' after '' does not fit grammar '云"):
        next(stream)
    assert stream.actions == made
    assert next(stream.prompt("云")).text == "云", "the next piece fits"
    assert next(stream).piece == 1


# What is given against a rule


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda s: s.prompt("水山"), "'水山' has '山' in place 2 of the piece, which without '山' forbids there"),
        (lambda s: s.first_line("水山"), "'水山' has '山' in place 2"),
        (lambda s: s.start("山"), "'山' has '山' in place 1"),
        (lambda s: s.feed("水山"), "'水山' has '山' in place 6"),
    ],
)
def test_given_text_that_a_rule_forbids_is_refused_at_once(act, says):
    stream, plain = (opened().constrain(forms.without("山")) for _ in range(2))
    stream.take(4), plain.take(4)
    with pytest.raises(ls.ControlError, match=says):
        act(stream)
    assert stream.actions == plain.actions
    assert stream.take(20) == plain.take(20)


def test_a_beginning_that_a_grammar_cannot_follow_is_refused_at_once():
    stream = opened().constrain(forms.grammar("(山|水)云"))
    for wrong in ("云", "山水", "山云云"):
        with pytest.raises(ls.ControlError, match=f"'{wrong}' (has|does not fit)"):
            stream.prompt(wrong)
    assert stream.prompt("山").write() == "山云"
    with pytest.raises(ls.ControlError, match="'龙山' does not fit: 'an unknown symbol' after ''"):
        stream.prompt("龙山", unknown=True)


@pytest.mark.parametrize(
    ("heads", "rule", "place", "wants"),
    [
        ("山水", forms.without("水"), "", "'水'"),
        ("山水云", forms.lines((3, 3), ("，", "。")), "9", "'云'"),
        ("山水", forms.grammar("山天{4}(，|。)天+"), "7", "'水'"),
        ("山水", forms.grammar("山天，水天天"), "7", "more, as not all of it has come"),
    ],
)
def test_an_acrostic_that_a_rule_contradicts_is_named_at_that_step(heads, rule, place, wants, backend):
    stream = opened(small_text(ends=0.01), backend=backend).constrain(rule)

    def written():
        for _ in range(40):  # until a line ends
            list(stream.acrostic(heads))

    with pytest.raises(ls.ControlError, match=f"the acrostic wants {wants} in place {place}.* forbids there: they con"):
        written()
    for _ in range(2):
        with pytest.raises(ls.ControlError, match=wants):
            stream.peek(3)
    had = list(stream.actions)
    assert not had[-1].last
    stream.constrain()
    going = next(stream)
    assert going.step == had[-1].step + 1, "the stream goes on"
    if "more" not in wants:
        assert (repr(going.text), going.given) == (wants, True)


def test_a_first_line_whose_mark_a_rule_forbids():
    stream = opened().constrain(forms.without("，。"))
    piece = stream.first_line("山水")
    with pytest.raises(
        ls.ControlError, match=r"the first line wants one of '，' '。' in place 3.* without '，。' forbids"
    ):
        list(piece)
    assert str(piece) == "山水"
    stream.constrain(forms.without("，"))
    assert [next(piece).text] == ["。"]


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda s: s.first_line("山水云风"), "has 4 characters: expected 5 in each line of 五绝"),
        (lambda s: s.first_line("山水云风日天来"), "has 7 characters"),
        (lambda s: s.first_line("山水云风日。"), "has 6 characters"),
        (lambda s: s.prompt("山水云风日。"), "'。' where line 1 of 五绝 has ended"),
        (lambda s: s.prompt("山，"), "'，' at character 2 of line 1"),
        (lambda s: s.acrostic("山水云"), "has 3 characters: expected 4, one for each line"),
        (lambda s: s.acrostic("山水云风日"), "has 5 characters: expected 4"),
        (lambda s: s.acrostic("山水，风"), "'，' is no Chinese character"),
        (lambda s: s.acrostic(["山", "水"]), "has 2 characters"),
    ],
)
def test_what_does_not_fit_the_form(act, says):
    stream, plain = (opened().constrain(forms.form("五绝")) for _ in range(2))
    stream.take(4), plain.take(4)
    with pytest.raises(ls.ControlError, match=says):
        act(stream)
    assert stream.take(30) == plain.take(30)
    with pytest.raises(ls.ControlError, match=says):
        act(stream.constrain(forms.without("春"), forms.form("五绝")))


# What a rule does


@pytest.mark.parametrize("rule", [forms.form("五绝"), forms.lines((5,) * 4, ("，", "。") * 2)])
def test_lines_end_as_the_rule_has_it_also_where_the_vocabulary_has_line_breaks(rule):
    stream = opened(verses())
    vocabulary = stream.checkpoint.vocabulary
    assert "\n" in vocabulary
    line, heads = "".join(vocabulary[8:13]), "".join(vocabulary[8:12])
    for asked in (rule, forms.all_of(forms.without("a"), rule)):
        stream.constrain(asked)
        assert stream.first_line(line).write().startswith(f"{line}，")
        assert stream.acrostic(heads).write()[::6] == heads
    stream.constrain(forms.lines((5,) * 4, "，\n"))
    assert stream.first_line(line).write().startswith(f"{line}，\n")
    assert stream.acrostic(heads).write()[::7] == heads
    stream.constrain()
    tokens = list(stream.first_line(line))
    assert tokens[5].text == "\n"


def test_a_form_is_kept_with_what_is_given(backend):
    stream = opened(backend=backend).constrain(forms.form("五绝"))
    for name, given, begins in (
        ("first_line", "山水云风日", "山水云风日，"), ("prompt", "山水", "山水"), ("acrostic", "山水云风", "山"),
        ("start", "天", "天"),
    ):  # fmt: skip
        piece = getattr(stream, name)(given)
        text = piece.write()
        assert complaints(text, "五绝") == []
        assert text.startswith(begins)
        assert piece.cost > 0
        if begins == "山":
            assert text[::6] == "山水云风"


def test_a_rule_acts_on_the_very_next_token_and_its_cost_is_said(backend):
    stream = opened(backend=backend)
    stream.take(4)
    before = dict(stream.peek(99))
    stream.constrain(forms.without("山水"))
    after = dict(stream.peek(99))
    assert set(before) - set(after) == {"山", "水"}
    token = next(stream)
    assert np.exp(-token.cost) == pytest.approx(1 - before["山"] - before["水"], abs=1e-6)
    assert np.exp(token.log_prob) == pytest.approx(after[token.text], abs=1e-6)
    assert not token.softened
    stream.constrain(lambda text, symbols: np.where(np.array(symbols) == "山", 30.0, 0.0))
    assert [token.text for token in stream.take(5)].count("山") > 2


def test_a_soft_rule_yields_and_the_token_says_so(backend):
    """A first line in oblique tones alone where level ones are asked for: too little is left, and it is said."""
    stream = opened(verses(), backend=backend, divisor=0.2)
    stream.constrain(forms.form("五绝", rhyme=True, tones=True, repeat=np.inf))
    tokens = [token for _ in range(12) for token in stream.piece()]
    yielded = [token for token in tokens if token.softened]
    assert all(token.cost > 0 for token in yielded)
    assert 0 < len(yielded) < len(tokens)


def test_a_rule_is_live_and_no_part_of_the_past(backend):
    stream = opened(backend=backend)
    snapshot = stream.snapshot()
    made = stream.take(6)
    stream.constrain(forms.only(made[0].text + "山"))
    stream.rewind(6)
    assert set(text_of(stream.take(3))) <= {made[0].text, "山"}
    stream.restore(snapshot)
    assert "only" in repr(stream)
    assert stream.constrain().take(6) == made


# Threads


def test_forks_in_threads_write_what_they_write_alone():
    stream = opened(verses()).constrain(forms.form("七绝", rhyme=True, tones=True))
    stream.take(9)
    wanted = [text_of(stream.fork(seed=seed).take(120)) for seed in range(4)]
    forks, made, errors = [stream.fork(seed=seed) for seed in range(4)], [""] * 4, []
    start = threading.Barrier(4)

    def write(k: int) -> None:
        try:
            start.wait()
            made[k] = text_of(forks[k].take(120))
        except BaseException as err:  # noqa: BLE001 - the test shows it
            errors.append(err)

    threads = [threading.Thread(target=write, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert made == wanted


def test_one_stream_is_stepped_and_asked_from_two_threads():
    stream, seen, stop, errors = opened(verses()).constrain(forms.form("五绝", rhyme=True)), [], threading.Event(), []

    def play() -> None:
        try:
            while not stop.is_set():
                seen.extend(stream.events())
        except BaseException as err:  # noqa: BLE001 - likewise
            errors.append(err)

    thread = threading.Thread(target=play)
    thread.start()
    try:
        for turn in range(60):
            stream.temperature = 0.9
            stream.peek(3)
            if turn % 6 == 0:
                stream.start(made_vocabulary()[9])
            stream.fork()
    finally:
        stop.set()
        thread.join()
    assert errors == []
    assert len(seen) > 20
    for a, b in itertools.pairwise(seen):
        assert (b.piece, b.step) in {(a.piece, a.step + 1), (a.piece + 1, 0)}


# Poems


def poems(count: int, seed: int) -> Iterator[tuple[str, str, bool, float]]:
    """So many poems of the bundled models: form, text, whether their tones are held, cost in nats."""
    streams: dict[tuple[str, bool], TextStream] = {}
    for k in range(count):
        name, tones = KINDS[k % len(KINDS)]
        if (name, tones) not in streams:
            model = "qiyan" if name == "七绝" else "wuyan"
            streams[name, tones] = ls.text(model, seed=seed, form=name, rhyme=True, tones=tones, voice=k)
        tokens = list(streams[name, tones].piece())
        held = tones and not any(token.softened for token in tokens)
        yield name, text_of(tokens), held, sum(token.cost for token in tokens)


def assert_sound(count: int, seed: int) -> None:
    costs, toned = [], 0
    for name, text, held, cost in poems(count, seed):
        assert complaints(text, name, rhyme=True, tones=held) == []
        costs.append(cost)
        toned += held
    assert len(costs) == count
    assert min(costs) >= 0
    assert 0 < np.mean(costs) < 100, "the mean cost, nats"
    assert toned > count / 4, "tones are rarely given up"


@pytest.mark.slow
def test_two_hundred_poems_pass_the_checker():
    assert_sound(200, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_thousand_poems_pass_the_checker():
    assert_sound(1000, seed=2)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_under_a_form_both_backends_write_the_same(architecture):
    model = small_text(architecture, vocabulary=made_vocabulary(), size=24, max_steps=100)
    made = []
    for backend in BACKENDS:
        stream = opened(model, backend=backend).constrain(forms.form("五律", rhyme=True, tones=True))
        made.append(ids_of([*stream.acrostic(model.vocabulary[8:16]), *stream.piece()]))
    assert made[0] == made[1]
