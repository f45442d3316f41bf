"""What a stream was asked for beyond its name, label and latent, is written down where a drawing begins."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from small_models import small_checkpoint

import livesketch as ls
from livesketch.events import Asked
from livesketch.models.checkpoint import save_checkpoint

Z = (np.arange(6.0) / 3).tolist()
KINDS = {
    "plain": {},
    "vae": {"z_size": 6, "encoder": ("lstm", 7)},
    "both": {"z_size": 6, "encoder": ("lstm", 7), "labels": ("cat", "pig", 'a "hat" <猫>'), "label_size": 4},
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for kind, what in KINDS.items():
        save_checkpoint(small_checkpoint(hidden=24, name=kind, max_steps=12, **what), folder / f"{kind}.safetensors")
    return {kind: f"{folder / kind}.safetensors" + "#cat" * (kind == "both") for kind in KINDS}


def plays(path):
    return [play.attrib for play in ET.fromstring(path.read_bytes()).iter("{urn:livesketch:1}play")]


def asked(attributes):
    return {key: attributes[key] for key in ("label", "z", "voice", "drawing") if key in attributes}


def test_a_lucky_drawing_is_had_again_from_the_page(models, tmp_path):
    page = tmp_path / "page.svg"
    for label, said in (("pig", "pig"), ({"cat": 0.7, "pig": 0.3}, '{"cat":0.7,"pig":0.3}'), ('a "hat" <猫>',) * 2):
        cat = ls.sketch(models["both"], seed=7)
        cat.label = label
        cat.z = cat.encode([[[0, 0], [30, 11], [20, 50]]])
        lucky = ls.draw(cat, to=ls.svg(page), n=3)[2].actions
        (play,) = plays(page)
        assert (play["label"], play["drawing"]) == (said, "0")
        again = ls.sketch(models["both"], seed=int(play["seed"]), temperature=float(play["temperature"]))
        again.label = json.loads(play["label"]) if play["label"].startswith("{") else play["label"]
        again.z = json.loads(play["z"])
        assert [list(again.drawing()) for _ in range(3)][2] == lucky


def test_what_the_name_says_is_not_said_again(models, tmp_path):
    for kind, path in models.items():
        stream = ls.sketch(path, seed=7)
        if kind == "both":
            stream.label = "Cat"
        ls.draw(stream, to=ls.svg(tmp_path / "page.svg"))
        assert asked(plays(tmp_path / "page.svg")[0]) == {"voice": "0", "drawing": "0"}
        assert all(action.asked is None for action in stream.take(50))


def test_each_change_begins_another_play_of_the_page_at_its_first_drawing(models, tmp_path):
    page, cat = ls.svg(tmp_path / "page.svg"), ls.sketch(models["both"], seed=7)
    for label in ("pig", "pig", "cat", "pig"):
        cat.label = label
        ls.draw(cat, to=page, n=2)
    assert [asked(play) for play in plays(tmp_path / "page.svg")] == [
        {"label": "pig", "voice": "0", "drawing": "0"},
        {"voice": "0", "drawing": "4"},
        {"label": "pig", "voice": "0", "drawing": "6"},
    ]


def test_a_change_in_the_middle_of_a_drawing_is_said_of_the_next(models, tmp_path):
    page, cat = ls.svg(tmp_path / "page.svg"), ls.sketch(models["vae"], seed=7)
    cat.take(3)
    cat.z = Z
    ls.draw(cat, to=page, n=2)
    assert [asked(play) for play in plays(tmp_path / "page.svg")] == [
        {"voice": "0", "drawing": "0"},
        {"z": json.dumps(Z, separators=(",", ":")), "voice": "0", "drawing": "1"},
    ]


def test_voices_that_were_asked_for_the_same_share_a_play(models, tmp_path):
    choir = ls.voices(models["both"], 5, seed=7)
    choir.label = ["cat", "pig", "pig", "cat", "pig"]
    with ls.play(choir, to=ls.svg(tmp_path / "page.svg"), rate=5000, then="stop") as player:
        assert player.wait(20)
    assert [asked(play) for play in plays(tmp_path / "page.svg")] == [
        {"voice": "0 3", "drawing": "0"},
        {"label": "pig", "voice": "1 2 4", "drawing": "0"},
    ]


def test_only_the_first_action_of_a_drawing_says_it_fed_or_drawn_alone_or_among_voices(models):
    stream, choir = ls.sketch(models["both"], seed=7), ls.voices(models["both"], 2, seed=7)
    for one in (stream, choir):
        one.label, one.z = {"cat": 1, "pig": 3}, Z
    told = Asked((("cat", 0.25), ("pig", 0.75)), tuple(Z))
    for _ in range(30):
        action = next(stream)
        assert action.asked == (None if action.step else told)
        assert choir.step()[0].asked == action.asked
    stream.restart()
    assert [action.asked for action in stream.feed([[[0, 0], [9, 9], [5, 0]]])] == [told, None]


def test_a_trace_has_it_where_a_drawing_begins(models, tmp_path):
    path, stream = tmp_path / "a.jsonl", ls.sketch(models["both"], seed=7)
    output = ls.trace(path)
    for label, z in (("cat", None), ("pig", None), ({"cat": 1, "pig": 3}, Z)):
        stream.label, stream.z = label, z
        ls.draw(stream, to=output)
    pens = [line for line in map(json.loads, path.read_text().splitlines()) if line.get("event") == "pen"]
    assert [line.get("asked", {}) for line in pens if not line["step"]] == [
        {}, {"label": "pig"}, {"label": {"cat": 0.25, "pig": 0.75}, "z": Z},
    ]  # fmt: skip
    assert not any("asked" in line for line in pens if line["step"])
    assert stream.z.tolist() == Z
