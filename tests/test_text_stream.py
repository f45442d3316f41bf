"""TextStream: what it refuses, what it gives, how tokens are drawn."""

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small_models import small_checkpoint
from small_texts import CHARACTERS, small_text
from text_streams import ARCHITECTURES, BACKENDS, SMALL, ids_of, leaning, opened, text_of

import livesketch as ls
from livesketch import backends, forms, token_sampling
from livesketch.models.checkpoint import save_checkpoint, save_text
from livesketch.streams.text import TextStream
from livesketch.token_sampling import TextSettings

PLAIN = small_text(ends=0.08)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    save_text(PLAIN, path)
    return str(path)


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


@pytest.fixture(params=ARCHITECTURES)
def architecture(request):
    return request.param


def untouched(stream: TextStream, plain: TextStream) -> None:
    """Nothing has happened to the stream that did not happen to the plain one."""
    assert stream.actions == plain.actions
    assert stream.take(25) == plain.take(25)


# What is refused


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda s: s.prompt("山龙鳳"), "'small' does not know '龙', '鳳'; leave that out, or give unknown=True"),
        (lambda s: s.first_line("龙山"), "does not know '龙'"),
        (lambda s: s.start("龙"), "does not know '龙'"),
        (lambda s: s.acrostic("山龙"), "does not know '龙'"),
        (lambda s: s.feed("山龙"), "does not know '龙'"),
        (lambda s: s.log_prob("山龙"), "does not know '龙'"),
        (lambda s: s.prompt("".join(map(chr, range(0x3400, 0x340A)))), "'㐀'.* and 2 more"),
        (lambda s: s.prompt(""), "an empty text"),
        (lambda s: s.first_line(""), "an empty text"),
        (lambda s: s.start(""), "an empty text"),
        (lambda s: s.feed(""), "an empty text"),
        (lambda s: s.log_prob(""), "an empty text"),
        (lambda s: s.prompt(5), "text 5 of type int: expected a str"),
        (lambda s: s.prompt(b"abc"), "of type bytes"),
        (lambda s: s.prompt("山\ud800"), "expected valid Unicode"),
        (lambda s: s.start("山水"), "start '山水': expected one character"),
        (lambda s: s.prompt("山" * 40), "a text of 40 characters: a piece of 'small' has at most 40; expected fewer"),
        (lambda s: s.first_line("山" * 40), "a text of 40 characters"),
        (lambda s: s.feed("山" * 36), "expected at most 35 more"),
        (lambda s: s.acrostic(""), "acrostic with nothing: expected heads of one character each"),
        (lambda s: s.acrostic(()), "acrostic with nothing"),
        (lambda s: s.acrostic(["山", "水云"]), "acrostic with '水云'"),
        (lambda s: s.acrostic(["山", ""]), "an empty text"),
        (lambda s: s.acrostic(7), "acrostic 7: expected a string of characters, or a list of words"),
        (lambda s: s.acrostic([7]), "text 7 of type int"),
        (lambda s: s.acrostic("山" * 21), "acrostic of 21 heads: a piece of 'small' has at most 40.*at most 20"),
        (lambda s: s.random_line(), "'small' keeps no first lines"),
        (lambda s: s.peek(0), "peek 0: expected a whole number from 1"),
        (lambda s: s.peek(1.5), "peek 1.5"),
        (lambda s: s.peek("2"), "peek '2'"),
        (lambda s: s.pick(-1), "pick -1: expected a whole number from 0"),
        (lambda s: s.pick(None), "pick None"),
        (lambda s: s.pick(99), f"pick 99: expected 0 to {len(CHARACTERS)}, as only so many may come"),
        (lambda s: s.rewind(5), "rewind 5: 4 steps can be taken back"),
        (lambda s: s.rewind(0), "rewind 0"),
        (lambda s: s.constrain(None), "constraint None: expected a rule"),
        (lambda s: s.constrain(forms.only("xyz")), "leaves no symbol of this vocabulary"),
        (lambda s: s.fork(seed=-1), "seed -1"),
        (lambda s: s.fork(voice=2**32), "voice"),
        (lambda s: s.restore(opened().snapshot()), "expected one of this stream"),
        (lambda s: s.restore(None), "a snapshot of None"),
        (lambda s: setattr(s, "label", "甲"), "has no labels"),
    ],
)  # fmt: skip
def test_what_is_refused_changes_nothing(act: Any, says: str) -> None:
    stream, plain = opened(PLAIN), opened(PLAIN)
    stream.take(4), plain.take(4)
    with pytest.raises((ls.ControlError, ls.UnsupportedModelError), match=says):
        act(stream)
    untouched(stream, plain)


