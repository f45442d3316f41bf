"""Chinese verse: what is sampled under the masks passes a checker of its own; rows in known places; real poems."""

import math
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from poem_checker import EIGHT_LINES, complaints, groups, level, made_vocabulary, sign

from livesketch import forms
from livesketch.forms.constraint import Constraint
from livesketch.forms.pingshui import is_ideograph, pingshui

NAMES = ("五绝", "七绝", "五律", "七律")
GROUPS = tuple(group.name for group in pingshui().groups)
VOCABULARY = made_vocabulary()
INDEX = {text: index for index, text in enumerate(VOCABULARY) if text}


class Model:
    """A language model of no sense: its logits depend on the last two tokens and the seed."""

    def __init__(self, seed: int, spread: float) -> None:
        self._rows = np.random.default_rng(seed).normal(0, spread, (8, len(VOCABULARY)))

    def logits(self, tokens: Sequence[int]) -> NDArray[np.float64]:
        one, two = ([0, 0, *tokens])[-2:]
        return self._rows[one % 8] + self._rows[two % 7]


def write(
    constraint: Constraint, seed: int, spread: float = 3.0, start: str = "", soften: bool = True
) -> tuple[str, int, float]:
    """A poem, how often a soft row was softened, and what the form cost in nats."""
    model, chance = Model(seed, spread), np.random.default_rng(seed)
    tokens, softened, cost = [INDEX[symbol] for symbol in start], 0, 0.0
    while len(tokens) < 200:
        bias = forms.bias_of(constraint, tokens)
        assert bias is not None
        weights = model.logits(tokens)
        weights = np.exp(weights - weights.max())
        left = weights * np.exp(bias.row())
        if soften and left.sum() / weights.sum() < forms.LEAST_MASS:
            left, softened = weights * np.exp(bias.softened()), softened + (bias.soft is not None)
        cost -= math.log(left.sum() / weights.sum())
        token = int(chance.choice(len(left), p=left / left.sum()))
        if token == 0:
            break
        tokens.append(token)
    return "".join(VOCABULARY[token] for token in tokens), softened, cost


def allowed(row: NDArray[np.float32]) -> set[str]:
    return {VOCABULARY[index] or str(index) for index in np.flatnonzero(row > -np.inf)}


@cache
def bound(name: str, rhyme: bool | str = False, tones: bool | str = False, repeat: float = 4.0) -> Constraint:
    return forms.form(name, rhyme=rhyme, tones=tones, repeat=repeat).bind(VOCABULARY)


def tokens_of(text: str) -> list[int]:
    return [INDEX[symbol] for symbol in text]


def test_a_thousand_poems_pass_the_checker() -> None:
    costs = []
    for seed in range(1000):
        name = NAMES[seed % 4 if seed % 8 < 2 else 0]
        poem, _, cost = write(bound(name, rhyme=True), seed)
        assert complaints(poem, name, rhyme=True) == []
        costs.append(cost)
    assert len(set(costs)) == 1000
    assert 10 < np.mean(costs) < 1000, "a form costs something"


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=st.sampled_from(NAMES),
    rhyme=st.sampled_from([False, True, *GROUPS]),
    tones=st.sampled_from([False, True, *EIGHT_LINES]),
    repeat=st.sampled_from([0.0, 4.0, math.inf]),
    seed=st.integers(0, 10**6),
    spread=st.sampled_from([0.0, 3.0, 12.0]),
)
def test_any_walk_within_the_masks_is_a_poem_of_the_form(
    name: str, rhyme: bool | str, tones: bool | str, repeat: float, seed: int, spread: float
) -> None:
    constraint = bound(name, rhyme, tones, repeat)
    title = pingshui().groups[pingshui().group(rhyme)].title if isinstance(rhyme, str) else ""
    poem, softened, cost = write(constraint, seed, spread)
    assert complaints(poem, name, rhyme=bool(rhyme), group=title) == []
    assert cost > 0
    if softened:  # where nothing is softened the tones are exact
        poem, _, _ = write(constraint, seed, spread, soften=False)
    pattern = tones if isinstance(tones, str) else ""
    assert complaints(poem, name, rhyme=bool(rhyme), group=title, tones=bool(tones), pattern=pattern) == []
    if repeat == math.inf:
        assert once(poem)


