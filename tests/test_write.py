"""``livesketch write``, ``play`` and ``models`` with what writes: what is refused, what is printed, sent and drawn."""

import io
import json
import re
import signal
import socket
import subprocess
import sys
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from listeners import DONE, READY, Listener
from poem_checker import complaints
from small_models import small_checkpoint
from small_texts import small_text

import livesketch as ls
from livesketch import cli
from livesketch.inputs.monitor import read_packet
from livesketch.models.checkpoint import save_checkpoint, save_text

COMMAND = [sys.executable, "-m", "livesketch"]
GIVEN = "山为斜好几"
LATIN = ("", "", *" etaoinshr\nABC.,é中")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Small models of every kind."""
    made = tmp_path_factory.mktemp("models")
    save_text(small_text(name="own", source={"openings": ["春风", "山水人", "天上白玉"]}), made / "own.safetensors")
    save_text(small_text(name="two", labels=("五言", "seven words")), made / "two.safetensors")
    save_text(small_text("text_attention", name="words", unit="word"), made / "words.safetensors")
    save_text(small_text(name="bytes", unit="byte"), made / "bytes.safetensors")
    save_text(small_text(name="latin", vocabulary=LATIN, ends=0.02), made / "latin.safetensors")
    save_text(small_text(name="short", max_steps=6, ends=0), made / "short.safetensors")
    save_checkpoint(small_checkpoint(name="drawer"), made / "drawer.safetensors")
    return made


@pytest.fixture
def here(folder, monkeypatch, tmp_path):
    """An empty folder to be in, with the models beside it."""
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(capsys, *args: str) -> tuple[str, str]:
    """What a command that must succeed says: its text, and the rest."""
    code = cli.main(list(args))
    out, err = capsys.readouterr()
    assert code == 0, err
    return out, err


class Console(io.StringIO):
    """A terminal, as far as a program can tell; remembers every write and flush."""

    encoding = "utf-8"

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.calls.append(text)
        return super().write(text)

    def flush(self) -> None:
        self.calls.append("flush")
        super().flush()


# What is refused


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["wuyan", "--form", "五绝", "--first-line", "山为斜好"], 2, "has 4 characters: expected 5 in each line"),
        (["wuyan", "--form", "五绝", "--first-line", "山为斜好几人"], 2, "has 6 characters"),
        (["wuyan", "--form", "五绝", "--first-line", "山为，好几"], 2, "'，' at character 3 of line 1"),
        (["wuyan", "--form", "五绝", "--prompt", "山为斜好几，别望放秋云，"], 2, "expected '。'"),
        (["wuyan", "--first-line", ""], 2, "empty text"),
        (["wuyan", "--start", ""], 2, "empty text"),
        (["wuyan", "--start", "山中"], 2, "expected one character; longer beginnings: prompt"),
        (["wuyan", "--prompt", ""], 2, "empty text"),
        (["wuyan", "--acrostic", ""], 2, "acrostic with nothing"),
        (["wuyan", "--acrostic", "争q云"], 2, "does not know 'q'"),
        (["wuyan", "--first-line", "山q斜好z"], 2, "does not know 'q', 'z'"),
        (["wuyan", "--acrostic", "争云夏日山", "--form", "五绝"], 2, "has 5 characters: expected 4"),
        (["wuyan", "--random", "--form", "七绝"], 2, "random_line: none of"),
        (["wuyan", "--mode", "open", "--temperature", "2"], 2, "expected one of them"),
        (["wuyan", "--mode", "wild"], 2, "mode 'wild'"),
        (["wuyan", "--rhyme"], 2, "belong to a form"),
        (["wuyan", "--tones"], 2, "belong to a form"),
        (["wuyan", "--form", "五言"], 2, "expected one of 五绝, 七绝"),
        (["wuyan", "--form", "五绝", "--rhyme", "东西"], 2, "level-tone groups"),
        (["wuyan", "--form", "五绝", "--tones", "平"], 2, "tones '平'"),
        (["wuyan", "--seed", "-1"], 2, "seed -1"),
        (["wuyan", "--top-k", "-1"], 2, "top_k -1"),
        (["wuyan", "--top-p", "0"], 2, "top_p 0.0"),
        (["wuyan", "--min-p", "1.5"], 2, "min_p 1.5"),
        (["wuyan", "--temperature", "nan"], 2, "temperature nan"),
        (["wuyan", "--backend", "cuda"], 5, "usable: cpu, reference"),
        (["nothere"], 3, "neither a bundled name nor a file"),
        (["gone.safetensors"], 3, "no model file 'gone.safetensors'"),
        (["drawer.safetensors"], 3, "run `livesketch draw`"),
        (["two.safetensors"], 3, "say which, as in two.safetensors#五言"),
        (["two.safetensors#六言"], 3, "no label '六言'"),
        (["words.safetensors", "--random"], 3, "keeps no first lines"),
        (["words.safetensors", "--form", "五绝"], 2, "needs a vocabulary of Chinese characters"),
        (["words.safetensors", "--acrostic", "the xyzzy"], 2, "does not know 'xyzzy'"),
        (["short.safetensors", "--prompt", "不人山无风一"], 2, "at most 6; expected fewer"),
        (["own.safetensors", "--strokes", "kanjivg"], 2, "--strokes: for handwriting; expected --handwrite FILE.svg"),
        (["own.safetensors", "--vertical", "--jitter", "0.1", "--page", "a3"], 2, "--vertical, --jitter, --page: for"),
        (["own.safetensors", "--handwrite", "p.svg", "--strokes", "gone.jsonl"], 2, "no source of that name and no"),
        (["own.safetensors", "--handwrite", "p.svg", "--strokes", "hershey:none"], 2, "expected one of the fonts"),
        (["own.safetensors", "--handwrite", "p.svg", "--jitter", "9"], 2, "jitter 9.0"),
        (["own.safetensors", "--handwrite", "p.svg", "--page", "a99"], 2, "page 'a99'"),
        (["own.safetensors", "--handwrite", "no/such/p.svg"], 4, "no/such/p.svg"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_said_in_one_line_with_a_code(here, capsys, args, code, says):
    """Before anything is written."""
    got = cli.main(["write", *args])
    out, err = capsys.readouterr()
    assert (got, out) == (code, ""), err
    assert err.startswith("livesketch: ")
    assert says in err
    assert "\n" not in err.strip()
    assert not (here / "p.svg").exists()


@pytest.mark.parametrize(
    "args",
    [
        ["--start", "山", "--random"],
        ["--first-line", GIVEN, "--acrostic", "争云夏日"],
        ["--prompt", "山", "--start", "山"],
        ["-n", "0"],
        ["-n", "1.5"],
        ["--tokens", "0"],
        ["--seed", "x"],
        ["--top-k", "many"],
    ],
    ids=" ".join,
)
def test_options_that_contradict_each_other_or_are_none_end_with_the_usage(capsys, args):
    with pytest.raises(SystemExit) as ended:
        cli.main(["write", *args])
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert (out, err.startswith("usage:")) == ("", True)
    assert "livesketch write: error: " in err


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["draw", "wuyan"], 3, "run `livesketch write`"),
        (["play", "wuyan", "-o", "x.svg"], 2, "--output: for models that draw, and wuyan writes; leave it out; for a"),
        (["play", "wuyan", "--convention", "js"], 2, "--convention: for models that draw"),
        (["play", "drawer.safetensors", "--form", "五绝", "--top-k", "3"], 2, "--top-k, --form: for models that write"),
        (["play", "wuyan", "--form", "五言"], 2, "form '五言'"),
        (["play", "wuyan", "--mode", "open", "--temperature", "1"], 2, "expected one of them"),
        (["play", "wuyan", "--rate", "0"], 2, "rate 0.0"),
        (["play", "wuyan", "--osc", "nonsense"], 4, "nonsense"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_does_not_go_with_a_model_that_writes(here, capsys, args, code, says):
    got = cli.main(args)
    out, err = capsys.readouterr()
    assert (got, out) == (code, "")
    assert says in err
    assert "\n" not in err.strip()
    assert not (here / "x.svg").exists()


def test_a_text_is_neither_drawn_nor_put_on_a_page_in_silence(here):
    with pytest.raises(ls.ControlError, match=r"cannot be drawn offline; .* ls\.handwrite"):
        ls.draw(ls.text("own.safetensors"))
    page = ls.svg("page.svg")
    with ls.play(ls.text("own.safetensors", seed=1), page, rate=10_000, then="stop") as player:
        assert player.wait(60)
    assert page.errors == player.stats().steps
    assert "ls.handwrite" in page.last_error


# Poems


def test_the_first_line_that_is_given_is_kept_and_the_form_is_exact(capsys):
    args = ("write", "wuyan", "--first-line", GIVEN, "--form", "五绝", "-n", "3", "--seed", "1")
    out, err = written(capsys, *args)
    poems = out.splitlines()
    assert out.endswith("\n")
    assert len(poems) == len(set(poems)) == 3
    for poem in poems:
        assert len(poem) == 24
        assert poem.startswith(GIVEN + "，")
        assert complaints(poem, "五绝") == []
    lines = err.splitlines()
    assert re.fullmatch(r"the form took \d\.\d\d nats a piece, 0\.\d{3} a token.*", lines[0])
    assert lines[1:] == ["3 x wuyan, seed 1"]
    assert written(capsys, *args) == (out, err)
    assert written(capsys, *args, "--backend", "reference")[0] == out
    with_its_mark = ("write", "wuyan", "--first-line", GIVEN + "，", *args[4:])
    assert written(capsys, *with_its_mark)[0] == out


@pytest.mark.parametrize("form", [[], ["--form", "五绝"], ["--form", "wujue", "--rhyme", "--tones"]], ids=" ".join)
def test_the_heads_of_an_acrostic(capsys, form):
    out, _ = written(capsys, "write", "wuyan", "--acrostic", "争云夏日", *form, "--seed", "1", "-n", "3")
    for poem in out.splitlines():
        lines = re.findall("[^，。]+[，。]?", poem)
        assert [line[0] for line in lines[:4]] == ["争", "云", "夏", "日"]
        if form:
            assert complaints(poem, "五绝", rhyme="--rhyme" in form) == []


def test_one_character_and_any_beginning(capsys):
    out, _ = written(capsys, "write", "wuyan", "--start", "山", "--seed", "1", "-n", "2")
    assert [poem[0] for poem in out.splitlines()] == ["山", "山"]
    out, _ = written(capsys, "write", "wuyan", "--prompt", "山中秋月白，", "--seed", "1")
    assert out.startswith("山中秋月白，")
    assert len(out) > 10


def test_rhyme_and_tones_pass_a_checker_of_its_own(capsys):
    out, err = written(
        capsys, "write", "wuyan", "--form", "五绝", "--rhyme", "七阳", "--tones", "--seed", "3", "-n", "10"
    )
    for poem in out.splitlines():
        assert complaints(poem, "五绝", rhyme=True, group="下平聲七陽") == []
    sound = [poem for poem in out.splitlines() if not complaints(poem, "五绝", tones=True)]
    assert len(sound) >= 9, "tones may yield now and then"
    assert "10 x wuyan, seed 3" in err


def test_a_first_line_by_chance(here, capsys):
    out, _ = written(capsys, "write", "own.safetensors", "--random", "-n", "12", "--seed", "2")
    poems = out.splitlines()
    assert {poem[:2] for poem in poems} == {"春风", "山水"}, "the model does not know all of the third"
    out, _ = written(capsys, "write", "wuyan", "--random", "--form", "五绝", "-n", "3", "--seed", "5")
    openings = ls.text("wuyan")._openings()
    for poem in out.splitlines():
        assert poem[:5] in {line[:5] for line in openings}
        assert complaints(poem, "五绝") == []


@pytest.mark.parametrize(
    ("name", "form", "marks"), [("qiyan", "七绝", 32), ("wuyan@early", "五绝", 24), ("wuyan", "五律", 48)]
)
def test_other_models_and_forms(capsys, name, form, marks):
    out, err = written(capsys, "write", name, "--form", form, "--seed", "2", "-n", "2")
    assert [len(poem) for poem in out.splitlines()] == [marks, marks]
    assert all(complaints(poem, form) == [] for poem in out.splitlines())
    assert f"2 x {name}, seed 2" in err


def test_wuyan_is_written_where_no_model_is_named(capsys):
    assert written(capsys, "write", "--seed", "4") == written(capsys, "write", "wuyan", "--seed", "4")


def test_modes_are_temperatures(capsys):
    def poems(*options: str) -> str:
        return written(capsys, "write", "wuyan", "--form", "五绝", "-n", "2", "--seed", "6", *options)[0]

    assert poems("--mode", "open") == poems("--temperature", "1.4") != poems("--mode", "normal")
    assert poems("--mode", "normal") == poems() != poems("--mode", "conservative")
    assert poems("--mode", "conservative") == poems("--temperature", "0.6")
    greedy = poems("--temperature", "0")
    assert greedy == poems("--top-k", "1")
    assert len(set(greedy.splitlines())) == 1


def test_a_fresh_seed_is_told_and_writes_the_same_again(here, capsys):
    out, err = written(capsys, "write", "own.safetensors", "-n", "2")
    seed = err.split("seed ")[1].strip()
    assert written(capsys, "write", "own.safetensors", "-n", "2", "--seed", seed) == (out, err)
    assert written(capsys, "write", "own.safetensors", "-n", "2")[1] != err


def test_the_command_line_writes_what_the_library_writes(here, capsys):
    out, _ = written(capsys, "write", "own.safetensors", "-n", "5", "--seed", "8", "--top-p", "0.9", "--min-p", "0.01")
    stream = ls.text("own.safetensors", seed=8, top_p=0.9, min_p=0.01)
    assert out.splitlines() == [stream.piece().write() for _ in range(5)]


# Models of one's own


def test_labels_of_ones_own_model(here, capsys):
    one, err = written(capsys, "write", "two.safetensors#五言", "--seed", "1")
    assert err == "1 x 五言, seed 1\n"
    other, err = written(capsys, "write", "two.safetensors#SEVEN  words", "--seed", "1")
    assert err == "1 x seven words, seed 1\n"
    assert one != other


def test_so_many_tokens_of_each_piece(here, capsys):
    out, err = written(capsys, "write", "short.safetensors", "--tokens", "3", "-n", "4", "--seed", "1")
    assert [len(line) for line in out.splitlines()] == [3, 3, 3, 3]
    assert err == "4 x short, seed 1\n"
    out, _ = written(capsys, "write", "short.safetensors", "--tokens", "99", "-n", "2", "--seed", "1")
    assert [len(line) for line in out.splitlines()] == [6, 6]


def test_lines_within_a_piece_stay(here, capsys):
    out, _ = written(capsys, "write", "latin.safetensors", "--first-line", "the sea", "--seed", "2")
    assert out.startswith("the sea\n")
    out, _ = written(capsys, "write", "latin.safetensors", "--acrostic", "ABC", "--seed", "2")
    assert [line[0] for line in out.splitlines()[:3]] == ["A", "B", "C"]
    assert not out.endswith("\n\n")


def test_an_acrostic_of_words(here, capsys):
    out, _ = written(capsys, "write", "words.safetensors", "--acrostic", "the O the", "--seed", "2")
    assert [line.split()[0] for line in out.split("\n")[:3]] == ["the", "O", "the"]


def test_bytes_are_printed_as_characters(here, capsys):
    out, _ = written(capsys, "write", "bytes.safetensors", "--start", "é", "--seed", "2")
    assert out.startswith("é")
    out, _ = written(capsys, "write", "bytes.safetensors", "--prompt", "山中", "--seed", "2")
    assert out.startswith("山中")


def test_what_the_model_does_not_know_stands_as_a_box_where_that_is_asked_for(here, capsys):
    args = ("write", "own.safetensors", "--first-line", "山龙风", "--seed", "1")
    assert cli.main(list(args)) == 2
    assert "does not know '龙'" in capsys.readouterr().err
    out, _ = written(capsys, *args, "--unknown")
    assert out.startswith("山□风")


# Where it is printed


def test_each_token_is_shown_as_it_is_made(here, monkeypatch):
    console = Console()
    monkeypatch.setattr(sys, "stdout", console)
    assert cli.main(["write", "own.safetensors", "--seed", "1"]) == 0
    text = console.getvalue().rstrip("\n")
    assert len(text) > 5
    assert [call for call in console.calls if call not in {"flush", ""}] == [*text, "\n"]
    shown = console.calls[: console.calls.index("\n")]
    assert all("flush" in {one, other} for one, other in pairwise([call for call in shown if call]))


def test_a_terminal_is_not_commanded_by_a_model_of_bytes(here, monkeypatch, capsys):
    args = ["write", "bytes.safetensors", "-n", "20", "--seed", "1", "--temperature", "3"]
    plain, _ = written(capsys, *args)
    control = set(map(chr, [*range(9), *range(11, 32), 127]))
    assert control & set(plain), "the bytes as they are, where a program reads them"
    console = Console()
    monkeypatch.setattr(sys, "stdout", console)
    assert cli.main(args) == 0
    assert console.getvalue() == "".join("?" if c in control or "\x7f" <= c < "\xa0" else c for c in plain)


@pytest.mark.parametrize(("encoding", "told"), [("ascii", True), ("latin-1", True), ("gbk", False), ("utf-8", False)])
def test_what_the_encoding_lacks(monkeypatch, capsys, encoding, told):
    expected, _ = written(capsys, "write", "wuyan", "--seed", "1", "--form", "五绝", "-n", "2")
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    assert cli.main(["write", "wuyan", "--seed", "1", "--form", "五绝", "-n", "2"]) == 0
    got = raw.getvalue().decode(encoding)
    assert got == (expected.encode("ascii", "backslashreplace").decode() if told else expected)
    assert capsys.readouterr().err.count("PYTHONIOENCODING=utf-8") == told


def test_no_standard_output_at_all(here, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", None)
    assert cli.main(["write", "own.safetensors", "--seed", "1"]) == 0
    assert capsys.readouterr().err == "1 x own, seed 1\n"


@pytest.mark.slow
def test_a_reader_that_leaves_early(here):
    line = f"{sys.executable} -m livesketch write own.safetensors -n 100000000 --seed 1 | head -n 1"
    done = subprocess.run(
        ["bash", "-c", line + '; echo "${PIPESTATUS[@]}"'], capture_output=True, text=True, timeout=100, check=False
    )
    poem, codes = done.stdout.splitlines()
    assert len(poem) > 3
    assert codes == "0 0"
    assert "seed 1" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_the_line_tells_the_seed_and_leaves_the_page_complete(here):
    options = ["--handwrite", "page.svg", "--strokes", "hershey"]
    command = [*COMMAND, "write", "latin.safetensors", "-n", "100000000", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline() + process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert (first + out).endswith("\n")
    assert re.search(r"\d+ x latin, seed \d+\ninterrupted\n$", err)
    assert ET.parse(here / "page.svg").getroot().get("width") == "210mm"


def test_ctrl_c_tells_the_seed_of_what_was_played(here):
    command = [*COMMAND, "play", "own.safetensors", "--rate", "100"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert re.search(r"own: \d+ steps, \d+ pieces, seed \d+\ninterrupted\n$", first + err)


# Played


def played_tokens(capsys, *options: str) -> tuple[list[tuple[str, tuple[object, ...]]], str]:
    """The messages that ``play`` sends, and what it prints."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        target = f"127.0.0.1:{receiver.getsockname()[1]}"
        out, _ = written(capsys, "play", *options, "--osc", target, "--rate", "300", "--seconds", "0.5", "--quiet")
        messages = []
        while True:
            try:
                messages += read_packet(receiver.recv(65536))
            except BlockingIOError:
                return messages, out