@pytest.mark.parametrize(
    ("name", "bad"),
    [("temperature", bad) for bad in (-0.1, math.nan, math.inf, "1", None, True)]
    + [("top_k", bad) for bad in (-1, 1.5, "3", None)]
    + [("top_p", bad) for bad in (0, -0.5, 1.1, math.nan, None)]
    + [("min_p", bad) for bad in (-0.1, 1.1, math.nan, "0")]
    + [("mode", bad) for bad in ("wild", "", None, 1.0, ["open"])],
)
def test_a_setting_out_of_range_keeps_the_old_value(name, bad, model):
    settings = {"divisor": 1.4, "top_k": 20, "top_p": 0.95, "min_p": 0.01}
    stream, plain = opened(PLAIN, **settings), opened(PLAIN, **settings)
    stream.take(4), plain.take(4)
    with pytest.raises(ls.ControlError, match=f"^{name} "):
        setattr(stream, name, bad)
    assert (stream.temperature, stream.mode, stream.top_k, stream.top_p, stream.min_p) == (1.4, "open", 20, 0.95, 0.01)
    untouched(stream, plain)
    if bad is not None:
        with pytest.raises(ls.ControlError, match=f"^{name} "):
            ls.text(model, **{name: bad})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"temperature": 1.0, "mode": "open"}, "temperature 1.0 and mode 'open': expected one of them"),
        ({"rhyme": True}, "rhyme and tones belong to a form"),
        ({"tones": "平起"}, "rhyme and tones belong to a form"),
        ({"form": "五古"}, "form '五古'"),
        ({"form": "五绝", "rhyme": "八荣"}, "rhyme '八荣'"),
        ({"seed": -1}, "seed"),
        ({"voice": -1}, "voice"),
    ],
)
def test_options_that_are_refused(model, options, says):
    with pytest.raises(ls.ControlError, match=says):
        ls.text(model, **options)
    few = replace(PLAIN, vocabulary=("", "", "，", "。", *map(chr, range(0x9F00, 0x9F00 + 41))))
    with pytest.raises(ls.ControlError, match="needs a rhyme group with at least 3 characters"):
        opened(few).constrain(forms.form("五绝", rhyme=True))


def test_a_model_that_draws_is_refused_and_the_other_way_round(model, tmp_path):
    path = tmp_path / "cat.safetensors"
    save_checkpoint(small_checkpoint(), path)
    for name in (str(path), path, "cat", "magenta:owl"):
        with pytest.raises(ls.UnsupportedModelError, match=r"a sketch model, which draws; .* ls\.sketch\("):
            ls.text(name)
    for name in (model, "wuyan"):
        with pytest.raises(ls.UnsupportedModelError, match=r"a text model, which writes; .* ls\.text\("):
            ls.sketch(name)
    with pytest.raises(ls.ModelNotFoundError, match=r"no model 'wuyam'.*did you mean 'wuyan'"):
        ls.text("wuyam")