def once(poem: str) -> bool:
    """Whether no character comes twice, but doubled within its line."""
    seen: set[str] = set()
    for line in re.findall("[^，。]+", poem):
        for character in re.sub(r"(.)\1", r"\1", line):
            if character in seen:
                return False
            seen.add(character)
    return True


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), name=st.sampled_from(NAMES), data=st.data())
def test_the_answer_depends_on_the_tokens_alone(seed: int, name: str, data: st.DataObject) -> None:
    old, new = bound(name, True, True), forms.form(name, rhyme=True, tones=True).bind(VOCABULARY)
    tokens = tokens_of(write(old, seed)[0])
    cuts = data.draw(st.lists(st.integers(0, len(tokens)), min_size=1, max_size=8))
    for cut in cuts:
        ours: Any = old.bias(tokens[:cut])
        other: Any = new.bias(np.array(tokens[:cut]))
        again: Any = forms.form(name, rhyme=True, tones=True).bind(VOCABULARY).bias(tuple(tokens[:cut]))
        for one in (other, again):
            assert np.array_equal(ours.hard, one.hard)
            assert (ours.soft is None) == (one.soft is None)
            assert ours.soft is None or np.array_equal(ours.soft, one.soft)


def test_marks_and_the_end_are_exact() -> None:
    verse = bound("五绝")
    text: list[int] = []
    characters = [INDEX[text] for text in VOCABULARY if is_ideograph(text)][:20]
    for line in range(4):
        for within in range(5):
            bias: Any = verse.bias(text)
            assert allowed(bias.hard) == {symbol for symbol in VOCABULARY if is_ideograph(symbol)}
            text = [*text, characters[5 * line + within]]
        bias = verse.bias(text)
        assert allowed(bias.hard) == {"。" if line % 2 else "，"}
        assert bias.soft is None
        text = [*text, INDEX["。" if line % 2 else "，"]]
    bias = verse.bias(text)
    assert allowed(bias.hard) == {"0"}, "END"
    assert bias.hard.dtype == np.float32
    assert not bias.hard.flags.writeable


def test_a_form_says_where_its_lines_are() -> None:
    rule = forms.form("Wulü", rhyme="七陽", tones="平起")
    assert (rule.name, rule.lines, rule.characters, rule.length) == ("五律", 8, 5, 48)
    assert rule.heads == (0, 6, 12, 18, 24, 30, 36, 42)
    assert [rule.mark(line) for line in range(3)] == ["，", "。", "，"]
    assert rule.says() == "五律, rhyme 七阳, tones"
    assert forms.form("qijue").says() == "七绝"
    assert forms.form("七言絕句", tones="平起首句入韵").says() == "七绝, tones 平起首句入韵"
    assert forms.form("五绝", rhyme=True) == forms.form("wujue", rhyme=True)
    assert hash(forms.form("五绝")) == hash(forms.form("五絕"))


@pytest.mark.parametrize(
    "name", ["阳", "陽", "七阳", "七陽", "下平七阳", "下平声七阳", "下平聲七陽", "七阳韵", "阳部", " 阳 "]
)
def test_groups_have_many_names(name: str) -> None:
    assert forms.form("五绝", rhyme=name).group == "七阳"


def test_the_first_rhyme_word_chooses_and_the_last_of_a_group_remain() -> None:
    verse = bound("五绝", rhyme=True, repeat=0)
    start = tokens_of(pick(5, {"P", "Z"}) + "，" + pick(4, {"P", "Z"}))
    first: Any = verse.bias(start)
    characters = {symbol for symbol in VOCABULARY if is_ideograph(symbol)}
    assert allowed(first.hard) <= {symbol for symbol in characters if level(symbol)}
    assert len(allowed(first.hard)) > 250
    word = next(symbol for symbol in sorted(allowed(first.hard)) if len(level(symbol)) == 1)
    title = next(iter(level(word)))
    start = [*start, INDEX[word], *tokens_of("。" + pick(5, {"P", "Z"}) + "，" + pick(4, {"P", "Z"}))]
    second: Any = verse.bias(start)
    ends = {VOCABULARY[start[4]], word}
    assert allowed(second.hard) == {symbol for symbol in characters if title in groups(symbol)} - ends


def test_a_word_of_several_groups_keeps_them_open() -> None:
    verse = bound("五律", rhyme=True, repeat=0)
    word = next(symbol for symbol in VOCABULARY if is_ideograph(symbol) and len(level(symbol)) == 2)
    start = tokens_of(pick(5, {"Z"}) + "，" + pick(4, {"Z"}) + word + "。" + pick(5, {"Z"}) + "，" + pick(4, {"Z"}))
    bias: Any = verse.bias(start)
    either = {symbol for symbol in VOCABULARY if is_ideograph(symbol) and level(symbol) & level(word)} - {word}
    assert allowed(bias.hard) == either


