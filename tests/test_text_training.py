"""``livesketch train text`` and ``eval``: from texts to a model that writes, stopped at any moment."""

import json
import math
import sys
from dataclasses import fields
from functools import partial

import numpy as np
import pytest

from livesketch.data.corpus import Texts, load_corpus
from livesketch.errors import CheckpointError, ControlError, DataError, OutputError, TrainingError
from livesketch.models.checkpoint import load_text
from livesketch.models.tokens import Tokens, tokenizer

torch = pytest.importorskip("torch")

from interrupted import assert_killed_goes_on, assert_two_do_what_one_does, same  # noqa: E402 - after the check for torch

from livesketch.cli import train as command_line  # noqa: E402
from livesketch.training.openings import openings_of, spread  # noqa: E402
from livesketch.training.run import Run  # noqa: E402
from livesketch.training.state import load_state, save_state  # noqa: E402
from livesketch.training.text_batches import TokenTexts  # noqa: E402
from livesketch.training.text_evaluation import evaluate_text, total_text  # noqa: E402
from livesketch.training.text_measure import measure_text, text_network_of  # noqa: E402
from livesketch.training.text_run import TextRun, info_of  # noqa: E402
from livesketch.training.text_samples import is_samples, sample  # noqa: E402
from livesketch.training.text_settings import TextSettings  # noqa: E402
from livesketch.training.train import Order, train_text  # noqa: E402
from livesketch.training.vocabulary import vocabulary_of  # noqa: E402
from livesketch.training.workers import Workers  # noqa: E402

SMALL = {
    "hidden": 16, "layers": 2, "heads": 4, "window": 8, "label_size": 4, "batch": 16, "length": 24, "warmup": 5,
    "steps": 20, "eval_every": 10, "precision": "fp32",
}  # fmt: skip
ALONE = Workers(0, 1, torch.device("cpu"))
END, UNK = 0, 1


def write(path, turn, count=200):
    """Verses of two lines, numbered; ``turn`` makes the class."""
    rng = np.random.default_rng(1)
    words = "山水日月風花"[turn : turn + 3]
    lines = ["".join(words[int(rng.integers(3))] for _ in range(5)) for _ in range(2 * count)]
    pairs = enumerate(zip(lines[::2], lines[1::2], strict=True))
    path.write_text("".join(f"{one}{turn}，{two}{k}。\n" for k, (one, two) in pairs))
    return path


@pytest.fixture(scope="module")
def poems(tmp_path_factory):
    folder = tmp_path_factory.mktemp("poems")
    return [write(folder / "five.txt", 0), write(folder / "seven.txt", 3)]


@pytest.fixture(scope="module")
def novel(tmp_path_factory):
    path = tmp_path_factory.mktemp("novel") / "novel.txt"
    path.write_text("\n\n".join(f"Chapter {k}\nIt was a dark night, and then a day." for k in range(120)))
    return [path]


def run_of(sources, **options):
    settings = TextSettings(**(SMALL | options))
    return TextRun(settings, load_corpus(sources, way=settings.documents), ALONE, "poems")


def train(sources, output, *, name="poems", fresh=False, **options):
    settings = TextSettings(**(SMALL | options))
    return train_text(Order(sources=sources, output=output, settings=settings, name=name, fresh=fresh))


def weights_of(run):
    return {name: value.detach().clone() for name, value in run.net.tensors().items()}


# What cannot be trained


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hidden": 0}, "--hidden 0"),
        ({"unit": "syllable"}, "character, word, byte"),
        ({"architecture": "gru"}, "lstm, attention"),
        ({"documents": "page"}, "--documents 'page'"),
        ({"embedding_dropout": 1.0}, "--embedding-dropout"),
        ({"rate": float("nan")}, "--rate nan"),
        ({"vocabulary": 1}, "--vocabulary 1"),
        ({"architecture": "attention", "hidden": 10, "heads": 4}, "--heads 4 with --hidden 10"),
        ({"architecture": "attention", "embedding": 5}, "--embedding 5 with attention"),
        ({"batch": True}, "--batch True"),
    ],
)
def test_bad_settings_are_refused_with_the_legal_range(options, words):
    with pytest.raises(ControlError, match=words):
        TextSettings(**(SMALL | options))