def test_a_backend_of_others_that_runs_no_texts_is_refused_in_words(model, monkeypatch):
    old = SimpleNamespace(name="theirs", open=lambda checkpoint, size: None)
    point = SimpleNamespace(name="theirs", value="theirs:backend", load=lambda: old)
    monkeypatch.setattr(backends, "entry_points", lambda *, group: [point])
    with pytest.raises(ls.BackendUnavailableError, match=r"backend 'theirs' runs no text models.*backend='auto'"):
        ls.text(model, backend="theirs")
    with pytest.raises(ls.BackendUnavailableError, match="backend 'theirs' runs no text models"):
        ls.voices(model, 3, backend="theirs")
    with pytest.raises(ls.BackendUnavailableError, match="'ours' does not exist"):
        ls.text(model, backend="ours")


def test_unknown_characters_stand_where_that_is_asked_for(architecture, backend):
    for begin in ("prompt", "first_line"):
        stream = opened(architecture, backend=backend)
        piece = getattr(stream, begin)("山龙水", unknown=True)
        tokens = [next(piece) for _ in range(3)]
        assert [token.text for token in tokens] == ["山", "", "水"]
        assert [token.index == token_sampling.UNK for token in tokens] == [False, True, False]
        assert all(token.given for token in tokens)
        assert all(token.index != token_sampling.UNK for token in stream.take(60)), "it is never drawn"
    assert next(stream.start("龙", unknown=True)).index == token_sampling.UNK
    assert stream.feed("龙", unknown=True)[0].index == token_sampling.UNK
    heads = list(stream.acrostic("龙山", unknown=True))
    assert token_sampling.UNK in [token.index for token in heads if token.given]


# What it gives


def test_it_never_runs_dry_and_counts_steps_from_0_in_each_piece(architecture, backend):
    stream, step, piece = opened(architecture, backend=backend), 0, 0
    for token in stream.take(300):
        assert (token.step, token.piece, token.voice, token.name, token.at) == (step, piece, 0, "甲", 0.0)
        assert (token.given, token.cost, token.softened) == (False, 0.0, False)
        assert token.text == stream.checkpoint.vocabulary[token.index]
        assert token.last == (token.ended or step == 39)
        assert token.ended == (token.index == 0)
        step += 1
        if token.last:
            step, piece = 0, piece + 1
    assert piece > 5


def test_a_piece_is_its_text_and_the_stream_goes_on_behind_it():
    stream, plain = opened(), opened()
    piece = stream.piece()
    assert (str(piece), piece.actions, piece.finished) == ("", [], False)
    first = piece.write()
    assert first == str(piece) == text_of(piece.actions)
    assert piece.finished
    assert list(piece) == []
    assert repr(piece) == f"<Piece {first!r}, finished>"
    assert stream.piece().write() == text_of(list(plain.piece()) and list(plain.piece()))


def test_a_snapshot_repr_and_what_cannot_be_copied():
    stream = opened(divisor=0.5).constrain(forms.without("山"))
    assert repr(stream) == "<TextStream '甲' seed=9 temperature=0.5 held to without '山' voice=0 on cpu>"
    with pytest.raises(TypeError, match="neither copied nor pickled"):
        __import__("copy").copy(stream)


def test_the_same_seed_is_the_same_text_alone_and_on_the_other_backend(architecture):
    one, two = opened(architecture).take(200), opened(architecture, backend="reference").take(200)
    assert ids_of(one) == ids_of(two)
    for ours, theirs in zip(one, two, strict=True):
        assert ours.log_prob == pytest.approx(theirs.log_prob, abs=1e-4)
        assert ours.entropy == pytest.approx(theirs.entropy, abs=1e-4)
    assert ids_of(opened(architecture, seed=8).take(50)) != ids_of(one[:50])
    assert ids_of(opened(architecture, voice=1).take(50)) != ids_of(one[:50])


def test_a_label_acts_on_the_very_next_token(architecture, backend):
    streams = [opened(architecture, backend=backend) for _ in range(3)]
    for stream in streams:
        stream.take(5)
    streams[1].label = "乙"
    streams[2].label = {"甲": 0.5, "乙": 0.5}
    entropies = {round(stream.peek(1)[0].probability, 9) for stream in streams}
    assert len(entropies) == 3
    assert streams[1].label == "乙"
    with pytest.raises(ls.ControlError, match="label '丙'"):
        streams[1].label = "丙"
    assert streams[1].label == "乙"