def pick(count: int, signs: set[str]) -> str:
    """Characters of the vocabulary with one tone only, one after another."""
    return "".join([symbol for symbol in VOCABULARY if is_ideograph(symbol) and sign(symbol) in signs][:count])


def of_signs(signs: str) -> str:
    """Distinct characters with these tones (P, Z)."""
    left = [symbol for symbol in VOCABULARY if is_ideograph(symbol)]
    found = []
    for wanted in signs:
        found.append(next(symbol for symbol in left if sign(symbol) == wanted))
        left.remove(found[-1])
    return "".join(found)


def wanted(constraint: Constraint, text: str) -> str:
    """P, Z or X: which tones the soft row leaves after a text."""
    bias: Any = constraint.bias(tokens_of(text))
    left = {sign(symbol) for symbol in allowed(bias.row())}
    return {frozenset("PX"): "P", frozenset("ZX"): "Z"}.get(frozenset(left), "X")


def test_what_is_written_chooses_the_pattern() -> None:
    verse = bound("五绝", tones=True, repeat=0)
    steps = [
        ("", "X"),
        ("P", "X"),  # 平起 or 仄起
        ("PZ", "X"),  # a 中仄中平仄 or A 中仄仄平平
        ("PZP", "P"),  # a alone has P in the third place
        ("PZPP", "Z"),
        ("PZZP", "X"),
        ("PP", "X"),
        ("PPZ", "X"),  # b's 平平仄平仄 or B 平平中仄平
        ("PPP", "Z"),
        ("PPZZ", "P"),  # B alone
        ("PPZP", "Z"),  # b's licence
        ("PPPZ", "X"),
        ("ZP", "P"),  # b 中平平仄仄 or B's 仄平平仄平
        ("ZPP", "Z"),
        ("ZPPZ", "X"),
    ]
    assert [(signs, wanted(verse, of_signs(signs))) for signs, _ in steps] == steps


def test_couplets_answer_and_stick() -> None:
    """对 and 粘: after line a come B, b, A; the second places say so."""
    verse = bound("七绝", tones="平起首句不入韵", repeat=0)
    text, places = "", []
    for line in range(4):
        row = ""
        for within in range(7):
            want = wanted(verse, text + row)
            row += "".join(of_signs_after(text + row, "P" if want == "P" else "Z"))
            if within in {1, 3, 5, 6}:
                places.append(want)
        text += row + ("。" if line % 2 else "，")
    assert places == list("PZPZ" + "ZPZP" + "ZPZZ" + "PZPP")
    assert complaints(text, "七绝", pattern="平起首句不入韵") == []


def of_signs_after(text: str, signs: str) -> str:
    left = [symbol for symbol in VOCABULARY if is_ideograph(symbol) and symbol not in text]
    return "".join(next(symbol for symbol in left if sign(symbol) == wanted) for wanted in signs)


def test_a_given_line_that_fits_no_pattern_leaves_the_nearest() -> None:
    verse = bound("五绝", tones=True, repeat=0)
    odd = of_signs("PPPPP")  # nearest: 平平中仄平, one misfit
    assert wanted(verse, odd + "，" + of_signs_after(odd, "P")) == "Z", "after B comes A, 中仄仄平平"
    with_tones = bound("五绝", tones="仄起首句不入韵", repeat=0)
    assert wanted(with_tones, odd + "，" + of_signs_after(odd, "P")) == "P", "a pattern that was asked for stays"


def test_a_pattern_written_out() -> None:
    signs = "平平平平平，仄仄仄仄仄。中中中中中，平仄平仄平。"
    verse = bound("五绝", tones=signs, repeat=0)
    poem, softened, _ = write(verse, 5, spread=1.0)
    assert softened == 0
    for symbol, want in zip(poem, signs, strict=True):
        assert want in {"，", "。", "中"} or sign(symbol) in {"X", {"平": "P", "仄": "Z"}[want]}
    spaced = forms.form("五绝", tones="平平平平平 仄仄仄仄仄\n中中中中中/平仄平仄平")
    assert spaced.tones[0].lines == forms.form("五绝", tones=signs).tones[0].lines


