"""What a person gives a text stream: beginnings, first lines, heads of lines, random lines; units; endless pieces."""

import itertools
import os
import tracemalloc
from dataclasses import replace
from time import process_time

import pytest
from small_texts import small_text
from text_streams import ARCHITECTURES, BACKENDS, SMALL, endless, ids_of, leaning, opened, text_of

import livesketch as ls
from livesketch import forms
from livesketch.streams.text_trail import MOST

MARKS = set("，。")
VERSE = leaning(small_text(ends=0.01), {2: 1.0, 3: 1.0})
"""Marks come often."""
OPENING = ["山水云风日", "天来天春", "花何月水中", "时上秋知相为", "山风龙"]


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


@pytest.fixture(params=ARCHITECTURES)
def architecture(request):
    return request.param


def whole(tokens, *, given):
    """A piece from its first step to its last, of which so many tokens were given."""
    assert [token.step for token in tokens] == list(range(len(tokens)))
    assert len({token.piece for token in tokens}) == 1
    assert [token.last for token in tokens] == [False] * (len(tokens) - 1) + [True]
    assert [token.given for token in tokens] == [True] * given + [False] * (len(tokens) - given)
    return True


# Beginnings


@pytest.mark.parametrize("taken", [0, 4, 15])  # before a piece, within, behind it
def test_a_prompt_is_a_whole_piece_that_goes_on_from_what_was_given(architecture, backend, taken):
    stream, fed = (opened(architecture, backend=backend) for _ in range(2))
    stream.take(taken), fed.take(taken)
    piece = stream.prompt("山水云")
    tokens = list(piece)
    assert whole(tokens, given=3)
    assert str(piece) == text_of(tokens)
    assert str(piece).startswith("山水云")
    assert piece.actions == tokens == stream.actions
    assert tokens[0].piece == (taken > 0)
    fed.finish()
    assert [*fed.feed("山水云"), *fed.piece()] == tokens
    following = next(stream)
    assert (following.step, following.given, following.piece) == (0, False, tokens[0].piece + 1)
    assert following == next(fed)


def test_a_prompt_may_leave_room_for_one_token_alone():
    piece = opened().prompt("山" * 39)
    assert whole(list(piece), given=39)
    assert len(piece.actions) == 40


def test_start_is_a_prompt_of_one_character():
    assert list(opened().start("山")) == list(opened().prompt("山"))


def test_a_first_line_is_ended_by_a_mark(backend):
    seen = set()
    for voice in range(30 if backend == "cpu" else 10):
        stream = opened(VERSE, voice=voice, backend=backend)
        tokens = list(stream.first_line("山水云风日"))
        assert whole(tokens, given=5)
        assert tokens[5].text in MARKS
        assert tokens[5].cost > 0, "what the plan took"
        seen.add(tokens[5].text)
    assert seen == MARKS, "the model chooses which"
    marked = list(stream.first_line("山水云风日。"))
    assert whole(marked, given=6)
    assert all(token.cost == 0 for token in marked)


@pytest.mark.parametrize("heads", ["山水云风", ["山", "水"], "山" * 6])
def test_an_acrostic_gives_the_heads_of_the_lines(heads, backend, architecture):
    made = VERSE if architecture == "text_lstm" else leaning(small_text(architecture, ends=0.4), {2: 3.0, 3: 3.0})
    complete = 0
    for voice in range(30 if backend == "cpu" else 10):
        tokens = list(opened(made, voice=voice, backend=backend).acrostic(heads))
        begins = [tokens[0], *(b for a, b in itertools.pairwise(tokens) if a.text in MARKS)]
        count = sum(token.given for token in tokens)
        assert "".join(token.text for token in begins[:count]) == "".join(heads)[:count]
        assert all(token.given for token in begins[:count])
        lines = sum(token.text in MARKS for token in tokens)
        if tokens[-1].ended:
            assert lines >= len(heads), "it does not end before they are all there"
            assert count == len(heads)
            complete += 1
    assert complete


def test_a_random_line_depends_on_seed_voice_and_piece():
    model = replace(VERSE, source={"openings": OPENING})
    stream = opened(model)
    lines = [str(stream.random_line().write())[:4] for _ in range(12)]
    assert len(set(lines)) > 1
    assert all(any(line.startswith(opening[:3]) for opening in OPENING[:4]) for line in lines)
    again = opened(model)
    assert [str(again.random_line().write())[:4] for _ in range(12)] == lines
    assert {next(opened(model, seed=seed).random_line()).text for seed in range(12)} == set("山天花时")
    assert {next(opened(model, voice=voice).random_line()).text for voice in range(12)} == set("山天花时")
    for taken in (0, 3):
        for seed in range(6):
            first, second = opened(model, seed=seed), opened(model, seed=seed)
            first.take(taken)
            second.take(taken)
            second.finish()
            assert next(first.random_line()) == next(second.random_line()), "of the piece that it begins"


