"""Text to tokens and back."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_texts import BYTES, small_text

from livesketch.errors import ControlError
from livesketch.models.tokens import Tokens, pieces, tokenizer
from livesketch.token_sampling import END, UNK

WHOLE = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
ALL_BYTES = Tokens(["", "", *BYTES], "byte")


@pytest.mark.parametrize("text", [None, 5, b"bytes", ["a"]])
@pytest.mark.parametrize("unit", ["character", "word", "byte"])
def test_what_is_no_text_is_refused(text, unit):
    tokens = tokenizer(small_text(unit=unit))
    for call in (tokens.ids, tokens.unknown):
        with pytest.raises(ControlError, match=f"{type(text).__name__}.*expected a str"):
            call(text)


@pytest.mark.parametrize("unit", ["character", "word", "byte"])
def test_half_a_surrogate_pair_is_named_with_its_place(unit):
    tokens = tokenizer(small_text(unit=unit))
    for call in (tokens.ids, tokens.unknown):
        with pytest.raises(ControlError, match=r"ud800.*place 2"):
            call("ab\ud800c")


@pytest.mark.parametrize("token", [-1, 42, 10**9])
def test_a_token_of_another_vocabulary_is_refused(token):
    tokens = tokenizer(small_text())
    for call in (tokens.text, tokens.decoder().feed):
        with pytest.raises(ControlError, match="expected a number from 0 to 41"):
            call(token)


def test_unknown_characters_are_named_once_in_order():
    tokens = tokenizer(small_text())
    assert tokens.ids("不☃人") == [4, UNK, 5]
    assert tokens.unknown("z不☃人zz☃") == ["z", "☃"]
    assert tokens.unknown("不人") == []
    assert tokens.ids("") == []


def test_characters_go_there_and_back():
    tokens = tokenizer(small_text())
    text = "春风不来，"
    ids = tokens.ids(text)
    assert UNK not in ids
    assert len(ids) == 5
    assert "".join(map(tokens.text, ids)) == text
    assert "".join(map(tokens.decoder().feed, ids)) == text
    assert (tokens.text(END), tokens.text(UNK)) == ("", "")
    assert len(tokens) == 42


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        ("the cat", ["the", " cat"]),
        ("Don't go, she said.", ["Don't", " go", ",", " she", " said", "."]),
        ("a  b", ["a", " ", " b"]),
        ("end.\n\nNext line\n", ["end", ".", "\n", "\n", "Next", " line", "\n"]),
        (" --- x_1 'quoted'", [" ---", " x_1", " '", "quoted", "'"]),
        ("l’été 3.14", ["l’été", " 3", ".", "14"]),
        ("tab\tand \t mix ", ["tab", "\t", "and", " \t", " mix", " "]),
        ("山水 画", ["山水", " 画"]),
    ],
)
def test_words_keep_the_space_before_them(text, parts):
    assert pieces(text, "word") == parts


@given(WHOLE)
def test_pieces_joined_are_the_text(text):
    assert "".join(pieces(text, "word")) == text
    assert bytes.fromhex("".join(pieces(text, "byte"))).decode() == text
    assert pieces(text, "character") == list(text)


def test_words_outside_the_vocabulary_are_unknown():
    tokens = tokenizer(small_text(unit="word"))
    assert tokens.unknown("the the and cats") == [" cats"]
    assert tokens.ids("the the and cats") == [2, 3, 4, UNK]
    assert "".join(map(tokens.text, tokens.ids("the in my"))) == "the in my"


@given(WHOLE)
def test_bytes_are_put_together_to_characters(text):
    decoder = ALL_BYTES.decoder()
    shown = [decoder.feed(token) for token in ALL_BYTES.ids(text)]
    assert "".join(shown) == text
    assert [len(part) for part in shown if part] == [1] * len(text)
    assert decoder.feed(END) == ""
    assert ALL_BYTES.unknown(text) == []


@given(st.binary(max_size=20))
def test_bytes_that_are_no_text_are_replaced_as_python_does(data):
    decoder = ALL_BYTES.decoder()
    shown = "".join(decoder.feed(byte + 2) for byte in data) + decoder.feed(END)
    assert shown == data.decode("utf-8", "replace")
    decoder = ALL_BYTES.decoder()
    assert "".join(decoder.feed(byte + 2) for byte in data) + decoder.flush() == data.decode("utf-8", "replace")


def test_a_decoder_goes_back_by_its_state():
    decoder = ALL_BYTES.decoder()
    first, second, third = ALL_BYTES.ids("山")
    decoder.feed(first)
    state = decoder.state
    decoder.feed(second)
    assert decoder.feed(third) == "山"
    decoder.state = state
    assert decoder.feed(second) == ""
    assert decoder.feed(third) == "山"
    assert isinstance(state, bytes)


def test_end_in_the_middle_of_a_character_leaves_nothing_behind():
    decoder = ALL_BYTES.decoder()
    decoder.feed(ALL_BYTES.ids("山")[0])
    assert decoder.feed(END) == "\N{REPLACEMENT CHARACTER}"
    assert decoder.feed(ALL_BYTES.ids("a")[0]) == "a"
    assert decoder.state == b""


def test_a_byte_shows_a_character_only_where_it_is_one():
    assert ALL_BYTES.text(ALL_BYTES.ids("e")[0]) == "e"
    assert ALL_BYTES.text(ALL_BYTES.ids("山")[0]) == "\N{REPLACEMENT CHARACTER}"
    assert ALL_BYTES.texts[:2] == ("", "")


def test_a_byte_model_without_some_bytes_names_the_characters_that_need_them():
    tokens = tokenizer(dataclasses.replace(small_text(unit="byte"), vocabulary=("", "", "61", "e5", "b1")))
    assert tokens.unknown("a山水a") == ["水"]
    assert tokens.ids("a水") == [2, UNK, UNK, UNK]
