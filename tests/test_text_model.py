"""Text models as files: what is refused and why, what comes back, and their names in the catalogue."""

import dataclasses
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save
from small_models import small_checkpoint
from small_texts import small_text, text_stored_as

from livesketch.errors import CheckpointError, ModelNotFoundError, OutputError, UnsupportedModelError
from livesketch.models import catalogue as module
from livesketch.models.catalogue import catalogue, open_model, open_text
from livesketch.models.checkpoint import load_checkpoint, load_text, read_header, save_checkpoint, save_text
from livesketch.models.magenta import export_magenta
from livesketch.models.model import Tensor
from livesketch.models.text_checks import check_text, text_values
from livesketch.models.text_model import TextCheckpoint, TextInfo, slopes, text_shapes

KINDS = {
    "lstm": small_text(size=6, symbols=9),
    "lstm with labels": small_text(size=6, symbols=9, labels=("wuyan", "qiyan")),
    "untied": small_text(size=6, symbols=9, embedding=4, tied=False, layers=3),
    "words": small_text(size=6, unit="word", layers=1),
    "bytes": small_text(size=6, unit="byte"),
    "attention": small_text("text_attention", size=6, symbols=9),
    "attention with labels": small_text("text_attention", size=6, symbols=9, labels=("a",), tied=False),
}


def raw(checkpoint: TextCheckpoint, arrays=None, **changes) -> bytes:
    """The bytes of a file whose metadata or arrays nobody checked."""
    values = text_values(checkpoint) | {"format": 1, **changes}
    values.setdefault("scales", {name: tensor.scale for name, tensor in checkpoint.tensors.items()})
    own = {name: tensor.values for name, tensor in checkpoint.tensors.items()} if arrays is None else arrays
    return save(own, {"livesketch": json.dumps({k: v for k, v in values.items() if v is not ...})})


SYMBOLS = ["", "", *"不人山无风一日云"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 2}, "format 2"),
        ({"name": " "}, "'name'"),
        ({"unit": 5}, "'unit'"),
        ({"unit": "syllable"}, "syllable.*character, word, byte"),
        ({"architecture": "text_gru"}, "text_gru.*text_lstm, text_attention"),
        ({"vocabulary": None}, "'vocabulary'"),
        ({"vocabulary": "不人"}, "'vocabulary'"),
        ({"vocabulary": ["", ""]}, "3 to"),
        ({"vocabulary": ["", "a", *SYMBOLS[2:]]}, "END and UNK"),
        ({"vocabulary": [*SYMBOLS, "人"]}, "differ"),
        ({"vocabulary": [*SYMBOLS, ""]}, "single characters"),
        ({"vocabulary": [*SYMBOLS, "ab"]}, "single characters"),
        ({"vocabulary": [*SYMBOLS, 5]}, "single characters"),
        ({"vocabulary": [*SYMBOLS, "\ud800"]}, "single characters"),
        ({"vocabulary": [*SYMBOLS, "x", "y"]}, "tensor embed.w has shape"),
        ({"unit": "byte"}, "two hexadecimal digits"),
        ({"unit": "word", "vocabulary": [*SYMBOLS, "x" * 1001]}, "1 to 1000 characters"),
        ({"embedding": 0}, "'embedding'"),
        ({"embedding": 16385}, "'embedding'"),
        ({"embedding": 7}, "'embedding' is 7.*expected 6"),
        ({"hidden": 5}, "'embedding' is 6.*expected 5"),
        ({"hidden": True}, "'hidden'"),
        ({"layers": 0}, "'layers'"),
        ({"layers": 65}, "'layers'"),
        ({"layers": 3}, "layer2.w_x is missing"),
        ({"tied": 1}, "'tied'"),
        ({"tied": False}, "head.w is missing"),
        ({"heads": 2}, "'heads'"),
        ({"window": 5}, "'window'"),
        ({"labels": ["wuyan"]}, "'labels'"),
        ({"labels": ["wuyan"], "label_size": 2}, "tensor label.w is missing"),
        ({"label_size": 2}, "'labels'"),
        ({"max_steps": 0}, "'max_steps'"),
        ({"max_steps": 10**7}, "'max_steps'"),
        ({"forget_bias": "1"}, "'forget_bias'"),
        ({"licence": None}, "'licence'"),
        ({"losses": {"nats": "low"}}, "'losses'"),
        ({"source": []}, "'source'"),
        ({"scales": {}}, "scale None"),
        *(({field.name: ...}, f"'{field.name}' is missing") for field in dataclasses.fields(TextInfo)[2:]),
    ],
)
def test_bad_metadata_is_refused_by_field(tmp_path: Path, changes, words: str) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(raw(KINDS["lstm"], **changes))
    for read in (load_text, read_header):
        with pytest.raises(CheckpointError, match=words) as caught:
            read(path)
        assert "a.safetensors" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"heads": 0}, "'heads'"),
        ({"heads": 4}, "divisor of 'embedding'"),
        ({"window": 0}, "'window'"),
        ({"window": 2**21}, "'window'"),
        ({"embedding": 12}, "'embedding' is 12.*expected 6"),
        ({"labels": ["a"], "label_size": 5}, "'label_size' is 5.*expected 0 or"),
        ({"layers": 1}, "unknown tensors block1"),
    ],
)
def test_bad_sizes_of_attention_are_refused(tmp_path: Path, changes, words: str) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(raw(KINDS["attention"], **changes))
    with pytest.raises(CheckpointError, match=words):
        load_text(path)


