"""Handwriting as a stream: text in, pen actions out."""

import copy
import gc
import itertools
import logging
import math
import pickle
import tracemalloc

import numpy as np
import pytest
from small_strokes import TEN, write_medians

import livesketch as ls
from livesketch.cues import CueMaker
from livesketch.events import Cue, Pen, PenAction, Token
from livesketch.handwriting import sources
from livesketch.handwriting.glyphs import SPACING
from livesketch.handwriting.hand import handwrite
from livesketch.strokes import to_polylines, to_stroke3

STROKES_OF = {"十": 2, "口": 3, "丶": 2, "乙": 1}


@pytest.fixture
def file(tmp_path):
    return write_medians(tmp_path / "few.jsonl")


@pytest.fixture(autouse=True)
def silence():
    yield
    ls.hush()


def tokens(text, *, piece=0, end=True, ended=True, given=0, voice=0, step=0):
    """A piece token by token, and its END."""
    out = [
        Token(0.0, "poet", voice, step + k, character, -1.0, 1.0, given=k < given, piece=piece)
        for k, character in enumerate(text)
    ]
    if end:
        out.append(
            Token(0.0, "poet", voice, len(text), "", -1.0, 1.0, given=False, piece=piece, last=True, ended=ended)
        )
    return out


class Poet:
    """Says about itself what a text stream does, and counts what is asked of it."""

    name, seed, temperature = "poet", 11, 0.8

    def __init__(self, items):
        self.items, self.asked = iter(items), 0

    def __iter__(self):
        return self

    def __next__(self):
        self.asked += 1
        return next(self.items)


@pytest.mark.parametrize("text", [5, None, b"text", bytearray(b"text"), 1.5, object()])
def test_what_has_no_text_is_refused(text, file):
    with pytest.raises(ls.ControlError, match="expected a text stream, tokens, or a string"):
        handwrite(text, file)


@pytest.mark.parametrize("item", [5, None, b"a", ["a"]])
def test_what_gives_no_text_is_refused_when_it_comes(item, file):
    hand = handwrite(["十", item], file)
    with pytest.raises(ls.ControlError, match="expected tokens, or pieces of a string"):
        list(hand)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"jitter": -0.1}, "jitter"),
        ({"jitter": 0.5}, "jitter"),
        ({"jitter": math.nan}, "jitter"),
        ({"jitter": "much"}, "jitter"),
        ({"seed": -1}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"name": ""}, "name"),
        ({"name": 5}, "name"),
        ({"layout": "up"}, "layout"),
        ({"line": 0}, "line"),
        ({"strokes": "no-such-thing"}, "no source of that name"),
    ],
)
def test_bad_options_are_refused_before_anything_is_asked_of_the_text(options, why, file):
    poet = Poet(tokens("十"))
    with pytest.raises(ls.ControlError, match=why):
        handwrite(poet, **{"strokes": file} | options)
    assert poet.asked == 0


def test_a_damaged_character_is_said_and_the_pen_can_go_on_behind_it(tmp_path):
    path = write_medians(tmp_path / "bad.jsonl", TEN, '{"character": "坏", "medians": []}')
    hand = handwrite(iter("十坏十"), path)
    with pytest.raises(ls.DataError, match="line 2"):
        list(hand)
    with pytest.raises(ls.DataError, match="line 2"):
        next(hand)


@pytest.mark.parametrize("text", ["", "\n", " \u3000\t", "\u200b\x00"])
def test_an_empty_text_is_a_drawing_that_only_ends(text, file):
    (action,) = handwrite(text, file)
    assert action == PenAction(0.0, "handwriting", 0, 0, 0, 0.5, 0.5, 0.0, 0.0, False, Pen.END, True, True, "human")


def test_no_text_at_all_gives_nothing(file):
    assert list(handwrite([], file)) == []
    assert handwrite(iter(()), file).take(5) == []


def test_characters_without_strokes_are_said_once_and_leave_a_gap(file, caplog):
    with caplog.at_level(logging.WARNING, "livesketch"):
        hand = handwrite("十龘口龘A", file)
        drawn = list(hand)
    assert hand.missing == {"龘", "A"}
    assert [*hand.missing] == ["龘", "A"]
    assert len(caplog.records) == 2
    assert "U+9F98" in caplog.text
    assert pens(drawn)[Pen.UP] == 5


def test_a_gap_is_as_wide_as_the_character(file):
    gap, full = (to_polylines(list(handwrite(text, file, line=6, size=0.1))) for text in ("十龘口", "十乙口"))
    assert (len(gap), len(full)) == (5, 6)
    assert np.concatenate(gap[2:]) == pytest.approx(np.concatenate(full[3:]))