def test_a_first_line_of_level_tone_has_to_rhyme_with_tones() -> None:
    verse = bound("七绝", rhyme="东", tones=True, repeat=0)
    line = of_signs("PPZZZP")  # A: 中平中仄仄平平
    bias: Any = verse.bias(tokens_of(line))
    left = {symbol for symbol in allowed(bias.row()) if sign(symbol) == "P"}
    assert left == {symbol for symbol in VOCABULARY if sign(symbol) == "P" and "上平聲一東" in groups(symbol)}
    free = bound("七绝", rhyme=True, tones=True, repeat=0)
    word = next(symbol for symbol in VOCABULARY if level(symbol) == {"下平聲七陽"} and sign(symbol) == "P")
    text = line + word + "，" + of_signs_after(line + word, "PZPPZZ")  # B: 中仄平平仄仄平
    bias = free.bias(tokens_of(text))
    assert all("下平聲七陽" in groups(symbol) for symbol in allowed(bias.hard))
    assert word not in allowed(bias.hard)
    untoned: Any = bound("七绝", rhyme=True, repeat=0).bias(tokens_of(text))
    assert len(allowed(untoned.hard)) > 200, "without tones the first line is free"


def test_a_given_second_line_need_not_follow_the_first() -> None:
    verse = bound("七绝", rhyme=True, tones=True, repeat=0)
    line = of_signs("PPZZZP")
    word = next(symbol for symbol in VOCABULARY if level(symbol) == {"下平聲七陽"} and sign(symbol) == "P")
    other = next(symbol for symbol in VOCABULARY if level(symbol) == {"上平聲一東"} and sign(symbol) == "P")
    text = line + word + "，" + of_signs_after(line + word + other, "PZPPZZ") + other + "。"
    third = of_signs_after(text, "ZZPPPZZ")
    rest = of_signs_after(text + third, "ZPZZZP")
    bias: Any = verse.bias(tokens_of(text + third + "，" + rest))
    assert all("上平聲一東" in groups(symbol) for symbol in allowed(bias.hard))


def test_repetition_is_a_penalty_and_doubling_is_free() -> None:
    verse = bound("五绝", repeat=4.0)
    a, b, c = pick(3, {"P", "Z"})

    def lost(text: str) -> dict[str, float]:
        bias: Any = verse.bias(tokens_of(text))
        return {} if bias.soft is None else {VOCABULARY[k]: float(bias.soft[k]) for k in np.flatnonzero(bias.soft)}

    assert lost("") == {}
    assert lost(a) == {}, "青青"
    assert lost(a + a) == {a: -4.0}, "three times is too much"
    assert lost(a + b) == {a: -4.0}
    assert lost(a + b + a) == {a: -4.0, b: -4.0}, "doubling a character that stood elsewhere is no doubling"
    assert lost(a + a + b + b + c + "，") == {a: -4.0, b: -4.0, c: -4.0}, "not across lines"
    bias: Any = bound("五绝", repeat=math.inf).bias(tokens_of(a + b))
    assert bias.soft[INDEX[a]] == -np.inf
    assert bias.softened()[INDEX[a]] == -8.0
    assert bias.row()[INDEX[a]] == -np.inf
    bias = bound("五绝", repeat=0).bias(tokens_of(a + b))
    assert bias.soft is None
    assert bias.softened() is bias.hard


def test_softening_lets_a_wrong_tone_through_but_no_wrong_rhyme() -> None:
    verse = bound("五绝", rhyme="七阳", tones=True)
    text = of_signs("ZZZPP")
    bias: Any = verse.bias(tokens_of(text[:4]))
    outside = next(symbol for symbol in VOCABULARY if sign(symbol) == "P" and "下平聲七陽" not in groups(symbol))
    assert bias.row()[INDEX[outside]] == -np.inf
    assert bias.softened()[INDEX[outside]] == -8.0
    bias = verse.bias(tokens_of(of_signs("ZZPPZ") + "，" + of_signs_after(of_signs("ZZPPZ"), "PPZZ")))
    assert bias.softened()[INDEX[outside]] == -np.inf


def test_characters_without_data() -> None:
    known = "一二三四五六七八九十东南西北天地日月山川红同公功中风空大小上下左右"
    vocabulary = ("", "", "，", "。", "啼", *dict.fromkeys(known))
    assert not groups("啼"), "the package has no reading of it"
    verse = forms.form("五绝", rhyme=True, tones="平起首句不入韵", repeat=0).bind(vocabulary)
    for length in range(5):
        bias: Any = verse.bias([vocabulary.index(symbol) for symbol in "东天一大小"[:length]])
        assert bias.row()[4] == 0, "any tone will do"
    bias = verse.bias([vocabulary.index(symbol) for symbol in "东天一大小，上下左南"])
    assert bias.hard[4] == -np.inf, "but it is no rhyme word"
