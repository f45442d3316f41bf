"""Regular grammars, line lengths and letters: what the rows allow is what Python's ``re`` says of the whole text."""

import itertools
import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from livesketch import forms
from livesketch.errors import ControlError
from livesketch.forms.constraint import Constraint
from livesketch.forms.table import KEPT_ROWS

LETTERS = ("", "", "a", "b", "c", "\n")
WORDS = ("", "", "a", "b", "c", "\n", "ab", "ca", "abc", " b", "bb")


def allowed(constraint: Constraint, text: Sequence[str], vocabulary: tuple[str, ...]) -> set[str]:
    bias: Any = forms.bias_of(constraint, [vocabulary.index(symbol) for symbol in text])
    assert bias.soft is None
    assert set(np.unique(bias.hard)) <= {0, -np.inf}
    return {vocabulary[index] or ("END", "UNK")[index] for index in np.flatnonzero(bias.hard == 0)}


def patterns() -> st.SearchStrategy[str]:
    atoms = st.sampled_from(
        ["a", "b", "c", ".", "[ab]", "[^b]", "\\w", "\\W", "\\n", "\\x61", "\\u0062", "[^]c]", "(?:)"]
    )
    joined = lambda parts: st.lists(parts, min_size=1, max_size=3).map("".join)  # noqa: E731
    counts = st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{2,}", "{,2}", "*?", "+?", "{0}"])

    def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        group = st.tuples(st.sampled_from(["(", "(?:", "(?P<x>"]), inner).map(lambda two: f"{two[0]}{two[1]})")
        choice = st.lists(inner, min_size=2, max_size=3).map("|".join)
        return st.one_of(joined(inner), choice, group, st.tuples(group, counts).map("".join))

    single = st.tuples(atoms, st.just("") | counts).map("".join)
    return st.recursive(joined(single), grown, max_leaves=6)


def compiled(pattern: str) -> "re.Pattern[str]":
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return re.compile(pattern)
    except (re.error, FutureWarning):
        assume(False)  # one name twice
        raise


@settings(max_examples=300, deadline=None)
@given(pattern=patterns(), flag=st.sampled_from(["", "(?s)", "(?i)"]))
def test_the_rows_are_what_re_says(pattern: str, flag: str) -> None:
    """END is allowed where the text matches; a letter where some text that begins with it does (up to six letters)."""
    matches = compiled(flag + pattern).fullmatch
    texts = ["".join(letters) for n in range(6) for letters in itertools.product("abc\n", repeat=n)]
    whole = {text for text in texts if matches(text)}
    rule = forms.grammar(flag + pattern)
    if not whole:
        return
    constraint = rule.bind(LETTERS)
    begun = {text[:length] for text in whole for length in range(len(text) + 1)}
    for text in sorted(begun, key=len)[:80]:
        found = allowed(constraint, text, LETTERS)
        assert ("END" in found) == (text in whole), (pattern, text)
        assert found >= {letter for letter in "abc\n" if text + letter in begun}, (pattern, text)
        assert "UNK" not in found


@settings(max_examples=150, deadline=None)
@given(pattern=patterns(), data=st.data())
def test_walks_over_words_end_in_whole_texts(pattern: str, data: st.DataObject) -> None:
    """Whatever is picked out of the rows there is a way on, and where END may come the text matches."""
    matches = compiled(pattern).fullmatch
    if not any(matches("".join(letters)) for n in range(5) for letters in itertools.product("abc\n", repeat=n)):
        return
    constraint = forms.grammar(pattern).bind(WORDS)
    text: list[str] = []
    for _ in range(12):
        found = allowed(constraint, text, WORDS)
        assert ("END" in found) == bool(matches("".join(text)))
        following = sorted(found - {"END"})
        if not following:
            break
        text.append(data.draw(st.sampled_from(following)))


def test_a_token_is_allowed_as_a_whole() -> None:
    vocabulary = ("", "", "a", "b", " ", "ab", " cd", "abcd")
    words = forms.grammar("[a-z]{1,3}( [a-z]{1,3})*").bind(vocabulary)
    assert allowed(words, [], vocabulary) == {"a", "b", "ab"}
    assert allowed(words, ["ab"], vocabulary) == {"END", "a", "b", " ", " cd"}
    assert allowed(words, ["ab", "a"], vocabulary) == {"END", " ", " cd"}
    assert allowed(words, ["a", " "], vocabulary) == {"a", "b", "ab"}


