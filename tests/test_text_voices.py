"""Many voices of a text model: what is refused, and that each writes what it writes alone, bit for bit."""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pytest
from small_models import small_checkpoint
from small_texts import small_text
from text_streams import ARCHITECTURES, BACKENDS, SMALL, opened

import livesketch as ls
from livesketch import ControlError
from livesketch.events import Token
from livesketch.forms import constraint, without
from livesketch.forms.constraint import Walk
from livesketch.forms.verse import Verse
from livesketch.models.checkpoint import save_checkpoint, save_text
from livesketch.models.text_model import TextCheckpoint
from livesketch.outputs.recorder import Recorder
from livesketch.streams.text_voices import TextVoices
from livesketch.token_sampling import TextSettings


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    save_text(SMALL["text_lstm"], path)
    return f"{path}#甲"


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


@pytest.fixture(params=ARCHITECTURES)
def architecture(request):
    return request.param


def choir(
    model: TextCheckpoint | str = "text_lstm", n: int = 5, *, seed: int = 9, backend: str = "cpu", **settings: Any
) -> TextVoices:
    """Voices of a model, or of the small one of this architecture; its first label, where it has some."""
    checkpoint = SMALL[model] if isinstance(model, str) else model
    label = checkpoint.labels[0] if checkpoint.labels else None
    return TextVoices(checkpoint, label, n, TextSettings(**settings), seed, backend)


def sung(voices: TextVoices, steps: int) -> list[list[Token]]:
    """What each voice writes in so many steps."""
    rows = [list(row) for row in islice(voices, steps)]
    return [list(tokens) for tokens in zip(*rows, strict=True)]


# What is refused


@pytest.mark.parametrize("n", [0, -1, 1.0, True, "3", None, 2**20 + 1])
def test_voices_are_counted_from_one(model, n):
    with pytest.raises(ControlError, match=r"voices .*expected a whole number from 1 to 1048576"):
        ls.voices(model, n)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"convention": "js"}, "convention 'js': a text model has none"),
        ({"seed": -1}, "seed -1"),
        ({"temperature": -1}, "temperature -1"),
        ({"temperature": 1.0, "mode": "open"}, "expected one of them"),
        ({"mode": "wild"}, "mode 'wild'"),
        ({"top_k": -1}, "top_k -1"),
        ({"top_p": 0}, "top_p 0"),
        ({"min_p": 2}, "min_p 2"),
        ({"rhyme": True}, "rhyme and tones belong to a form"),
        ({"form": "sonnet"}, "form 'sonnet'"),
    ],
)
def test_options_out_of_range(model, options, says):
    with pytest.raises(ControlError, match=says):
        ls.voices(model, 3, **options)


def test_what_draws_takes_no_options_of_what_writes(tmp_path):
    save_checkpoint(small_checkpoint(), tmp_path / "draws.safetensors")
    with pytest.raises(ControlError, match=r"form, top_k: for text models, and .* draws; leave that out"):
        ls.voices(tmp_path / "draws.safetensors", 2, form="五绝", top_k=3)


@pytest.mark.parametrize("label", [["甲"], ["甲"] * 6, "丙", ["甲", "甲", "甲", "甲", "丙"], {"甲": -1}, 3, []])
def test_labels_that_are_refused_change_nothing(label):
    voices, plain = choir(), choir()
    with pytest.raises(ControlError):
        voices.label = label
    assert voices.label == ("甲",) * 5
    assert sung(voices, 30) == sung(plain, 30)


@pytest.mark.parametrize("rules", [("五绝",), (7,), (without("e"), None)])
def test_rules_that_are_none_change_nothing(rules):
    voices, plain = choir(), choir()
    with pytest.raises(ControlError):
        voices.constrain(*rules)
    assert sung(voices, 30) == sung(plain, 30)


def test_a_vocabulary_that_cannot_meet_the_form():
    with pytest.raises(ControlError, match=r"五绝 needs a vocabulary of Chinese characters"):
        choir(small_text(unit="word")).constrain(ls.forms.form("五绝"))


def test_a_rule_that_forbids_everything_names_the_voice_and_leaves_all_usable(backend, architecture):
    """Only where voice 3 stands; the others' rows must not have moved on, and no row is lost."""
    voices, plain = choir(architecture, backend=backend), choir(architecture, backend=backend)
    before, expected = sung(voices, 4), sung(plain, 40)
    text = "".join(token.text for token in before[3])
    same = [k for k in range(5) if "".join(token.text for token in before[k]) == text]
    assert same == [3], "the small model's voices must differ for this test"
    voices.constrain(lambda so_far, _: set() if so_far == text else None)
    for _ in range(2):
        with pytest.raises(ControlError, match=r"voice 3: .*every symbol at place 5 of the piece"):
            voices.step()
    voices.constrain()
    assert [a + b for a, b in zip(before, sung(voices, 36), strict=True)] == expected