def test_a_setting_acts_on_the_very_next_token(backend):
    stream = opened(backend=backend)
    stream.take(3)
    stream.top_k = 1
    best = stream.peek(5)
    assert [candidate.probability for candidate in best] == [1.0]
    token = next(stream)
    assert (token.text, token.log_prob, token.entropy) == (best[0].text, 0.0, 0.0)
    stream.top_k, stream.temperature = 0, 0
    assert len(stream.peek(5)) == 1
    stream.temperature, stream.top_p = 1.0, 0.5
    kept = stream.peek(100)
    assert 1 < len(kept) < 30
    stream.top_p, stream.min_p = 1.0, 0.5
    raw = stream.peek(100)
    assert all(candidate.probability >= 0.5 * raw[0].probability for candidate in raw)
    assert len(raw) < 42


# Peek and pick


SETTINGS = [{}, {"divisor": 0.6, "top_p": 0.9}, {"divisor": 1.4, "top_k": 12, "min_p": 0.02}]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("held", [None, "rule", "line"])
def test_what_peek_says_is_what_is_drawn(settings, held):
    """Frequencies of many voices at one place, Pearson's statistic against its mean and deviation."""
    stream = opened(PLAIN, **settings)
    if held == "rule":
        stream.constrain(forms.without("山水云"), lambda text, symbols: np.linspace(0, -3, len(symbols)))
    if held == "line":
        stream.first_line("山水")
    stream.take(2)
    candidates, draws = stream.peek(50), 1500
    assert math.fsum(candidate.probability for candidate in candidates) == pytest.approx(1)
    probabilities = [candidate.probability for candidate in candidates]
    assert probabilities == sorted(probabilities, reverse=True)
    assert len({candidate.text for candidate in candidates}) == len(candidates)
    snapshot, counts = stream.snapshot(), dict.fromkeys([candidate.text for candidate in candidates], 0)
    for voice in range(draws):
        stream.restore(snapshot)
        stream._batch.rekey(0, 9, voice + 100)  # as ``fork(voice=...)`` does
        token = next(stream)
        counts[token.text] += 1
        chance = dict(candidates)[token.text]
        assert token.log_prob == pytest.approx(math.log(chance), abs=1e-9)
        assert token.entropy == pytest.approx(-math.fsum(p * math.log(p) for p in probabilities), abs=1e-9)
        assert (token.cost > 0) == (held is not None)
    wanted = draws * np.array(probabilities)
    enough = wanted >= 5
    statistic = float(((np.array([*counts.values()]) - wanted) ** 2 / wanted)[enough].sum())
    freedom = int(enough.sum())
    assert statistic < freedom + 4 * math.sqrt(2 * freedom)
    assert sum(counts.values()) == draws


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_stated_formula_is_what_is_drawn_by(settings, backend, architecture):
    """Each token of a stream is what token_sampling, the definition, draws from the logits."""
    stream, texts = opened(architecture, backend=backend, **settings), opened(architecture).checkpoint.vocabulary
    for _ in range(40):
        logits = np.zeros((1, len(texts)))
        stream._prepare()
        stream._batch.force(0, np.zeros(0, np.int64), logits, end=True)
        drawn_from = token_sampling.distribution(logits[0], None, TextSettings(**settings))
        piece, step = stream._coming()
        u = float(ls.sampling.uniforms(9, step, 0, piece)[0])
        token = next(stream)
        assert token.index == token_sampling.choose(drawn_from, u)
        assert token.entropy == pytest.approx(drawn_from.entropy, abs=1e-9)


