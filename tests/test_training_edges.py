"""What a new user does wrong with ``livesketch train sketch`` and ``eval``: a clear word, early, and nothing lost."""

from pathlib import Path

import numpy as np
import pytest

from livesketch.errors import CheckpointError, ControlError, DataError, OutputError, TrainingError

torch = pytest.importorskip("torch")

from livesketch.cli.train import _stem  # noqa: E402 - after the check for torch
from livesketch.data.drawings import load_drawings  # noqa: E402
from livesketch.models.checkpoint import load_checkpoint  # noqa: E402
from livesketch.training.measure import measure  # noqa: E402
from livesketch.training.settings import SketchSettings  # noqa: E402
from livesketch.training.sketch import SketchRun  # noqa: E402
from livesketch.training.state import State  # noqa: E402
from livesketch.training.train import Order, train_sketch  # noqa: E402
from livesketch.training.workers import Workers, workers  # noqa: E402

TINY = {
    "hidden": 8, "encoder_hidden": 8, "z_size": 4, "label_size": 3, "mixtures": 2, "batch": 8, "eval_every": 2,
    "steps": 2, "precision": "fp32",
}  # fmt: skip


def write_data(path, count=30, stretch=1.0, flat=False):
    rng = np.random.default_rng(1)
    drawings = np.empty(count, object)
    for i in range(count):
        drawings[i] = np.column_stack([rng.normal(size=(5, 2)) * 20 * stretch, [0, 0, 0, 0, 1]]).astype(np.float32)
        if flat:
            drawings[i][:, :2] = 5
    np.savez(path, train=drawings[:-6], valid=drawings[-6:-3], test=drawings[-3:])
    return path


@pytest.fixture
def cat(tmp_path):
    (tmp_path / "data").mkdir()
    return write_data(tmp_path / "data" / "cat.npz")


def train(sources, output, *, name="cat", init=None, init_as="", **options):
    settings = SketchSettings(**(TINY | options))
    order = Order(sources=sources, output=output, settings=settings, name=name, init=init, init_as=init_as)
    return train_sketch(order)


@pytest.mark.parametrize("place", ["missing/a.safetensors", "folder.safetensors"])
def test_a_place_that_cannot_be_written_is_refused_before_the_data_are_read(tmp_path, place):
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(OutputError):
        train([tmp_path / "no.npz"], tmp_path / place)


def test_a_model_among_its_own_drawings_is_refused(cat):
    """Its samples and its log would be read as drawings when it goes on."""
    for source in (cat.parent, cat.parent.parent):  # folders of folders are read too
        with pytest.raises(OutputError, match="another folder"):
            train([source], cat.parent / "a.safetensors")
    train([cat], cat.parent / "a.safetensors")


def test_a_name_that_no_model_can_have_is_refused_before_the_first_step(cat, tmp_path):
    with pytest.raises(CheckpointError, match="name"):
        train([cat], tmp_path / "a.safetensors", name="two\nlines", steps=10**9, eval_every=10**9)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_other_drawings_of_the_same_number_and_length_cannot_go_on(cat, tmp_path):
    train([cat], tmp_path / "a.safetensors")
    write_data(cat, stretch=3)
    with pytest.raises(TrainingError, match="scale factor"):
        train([cat], tmp_path / "a.safetensors", steps=4)


def test_offsets_that_are_all_one_number_are_refused(tmp_path):
    data = load_drawings([write_data(tmp_path / "flat.npz", flat=True)])
    with pytest.raises(DataError, match="about 5 data units"):
        data.scale_factor()


def test_names_that_differ_in_capitals_or_hyphens_are_one_class(tmp_path):
    paths = [write_data(tmp_path / name) for name in ("T-Shirt.npz", "t_shirt.npz", "cat.npz")]
    data = load_drawings(paths)
    assert data.labels == ("T-Shirt", "cat")
    assert np.bincount(data.train.label).tolist() == [48, 24]