def test_a_rule_that_forbids_everything_can_be_loosened_instead_of_taken_away():
    voices, plain = choir(), choir()
    voices.constrain(lambda _text, _symbols: set())
    with pytest.raises(ControlError, match="voice 0: "):
        voices.step()
    voices.constrain(without("山"))
    plain.constrain(without("山"))
    assert sung(voices, 30) == sung(plain, 30)


def test_a_row_has_as_many_tokens_as_there_are_voices():
    row = choir(n=3).step()
    assert len(row) == 3
    for index in (3, -4):
        with pytest.raises(IndexError):
            row[index]


# Each voice as alone


@pytest.mark.parametrize("held", [False, True], ids=["free", "form"])
def test_each_voice_writes_what_it_writes_alone(backend, architecture, held):
    checkpoint = small_text(architecture, ends=0.3)
    voices = choir(checkpoint, backend=backend, top_p=0.95)
    alone = [opened(checkpoint, backend=backend, voice=k, top_p=0.95) for k in range(5)]
    if held:
        form = ls.forms.form("五绝", rhyme=True, tones=True)
        for stream in (voices, *alone):
            stream.constrain(form)
    expected = [stream.take(60) for stream in alone]
    assert sung(voices, 60) == expected
    assert {token.piece for tokens in expected for token in tokens} >= {0, 1}
    if held:
        assert all(token.cost > 0 for tokens in expected for token in tokens if token.step == 0)


@pytest.mark.parametrize("unit", ["word", "byte"])
def test_other_units_as_alone(unit):
    checkpoint = small_text(unit=unit, ends=0.1)
    expected = [opened(checkpoint, voice=k).take(80) for k in range(3)]
    assert sung(choir(checkpoint, 3), 80) == expected


def test_characters_of_several_bytes_come_with_their_last_byte():
    """A rule that lets only the bytes of 山 come: the text is said at the third of them, as alone."""
    checkpoint = small_text(unit="byte")
    spelled = np.isin(np.arange(258), [2 + byte for byte in "山".encode()])

    def only(_text: str, _symbols: Sequence[str]) -> np.ndarray[Any, Any]:
        return spelled

    texts = [row.texts for row in islice(choir(checkpoint, 40).constrain(only), 40)]
    assert "山" in {text for row in texts for text in row}
    alone = [opened(checkpoint, voice=k).constrain(only).take(40) for k in range(40)]
    assert texts == [[tokens[step].text for tokens in alone] for step in range(40)]


def test_one_voice_is_a_row_of_one():
    assert [tokens for (tokens,) in [sung(choir(n=1), 30)]] == [opened().take(30)]


def test_backends_agree(architecture):
    one, other = (sung(choir(architecture, backend=name), 60) for name in BACKENDS)
    assert [[token.index for token in tokens] for tokens in one] == [[t.index for t in tokens] for tokens in other]


def test_by_name_or_path_with_all_options(model):
    options: Any = {"seed": 3, "mode": "open", "top_k": 20, "top_p": 0.9, "min_p": 0.01, "form": "五绝", "rhyme": True}
    expected = [ls.text(model, voice=k, **options).take(30) for k in range(4)]
    assert sung(ls.voices(model, 4, **options), 30) == expected
    assert expected[0][0].name == "甲"


def test_the_seed_can_be_had_again(model):
    first = ls.voices(model, 3)
    assert sung(ls.voices(model, 3, seed=first.seed), 20) == sung(first, 20)
    assert ls.voices(model, 3).seed != first.seed


# Live controls


def test_labels_of_each_voice(backend, architecture):
    wanted = ["甲", "乙", {"甲": 1, "乙": 3}, "乙"]
    voices = choir(architecture, 4, backend=backend)
    alone = [opened(architecture, backend=backend, voice=k) for k in range(4)]
    before = sung(voices, 7)
    voices.label = wanted
    assert voices.label == ("甲", "乙", {"甲": 0.25, "乙": 0.75}, "乙")
    after = sung(voices, 30)
    for k, stream in enumerate(alone):
        assert stream.take(7) == before[k]
        stream.label = wanted[k]
        assert stream.take(30) == after[k]
    voices.label = "乙"
    assert voices.label == ("乙",) * 4