def test_a_pick_is_given_and_becomes_the_past(architecture, backend):
    stream, fed = (opened(architecture, backend=backend) for _ in range(2))
    stream.take(3), fed.take(3)
    before = stream.peek(6)
    assert stream.peek(6) == before, "peek moves nothing"
    token = stream.pick(5)
    assert (token.text, token.given, token.step) == (before[5].text, True, 3)
    assert token.log_prob == pytest.approx(math.log(before[5].probability), abs=1e-9)
    assert fed.feed(token.text) == [token]
    assert stream.take(20) == fed.take(20)


def test_the_end_can_be_picked_and_what_is_settled_is_the_only_choice(backend):
    stream = opened(backend=backend)
    stream.take(2)
    place = [candidate.text for candidate in stream.peek(50)].index("")
    assert stream.pick(place).ended
    assert next(stream).step == 0
    stream.prompt("山水")
    assert stream.peek(9) == [("山", 1.0)]
    with pytest.raises(ls.ControlError, match="pick 1: expected 0 to 0"):
        stream.pick(1)
    assert stream.pick(0).text == "山"
    assert next(stream).text == "水"


# log_prob


@pytest.mark.parametrize("given", ["drawn", "fed"])
def test_log_prob_is_the_sum_of_the_streams_own(architecture, backend, given):
    """Of a model that gives UNK no probability: a stream never draws it, which makes everything else likelier."""
    model = leaning(SMALL[architecture], {token_sampling.UNK: -1e4})
    stream = opened(model, backend=backend)
    if given == "fed":
        stream.feed("山水云风")
    tokens = [*stream.actions, *stream.piece()]
    assert tokens[-1].ended
    other = opened(model, backend=backend, seed=1, divisor=0.4)
    other.constrain(forms.without("山"))
    other.take(3)
    before = list(other.actions)
    found = other.log_prob(text_of(tokens))
    assert found.nats == pytest.approx(-math.fsum(token.log_prob for token in tokens), abs=1e-6)
    assert (found.tokens, found.characters, found.unknown) == (len(tokens), len(tokens), 0)
    assert found.per_token == found.per_character == found.nats / len(tokens)
    assert found.perplexity == pytest.approx(math.exp(found.nats / len(tokens)))
    assert other.actions == before, "the stream does not move"
    other.label = "乙"
    assert other.log_prob(text_of(tokens)).nats != found.nats


def test_log_prob_of_any_length_and_of_unknown_symbols(backend):
    stream = opened(PLAIN, backend=backend)
    long = stream.log_prob("山水" * 100)
    assert (long.tokens, long.characters) == (201, 201)
    parts = np.diff([0.0, *(stream.log_prob(text).nats for text in ("山", "山水"))])
    assert (parts > 0).all()
    unknown = stream.log_prob("山龙鳳", unknown=True)
    assert (unknown.unknown, unknown.tokens) == (2, 4)
    assert math.isfinite(unknown.nats)
    assert stream.log_prob("山龙鳳", unknown=True) == stream.log_prob("山鳳龙", unknown=True)


# The bundled model


def test_wuyan_writes_the_same_on_both_backends():
    options = {"seed": 3, "form": "五绝", "rhyme": True, "tones": True}
    ours, theirs = ls.text("wuyan", **options), ls.text("wuyan", backend="reference", **options)
    for one, two in ((ours.first_line("山为斜好几"), theirs.first_line("山为斜好几")), (ours.piece(), theirs.piece())):
        assert ids_of(list(one)) == ids_of(list(two))
        assert str(one) == str(two)
        assert len(str(one)) == 24
        assert one.cost == pytest.approx(two.cost, abs=1e-3)


def test_open_is_less_sure_than_normal_than_conservative():
    means = []
    for mode in ("open", "normal", "conservative"):
        stream = ls.text("wuyan", seed=2, mode=mode)
        assert stream.mode == mode
        means.append(np.mean([token.entropy for token in stream.take(600)]))
    assert means[0] > means[1] + 0.5 > means[2] + 1.0