def test_only_missing_characters_are_an_empty_drawing(file):
    drawings = ls.draw(handwrite("龘龘龘", file))
    assert [len(drawing.actions) for drawing in drawings] == [1]
    assert drawings[0].actions[0].pen is Pen.END


def pens(actions):
    return {pen: sum(action.pen is pen for action in actions) for pen in Pen}


def test_the_actions_of_a_small_character_are_these(file):
    """十 fills the stage but for a margin of a tenth: its cell is 0.1 ... 0.9, its grid 1024 units."""
    actions = list(handwrite("十", file, name="ten"))
    across, down = (0.1 + 0.8 * 100 / 1024, 0.1 + 0.8 * 900 / 1024), 0.1 + 0.8 * 500 / 1024
    first = actions[0]
    assert (first.name, first.voice, first.drawing, first.step, first.at) == ("ten", 0, 0, 0, 0.0)
    assert (first.x, first.y) == pytest.approx((across[0], down))
    assert (first.dx, first.dy) == pytest.approx(((across[0] - 0.5) * 1000, (down - 0.5) * 1000))
    assert (first.ink, first.pen, first.source) == (False, Pen.DOWN, "human")
    strokes = to_polylines(actions)
    assert [line[[0, -1]].tolist() for line in strokes] == pytest.approx(
        np.array(
            [[[across[0], down], [across[1], down]], [[0.5, 0.1 + 0.8 * 100 / 1024], [0.5, 0.1 + 0.8 * 924 / 1024]]]
        )
    )
    assert [len(line) for line in strokes] == [1 + math.ceil(0.78125 / SPACING), 1 + math.ceil(824 / 1024 / SPACING)]
    assert pens(actions) == {Pen.DOWN: len(actions) - 3, Pen.UP: 2, Pen.END: 1}
    assert (actions[-1].x, actions[-1].y) == (actions[-2].x, actions[-2].y)
    assert (actions[-1].last, actions[-1].ended, actions[-1].ink) == (True, True, False)


@pytest.mark.parametrize("layout", ["horizontal", "vertical"])
def test_moves_add_up_steps_follow_and_each_stroke_is_one_line(file, layout):
    text = "十口丶乙，十。口\n乙"
    actions = list(handwrite(text, file, layout=layout))
    assert [action.step for action in actions] == [*range(len(actions))]
    x, y = (0.5 + np.cumsum([getattr(a, way) for a in actions]) / 1000 for way in ("dx", "dy"))
    assert x == pytest.approx([a.x for a in actions])
    assert y == pytest.approx([a.y for a in actions])
    count = sum(STROKES_OF.get(character, 1) for character in text if character != "\n")
    assert len(to_polylines(actions)) == count
    assert to_stroke3(actions)[:, 2].sum() == count
    maker = CueMaker()
    cues = [event.kind for action in actions for event in maker.events(action) if isinstance(event, Cue)]
    assert cues == ["drawing/begin", *["stroke/begin", "stroke/end"] * count, "drawing/end"]


def test_no_line_is_longer_than_the_spacing(file):
    hand = handwrite("口乙", file)
    moves = [math.hypot(a.dx, a.dy) for a in hand if a.ink]
    assert max(moves) <= 1.1 * SPACING * hand.page.size * 1000


def test_strokes_without_length_are_touches_of_the_pen(file, tmp_path):
    first, second, end = handwrite("丶", file)
    assert (first.ink, first.pen) == (second.ink, second.pen) == (False, Pen.UP)
    assert end.pen is Pen.END
    ls.draw(handwrite("丶", file), to=ls.svg(tmp_path / "dot.svg"))
    assert (tmp_path / "dot.svg").read_text().count("<path") == 2


def test_each_piece_is_a_drawing_ended_as_its_last_token_says(file):
    text = [*tokens("十口"), *tokens("乙", piece=1, ended=False), *tokens("", piece=2), *tokens("十", piece=3)]
    actions = list(handwrite(text, file))
    ends = [action for action in actions if action.last]
    assert [(a.drawing, a.pen, a.ended) for a in ends] == [
        (0, Pen.END, True), (1, Pen.END, False), (2, Pen.END, True), (3, Pen.END, True),
    ]  # fmt: skip
    for _, drawing in itertools.groupby(actions, lambda action: action.drawing):
        assert next(drawing).step == 0
    starts = [action for action in actions if action.step == 0 and not action.last]
    assert [0.5 + a.dx / 1000 for a in starts] == pytest.approx([a.x for a in starts])


