import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from livesketch.errors import CheckpointError, ModelNotFoundError
from livesketch.models import catalogue as module
from livesketch.models.catalogue import catalogue, open_model, open_text
from livesketch.models.checkpoint import Checkpoint, CheckpointInfo, quantize, save_checkpoint, shapes_of
from livesketch.models.magenta import export_magenta


def make(name: str, labels: tuple[str, ...] = (), seed: int = 1) -> Checkpoint:
    values: dict[str, Any] = {
        "name": name, "architecture": "sketch_decoder", "cell": "lstm", "hidden": 3, "mixtures": 2, "z_size": 0,
        "label_size": 2 if labels else 0, "labels": labels, "scale_factor": 40.0, "stage_units": 300.0,
        "max_steps": 90, "start_token": (0.0,) * 5, "start_pen": "down", "forget_bias": 1.0, "licence": "CC0",
        "attribution": "Someone", "data": "", "losses": {}, "source": {},
    }  # fmt: skip
    rng = np.random.default_rng(seed)
    shapes = shapes_of(CheckpointInfo(**values))
    return Checkpoint(**values, tensors={name: quantize(rng.normal(size=shape)) for name, shape in shapes.items()})


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two bundled files: ten things, and one."""
    folder = tmp_path / "bundled"
    folder.mkdir()
    save_checkpoint(make("things", ("cat", "Hot Air-balloon", "猫", "pig")), folder / "things.safetensors")
    save_checkpoint(make("kanji"), folder / "kanji.safetensors")
    monkeypatch.setattr(module, "BUNDLED", folder)
    monkeypatch.chdir(tmp_path)
    return folder


def test_names_are_labels_or_the_model_s_own(bundle: Path) -> None:
    entries = catalogue()
    assert list(entries) == ["cat", "Hot Air-balloon", "kanji", "pig", "猫"]
    assert (entries["cat"].label, entries["cat"].path.name) == ("cat", "things.safetensors")
    assert (entries["kanji"].label, entries["kanji"].licence) == (None, "CC0")
    assert all(name == entry.name for name, entry in entries.items())


@pytest.mark.parametrize("name", ["Hot Air-balloon", "hot air balloon", "HOT_AIR_BALLOON", " hot-air  balloon "])
def test_names_are_compared_plainly(bundle: Path, name: str) -> None:
    checkpoint, label = open_model(name)
    assert (checkpoint.name, label) == ("things", "Hot Air-balloon")


def test_a_name_comes_before_a_file_and_a_path_is_a_file(bundle: Path) -> None:
    Path("cat").write_text("")
    assert open_model("cat")[1] == "cat"
    with pytest.raises(CheckpointError, match="not a model file"):
        open_model(Path("cat"))
    with pytest.raises(CheckpointError, match="not a model file"):
        open_model("./cat")


def test_files_are_opened_by_what_they_are(bundle: Path) -> None:
    save_checkpoint(make("one"), "one.safetensors")
    export_magenta(make("two"), "two.gen.json")
    for path, name in (("one.safetensors", "one"), ("./two.gen.json", "two"), (Path("two.gen.json"), "two")):
        checkpoint, label = open_model(path)
        assert (checkpoint.name, label) == (name, None)
    assert open_model(os.fsencode("one.safetensors").decode())[0].name == "one"


def test_a_label_follows_the_path(bundle: Path) -> None:
    path = bundle / "things.safetensors"
    assert open_model(f"{path}#cat")[1] == "cat"
    assert open_model(f"{path}#HOT_air balloon")[1] == "Hot Air-balloon"
    assert open_model(Path(f"{path}#猫"))[1] == "猫"
    save_checkpoint(make("single", ("cat",)), "single.safetensors")
    assert open_model("single.safetensors")[1] == "cat"
    assert open_model("single.safetensors#")[1] == "cat"
    shutil.copy("single.safetensors", "number#1.safetensors")
    assert open_model("number#1.safetensors")[0].name == "single"
    assert open_model("number#1.safetensors#cat")[1] == "cat"


def test_which_label_is_asked_for_where_there_are_several(bundle: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"cat, Hot Air-balloon, 猫, pig.*#cat"):
        open_model(str(bundle / "things.safetensors"))
    with pytest.raises(ModelNotFoundError, match="did you mean 'pig'"):
        open_model(f"{bundle / 'things.safetensors'}#pigg")
    with pytest.raises(ModelNotFoundError, match="no labels"):
        open_model(f"{bundle / 'kanji.safetensors'}#cat")


def test_of_many_labels_a_few_are_named_and_where_all_are(bundle: Path) -> None:
    names = tuple(f"thing {k}" for k in range(300))
    save_checkpoint(make("many", names), "many.safetensors")
    for asked, words in (
        ("many.safetensors", r"draws thing 0, thing 1, .*300 in all.*`livesketch models FILE`.*#thing 0$"),
        ("many.safetensors#thin 7", r"no label 'thin 7'.*300 in all.*`livesketch models.*did you mean 'thing 7'"),
    ):
        with pytest.raises(ModelNotFoundError, match=words) as caught:
            open_model(asked)
        assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("catt", "did you mean 'cat'"),
        ("hot balloon", "did you mean 'Hot Air-balloon'"),
        ("zzzz", "livesketch models"),
        ("", "no model"),
        ("  ", "no model"),
        ("x" * 5000, "no model"),
        ("nul\0", "no model"),
        ("~nobody-of-that-name/x.json", "no model file"),
        ("thongs.safetensors", "no model file"),
        ("bundled/thongs.safetensors", "did you mean 'things.safetensors'"),
        ("missing/things.safetensors", "no model file"),
        ("cat#pig", "no model"),
    ],
)
def test_what_is_not_there_has_its_neighbours_named(bundle: Path, name: str, words: str) -> None:
    with pytest.raises(ModelNotFoundError, match=words) as caught:
        open_model(name)
    assert "`livesketch models`" in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", [None, 5, ["cat"], make("x")])
def test_what_is_no_name_is_refused(bundle: Path, name: Any) -> None:
    with pytest.raises(ModelNotFoundError, match="cannot be a"):
        open_model(name)


def test_a_folder_is_no_model(bundle: Path) -> None:
    Path("folder.safetensors").mkdir()
    for path in ("bundled", "folder.safetensors", "."):
        with pytest.raises(CheckpointError, match=r"not a model file|folder"):
            open_model(path)


def test_a_damaged_bundled_file_is_named(bundle: Path) -> None:
    (bundle / "a.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match=r"a\.safetensors"):
        open_model("cat")
    assert open_model(bundle / "kanji.safetensors")[0].name == "kanji"


def test_an_empty_catalogue_still_opens_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUNDLED", tmp_path / "nothing")
    assert catalogue() == {}
    with pytest.raises(ModelNotFoundError):
        open_model("cat")
    save_checkpoint(make("one"), tmp_path / "one.safetensors")
    assert open_model(tmp_path / "one.safetensors")[0].name == "one"


def test_an_unchanged_file_is_read_once_and_a_changed_one_again(bundle: Path) -> None:
    first = open_model("kanji")[0]
    assert open_model("kanji")[0] is first
    assert open_model("bundled/kanji.safetensors")[0] is first
    status = (bundle / "kanji.safetensors").stat()
    save_checkpoint(make("kanji"), bundle / "kanji.safetensors")
    os.utime(bundle / "kanji.safetensors", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert open_model("kanji")[0] is not first


def test_of_two_files_with_one_name_the_first_wins(bundle: Path) -> None:
    save_checkpoint(make("cat"), bundle / "aaa.safetensors")
    assert catalogue()["cat"].path.name == "aaa.safetensors"


def test_what_ships_can_be_opened() -> None:
    for name, entry in catalogue().items():
        checkpoint, label = open_text(name) if entry.kind == "text" else open_model(name)
        assert label == entry.label
        assert entry.licence
        assert entry.attribution
        assert checkpoint.max_steps > 1