@pytest.mark.parametrize(
    ("control", "value"), [("temperature", 0.2), ("mode", "open"), ("top_k", 2), ("top_p", 0.4), ("min_p", 0.2)]
)
def test_a_control_acts_on_the_very_next_token_of_all(control, value):
    voices, alone = choir(n=3), [opened(voice=k) for k in range(3)]
    before = sung(voices, 5)
    setattr(voices, control, value)
    assert getattr(voices, control) == value
    after = sung(voices, 20)
    plain = sung(choir(n=3), 25)
    assert [tokens[5:] for tokens in plain] != after
    for k, stream in enumerate(alone):
        assert stream.take(5) == before[k]
        setattr(stream, control, value)
        assert stream.take(20) == after[k]


def test_a_form_taken_up_in_the_middle_and_dropped_again():
    voices = choir(small_text(), 3)
    voices.constrain(without("山风"))
    assert not {"山", "风"} & {token.text for tokens in sung(voices, 40) for token in tokens}
    voices.constrain()
    assert {"山", "风"} <= {token.text for tokens in sung(voices, 200) for token in tokens}
    assert "held to" not in repr(voices)


def test_it_says_what_it_is(model):
    voices = ls.voices(model, 3, seed=5, form="wujue")
    assert repr(voices) == "<TextVoices 3 x '甲' seed=5 temperature=1 held to 五绝 on cpu>"
    assert (len(voices), voices.stage_units, voices.convention) == (3, 1.0, None)
    assert repr(voices.step()) == "<TokenRow of 3 voices of '甲'>"


def test_a_row_as_arrays():
    form = ls.forms.form("五绝")
    rows = list(islice(choir(small_text(), 6).constrain(form), 30))
    for row in rows:
        tokens = row[:]
        assert tokens == [row[k] for k in range(6)] == list(row)
        assert row[-1] == tokens[5]
        assert row.texts == [token.text for token in tokens]
        assert row.symbols.tolist() == [token.index for token in tokens]
        for name in ("log_prob", "entropy", "piece", "step", "last", "ended"):
            assert getattr(row, name).tolist() == [getattr(token, name) for token in tokens]
        assert row.cost == pytest.approx([token.cost for token in tokens])
    assert rows[24].ended.all(), "twenty-four marks, and END"
    assert rows[24].texts == [""] * 6
    assert rows[25].piece.tolist() == [1] * 6


def test_rows_keep_what_they_hold():
    voices = choir()
    row = voices.step()
    before = list(row)
    sung(voices, 20)
    assert list(row) == before


# Interruptions


class Interrupted:
    """Lets a call through, then raises KeyboardInterrupt once, or raises it instead."""

    def __init__(self, call: Callable[..., Any], at: int, *, after: bool) -> None:
        self.call, self.left, self.after = call, at, after

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise KeyboardInterrupt
        result = self.call(*args, **kwargs)
        if self.left == 0:
            raise KeyboardInterrupt
        return result


@pytest.mark.parametrize("after", [False, True])
def test_an_interrupted_step_is_neither_lost_nor_doubled(monkeypatch, after):
    form = ls.forms.form("五绝", rhyme=True)
    expected = sung(choir(small_text()).constrain(form), 40)
    voices = choir(small_text()).constrain(form)
    before = sung(voices, 6)
    monkeypatch.setattr(voices, "_batch", Proxy(voices._batch, step=Interrupted(voices._batch.step, 1, after=after)))
    with pytest.raises(KeyboardInterrupt):
        voices.step()
    assert [a + b for a, b in zip(before, sung(voices, 34), strict=True)] == expected


@pytest.mark.parametrize("at", range(1, 6))
@pytest.mark.parametrize("after", [False, True])
def test_interrupted_while_the_voices_are_held_to_a_form(monkeypatch, at, after):
    form = ls.forms.form("五绝", rhyme=True)
    expected = sung(choir(small_text()).constrain(form), 40)
    voices = choir(small_text()).constrain(form)
    before = sung(voices, 11)
    hold = Interrupted(voices._batch.constrain, at, after=after)
    monkeypatch.setattr(voices, "_batch", Proxy(voices._batch, constrain=hold))
    with pytest.raises(KeyboardInterrupt):
        voices.step()
    assert [a + b for a, b in zip(before, sung(voices, 29), strict=True)] == expected