def test_tokens_that_run_out_or_go_to_another_piece_end_the_drawing_as_not_ended(file):
    text = [*tokens("十", end=False), *tokens("口", piece=1, end=False), *tokens("乙", voice=1, piece=1, end=False)]
    ends = [a for a in handwrite(text, file) if a.last]
    assert [(a.drawing, a.voice, a.ended) for a in ends] == [(0, 0, False), (1, 0, False), (2, 1, False)]


def test_a_piece_that_begins_again_is_another_drawing(file):
    text = [*tokens("十口", end=False), *tokens("十乙")]
    actions = list(handwrite(text, file))
    assert [(a.drawing, a.ended) for a in actions if a.last] == [(0, False), (1, True)]
    assert places(a for a in actions if a.drawing == 1) == places(handwrite(tokens("十乙"), file))


def test_given_tokens_are_drawn_by_a_human_and_the_others_by_the_model(file):
    actions = list(handwrite(tokens("十口", given=1), file))
    assert [source for source, _ in itertools.groupby(a.source for a in actions)] == ["human", "model"]
    assert sum(a.pen is Pen.UP and a.source == "human" for a in actions) == 2
    words = list(handwrite([*tokens("ab", end=False, given=1), *tokens("", step=2)], "hershey"))
    assert [source for source, _ in itertools.groupby(a.source for a in words)] == ["human", "model"]


def test_a_text_stream_lends_its_name_seed_and_temperature(file):
    hand = handwrite(Poet(tokens("十")), file)
    assert (hand.name, hand.seed, hand.temperature, hand.convention) == ("poet", 11, 0.8, None)
    assert next(hand).name == "poet"
    hand = handwrite(Poet(tokens("十")), file, name="scribe", seed=3)
    assert (hand.name, hand.seed) == ("scribe", 3)
    plain = handwrite("十", file)
    assert (plain.name, plain.seed, plain.temperature) == ("handwriting", 0, None)
    assert handwrite("十", file, jitter=0.1).seed != handwrite("十", file, jitter=0.1).seed


def test_an_open_file_is_one_piece(file, tmp_path):
    (tmp_path / "poem.txt").write_text("十口\n乙\n", encoding="utf-8")
    with (tmp_path / "poem.txt").open(encoding="utf-8") as stream:
        hand = handwrite(stream, file)
        actions = list(hand)
    assert hand.name == "handwriting"
    assert [a.ended for a in actions if a.last] == [True]
    assert places(actions) == places(handwrite(iter("十口\n乙\n"), file))


def places(actions):
    return [(a.x, a.y, a.ink, a.pen) for a in actions]


def test_nothing_is_asked_of_the_text_before_it_is_needed(file):
    poet = Poet(tokens("十口乙"))
    hand = handwrite(poet, file)
    assert poet.asked == 0
    next(hand)
    assert poet.asked == 1
    list(itertools.takewhile(lambda action: action.pen is not Pen.UP, hand))
    assert poet.asked == 1
    list(itertools.takewhile(lambda action: action.pen is not Pen.UP, hand))
    next(hand)
    assert poet.asked == 2


def test_a_word_is_drawn_when_it_is_complete():
    poet = Poet(tokens("to be"))
    hand = handwrite(poet, "hershey")
    next(hand)
    assert poet.asked == 3


def test_a_piece_that_is_longer_than_the_page_goes_on_in_the_next_drawing(file):
    text = "十" * 25
    hand = handwrite(tokens(text), file, line=4, lines=3)
    actions = list(hand)
    assert [(a.drawing, a.ended, a.last) for a in actions if a.pen is Pen.END] == [
        (0, False, True), (1, False, True), (2, True, True),
    ]  # fmt: skip
    strokes = [sum(a.pen is Pen.UP for a in drawing) for _, drawing in itertools.groupby(actions, lambda a: a.drawing)]
    assert strokes == [24, 24, 2]
    assert all(0.1 <= min(a.x, a.y) <= max(a.x, a.y) <= 0.9 for a in actions if not a.last)
    assert places(actions[:100]) == places(a for a in actions if a.drawing == 1)[:100]


def test_what_comes_by_and_by_is_written_like_what_is_there(file):
    text = "十口，乙十。\n口"
    assert places(handwrite(iter(text), file)) == places(handwrite(iter([text]), file))
    assert places(handwrite(tokens(text), file)) == places(handwrite(iter([text]), file))
    assert places(handwrite(text, file, line=8, lines=8, size=0.05)) != places(handwrite(iter(text), file))