@pytest.mark.parametrize(
    ("holds", "words"),
    [
        (b"", "no text"),
        (b"aaaa\naa\n", "one distinct symbol"),
        (b"GIF89a\0\0", "NUL at byte 6"),
        ("日本".encode("gb18030"), "line 1, byte 0"),
    ],
)
def test_a_corpus_that_is_none_is_said_and_leaves_nothing(tmp_path, holds, words):
    (tmp_path / "a.txt").write_bytes(holds)
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match=words):
        train([tmp_path / "a.txt"], tmp_path / "out" / "a.safetensors")
    assert not list((tmp_path / "out").iterdir())


def test_a_text_on_one_short_line_trains(tmp_path):
    (tmp_path / "a.txt").write_text("one line alone, cut in three blocks, of which the last ones are short")
    model = load_text(train([tmp_path / "a.txt"], tmp_path / "a.safetensors", steps=1, min_count=1))
    assert model.max_steps == 1000


def test_a_model_in_a_folder_that_is_read_is_refused_at_any_depth(poems, tmp_path):
    folder = poems[0].parent
    (folder / "deep" / "er").mkdir(parents=True)
    with pytest.raises(OutputError, match="another folder"):
        train([folder], folder / "deep" / "er" / "a.safetensors")


def test_samples_of_somebody_s_own_are_not_written_over(poems, tmp_path):
    (tmp_path / "a.samples.txt").write_text("my own")
    with pytest.raises(OutputError, match=r"a\.samples\.txt: .*not written by a training"):
        train(poems, tmp_path / "a.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["a.samples.txt"]


def test_another_corpus_or_network_cannot_go_on(poems, tmp_path):
    run = run_of(poems)
    run.advance()
    state = run.state()
    with pytest.raises(TrainingError, match="hidden was 16, is 32"):
        run_of(poems, hidden=32).resume(state)
    with pytest.raises(TrainingError, match="labels was"):
        run_of(poems[:1]).resume(state)
    other = tmp_path / "seven.txt"
    other.write_text(poems[1].read_text().replace("1。", "山。"))
    with pytest.raises(TrainingError, match="the data's texts was"):
        run_of([poems[0], other]).resume(state)


@pytest.mark.slow
def test_not_a_number_is_said_and_the_weights_stay(poems):
    run = run_of(poems)
    run.advance()
    with torch.no_grad():
        run.net.tensors()["head.b"][2] = float("nan")
    before = weights_of(run)
    with pytest.raises(TrainingError, match="smaller --rate"):
        run.advance()
    after = weights_of(run)
    assert all(torch.equal(before[name], after[name]) for name in before if name != "head.b")


def test_a_name_that_no_model_can_have_is_refused_before_the_first_step(poems, tmp_path):
    with pytest.raises(CheckpointError, match="name"):
        train(poems, tmp_path / "a.safetensors", name="two\nlines", steps=10**9, eval_every=10**9)
    assert not list(tmp_path.iterdir())


# Vocabulary and batches


def test_the_vocabulary_stands_by_frequency_and_leaves_out_what_is_rare():
    assert vocabulary_of(["banana", "bandana x"], "character", 2, 100) == ("", "", "a", "n", "b")
    assert vocabulary_of(["banana", "bandana x"], "character", 1, 4) == ("", "", "a", "n", "b", " ")
    assert vocabulary_of(["to be or not to be or be"], "word", 2, 100)[2:] == (" be", " or")
    found = vocabulary_of(["ab", "b"], "byte", 5, 256)
    assert found[:4] == ("", "", "62", "61")
    assert len(found) == 258
    with pytest.raises(DataError, match="1 distinct symbols"):
        vocabulary_of(["the", "the"], "word", 1, 100)
    with pytest.raises(DataError, match="--min-count"):
        vocabulary_of(["abc"], "character", 2, 100)
    with pytest.raises(DataError, match="distinct"):
        vocabulary_of(["aa"], "byte", 1, 256)


def token_texts(documents, *, unit="character", running=False, ended=True, labels=None):
    vocabulary = vocabulary_of(documents, unit, 1, 1000)
    labels = np.zeros(len(documents), np.int64) if labels is None else np.array(labels)
    texts = Texts(tuple(documents), labels, np.full(len(documents), ended))
    return TokenTexts(texts, Tokens(vocabulary, unit), running=running), Tokens(vocabulary, unit)


def test_batches_begin_with_end_and_end_with_it():
    texts, tokens = token_texts(["abc", "ba"], labels=[1, 0])
    batch = texts.batch(texts.whole(np.arange(2)), [1, 0])
    a, b, c = tokens.ids("abc")
    assert batch.inputs[:, 0].tolist() == [END, b, a, END]
    assert batch.targets[:, 0].tolist() == [b, a, END, END]
    assert batch.counted[:, 0].tolist() == [True, True, True, False]
    assert batch.inputs[:, 1].tolist() == [END, a, b, c]
    assert batch.targets[:, 1].tolist() == [a, b, c, END]
    assert batch.labels.tolist() == [0, 1]
    one = batch.select(torch.tensor([0]))
    assert one.inputs.shape == (3, 1)
    assert one.counted.all()


def test_long_documents_go_on_without_end():
    texts, tokens = token_texts(["abcdefg", "a"])
    chunks = texts.chunks(3, np.random.default_rng(1))
    assert chunks.first.tolist() == [0, 3, 6, 0]
    assert chunks.lengths.tolist() == [3, 3, 2, 2]
    batch = texts.batch(chunks, [1])
    assert batch.inputs[:, 0].tolist() == tokens.ids("cde")
    assert batch.targets[:, 0].tolist() == tokens.ids("def")


def joined(texts, chunks):
    """The targets of all chunks one after the other."""
    return [int(t) for k in range(len(chunks)) for t in texts.batch(chunks, [k]).targets[:, 0]]


@pytest.mark.parametrize("ended", [True, False])
def test_running_text_is_cut_behind_lines_and_begins_there_with_end(ended):
    text = "\n".join(["some words here", "and more", "x" * 70, "last one"] * 5)
    texts, tokens = token_texts([text], running=True, ended=ended)
    cuts = set()
    for epoch in range(20):
        chunks = texts.chunks(30, np.random.default_rng(epoch))
        assert chunks.lengths.max() <= 30
        assert joined(texts, chunks) == tokens.ids(text) + [END] * ended
        for k in range(len(chunks)):
            first = texts.batch(chunks, [k]).inputs[0, 0]
            before = text[chunks.first[k] - 1] if chunks.first[k] else "\n"
            assert first == (END if before == "\n" else tokens.ids(before)[0])
        cuts |= set(chunks.first.tolist())
    assert sum(text[cut - 1] == "\n" for cut in cuts if cut) > 5
    assert len(cuts) > 2 * len(chunks)  # other places each time


def test_characters_are_counted_whatever_the_unit():
    for unit in ("character", "word", "byte"):
        texts, _ = token_texts(["to be, or 山 né", "né né né"], unit=unit)
        whole = texts.whole(np.arange(2))
        assert texts.characters(whole, np.arange(2)).tolist() == [len("to be, or 山 né") + 1, len("né né né") + 1]
        parts = texts.chunks(3, np.random.default_rng(1))
        assert texts.characters(parts, np.arange(len(parts))).sum() == len("to be, or 山 né") + len("né né né") + 2


def test_every_chunk_comes_once_an_epoch(poems):
    run = run_of(poems, length=8)
    seen = np.concatenate(run.groups(np.random.default_rng(1)))
    assert sorted(seen.tolist()) == list(range(len(seen)))
    assert run._chunks.lengths.sum() == run.splits["train"].lengths.sum()


# Training


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("poems", {}),
        ("poems", {"architecture": "attention"}),
        ("poems", {"embedding": 7, "layers": 1, "unit": "word", "precision": "bf16"}),
        ("novel", {"unit": "byte"}),
    ],
)
def test_stopped_and_gone_on_is_the_same_as_never_stopped(kind, options, tmp_path, request):
    sources = request.getfixturevalue(kind)
    whole = run_of(sources, **options)
    epoch = len(whole.groups(np.random.default_rng(1)))
    for _ in range(epoch + 4):
        whole.advance()
    part = run_of(sources, **options)
    for _ in range(epoch - 3):
        part.advance()
    part.look()
    save_state(part.state(), tmp_path / "state.safetensors")
    again = run_of(sources, **options)
    again.resume(load_state(tmp_path / "state.safetensors"))
    assert again.best == part.best
    assert same(again.kept, part.kept)
    assert again.losses == part.losses
    for _ in range(7):
        again.advance()
    assert (again.step, again.epoch) == (whole.step, 1)
    assert same(weights_of(whole), weights_of(again))
    assert same(whole.average, again.average)