@pytest.mark.parametrize("at", [1, 3])
@pytest.mark.parametrize("after", [False, True])
def test_interrupted_while_labels_change(monkeypatch, at, after):
    wanted = ["乙", {"甲": 1, "乙": 2}, "乙", "甲", "乙"]
    plain = choir()
    before = sung(plain, 6)
    plain.label = wanted
    expected = sung(plain, 30)
    voices = choir()
    assert sung(voices, 6) == before
    voices.label = wanted
    condition = Interrupted(voices._batch.condition, at, after=after)
    monkeypatch.setattr(voices, "_batch", Proxy(voices._batch, condition=condition))
    with pytest.raises(KeyboardInterrupt):
        voices.step()
    assert sung(voices, 30) == expected


class Proxy:
    """A batch with some of its calls replaced."""

    def __init__(self, batch: Any, **calls: Any) -> None:
        self.__dict__["_batch"] = batch
        self.__dict__.update(calls)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)


# Very many


def test_many_voices_take_a_step_of_the_form_each(monkeypatch):
    """What is remembered follows the number of voices: soon nothing is walked from its start."""
    steps = 0
    step = Verse._step

    def counted(self: Verse, *args: Any) -> Any:
        nonlocal steps
        steps += 1
        return step(self, *args)

    monkeypatch.setattr(Verse, "_step", counted)
    form = ls.forms.form("五绝", rhyme=True)
    voices = choir(small_text(), 200).constrain(form)
    rows = [voices.step() for _ in range(4)]
    before = steps
    rows += [voices.step() for _ in range(46)]
    walked = sum(int((row.step < 24).sum()) for row in rows[3:-1])
    assert 200 < steps - before <= walked, "each voice one step further, or none where another wrote the same"
    known = voices._rule.bound._walk._known  # type: ignore[union-attr]
    assert len(known) <= 64 + 3 * 200
    for k in (0, 63, 64, 199):
        alone = opened(small_text(), voice=k).constrain(form)
        assert [row[k] for row in rows] == alone.take(50)


def test_one_voice_remembers_no_more_than_it_needs():
    stream = opened(small_text()).constrain(ls.forms.form("五绝"))
    stream.take(500)
    assert len(stream._rule.bound._walk._known) <= constraint.KEPT  # type: ignore[union-attr]


def test_what_a_walk_remembers_is_bounded_in_bytes(monkeypatch):
    """A text without end would else take as many copies of itself as states are kept."""
    monkeypatch.setattr(constraint, "KEPT_BYTES", 100_000)
    walked = 0

    def step(state: int, tokens: Sequence[int], place: int) -> int:
        nonlocal walked
        walked += 1
        return (state * 31 + tokens[place]) % 1009

    def plain(tokens: Sequence[int]) -> int:
        state = 0
        for token in tokens:
            state = (state * 31 + token) % 1009
        return state

    walk = Walk(0, step)
    tokens: list[int] = []
    for place in range(3000):
        tokens.append(place * 7 % 13)
        assert walk.at(tokens) == plain(tokens)
        assert sum(len(key) for key in walk._known) <= 100_000
    assert walked == 3000
    assert len(walk._known) >= 1
    assert walk.at(()) == 0
    assert walk.at(tokens[:5]) == plain(tokens[:5]), "what is not kept is walked from the start"


def test_a_wrong_step_leaves_nothing_behind():
    def step(state: int, tokens: Sequence[int], place: int) -> int:
        if tokens[place] == 9:
            raise ControlError("nine")
        return state + 1

    walk = Walk(0, step)
    for _ in range(3):
        with pytest.raises(ControlError, match="nine"):
            walk.at([1, 2, 9, 4])
        with pytest.raises(ControlError, match="nine"):
            walk.at([1, 2, 9])
    assert walk.at([1, 2]) == 2
    assert len(walk._known) == 1


# Played


def test_played_each_voice_has_its_name_and_number():
    voices = choir(n=3)
    expected = sung(choir(n=3), 200)
    recorder = Recorder()
    with ls.play(voices, recorder, rate=10_000, name="choir", then="stop") as player:
        assert player.wait(60)
    stats = player.stats()
    assert recorder.opens[0][1] == 3
    assert stats.drawings == 3, "each voice stops after its piece"
    for k in range(3):
        tokens = [event for event in recorder.events if event.voice == k]
        assert {event.name for event in tokens} == {"choir"}
        assert [event.text for event in tokens] == [token.text for token in expected[k][: len(tokens)]]
        assert tokens[-1].last