def test_the_same_hand_writes_the_same_for_the_same_seed(file):
    def written(seed, jitter=0.05, text="十口十"):
        return places(handwrite(text, file, jitter=jitter, seed=seed))

    assert written(1) == written(1) != written(2)
    assert written(1, 0.0) == written(2, 0.0) != written(1)
    assert written(1)[: len(written(1, text="十口")) - 1] != written(1, 0.0)[: len(written(1, text="十口")) - 1]


def test_jitter_is_small_and_smooth_and_each_time_another(file):
    steady = to_polylines(list(handwrite("十十口乙", file)))
    hand = handwrite("十十口乙", file, jitter=0.02, seed=5)
    shaky = to_polylines(list(hand))
    cell = hand.page.size
    for line, other in zip(steady, shaky, strict=True):
        assert 0 < np.abs(line - other).max() <= 0.06 * cell
        assert np.abs(np.diff(other - line, 2, axis=0)).max() < 0.004 * cell
    offset = [shaky[k] - steady[k] for k in (0, 2)]
    assert np.abs(offset[0] - offset[1]).max() > 0.002 * cell


def test_jitter_begins_anew_in_each_drawing_be_it_a_piece_or_a_page(file):
    paged, pieces = tokens("十" * 12 + "口乙"), [*tokens("十"), *tokens("口乙", piece=1)]
    first, second = (
        places(a for a in handwrite(text, file, jitter=0.1, seed=4, line=4, lines=3) if a.drawing == 1)
        for text in (paged, pieces)
    )
    assert first == second


@pytest.mark.parametrize("moment", range(6))
def test_what_is_broken_off_goes_on_without_loss_or_repetition(file, moment, monkeypatch):
    """Ctrl-C while the text makes a token, or while strokes are looked up."""
    text = [*tokens("十口乙口"), *tokens("十", piece=1)]
    whole = list(handwrite(text, file))
    calls = itertools.count()

    class Interrupted(Poet):
        def __next__(self):
            if next(calls) == moment:
                raise KeyboardInterrupt
            return super().__next__()

    hand = handwrite(Interrupted(text), file, name="handwriting")
    asked = itertools.count()
    find = hand._scribe.strokes.find

    def interrupted(character):
        if next(asked) == 3 * moment:
            raise KeyboardInterrupt
        return find(character)

    monkeypatch.setattr(hand._scribe.strokes, "find", interrupted)
    drawn, breaks = [], 0
    while True:
        try:
            drawn.append(next(hand))
        except KeyboardInterrupt:
            breaks += 1
        except StopIteration:
            break
    assert breaks == 2
    assert places(drawn) == places(whole)
    assert [a.step for a in drawn] == [a.step for a in whole]


def test_a_drawing_holds_one_page_and_shows_itself(file):
    hand = handwrite([*tokens("十口"), *tokens("乙", piece=1)], file)
    first = next(hand)
    drawing = hand.drawing()
    assert list(drawing)[-1].last
    assert drawing.finished
    assert drawing.actions[0] is first
    assert len(to_polylines(drawing)) == 5
    second = hand.drawing()
    assert second._repr_svg_().startswith("<svg")
    assert {a.drawing for a in second.actions} == {1}
    assert list(hand.drawing()) == []
    assert hand.take(3) == []


def test_it_says_what_it_is_and_is_not_copied(file):
    hand = handwrite("十", file, layout="vertical")
    assert "vertical" in repr(hand)
    assert "few.jsonl" in repr(hand)
    assert hand.attributions == ("stroke medians of few.jsonl",)
    with pytest.raises(TypeError, match="neither copied nor pickled"):
        copy.copy(hand)
    with pytest.raises(TypeError, match="neither copied nor pickled"):
        pickle.dumps(hand)


def test_played_it_stops_by_itself_behind_the_last_piece(file):
    recorder = ls.Recorder()
    hand = handwrite([*tokens("十口"), *tokens("乙", piece=1)], file)
    player = ls.play(hand, to=recorder, rate=10_000, name="poem")
    assert player.wait(10)
    assert player.error is None
    assert player.stats().drawings == 2
    sent = [event for event in recorder.events if isinstance(event, PenAction)]
    assert places(sent) == places(handwrite([*tokens("十口"), *tokens("乙", piece=1)], file))
    assert recorder.events[-1].kind == "hush"
    assert (recorder.lifts, recorder.closes) == (1, 1)