def test_dead_ends_of_the_vocabulary_are_closed() -> None:
    """'x' would lead on, but no symbol writes it: so 'a' cannot be begun."""
    vocabulary = ("", "", "a", "b", "bb")
    assert allowed(forms.grammar("ax|b+").bind(vocabulary), [], vocabulary) == {"b", "bb"}
    even = ("", "", "bb", "b", "bbb")
    assert allowed(forms.grammar("(bb){1,2}").bind(even), ["b"], even) == {"b", "bb", "bbb"}
    assert allowed(forms.grammar("(bb){1,2}").bind(even), ["bb", "b"], even) == {"b"}
    assert allowed(forms.grammar("(bb){1,2}").bind(even[:3]), ["bb"], even) == {"END", "bb"}
    with pytest.raises(ControlError, match="none of its texts"):
        forms.grammar("b(bb)+").bind(("", "", "bb", "xb"))


def test_unicode_is_what_re_takes_it_for() -> None:
    vocabulary = ("", "", "é", "春", "，", "3", "٣", "A")
    assert allowed(forms.grammar(r"\w*").bind(vocabulary), [], vocabulary) == {"END", "é", "春", "3", "٣", "A"}
    assert allowed(forms.grammar(r"\d+").bind(vocabulary), [], vocabulary) == {"3", "٣"}
    assert allowed(forms.grammar("[一-龥]").bind(vocabulary), [], vocabulary) == {"春"}
    assert allowed(forms.grammar(r"(?i)\N{LATIN SMALL LETTER A}|É").bind(vocabulary), [], vocabulary) == {"A", "é"}


def test_the_forms_of_verse_as_a_grammar() -> None:
    """Two ways to ask for the same lines."""
    vocabulary = ("", "", "，", "。", *"天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往")
    one, other = (
        forms.form("五绝", repeat=0).bind(vocabulary),
        forms.grammar("(?:[^，。]{5}，[^，。]{5}。){2}").bind(vocabulary),
    )
    chance = np.random.default_rng(3)
    tokens: list[int] = []
    while True:
        row = one.bias(tokens).hard  # type: ignore[union-attr]
        assert np.array_equal(row, other.bias(tokens).hard)  # type: ignore[union-attr]
        tokens.append(int(chance.choice(np.flatnonzero(row == 0))))
        if tokens[-1] == 0:
            break
    assert len(tokens) == 25


def test_many_states_keep_a_bounded_number_of_rows() -> None:
    vocabulary = ("", "", "a")
    constraint: Any = forms.grammar("a{0,1500}").bind(vocabulary)
    for length in (0, 700, 1499, 1500):
        assert allowed(constraint, ["a"] * length, vocabulary) == ({"END", "a"} if length < 1500 else {"END"})
    for length in range(1500):
        constraint.bias([2] * length)
    assert len(constraint._rows) == KEPT_ROWS
    assert len(constraint._walk._known) <= 64 + 2  # two were walked from the start


def test_a_step_costs_a_step() -> None:
    """The state is carried on: 3,000 tokens are not walked again each time."""
    vocabulary = ("", "", "a", "b")
    constraint: Any = forms.grammar("[ab]*").bind(vocabulary)
    steps = 0
    step = constraint._walk._step

    def counted(state: int, tokens: Sequence[int], place: int) -> int:
        nonlocal steps
        steps += 1
        return int(step(state, tokens, place))

    constraint._walk._step = counted
    tokens = [2, 3] * 1500
    for length in range(len(tokens) + 1):
        constraint.bias(tokens[:length])
    assert steps == 3000
    constraint.bias(tokens[:2990])  # a rewind
    assert steps == 3000
    constraint.bias([*tokens[:2990], 2])  # a fork that goes another way: the same here
    assert steps == 3000


@pytest.mark.parametrize("unit", ["character", "token"])
def test_haiku(unit: Any) -> None:
    vocabulary = ("", "", "\n", "o", " ", "frog", "jumps", " in", "water", "\n\n", "a\n")
    rule = forms.lines((5, 7, 5), unit=unit)
    assert rule.says() == f"lines of 5, 7, 5 {unit}s"
    constraint = rule.bind(vocabulary)
    for seed in range(50):
        chance = np.random.default_rng(seed)
        tokens: list[int] = []
        while not tokens or tokens[-1]:
            row = constraint.bias(tokens).hard  # type: ignore[union-attr]
            tokens.append(int(chance.choice(np.flatnonzero(row == 0))))
        parts = [vocabulary[token] for token in tokens]
        if unit == "character":
            assert re.fullmatch(r"[^\n]{5}\n[^\n]{7}\n[^\n]{5}\n", "".join(parts))
        else:
            cuts = [index for index, part in enumerate(parts) if part == "\n"]
            assert cuts == [5, 13, 19]
            assert len(parts) == 21


def test_lines_of_words_fill_exactly() -> None:
    """Five places, words of two and three: after two of two there is no way to five, so the row leads round that."""
    vocabulary = ("", "", "ab", "xyz", "/")
    constraint = forms.lines((5,), "/").bind(vocabulary)
    assert allowed(constraint, [], vocabulary) == {"ab", "xyz"}
    assert allowed(constraint, ["ab"], vocabulary) == {"xyz"}
    assert allowed(constraint, ["xyz"], vocabulary) == {"ab"}
    assert allowed(constraint, ["xyz", "ab"], vocabulary) == {"/"}
    assert allowed(constraint, ["xyz", "ab", "/"], vocabulary) == {"END"}