def test_play_sends_tokens_as_docs_osc_md_says(here, capsys):
    messages, out = played_tokens(capsys, "own.safetensors", "--seed", "4", "--name", "Poem 1", "--form", "五绝")
    tokens = [values for address, values in messages if address == "/livesketch/poem-1/token"]
    expected = ls.text("own.safetensors", seed=4, form="五绝").take(len(tokens))
    assert tokens
    assert tokens == [(token.step, token.text) for token in expected]
    order = [(address.rpartition("/")[2], values) for address, values in messages]
    ends = [values for kind, values in order if kind == "end"]
    assert ends == [(token.piece,) for token in expected if token.last]
    assert [order[i - 1] for i, (kind, _) in enumerate(order) if kind == "end"] == [("token", (24, ""))] * len(ends)
    state = [values for kind, values in order if kind == "state"][-1]
    assert state[:5] == (expected[-1].piece, expected[-1].step, 0, 0.5, 0.5)
    assert re.fullmatch(rf"Poem 1: {len(tokens)} steps, {len(ends)} pieces, seed 4\n", out)


def test_a_piece_that_is_cut_ends_too_and_empty_texts_do_not_end_one(capsys, here):
    messages, _ = played_tokens(capsys, "short.safetensors", "--seed", "4")
    texts = [values for address, values in messages if address.endswith("/token")]
    assert all(text for _, text in texts)
    ends = [values for address, values in messages if address.endswith("/end")]
    assert ends == [(piece,) for piece in range(len(texts) // 6)]


def test_voices_have_addresses_of_their_own(here):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        out = ls.osc(f"127.0.0.1:{receiver.getsockname()[1]}")
        choir = ls.voices("short.safetensors", 2, seed=4)
        with ls.play(choir, out, rate=1000, name="choir", then="stop") as player:
            assert player.wait(60)
        messages = []
        while not any(address == "/livesketch/choir/1/end" for address, _ in messages):
            messages += read_packet(receiver.recv(65536))
    for k in range(2):
        tokens = [values for address, values in messages if address == f"/livesketch/choir/{k}/token"]
        alone = ls.text("short.safetensors", seed=4, voice=k).take(6)
        assert tokens == [(token.step, token.text) for token in alone]


def test_oscdump_hears_a_poem(oscdump: Listener, here):
    oscdump.wait_for("/ready", again=READY)
    stream = ls.text("own.safetensors", seed=2, form="五绝")
    expected = ls.text("own.safetensors", seed=2, form="五绝").piece().write()
    with ls.play(stream, ls.osc(f"127.0.0.1:{oscdump.port}"), rate=500, name="poem", then="stop") as player:
        assert player.wait(60)
    oscdump.wait_for("/done", again=DONE)
    heard = [line.split(maxsplit=1)[1] for line in oscdump.lines() if "/livesketch/poem/" in line]
    tokens = [line for line in heard if line.startswith("/livesketch/poem/token is ")]
    assert "".join(line.split('"')[1] for line in tokens) == expected
    assert heard[heard.index(tokens[-1]) + 1] == "/livesketch/poem/end i 0"


def test_play_prints_a_line_for_each_piece_where_there_is_no_terminal(here, capsys):
    args = ("play", "short.safetensors", "--seed", "4", "--rate", "300", "--seconds", "0.2")
    out, err = written(capsys, *args)
    stream = ls.text("short.safetensors", seed=4)
    lines = [line for line in err.splitlines() if "did not end by themselves" not in line]
    poems = [stream.piece().write() for _ in lines]
    assert lines[:-1] == poems[:-1]
    assert poems[-1].startswith(lines[-1])
    assert out.startswith("short: ")


def test_spaces_of_all_widths_and_tabs_are_shown():
    console = Console()
    shown = ls.terminal(console, 20, 5)
    file = io.StringIO()
    plain = ls.terminal(file, 20, 5)
    for step, text in enumerate(("　", "春", "\t", "a", "\u00a0", "b", "\x1b")):
        token = ls.Token(0.0, "poem", 0, step, text, 0.0, 0.0, given=False, last=step == 6)
        shown.send(token)
        plain.send(token)
    shown.tick(0.0)
    shown.close()
    plain.close()
    assert file.getvalue() == "　春    a\u00a0b?\n"
    assert "　春    a\u00a0b?" in console.getvalue()


def test_models_says_what_writes(here, capsys):
    out, _ = written(capsys, "models")
    kinds = {row[0]: row[3] for row in (line.split("\t") for line in out.splitlines())}
    assert {name: kinds[name] for name in ("wuyan", "qiyan", "wuyan@early", "cat")} == {
        "wuyan": "text", "qiyan": "text", "wuyan@early": "text", "cat": "sketch",
    }  # fmt: skip
    out, _ = written(capsys, "models", "two.safetensors")
    assert out == "五言\ttwo\tCC0-1.0\ttext\nseven words\ttwo\tCC0-1.0\ttext\n"
    assert written(capsys, "models", "own.safetensors")[0] == "own\town\tCC0-1.0\ttext\n"


# By hand


def page_of(path: Path) -> tuple[ET.Element, list[np.ndarray]]:
    """The root, and each path's points (k, 2) in mm, in the file's order."""
    root = ET.parse(path).getroot()
    found = [element.get("d", "") for element in root.iter() if element.tag.endswith("path")]
    assert all(re.fullmatch(r"M [\d. -]+ L [\d. -]+", text) for text in found), "open lines, nothing else"
    return root, [np.array(re.findall(r"-?[\d.]+", text), float).reshape(-1, 2) for text in found]


def medians_of(path: Path, wanted: set[str]) -> dict[str, list[np.ndarray]]:
    """By character its strokes, y down; read without the library."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if record["character"] in wanted:
            found[record["character"]] = [np.array(stroke, float) * [1, -1] for stroke in record["medians"]]
    return found


@pytest.mark.parametrize("vertical", [False, True])
def test_a_poem_by_hand_has_its_strokes_in_order_in_millimetres(here, shared, capsys, vertical):
    file = shared / "strokes" / "hanzi_medians.jsonl"
    options = ["--handwrite", "poem.svg", "--strokes", str(file), *["--vertical"] * vertical]
    out, err = written(capsys, "write", "wuyan", "--start", "山", "--form", "五绝", "--seed", "1", *options)
    poem = out.strip()
    assert "poem.svg: 1 drawing" in err
    assert "hanzi_medians.jsonl" in err
    assert "no strokes" not in err
    root, lines = page_of(here / "poem.svg")
    assert [root.get(key) for key in ("width", "height", "viewBox")] == ["210mm", "297mm", "0 0 210 297"]
    everything = np.concatenate(lines)
    assert everything.min() >= 10
    assert (everything.max(axis=0) <= [200, 287]).all()
    known = medians_of(file, set(poem))
    middles = []
    for character in poem:
        if character in "，。":
            lines = lines[1:]  # one stroke each
            continue
        strokes = known[character]
        drawn, lines = lines[: len(strokes)], lines[len(strokes) :]
        wanted = np.array([stroke[[0, -1]] for stroke in strokes]).reshape(-1, 2)
        got = np.array([line[[0, -1]] for line in drawn]).reshape(-1, 2)
        middles.append(got.mean(axis=0))
        wanted, got = wanted - wanted.mean(axis=0), got - got.mean(axis=0)
        scale = (wanted * got).sum() / (wanted**2).sum()  # one scale and place for all strokes of a character
        assert scale * 1024 > 15, "millimetres of a character"
        assert np.abs(got - scale * wanted).max() < 0.08 * scale * 1024
    assert not lines
    places = np.array(middles).reshape(4, 5, 2)
    along, across = (1, 0) if vertical else (0, 1)
    size = (places[:, -1, along] - places[:, 0, along]).mean() / 4
    assert (np.diff(places[..., along], axis=1) > size / 2).all(), "characters follow each other in a line"
    steps = np.diff(places[..., across].mean(axis=1))
    assert (steps < -size).all() if vertical else (steps > size).all(), "columns from right to left, rows downwards"


def test_a_poem_without_a_form_is_one_drawing(here, shared, capsys):
    """However long; two would be of two sizes."""
    options = ["--handwrite", "poem.svg", "--strokes", str(shared / "strokes" / "hanzi_medians.jsonl")]
    out, err = written(capsys, "write", "wuyan", "--start", "山", "--seed", "1", *options)
    assert out.count("。") >= 5, "longer than eight lines, or this tests nothing"
    assert "poem.svg: 1 drawing\n" in err
    about = next(page_of(here / "poem.svg")[0].iter("{urn:livesketch:1}play")).attrib
    assert about == {"model": "wuyan", "seed": "1", "temperature": "1.0", "voice": "0", "drawing": "0"}


def test_characters_without_strokes_are_told_and_leave_a_gap(here, capsys):
    """KanjiVG lacks simplified characters: of 为 nothing is drawn, and what follows stands where it would."""
    for line, name in (("山为山山山", "gap.svg"), ("山山山山山", "whole.svg")):
        args = ["--first-line", line, "--tokens", "5", "--seed", "1", "--strokes", "kanjivg", "--handwrite", name]
        _, err = written(capsys, "write", "wuyan", *args)
        assert ("no strokes for 为: left out; other strokes: --strokes" in err) == ("为" in line)
        assert "KanjiVG (Ulrich Apel" in err
    (_, gap), (_, whole) = page_of(here / "gap.svg"), page_of(here / "whole.svg")
    assert (len(gap), len(whole)) == (12, 15), "山 has three strokes"
    assert all(np.array_equal(one, other) for one, other in zip(gap, whole[:3] + whole[6:], strict=True))


def test_letters_from_hershey_and_two_pieces_on_a_page(here, capsys):
    out, err = written(
        capsys, "write", "latin.safetensors", "--prompt", "hot tea", "-n", "2", "--tokens", "7", "--seed", "2",
        "--handwrite", "p.svg", "--strokes", "hershey", "--page", "100x80mm", "--color", "red",
    )  # fmt: skip
    assert out == "hot tea\nhot tea\n"
    assert "p.svg: 2 drawings" in err
    root, lines = page_of(here / "p.svg")
    assert root.get("viewBox") == "0 0 100 80"
    assert len(lines) % 2 == 0
    half = len(lines) // 2
    move = lines[half][0] - lines[0][0]
    assert np.abs(move).max() > 10
    assert all(np.allclose(a + move, b, atol=0.01) for a, b in zip(lines[:half], lines[half:], strict=True))


def test_text_that_has_no_strokes_at_all_gives_an_empty_page(here, capsys):
    args = ["--prompt", "风云", "--tokens", "2", "--strokes", "hershey", "--handwrite", "p.svg"]
    out, err = written(capsys, "write", "own.safetensors", *args)
    assert out == "风云\n"
    assert "no strokes for 风 云: left out" in err
    assert page_of(here / "p.svg")[1] == []


def test_a_page_to_standard_output_is_a_page(here, capsys):
    args = ["--prompt", "hot tea", "--tokens", "7", "--strokes", "hershey", "--seed", "1"]
    out, err = written(capsys, "write", "latin.safetensors", *args, "--handwrite", "-")
    written(capsys, "write", "latin.safetensors", *args, "--handwrite", "file.svg")
    assert out == (here / "file.svg").read_text(encoding="utf-8")
    assert err.startswith("hot tea\n")


def test_the_same_command_gives_the_same_page(here, capsys):
    args = ["write", "own.safetensors", "--first-line", "山水人", "--jitter", "0.05", "--strokes", "kanjivg", "-n", "2"]
    for seed, name in (("1", "a.svg"), ("1", "b.svg"), ("2", "c.svg")):
        written(capsys, *args, "--seed", seed, "--handwrite", name)
    a, b, c = ((here / name).read_bytes() for name in ("a.svg", "b.svg", "c.svg"))
    assert a == b != c