def test_the_card_says_from_what_a_training_began_and_it_goes_on_only_so(cat, tmp_path):
    first = load_checkpoint(train([cat], tmp_path / "first.safetensors", name="first"))
    again = tmp_path / "again.safetensors"
    train([cat], again, init=first, init_as="some/where/first.safetensors")
    card = again.with_suffix(".md").read_text()
    assert "| began from | the weights of first; " in card
    assert "cat.npz --init first.safetensors --hidden 8" in card
    assert "multiplied in float32 (" in card
    assert load_checkpoint(again).source["init"] == "first"
    with pytest.raises(TrainingError, match="--init was first, is None"):
        train([cat], again, steps=4)
    train([cat], again, init=first, steps=4)


def test_beginning_anew_begins_the_log_anew(cat, tmp_path):
    output = train([cat], tmp_path / "a.safetensors")
    (tmp_path / "a.training.safetensors").unlink()
    train([cat], output)
    assert len((tmp_path / "a.log.jsonl").read_text().splitlines()) == 1


def test_a_training_that_patience_ended_stays_ended(cat, tmp_path):
    log = tmp_path / "a.log.jsonl"
    asked = {"steps": 100, "patience": 1, "rate": 3.0, "average": 0.0, "rate_min": 3.0, "rate_decay": 1.0}
    train([cat], tmp_path / "a.safetensors", **asked)
    looks = log.read_text().splitlines()
    assert len(looks) < 50
    train([cat], tmp_path / "a.safetensors", **asked)
    assert log.read_text().splitlines() == looks


def test_a_log_that_cannot_be_written_is_named(cat, tmp_path):
    train([cat], tmp_path / "a.safetensors")
    (tmp_path / "a.log.jsonl").unlink()
    (tmp_path / "a.log.jsonl").mkdir()
    with pytest.raises(OutputError, match=r"a\.log\.jsonl"):
        train([cat], tmp_path / "a.safetensors", steps=4)


def test_a_device_that_training_does_not_know_is_refused(cat, tmp_path):
    with pytest.raises(ControlError, match="cpu or cuda"):
        train([cat], tmp_path / "a.safetensors", device="meta")


def test_processes_without_a_launcher_or_without_drawings_are_refused(cat, monkeypatch):
    run = SketchRun(SketchSettings(**TINY), load_drawings([cat]), Workers(0, 1, torch.device("cpu")), "cat")
    run.workers = Workers(0, 9, torch.device("cpu"))
    with pytest.raises(ControlError, match="9 processes share batches of at most 8"):
        run.advance()
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ControlError, match="torchrun"), workers("cpu"):
        pass


def test_a_state_that_does_not_say_from_what_it_began_goes_on(cat):
    """Those saved before this was written down."""
    run = SketchRun(SketchSettings(**TINY), load_drawings([cat]), Workers(0, 1, torch.device("cpu")), "cat")
    run.advance()
    state = run.state()
    run.resume(State({name: value for name, value in state.facts.items() if name != "init"}, state.tensors))
    assert run.step == 1


def test_eval_refuses_a_label_for_a_model_without_and_an_n_max_that_is_too_small(cat, tmp_path):
    checkpoint = load_checkpoint(train([cat], tmp_path / "a.safetensors", z_size=0))
    with pytest.raises(ControlError, match="no labels"):
        measure(checkpoint, [cat], label="dog")
    with pytest.raises(ControlError, match="5 rows"):
        measure(checkpoint, [cat], n_max=4)
    assert measure(checkpoint, [cat], n_max=5).n_max == 5


def test_the_model_is_named_by_all_of_its_data_but_the_ending(tmp_path, monkeypatch):
    (tmp_path / "v1.2").mkdir()
    (tmp_path / "my.cats.npz").write_bytes(b"")
    monkeypatch.chdir(tmp_path / "v1.2")
    assert [_stem(tmp_path / "my.cats.npz"), _stem(tmp_path / "v1.2"), _stem(Path())] == ["my.cats", "v1.2", "v1.2"]