def test_marks_of_several_symbols_and_none() -> None:
    vocabulary = ("", "", "a", "。", "\n", "。\n")
    constraint = forms.lines((1, 1), ("。\n", "")).bind(vocabulary)
    assert allowed(constraint, ["a"], vocabulary) == {"。", "。\n"}
    assert allowed(constraint, ["a", "。"], vocabulary) == {"\n"}
    assert allowed(constraint, ["a", "。", "\n"], vocabulary) == allowed(constraint, ["a", "。\n"], vocabulary) == {"a"}
    assert allowed(constraint, ["a", "。\n", "a"], vocabulary) == {"END"}


def test_letters() -> None:
    vocabulary = ("", "", "e", "E", "Été", "a", "the", "Straße", " b", "us")
    assert allowed(forms.without("e").bind(vocabulary), ["e", "E"], vocabulary) == {"END", "Été", "a", " b", "us"}
    assert allowed(forms.without("S").bind(vocabulary), [], vocabulary) == {"END", "e", "E", "Été", "a", "the", " b"}
    assert allowed(forms.without("aé").bind(vocabulary), [], vocabulary) == {"END", "e", "E", "the", " b", "us"}
    assert allowed(forms.only("eth").bind(vocabulary), [], vocabulary) == {"END", "e", "the"}
    assert forms.without("e").says() == "without 'e'"
    assert forms.only("abc").says() == "only 'abc'"


def test_functions_answer_in_four_ways() -> None:
    vocabulary = ("", "", "a", "b", "c")
    seen: list[tuple[str, tuple[str, ...]]] = []

    def answer(value: Any) -> Any:
        def asked(text: str, symbols: tuple[str, ...]) -> Any:
            seen.append((text, symbols))
            return value

        return forms.callable_constraint(asked).bind(vocabulary).bias([2, 3, 4])

    assert answer(None) is None
    assert seen == [("abc", vocabulary)]
    assert np.array_equal(answer({"a", ""}).hard, [0, -np.inf, 0, -np.inf, -np.inf])
    assert np.array_equal(answer(iter("cb")).hard, [-np.inf, -np.inf, -np.inf, 0, 0])
    assert np.array_equal(answer(np.array([1, 1, 0, 0, 1], dtype=bool)).hard, [0, 0, -np.inf, -np.inf, 0])
    bias = answer(np.array([0, -np.inf, -2, -20, 0.0]))
    assert np.array_equal(bias.hard, [0, -np.inf, 0, 0, 0])
    assert np.array_equal(bias.row(), [0, -np.inf, -2, -20, 0])
    assert np.array_equal(bias.softened(), [0, -np.inf, -2, -8, 0])
    bonus = answer(np.array([0, 0, 3, 0, -np.inf]))
    assert np.array_equal(bonus.row(), [-3, -3, 0, -3, -np.inf]), "a bonus is a penalty on all others"
    given_array = np.zeros(5)
    assert answer(given_array).row() is not given_array
    assert bonus.row().dtype == np.float32


def test_rules_together_add_up() -> None:
    vocabulary = ("", "", "a", "b", "c")

    def dear(text: str, symbols: tuple[str, ...]) -> Any:
        return np.array([0, 0, -1.0, 0, 0])

    def free(text: str, symbols: tuple[str, ...]) -> None:
        return None

    both = forms.all_of(forms.without("c"), dear, dear, free)
    assert both.says() == "without 'c' and the function dear and the function dear and the function free"
    bias: Any = both.bind(vocabulary).bias([])
    assert np.array_equal(bias.row(), [0, -np.inf, -2, 0, -np.inf])
    assert forms.all_of(free).bind(vocabulary).bias([]) is None
    inner: Any = forms.all_of(forms.only("ab"), forms.all_of(forms.without("b"), dear)).bind(vocabulary).bias([])
    assert np.array_equal(inner.row(), [0, -np.inf, -1, -np.inf, -np.inf])
    alone: Any = forms.all_of(forms.only("ab")).bind(vocabulary).bias([])
    assert alone.soft is None


def test_verse_with_a_letter_forbidden() -> None:
    vocabulary = ("", "", "，", "。", *"天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往")
    both = forms.all_of(forms.form("五绝"), forms.without("天")).bind(vocabulary)
    assert "天" not in allowed(both, [], vocabulary)
    stuck = forms.all_of(forms.form("五绝"), forms.without("，")).bind(vocabulary)
    with pytest.raises(
        ControlError, match="without '，' forbids every symbol that 五绝 allowed at place 6 of the piece \\(，\\)"
    ):
        stuck.bias([4, 5, 6, 7, 8])
    assert stuck.bias([4, 5]) is not None