def test_a_window_that_would_take_too_much_memory_is_refused(tmp_path: Path) -> None:
    wide = small_text("text_attention", size=512, heads=8, symbols=3, window=2**18)
    with pytest.raises(CheckpointError, match=r"'window' is 262144; expected at most 131072"):
        save_text(wide, tmp_path / "a.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("head.b", None, "head.b is missing"),
        ("extra", np.zeros(3, np.int16), "unknown tensors extra"),
        ("head.b", np.zeros((11, 1), np.int16), "head.b has shape"),
        ("head.b", np.zeros(11), "F64"),
        ("head.b", np.full(11, np.nan, np.float32), "finite"),
        ("embed.w", np.full((11, 6), 2e6, np.float32), "finite"),
    ],
)
def test_bad_tensors_are_refused_by_name(tmp_path: Path, name: str, array, words: str) -> None:
    arrays = {key: tensor.values for key, tensor in KINDS["lstm"].tensors.items()}
    arrays = {key: value for key, value in {**arrays, name: array}.items() if value is not None}
    path = tmp_path / "a.safetensors"
    path.write_bytes(raw(KINDS["lstm"], arrays, scales=dict.fromkeys(arrays, 1.0)))
    with pytest.raises(CheckpointError, match=words):
        load_text(path)


def test_a_model_of_the_other_kind_says_what_to_call(tmp_path: Path) -> None:
    text, sketch = tmp_path / "poems.safetensors", tmp_path / "cat.safetensors"
    save_text(KINDS["lstm"], text)
    save_checkpoint(small_checkpoint(hidden=5), sketch)
    with pytest.raises(UnsupportedModelError, match=r"a text model.*call ls\.text\('.*poems\.safetensors'\)"):
        load_checkpoint(text)
    with pytest.raises(UnsupportedModelError, match=r"a sketch model.*call ls\.sketch\('.*cat\.safetensors'\)"):
        load_text(sketch)
    with pytest.raises(CheckpointError, match=r"TextCheckpoint.*save_text"):
        save_checkpoint(KINDS["lstm"], text)  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match=r"of type Checkpoint; expected a TextCheckpoint.*load_text"):
        save_text(small_checkpoint(hidden=5), sketch)  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match="expected a Checkpoint"):
        export_magenta(KINDS["lstm"], tmp_path / "a.gen.json")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"layers": 3},
        {"losses": {"nats": math.inf}},
        {"source": {"path": Path("x")}},
        {"vocabulary": ("", "", "a")},
        {"tensors": {}},
        {"tensors": {**KINDS["lstm"].tensors, "head.b": Tensor(np.zeros(11, np.int16), math.nan)}},
        {"tensors": {**KINDS["lstm"].tensors, "head.b": Tensor(np.full(11, np.inf, np.float32))}},
    ],
)
def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path, changes) -> None:
    with pytest.raises(CheckpointError):
        save_text(dataclasses.replace(KINDS["lstm"], **changes), tmp_path / "a.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["poems.txt", "poems", ".safetensors"])
def test_a_name_that_would_be_refused_when_opened_is_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"give a name such as .*\.safetensors"):
        save_text(KINDS["lstm"], tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["lstm with labels", "attention"])
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.safetensors"
    save_text(KINDS[kind], path)
    content = path.read_bytes()
    for size in range(0, len(content), 23):
        path.write_bytes(content[:size])
        with pytest.raises(CheckpointError):
            load_text(path)