def test_a_random_line_fits_the_form_and_is_of_the_label():
    model = replace(VERSE, source={"openings": OPENING})
    stream = opened(model).constrain(forms.form("五绝"))
    firsts = {str(stream.random_line().write())[:6] for _ in range(8)}
    assert firsts <= {"山水云风日，", "花何月水中，"}
    assert len(firsts) == 2
    stream.constrain(forms.form("七绝"))
    before = list(stream.actions)
    with pytest.raises(ls.ControlError, match="random_line: none of 5 lines fits 七绝; loosen it, or use first_line"):
        stream.random_line()
    assert stream.actions == before
    labelled = replace(SMALL["text_lstm"], source={"openings": {"甲": ["山水"], "乙": ["云风"], "丙": 7}})
    stream = opened(labelled)
    assert str(stream.random_line().write()).startswith("山水")
    stream.label = {"甲": 0.4, "乙": 0.6}
    assert str(stream.random_line().write()).startswith("云风")


@pytest.mark.parametrize("kept", [None, [], {}, {"甲": []}, [5, ""], "山水", 7])
def test_a_model_without_first_lines_says_so(kept):
    model = replace(SMALL["text_lstm"], source={"openings": kept})
    with pytest.raises(ls.UnsupportedModelError, match=r"keeps no first lines .* use first_line"):
        opened(model).random_line()


# Leaving, and several iterators


def test_a_piece_that_is_left_ends_and_keeps_what_it_had(architecture):
    stream = opened(architecture)
    left = stream.prompt("山水")
    had = [next(left) for _ in range(2)]
    other = stream.prompt("云")
    assert list(left) == []
    assert left.actions == had
    tokens = list(other)
    assert whole(tokens, given=1)
    assert tokens[0].piece == 1
    fresh = opened(architecture)
    fresh.take(2)
    assert list(fresh.prompt("云")) == tokens, "it is as if the one before had never been given"


def test_a_prompt_that_never_began_gives_way(architecture):
    stream = opened(architecture)
    never, piece = stream.prompt("山"), stream.prompt("云")
    assert list(never) == []
    assert str(never) == ""
    assert list(piece) == list(opened(architecture).prompt("云"))
    assert list(never) == []


def test_two_iterators_share_one_piece():
    stream = opened()
    one, two = stream.prompt("山水"), stream.piece()
    tokens = [next(one), next(two), next(one), next(stream)]
    assert [token.step for token in tokens] == [0, 1, 2, 3]
    rest = list(two)
    assert list(one) == []
    assert one.actions == two.actions == [*tokens, *rest]
    assert str(one) == str(two)


def test_an_iterator_whose_piece_others_took_is_at_its_end():
    stream = opened()
    piece = stream.prompt("山水")
    tokens = []
    while not (tokens and tokens[-1].last):
        tokens.append(next(stream))
    assert list(piece) == []
    assert piece.actions == tokens


def test_finish_leaves_a_piece_and_no_other():
    stream, plain = opened(), opened()
    piece = stream.piece()
    stream.finish()
    assert next(piece) == next(plain), "it had not begun"
    stream.finish()
    assert list(piece) == []
    assert (next(stream).piece, stream.actions[0].step) == (1, 0)
    prompt = stream.prompt("山")
    stream.finish()
    assert next(prompt).text == "山"
    list(prompt)
    kept = list(stream.actions)
    stream.finish()
    assert stream.actions == kept
    assert next(stream).piece == kept[0].piece + 1


def test_a_prompt_is_made_again_after_a_restart():
    stream = opened()
    tokens = list(stream.prompt("山水"))
    assert list(stream.restart().piece()) == tokens
    assert not next(stream).given


# Bytes and words


def test_a_character_of_several_bytes_comes_with_its_last_byte(backend):
    bytes_of = small_text(unit="byte", ends=0.01)
    stream = opened(bytes_of, backend=backend)
    piece = stream.prompt("a山\n€𝄞")
    texts = [token.text for token in (next(piece) for _ in range(12))]
    assert texts == ["a", "", "", "山", "\n", "", "", "€", "", "", "", "𝄞"]
    assert next(stream.start("山")).text == ""
    assert [token.text for token in stream.take(2)] == ["", "山"]
    with pytest.raises(ls.ControlError, match="expected one character"):
        stream.start("山水")
    with pytest.raises(ls.ControlError, match="expected heads of one character each"):
        stream.acrostic(["ab"])
    stream.rewind(1)
    assert stream.feed("山")[0].text == "\N{REPLACEMENT CHARACTER}", "the two bytes before it are no character"
    assert text_of(stream.actions) == "\N{REPLACEMENT CHARACTER}山"


