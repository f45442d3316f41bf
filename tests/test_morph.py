"""``livesketch morph``: sheets of drawings between, around and beyond others."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from small_models import small_checkpoint

import livesketch as ls
from livesketch import cli
from livesketch.models.checkpoint import save_checkpoint

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    labels = {"labels": ("cat", "pig", "hot air balloon"), "label_size": 4}
    latent = {"z_size": 6, "encoder": ("lstm", 7)}
    kinds = {"plain": {}, "labels": labels, "vae": latent, "both": labels | latent}
    for kind, what in kinds.items():
        save_checkpoint(small_checkpoint(hidden=24, name=kind, **what), folder / f"{kind}.safetensors")
    rng = np.random.default_rng(1)
    drawings = [np.column_stack([rng.normal(0, 20, (9, 2)), [0, 0, 1] * 3]) for _ in range(4)]
    ls.save_strokes(folder / "mine.npz", drawings)
    ls.save_strokes(folder / "none.jsonl", [])
    splits = {}
    for name, chosen in {"train": drawings[:1], "valid": drawings[1:2], "test": drawings[2:]}.items():
        splits[name] = np.empty(len(chosen), object)
        splits[name][:] = chosen
    np.savez(folder / "set.npz", **splits)
    np.savez(folder / "other.npz", x=np.zeros(3))
    return folder


@pytest.fixture
def here(models, monkeypatch):
    monkeypatch.chdir(models)
    return models


def morph(*arguments):
    return cli.main(["morph", *map(str, arguments), "--backend", "reference"])


def layers(path):
    """Lines by the colour of their layer."""
    groups = ET.parse(path).getroot().iter(f"{SVG}g")
    return {group.get("stroke"): len(group.findall(f"{SVG}path")) for group in groups}


def boxes(path, columns):
    """The cells, in order, in which something is drawn."""
    root = ET.parse(path).getroot()
    cells = set()
    for line in root.iter(f"{SVG}path"):
        x, y = map(float, re.findall(r"[-\d.]+", line.get("d"))[:2])
        cells.add(int((y - 10) // 40) * columns + int((x - 10) // 40))
    return sorted(cells)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("labels.safetensors",), 2, "0 places"),
        (("labels.safetensors", "cat", "pig", "cat"), 2, "3 places"),
        (("labels.safetensors", "dog"), 2, "expected one of cat, pig"),
        (("plain.safetensors", "cat"), 2, "has no labels to go to"),
        (("labels.safetensors", "mine.npz:0", "cat"), 3, "has no encoder"),
        (("vae.safetensors", "mine.npz:4", "mine.npz:0"), 3, "holds 4 drawings"),
        (("vae.safetensors", "none.jsonl", "mine.npz:0"), 3, "holds 0 drawings"),
        (("vae.safetensors", "gone.npz", "mine.npz:0"), 3, "gone.npz"),
        (("vae.safetensors", "set.npz:2", "mine.npz:0"), 3, "holds 2 drawings"),
        (("vae.safetensors", "other.npz", "mine.npz:0"), 3, "other.npz: not strokes that can be read"),
        (("labels.safetensors", "--near", "2"), 2, "has no latent"),
        (("vae.safetensors", "mine.npz:0", "mine.npz:1", "--near", "2"), 2, "one at most"),
        (("vae.safetensors", "mine.npz", "--reconstruct", "mine.npz"), 2, "no place beside"),
        (("vae.safetensors", "--reconstruct", "none.jsonl"), 3, "holds 0 drawings"),
        (("vae.safetensors", "mine.npz:0", "mine.npz:1", "-o", "no/folder.svg"), 4, "cannot be written"),
        (("gone.safetensors", "cat"), 3, "no model file"),
        (("vae.safetensors", "mine.npz:0", "mine.npz:1", "--margin", "2 miles"), 2, "2 miles"),
    ],
)
def test_what_cannot_be_done_is_said(here, capsys, arguments, code, said):
    assert morph(*arguments) == code
    out, err = capsys.readouterr()
    assert said in err
    assert not out
    assert not [*here.glob("*.svg")]


@pytest.mark.parametrize("bad", [["--near", "-1"], ["--near", "1", "--reconstruct", "mine.npz"], ["-n", "0"]])
def test_bad_options_end_with_2(here, bad):
    with pytest.raises(SystemExit) as ended:
        morph("vae.safetensors", *bad)
    assert ended.value.code == 2


def test_a_row_between_two_labels(here, capsys, tmp_path):
    row = tmp_path / "row.svg"
    assert morph("labels.safetensors", "cat", "PIG", "-n", 5, "--seed", 3, "-o", row) == 0
    assert capsys.readouterr().out == f"{row}: 5 drawings from cat to PIG, seed 3\n"
    root = ET.parse(row).getroot()
    assert (root.get("width"), root.get("height")) == ("220mm", "60mm")
    assert boxes(row, 5) == [0, 1, 2, 3, 4]
    again = tmp_path / "again.svg"
    assert morph("labels.safetensors#cat", "pig", "-n", 5, "--seed", 3, "-o", again) == 0
    strip = re.compile(r'morph="[^"]*"')
    assert strip.sub("", row.read_text()) == strip.sub("", again.read_text())


def test_the_ends_of_a_row_are_the_drawings_there(here, tmp_path):
    row, first = tmp_path / "row.svg", tmp_path / "first.svg"
    assert morph("both.safetensors", "mine.npz:0", "mine.npz:2", "-n", 3, "--seed", 3, "-o", row) == 0
    assert morph("both.safetensors", "mine.npz:0", "pig", "-n", 1, "--seed", 3, "-o", first) == 0
    stream = ls.sketch("both.safetensors#cat", seed=3, temperature=0.3, backend="reference")
    drawings = ls.load_strokes("mine.npz")
    counts = []
    for z in ls.slerp(stream.encode(drawings[0]), stream.encode(drawings[2]), [0, 0.5, 1]):
        stream.z = z
        counts.append(max(1, len(ls.to_polylines(list(stream.restart().drawing())))))
    assert layers(row) == {"black": sum(counts)}
    assert layers(first) == {"black": counts[0]}


def test_around_a_drawing_and_around_the_model_s_own(here, capsys, tmp_path):
    assert morph("vae.safetensors", "mine.npz:1", "--near", 2, "-n", 5, "--seed", 3, "-o", tmp_path / "a.svg") == 0
    assert morph("vae.safetensors", "--near", 2, "-n", 5, "--seed", 3, "-o", tmp_path / "b.svg") == 0
    out = capsys.readouterr().out
    assert "mine.npz:1 and 5 drawings at the distance 2, seed 3" in out
    assert "vae and 5 drawings at the distance 2, seed 3" in out
    for name in "ab":
        assert boxes(tmp_path / f"{name}.svg", 3) == [0, 1, 2, 3, 4, 5]


def test_an_analogy_shows_what_was_given_and_the_answers(here, capsys, tmp_path):
    sheet = tmp_path / "sheet.svg"
    places = ["mine.npz:0", "mine.npz:1", "mine.npz:2"]
    assert morph("vae.safetensors", "--analogy", *places, "-n", 2, "--seed", 3, "-o", sheet) == 0
    assert boxes(sheet, 5) == [0, 1, 2, 3, 4]
    assert layers(sheet)["dimgray"] == 9
    assert "seed 3" in capsys.readouterr().out
    assert morph("labels.safetensors", "--analogy", "cat", "pig", "cat", "--seed", 3, "-o", sheet) == 0
    assert boxes(sheet, 4) == [0, 1, 2, 3]


def test_reconstructions_stand_beside_what_was_given(here, capsys, tmp_path):
    sheet = tmp_path / "sheet.svg"
    assert morph("vae.safetensors", "--reconstruct", "mine.npz", "-n", 3, "--seed", 3, "-o", sheet) == 0
    assert boxes(sheet, 6) == [0, 1, 2, 3, 4, 5]
    assert layers(sheet)["dimgray"] == 9
    assert capsys.readouterr().out == f"{sheet}: 3 of mine.npz, each with its reconstruction, seed 3\n"
    assert morph("vae.safetensors", "--reconstruct", "mine.npz:2", "--page", "a6", "-o", sheet) == 0
    assert ET.parse(sheet).getroot().get("width") == "105mm"


def test_of_a_data_set_in_splits_the_test_drawings_are_taken(here, tmp_path):
    """As those of Quick, Draw! are."""
    one, other = tmp_path / "one.svg", tmp_path / "other.svg"
    strip = re.compile(r' morph="[^"]*"')
    for places in (["{}:{}", "{}:{}"], ["--reconstruct", "{}:{}"]):
        for path, name, first in ((one, "set.npz", 0), (other, "mine.npz", 2)):
            numbers = iter((first, first + 1))
            arguments = [place.format(name, next(numbers)) if "{" in place else place for place in places]
            assert morph("vae.safetensors", *arguments, "-n", 3, "--seed", 3, "-o", path) == 0
        assert strip.sub("", one.read_text()) == strip.sub("", other.read_text())
    assert morph("vae.safetensors", "--reconstruct", "set.npz", "--seed", 3, "-o", one) == 0
    assert boxes(one, 4) == [0, 1, 2, 3]


def test_the_page_can_go_to_standard_output_and_names_no_folder(here, capsys):
    assert morph("vae.safetensors", here / "mine.npz:0", here / "mine.npz:1", "-n", 2, "--seed", 3, "-o", "-") == 0
    out, err = capsys.readouterr()
    assert ET.fromstring(out.partition("\n")[2]).tag == f"{SVG}svg"
    assert str(here) not in out
    assert "seed 3" in err