@given(place=st.integers(0, 10**6), bit=st.integers(0, 7), kind=st.sampled_from(sorted(KINDS)))
@settings(max_examples=200, deadline=None)
def test_flipped_bits_are_refused_or_give_a_sound_model(
    tmp_path_factory: pytest.TempPathFactory, place: int, bit: int, kind: str
) -> None:
    path = tmp_path_factory.mktemp("flip") / "a.safetensors"
    path.write_bytes(raw(KINDS[kind]))
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1 << bit
    path.write_bytes(content)
    try:
        back = load_text(path)
    except CheckpointError:
        return
    check_text(back, "flipped")


# Sound files


@pytest.mark.parametrize("dtype", [np.int16, np.float16, np.float32])
@pytest.mark.parametrize("kind", KINDS)
def test_saved_models_come_back(tmp_path: Path, kind: str, dtype) -> None:
    checkpoint = KINDS[kind] if dtype is np.int16 else text_stored_as(KINDS[kind], dtype)
    save_text(checkpoint, tmp_path / "a.safetensors")
    back, info = load_text(tmp_path / "a.safetensors"), read_header(tmp_path / "a.safetensors")
    assert type(back) is TextCheckpoint
    assert type(info) is TextInfo
    assert text_values(back) == text_values(checkpoint) == text_values(info)
    assert back.tensors.keys() == checkpoint.tensors.keys() == text_shapes(info).keys()
    for name, tensor in back.tensors.items():
        assert tensor.values.dtype == dtype
        assert tensor.scale == checkpoint.tensors[name].scale
        assert np.array_equal(tensor.values, checkpoint.tensors[name].values)
    save_text(back, tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_headers_tell_the_two_kinds_apart(tmp_path: Path) -> None:
    save_text(KINDS["attention"], tmp_path / "a.safetensors")
    save_checkpoint(small_checkpoint(hidden=5), tmp_path / "b.safetensors")
    kinds = [read_header(tmp_path / f"{name}.safetensors").architecture for name in "ab"]
    assert kinds == ["text_attention", "sketch_decoder"]


def test_shapes_are_those_of_the_format() -> None:
    assert text_shapes(KINDS["untied"]) == {
        "embed.w": (11, 4), "head.b": (11,), "head.w": (6, 11),
        "layer0.w_x": (4, 24), "layer0.w_h": (6, 24), "layer0.b": (24,),
        "layer1.w_x": (6, 24), "layer1.w_h": (6, 24), "layer1.b": (24,),
        "layer2.w_x": (6, 24), "layer2.w_h": (6, 24), "layer2.b": (24,),
    }  # fmt: skip
    assert text_shapes(KINDS["lstm with labels"])["layer0.w_x"] == (6 + 5, 24)
    assert text_shapes(KINDS["lstm with labels"])["label.w"] == (2, 5)
    block = {name: shape for name, shape in text_shapes(KINDS["attention"]).items() if name.startswith("block1.")}
    assert block == {
        "block1.norm1.gamma": (6,), "block1.norm1.beta": (6,), "block1.qkv.w": (6, 18), "block1.qkv.b": (18,),
        "block1.out.w": (6, 6), "block1.out.b": (6,), "block1.norm2.gamma": (6,), "block1.norm2.beta": (6,),
        "block1.up.w": (6, 24), "block1.up.b": (24,), "block1.down.w": (24, 6), "block1.down.b": (6,),
    }  # fmt: skip


def test_slopes_are_those_of_the_paper() -> None:
    assert slopes(8) == tuple(2.0**-head for head in range(1, 9))
    assert slopes(3) == pytest.approx((2 ** (-8 / 3), 2 ** (-16 / 3), 2**-8))


# Names


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundled sketch model, a text model of two labels, and an early one whose name has an @."""
    folder = tmp_path / "bundled"
    folder.mkdir()
    save_checkpoint(small_checkpoint(hidden=5, name="cat"), folder / "cat.safetensors")
    save_text(dataclasses.replace(KINDS["lstm with labels"], name="poems"), folder / "poems.safetensors")
    save_text(dataclasses.replace(KINDS["lstm"], name="wuyan@early"), folder / "wuyan-early.safetensors")
    monkeypatch.setattr(module, "BUNDLED", folder)
    monkeypatch.chdir(tmp_path)
    return folder


def test_labels_and_names_with_an_at_are_catalogue_names(bundle: Path) -> None:
    assert {name: entry.kind for name, entry in catalogue().items()} == {
        "cat": "sketch", "qiyan": "text", "wuyan": "text", "wuyan@early": "text"
    }  # fmt: skip
    for name, (model, label) in {
        "wuyan": ("poems", "wuyan"), "Qiyan": ("poems", "qiyan"), "wuyan@early": ("wuyan@early", None),
        "WUYAN@Early": ("wuyan@early", None),
    }.items():  # fmt: skip
        checkpoint, found = open_text(name)
        assert (checkpoint.name, found) == (model, label)


def test_files_are_opened_with_their_label(bundle: Path) -> None:
    path = bundle / "poems.safetensors"
    assert open_text(f"{path}#QIYAN")[1] == "qiyan"
    assert open_text(bundle / "wuyan-early.safetensors")[1] is None
    with pytest.raises(ModelNotFoundError, match=r"writes wuyan, qiyan: say which, as in .*#wuyan"):
        open_text(path)
    with pytest.raises(ModelNotFoundError, match=r"no label 'quyan'.*did you mean"):
        open_text(f"{path}#quyan")
    with pytest.raises(ModelNotFoundError, match="writes one thing and has no labels"):
        open_text(f"{bundle / 'wuyan-early.safetensors'}#x")


def test_an_unchanged_file_is_read_once(bundle: Path) -> None:
    assert open_text("wuyan")[0] is open_text("qiyan")[0] is open_text("bundled/poems.safetensors#wuyan")[0]


def test_names_of_the_other_kind_say_what_to_call(bundle: Path) -> None:
    with pytest.raises(UnsupportedModelError, match=r"wuyan: a text model.*call ls\.text\('wuyan'\)"):
        open_model("WuYan")
    with pytest.raises(UnsupportedModelError, match=r"cat: a sketch model.*call ls\.sketch\('cat'\)"):
        open_text("cat")
    with pytest.raises(UnsupportedModelError, match=r"call ls\.text"):
        open_model(bundle / "poems.safetensors")
    with pytest.raises(UnsupportedModelError, match=r"call ls\.sketch"):
        open_text(bundle / "cat.safetensors")
    with pytest.raises(UnsupportedModelError, match=r"call ls\.sketch\('magenta:owl'\)"):
        open_text("magenta:owl")
    export_magenta(small_checkpoint(hidden=5), "owl.gen.json")
    with pytest.raises(UnsupportedModelError, match=r"call ls\.sketch\('owl\.gen\.json'\)"):
        open_text("owl.gen.json")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("wuyen", "did you mean 'wuyan"),
        ("wuyan@late", "did you mean 'wuyan@early'"),
        ("", "no model"),
        ("bundled/poem.safetensors", "did you mean 'poems.safetensors'"),
        (None, "cannot be a NoneType"),
        (5, "cannot be a int"),
    ],
)
def test_what_is_not_there_has_its_neighbours_named(bundle: Path, name, words: str) -> None:
    with pytest.raises(ModelNotFoundError, match=words):
        open_text(name)


def test_a_damaged_file_is_named(bundle: Path) -> None:
    shutil.copy(bundle / "poems.safetensors", "half.safetensors")
    Path("half.safetensors").write_bytes(Path("half.safetensors").read_bytes()[:-9])
    with pytest.raises(CheckpointError, match=r"half\.safetensors"):
        open_text("half.safetensors#wuyan")
    with pytest.raises(CheckpointError, match="not a model file"):
        open_text(bundle)