def test_bytes_that_are_no_text_crash_nothing_and_join_as_they_do_at_once(backend):
    stream = opened(small_text(unit="byte", ends=0.02), backend=backend)
    for _ in range(12):
        tokens = list(stream.piece())
        raw = bytes(token.index - 2 for token in tokens if not token.ended)
        assert text_of(tokens) == raw.decode("utf-8", "replace")
        assert stream.log_prob("山").unknown == 0
    twin = opened(small_text(unit="byte", ends=0.02), backend=backend)
    made = twin.take(60)
    twin.rewind(33)
    assert twin.take(33) == made[27:]
    assert twin.fork().take(20) == twin.take(20)


def test_words_are_written_without_loss(backend):
    words = small_text(unit="word", ends=0.02)
    stream = opened(words, backend=backend)
    for voice in range(5):
        tokens = list(opened(words, voice=voice, backend=backend).piece())
        assert text_of(tokens) == "".join(words.vocabulary[token.index] for token in tokens)
    given = "the and, of my\n I in you."
    assert str(stream.prompt(given).write()).startswith(given)
    tokens = list(stream.acrostic(["O", " I", "the"]))
    text = text_of(tokens)
    lines = text.split("\n")
    heads = ["O", " I", "the"][: len(lines)]
    assert all(line.startswith(head) for line, head in zip(lines, heads, strict=False))
    with pytest.raises(ls.ControlError, match=r"'small' does not know 'thee', ' sea'"):
        stream.prompt("thee the sea")
    with pytest.raises(ls.ControlError, match=r"start 'the and': expected one word"):
        stream.start("the and")
    assert stream.first_line("the and").write().startswith("the and\n")


def test_a_model_without_marks_has_no_lines():
    bare = small_text(vocabulary=("", "", *"山水云风日天"))
    with pytest.raises(ls.ControlError, match="'small' knows no mark or break that ends a line; use prompt"):
        opened(bare).acrostic("山水")
    assert opened(bare).first_line("山水").write().startswith("山水")


# Endless pieces


def internals(stream):
    return (
        len(stream._trail.actions), len(stream._trail.unsent), len(stream._trail._older), len(stream._past),
        len(stream._past._events), len(stream._past._anchors), len(stream._batch._masks._known),
        len(stream._rule._sound) if stream._rule else 0,
    )  # fmt: skip


@pytest.mark.parametrize("rule", [None, forms.without("山")])
def test_an_endless_piece_takes_no_more_memory(rule, monkeypatch):
    monkeypatch.setattr("livesketch.streams.text_trail.MOST", 4096)  # as ever, but sooner
    stream = opened(endless())
    if rule is not None:
        stream.constrain(rule)
    stream.prompt("水")
    stream.take(6143)
    tracemalloc.start()
    try:
        before, first = internals(stream), tracemalloc.get_traced_memory()[0]
        for _ in range(4096):
            next(stream)
        grown = tracemalloc.get_traced_memory()[0] - first
    finally:
        tracemalloc.stop()
    assert internals(stream) == before
    assert grown < 4 * 4096 + 1_500_000, "four bytes a token, and what the tokens that are kept take"
    assert stream.actions[-1].step == 6143 + 4095
    assert len(stream._trail.ids) == 6143 + 4096


def test_of_a_long_piece_the_last_tokens_are_kept_and_can_be_taken_back(monkeypatch):
    monkeypatch.setattr("livesketch.streams.text_trail.MOST", 2048)
    stream = opened(endless())
    piece = stream.prompt("水山")
    made = stream.take(2500)
    assert piece.actions == made[-len(piece.actions) :]
    assert 1024 <= len(piece.actions) < 2048
    stream.rewind(900)
    assert stream.actions == piece.actions == made[-900 - len(piece.actions) : -900]
    assert [next(piece) for _ in range(900)] == made[-900:]
    twin = stream.fork()
    assert twin.actions == stream.actions
    assert list(twin._trail.ids) == [token.index for token in made]
    assert twin.take(50) == stream.take(50)


def memory() -> int:
    """Resident bytes of this process."""
    with open("/proc/self/statm") as file:  # noqa: PTH123 - no file
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc here")  # noqa: PTH110 - likewise
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_million_tokens_cost_what_the_first_cost(architecture):
    stream, seconds, sizes = opened(endless(architecture)), [], []
    stream.constrain(forms.without("山"))
    for _ in range(100):
        start = process_time()
        for _ in range(10**4):
            next(stream)
        seconds.append(process_time() - start)
        sizes.append(memory())
    first, last = min(seconds[:10]), min(seconds[-10:])  # of 10^5 tokens what was disturbed least
    assert last < 1.5 * first
    assert sizes[-1] - sizes[9] < 12 * 2**20, "four bytes a token; what is kept is there after 10^5"
    assert stream.actions[-1].step == 10**6 - 1
    assert len(stream.actions) <= MOST


def test_the_plan_is_of_one_piece_alone(architecture):
    made = []
    for backend in BACKENDS:
        stream = opened(architecture, backend=backend)
        made.append([*stream.prompt("山"), *stream.take(60)])
        assert [token.step for token in made[-1] if token.given] == [0]
    assert ids_of(made[0]) == ids_of(made[1])