@pytest.mark.parametrize("architecture", ["lstm", "attention"])
def test_the_loss_falls_and_classes_are_told_apart(poems, architecture):
    none = dict.fromkeys(("embedding_dropout", "layer_dropout", "output_dropout"), 0.0)
    run = run_of(poems, architecture=architecture, rate=2e-2, steps=1000, **none)
    first = total_text(evaluate_text(run.net, run.splits["valid"])).figures()["nats per token"]
    for _ in range(100):
        run.advance()
    found = total_text(evaluate_text(run.net, run.splits["valid"])).figures()["nats per token"]
    assert found < first - 0.5
    texts, wrong = run.splits["valid"], run.splits["valid"].labels
    texts.labels = 1 - wrong
    assert total_text(evaluate_text(run.net, texts)).figures()["nats per token"] > found + 0.05


def test_the_rate_rises_and_falls(poems):
    run = run_of(poems, steps=100, warmup=10, rate=1e-2, rate_min=1e-4)
    rates = []
    for run.step in (0, 9, 50, 100):
        rates.append(run.rate())
    assert rates == pytest.approx([1e-3, 1e-2 - 0.0002, 0.00505, 1e-4], rel=0.02)


def test_figures_are_sums_over_all_tokens(poems):
    """Against the network run on each document by itself."""
    run = run_of(poems)
    for _ in range(3):
        run.advance()
    net, texts = run.net.eval(), run.splits["valid"]
    found = evaluate_text(net, texts)
    nats = {0: 0.0, 1: 0.0}
    for k, label in enumerate(texts.labels.tolist()):
        batch = texts.batch(texts.whole(np.array([k])), [0])
        with torch.no_grad():
            hidden, _ = net(batch.inputs, batch.labels)
            nats[label] += float(net.nats(hidden[:, 0], batch.targets[:, 0]).sum())
    for label, part in found.items():
        assert part.nats == pytest.approx(nats[label], rel=1e-5)
        assert part.tokens == texts.lengths[texts.labels == label].sum()
        assert part.characters == part.tokens
    everything = total_text(found)
    values = everything.figures()
    assert values["nats per character"] == pytest.approx(sum(nats.values()) / everything.tokens)
    assert values["perplexity per token"] == pytest.approx(math.exp(values["nats per token"]))
    unknown = sum(int((texts.batch(texts.whole(np.array([k])), [0]).targets == UNK).sum()) for k in range(len(texts)))
    assert everything.unknown == unknown