def test_played_until_one_piece_is_written_the_next_one_waits(file):
    poet = Poet(tokens("十") + tokens("口", piece=1))
    recorder = ls.Recorder()
    assert ls.play(handwrite(poet, file), to=recorder, rate=10_000, then="stop").wait(10)
    assert poet.asked == 2
    assert [a.drawing for a in recorder.events if isinstance(a, PenAction) and a.last] == [0]


def test_outputs_get_the_stage_of_the_text(file):
    recorder = ls.Recorder()
    ls.draw(handwrite(Poet(tokens("十")), file), to=recorder)
    ((name, voices, stage),) = recorder.opens
    assert (name, voices, stage.model) == ("poet", 1, "poet")
    assert (stage.seed, stage.units, stage.temperature, stage.convention) == (11, 1000.0, 0.8, None)


def test_as_many_drawings_as_there_are(file):
    text = [*tokens("十"), *tokens("口", piece=1)]
    assert len(ls.draw(handwrite(text, file), n=1)) == 1
    drawings = ls.draw(handwrite(text, file), n=5)
    assert [len(to_polylines(drawing)) for drawing in drawings] == [2, 3]


def test_a_page_as_svg(file, tmp_path, golden):
    ls.draw(handwrite("十口，乙丶。", file), to=ls.svg(tmp_path / "page.svg", page="100x60mm"))
    golden("handwriting.svg", (tmp_path / "page.svg").read_bytes())


def test_a_page_in_columns_as_svg(file, tmp_path, golden):
    hand = handwrite(tokens("十口，Hi。"), [file, "hershey"], layout="vertical", jitter=0.03, seed=2)
    ls.draw(hand, to=ls.svg(tmp_path / "page.svg", page="60x100mm"))
    golden("handwriting_column.svg", (tmp_path / "page.svg").read_bytes())


def test_the_strokes_of_a_page_are_open(file, tmp_path):
    ls.draw(handwrite("十口，乙。", file), to=ls.svg(tmp_path / "page.svg"))
    text = (tmp_path / "page.svg").read_text()
    assert text.count("<path") == 8
    assert "Z" not in "".join(text.split('d="')[1:])


@pytest.mark.shared
@pytest.mark.parametrize("layout", ["horizontal", "vertical"])
def test_every_character_of_a_real_poem_is_drawn_within_its_cell_in_the_order_of_its_strokes(shared, layout):
    poem = "床前明月光，疑是地上霜。举头望明月，低头思故乡。"
    hand = handwrite(poem, shared / "strokes" / "hanzi_medians.jsonl", layout=layout)
    strokes = iter(to_polylines(list(hand)))
    assert not hand.missing
    page = hand.page
    for k, character in enumerate(poem):
        x, y = page.corner(*divmod(k, 6))
        glyph = hand._scribe.strokes.find(character)
        for line in glyph.strokes:
            drawn = next(strokes)
            assert drawn == pytest.approx(line * page.size + [x, y])
            assert (drawn.min(axis=0) >= np.array([x, y]) - 1e-9).all()
            assert (drawn.max(axis=0) <= np.array([x, y]) + page.size + 1e-9).all()
    assert next(strokes, None) is None


def write_for(hand, pages):
    """Memory in use behind so many more pages, bytes."""
    for action in hand:
        pages -= action.last
        if not pages:
            break
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def test_memory_does_not_grow_with_the_text(tmp_path, monkeypatch):
    """Pages of sixteen characters, of which there are more than are remembered."""
    path = write_medians(tmp_path / "many.jsonl", *({"character": c, "medians": TEN["medians"]} for c in ALL))
    monkeypatch.setattr(sources, "KEPT", 100)
    hand = handwrite(itertools.cycle(ALL), path, line=4, lines=4)
    tracemalloc.start()
    try:
        before = write_for(hand, 15)
        after = write_for(hand, 30)
    finally:
        tracemalloc.stop()
    assert after - before < 50_000, "bytes"


ALL = [chr(0x4E00 + k) for k in range(300)]


@pytest.mark.slow
def test_memory_does_not_grow_with_100_000_characters(tmp_path):
    path = write_medians(tmp_path / "many.jsonl", *({"character": c, "medians": [[[512, 388]]]} for c in ALL))
    hand = handwrite("".join(itertools.islice(itertools.cycle(ALL), 100_000)), path)
    tracemalloc.start()
    try:
        before = write_for(hand, 5)
        after = write_for(hand, 10)
    finally:
        tracemalloc.stop()
    assert after - before < 20_000, "bytes"
    assert sum(a.last for a in hand) + 15 == math.ceil(100_000 / 40 / 28)