@pytest.mark.parametrize("architecture", ["lstm", "attention"])
def test_nats_in_training_are_those_of_the_model_that_writes(poems, architecture, tmp_path):
    """Teacher-forced, dropout off, END counted once: training code and reference backend."""
    from livesketch.backends import load

    model = load_text(train(poems, tmp_path / "a.safetensors", architecture=architecture, steps=3))
    batch = load("reference").open_text(model, 1)
    batch.settle(0, unknown=True)
    batch.condition(0, model.tensors["label.w"].dense()[1])
    tokens = tokenizer(model)
    documents = load_corpus(poems[1:]).test.documents
    nats, count = 0.0, 0
    for document in documents:
        ids = np.array([*tokens.ids(document), END])
        nats -= float(batch.force(0, ids)["log_prob"].sum())
        count += len(ids)
    found = measure_text(model, poems[1:])["seven"]
    assert (found.tokens, found.documents) == (count, len(documents))
    assert found.nats / count == pytest.approx(nats / count, abs=1e-4)


def test_a_long_text_is_measured_in_parts_as_in_one(novel, monkeypatch):
    run = run_of(novel)
    whole = total_text(evaluate_text(run.net, run.splits["valid"]))
    monkeypatch.setattr("livesketch.training.text_evaluation.PART", 7)
    parts = total_text(evaluate_text(run.net, run.splits["valid"]))
    assert parts.nats == pytest.approx(whole.nats, rel=1e-5)
    assert parts.tokens == whole.tokens
    cut = total_text(evaluate_text(run.net, run.splits["valid"], most=20))
    assert cut.tokens == 20
    assert cut.nats < whole.nats


def test_what_is_looked_at_is_bounded(poems, novel):
    run = run_of(poems, eval_tokens=100)
    assert 90 < run.splits["valid"].lengths[run._watched].sum() < 150
    run = run_of(novel, eval_tokens=10)
    run.look()
    assert run._watched_tokens == 10


# What stands beside a model


@pytest.fixture(scope="module")
def trained(poems, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    train(poems, folder / "poems.safetensors", rate=1e-2)
    return folder


def test_a_training_leaves_a_model_a_card_samples_and_a_log(trained, poems):
    assert sorted(path.name for path in trained.iterdir()) == [
        "poems.log.jsonl", "poems.md", "poems.safetensors", "poems.samples.txt", "poems.training.safetensors",
    ]  # fmt: skip
    checkpoint = load_text(trained / "poems.safetensors")
    assert checkpoint.labels == ("five", "seven")
    assert (checkpoint.architecture, checkpoint.tied, checkpoint.max_steps) == ("text_lstm", True, 17)
    assert checkpoint.source["documents"] == "line"
    assert checkpoint.losses["test nats per character, seven"] > 0
    log = [json.loads(line) for line in (trained / "poems.log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [10, 20]
    assert log[1]["valid nats per token"] < log[0]["valid nats per token"]
    card = (trained / "poems.md").read_text()
    assert "| writes | five, seven |" in card
    assert "livesketch train text five.txt seven.txt --hidden 16" in card
    assert str(trained.parent) not in card
    samples = (trained / "poems.samples.txt").read_bytes()
    assert is_samples(samples)
    assert samples.decode().count("[five]") == samples.decode().count("[seven]") == 10


def test_the_card_tells_what_was_left_out_and_not_where_it_lay(poems, tmp_path):
    twice = tmp_path / "twice.txt"
    twice.write_text(poems[0].read_text() + poems[0].read_text())
    train([twice], tmp_path / "a.safetensors", steps=1)
    card = (tmp_path / "a.md").read_text()
    assert "| left out | twice.txt: 200 the same document again: left out |" in card
    assert str(tmp_path) not in card
    assert "| data | 200 documents, each a line, " in card


def test_going_on_writes_over_what_is_its_own(trained, poems, tmp_path):
    for path in trained.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    train(poems, tmp_path / "poems.safetensors", rate=1e-2, steps=25)
    assert load_state(tmp_path / "poems.training.safetensors").facts["step"] == 25
    with pytest.raises(TrainingError, match="layers was 2, is 1"):
        train(poems, tmp_path / "poems.safetensors", layers=1)
    train(poems, tmp_path / "poems.safetensors", layers=1, steps=1, fresh=True)
    assert load_text(tmp_path / "poems.safetensors").layers == 1


def test_a_training_of_drawings_cannot_go_on_with_text(trained, poems, tmp_path):
    from test_training_edges import TINY, write_data

    from livesketch.training.settings import SketchSettings
    from livesketch.training.train import train_sketch

    (tmp_path / "a.training.safetensors").write_bytes((trained / "poems.training.safetensors").read_bytes())
    (tmp_path / "data").mkdir()
    data = write_data(tmp_path / "data" / "cat.npz")
    order = Order(sources=[data], output=tmp_path / "a.safetensors", settings=SketchSettings(**TINY), name="a")
    with pytest.raises(TrainingError, match="z_size was None"):
        train_sketch(order)


def test_first_lines_go_into_the_model_unless_asked_not_to(trained, poems, tmp_path):
    checkpoint = load_text(trained / "poems.safetensors")
    kept = checkpoint.source["openings"]
    assert list(kept) == ["five", "seven"]
    for label, lines in kept.items():
        assert 50 < len(lines) <= 128
        text = poems[checkpoint.labels.index(label)].read_text()
        assert all(f"\n{line}，" in f"\n{text}" and UNK not in tokenizer(checkpoint).ids(line) for line in lines)
    plain = load_text(train(poems[:1], tmp_path / "a.safetensors", steps=1, openings=False))
    assert "openings" not in plain.source
    assert "first lines" not in (tmp_path / "a.md").read_text()


def test_first_lines_are_short_known_and_spread(novel, tmp_path):
    corpus = load_corpus(novel)
    tokens = Tokens(vocabulary_of(corpus.train.documents, "character", 1, 1000), "character")
    lines = openings_of(corpus, tokens)["novel"]
    assert "It was a dark night, and then a day." in lines
    assert len(lines) == len(set(lines)) > 50
    assert spread("abcdefgh", 3) == ["a", "c", "f"]
    model = load_text(train(novel, tmp_path / "n.safetensors", steps=1))
    assert isinstance(model.source["openings"], list)
    assert model.max_steps == 1000


def test_samples_are_the_same_for_the_same_seed_and_follow_the_model(trained):
    net = text_network_of(load_text(trained / "poems.safetensors"))
    one, ended = sample(net, 6, 1)
    assert sample(net, 6, 1)[0] == one
    assert sample(net, 6, 2)[0] != one
    assert 0 <= ended <= 6
    assert all(len(text) <= 17 for text in one)


# Eval and the command line


@pytest.mark.slow
def test_eval_gives_what_the_training_found(trained, poems, run_cli):
    checkpoint = load_text(trained / "poems.safetensors")
    found = measure_text(checkpoint, poems)
    values = total_text(found).figures()
    for name in ("nats per character", "perplexity per token"):  # the weights were rounded to int16
        assert values[name] == pytest.approx(checkpoint.losses[f"test {name}"], rel=2e-3)
    model = str(trained / "poems.safetensors")
    shown = json.loads(run_cli("eval", model, *map(str, poems), "--json").stdout)
    assert shown["losses"]["seven"]["nats per token"] == pytest.approx(found["seven"].figures()["nats per token"])
    assert shown["losses"]["all"] == pytest.approx(values)
    table = run_cli("eval", model, str(poems[0]), "--split", "all", "--limit", "5")
    assert table.stdout.split("\n")[1].startswith("five")
    assert "all split: 5 documents" in table.stderr


def test_eval_says_what_does_not_fit(trained, poems, tmp_path, run_cli):
    checkpoint = load_text(trained / "poems.safetensors")
    model = str(trained / "poems.safetensors")
    few = tmp_path / "nine.txt"
    few.write_text("山水\n日月\n")
    with pytest.raises(DataError, match=r"no class 'nine'.*--label"):
        measure_text(checkpoint, [few], split="all")
    with pytest.raises(DataError, match="--split all"):
        measure_text(checkpoint, [few], label="five")
    with pytest.raises(ControlError, match="train, valid, test, all"):
        measure_text(checkpoint, poems, split="some")
    assert measure_text(checkpoint, [few], label="five", split="all")["nine"].tokens == 6
    done = run_cli("eval", model, str(poems[0]), "--n-max", "9", "--quick", check=False)
    assert done.returncode == 2
    assert "--n-max, --quick: for models that draw" in done.stderr
    done = run_cli("eval", "cat", str(poems[0]), "--documents", "line", check=False)
    assert "--documents: for models that write" in done.stderr


def test_every_setting_is_an_option_with_its_type():
    for options, settings, more in (
        (command_line._TEXT, TextSettings, {"openings"}), (command_line._SKETCH, command_line_settings(), set()),
    ):  # fmt: skip
        kinds = {field.name: field.type for field in fields(settings)}
        assert {name: kind for name, (kind, _) in options.items()} == {k: v for k, v in kinds.items() if k not in more}


def command_line_settings():
    from livesketch.training.settings import SketchSettings

    return SketchSettings


def arguments(sources, output, *more):
    options = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    return [sys.executable, "-m", "livesketch", "train", "text", *map(str, sources), "-o", str(output), *options, *more]


@pytest.mark.slow
def test_the_command_line_trains(poems, tmp_path, run_cli):
    done = run_cli(*arguments(poems, tmp_path / "a.safetensors", "--no-openings", "--steps=2", "--licence=CC0")[3:])
    assert done.stdout.strip() == str(tmp_path / "a.safetensors")
    assert "400 documents" not in done.stderr
    assert "symbols" in done.stderr
    card = (tmp_path / "a.md").read_text()
    assert "| licence of the weights | CC0 |" in card
    assert "--no-openings" in card
    assert "openings" not in load_text(tmp_path / "a.safetensors").source


def test_settings_make_the_network_they_say(poems):
    info = info_of(TextSettings(**(SMALL | {"embedding": 5})), load_corpus(poems))
    assert (info.embedding, info.hidden, info.tied, info.label_size) == (5, 16, False, 4)
    info = info_of(TextSettings(**(SMALL | {"architecture": "attention"})), load_corpus(poems[:1]))
    assert (info.heads, info.window, info.labels, info.label_size, info.forget_bias) == (4, 8, (), 0, 0.0)


def test_the_loop_is_one_for_both():
    """What a kind of training does not decide is written once."""
    from livesketch.training.sketch import SketchRun

    for name in ("advance", "look", "state", "resume", "next_group"):
        assert getattr(TextRun, name) is getattr(SketchRun, name) is getattr(Run, name)


@pytest.mark.slow
def test_kill_9_and_going_on_gives_the_same_weights(poems, tmp_path):
    assert_killed_goes_on(partial(arguments, poems), tmp_path, 300)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["lstm", "attention"])
def test_two_processes_train_what_one_does(poems, tmp_path, architecture):
    none = [f"--{part}-dropout=0" for part in ("embedding", "layer", "output")]
    assert_two_do_what_one_does(partial(arguments, poems), tmp_path, f"--architecture={architecture}", *none)
