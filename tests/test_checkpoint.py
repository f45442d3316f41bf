import dataclasses
import io
import json
import math
import pickle
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from safetensors.numpy import save

from livesketch.errors import CheckpointError, OutputError, UnsupportedModelError
from livesketch.models.cells import CellSizes
from livesketch.models.checkpoint import (
    Checkpoint,
    CheckpointInfo,
    Tensor,
    check,
    load_checkpoint,
    quantize,
    read_header,
    save_checkpoint,
    shapes_of,
)

INFO: dict[str, Any] = {
    "name": "cat",
    "architecture": "sketch_decoder",
    "cell": "lstm",
    "hidden": 3,
    "mixtures": 2,
    "z_size": 0,
    "label_size": 0,
    "labels": (),
    "scale_factor": 40.5,
    "stage_units": 320.25,
    "max_steps": 100,
    "start_token": (0.0, 0.0, 1.0, 0.0, 0.0),
    "start_pen": "down",
    "forget_bias": 1.0,
    "licence": "CC-BY-4.0",
    "attribution": "Someone's drawings",
    "data": "kätzchen 猫",
    "losses": {"valid.nats": -0.5},
    "source": {"trainer": "by hand", "steps": 7},
}
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "labels": {"label_size": 2, "labels": ("cat", "pig", "猫")},
    "latent": {"z_size": 4},
    "vae": {"architecture": "sketch_vae", "encoder_cell": "lstm", "z_size": 4},
    "vae with labels": {
        "architecture": "sketch_vae",
        "encoder_cell": "lstm",
        "z_size": 4,
        "label_size": 2,
        "labels": ("cat",),
    },
}


def make(kind: str = "plain", dtype: str = "int16", **changes: Any) -> Checkpoint:
    """A small checkpoint of random weights."""
    info = {**INFO, **KINDS[kind], **changes}
    rng = np.random.default_rng(3)
    tensors = {}
    for name, shape in shapes_of(CheckpointInfo(**info), CellSizes("lstm", 5) if "vae" in kind else None).items():
        dense = rng.normal(size=shape)
        tensors[name] = quantize(dense) if dtype == "int16" else Tensor(dense.astype(dtype))
    return Checkpoint(**info, tensors=tensors)


def same(one: Checkpoint, other: Checkpoint) -> bool:
    fields = [field.name for field in dataclasses.fields(CheckpointInfo)]
    return all(getattr(one, name) == getattr(other, name) for name in fields) and all(
        np.array_equal(one.tensors[name].values, other.tensors[name].values)
        and one.tensors[name].values.dtype == other.tensors[name].values.dtype
        and one.tensors[name].scale == other.tensors[name].scale
        for name in one.tensors.keys() | other.tensors.keys()
    )


def raw(values: Any = None, arrays: dict[str, NDArray[Any]] | None = None, **changes: Any) -> bytes:
    """The bytes of a checkpoint file whose metadata or arrays nobody checked."""
    good = make()
    if values is None:
        scales = {name: tensor.scale for name, tensor in good.tensors.items()}
        values = {"format": 1, **INFO, "scales": scales, **changes}
    text = values if isinstance(values, str) else json.dumps(values)
    return save(arrays or {name: tensor.values for name, tensor in good.tensors.items()}, {"livesketch": text})


# Broken files


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 2}, "format 2"),
        ({"format": 0}, "'format'"),
        ({"format": "1"}, "'format'"),
        ({"format": True}, "'format'"),
        ({"name": ""}, "'name'"),
        ({"name": " "}, "'name'"),
        ({"name": "a\nb"}, "'name'"),
        ({"name": "x" * 201}, "'name'"),
        ({"name": 5}, "'name'"),
        ({"architecture": "sketch_transformer"}, "sketch_transformer"),
        ({"architecture": None}, "'architecture'"),
        ({"architecture": ["sketch_decoder"]}, "'architecture'"),
        ({"cell": "hyper"}, "hyper"),
        ({"start_pen": "up"}, "start_pen"),
        ({"hidden": 16385}, "'hidden'"),
        ({"hidden": 0}, "'hidden'"),
        ({"hidden": -3}, "'hidden'"),
        ({"hidden": 3.0}, "'hidden'"),
        ({"hidden": True}, "'hidden'"),
        ({"hidden": 10**400}, "'hidden'"),
        ({"hidden": 4}, "tensor decoder.w_x has shape"),
        ({"mixtures": 1001}, "'mixtures'"),
        ({"mixtures": 3}, "tensor head.w has shape"),
        ({"z_size": 2}, "tensor decoder.w_x"),
        ({"max_steps": 0}, "'max_steps'"),
        ({"max_steps": 10**6 + 1}, "'max_steps'"),
        ({"scale_factor": 0}, "'scale_factor'"),
        ({"scale_factor": -1}, "'scale_factor'"),
        ({"scale_factor": 1e300}, "'scale_factor'"),
        ({"scale_factor": "40"}, "'scale_factor'"),
        ({"scale_factor": math.nan}, "NaN"),
        ({"stage_units": math.inf}, "Infinity"),
        ({"stage_units": 0}, "'stage_units'"),
        ({"forget_bias": 10**400}, "'forget_bias'"),
        ({"start_token": [0, 0, 1, 0]}, "'start_token'"),
        ({"start_token": [0, 0, 1, 0, "0"]}, "'start_token'"),
        ({"start_token": 5}, "'start_token'"),
        ({"labels": ["cat"]}, "'labels'"),
        ({"labels": ["cat"], "label_size": 2}, "tensor decoder.w_x"),
        ({"labels": [], "label_size": 2}, "'labels'"),
        ({"labels": ["cat", "cat"], "label_size": 2}, "differ"),
        ({"labels": ["cat", 3], "label_size": 2}, "'labels'"),
        ({"labels": "cat", "label_size": 2}, "'labels'"),
        ({"licence": None}, "'licence'"),
        ({"losses": [1]}, "'losses'"),
        ({"losses": {"nats": "low"}}, "'losses'"),
        ({"source": "here"}, "'source'"),
        ({"architecture": "sketch_vae"}, "'z_size'"),
        ({"architecture": "sketch_vae", "z_size": 2}, "encoder.forward.w_h"),
        ({"scales": None}, "'scales'"),
        ({"scales": {}}, "scale None"),
    ],
)
def test_bad_metadata_is_refused_by_field(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(raw(**changes))
    for read in (load_checkpoint, read_header):
        with pytest.raises(CheckpointError, match=words) as caught:
            read(path)
        assert "a.safetensors" in str(caught.value)


@pytest.mark.parametrize("field", [*INFO, "format", "scales"])
def test_a_missing_field_is_named(tmp_path: Path, field: str) -> None:
    values = {"format": 1, **INFO, "scales": {}}
    del values[field]
    (tmp_path / "a.safetensors").write_bytes(raw(values))
    with pytest.raises(CheckpointError, match=f"'{field}' is missing"):
        load_checkpoint(tmp_path / "a.safetensors")


@pytest.mark.parametrize(("field", "value"), [("format", 2), ("architecture", "x"), ("cell", "x"), ("start_pen", "up")])
def test_what_a_newer_version_may_know_is_unsupported(tmp_path: Path, field: str, value: Any) -> None:
    (tmp_path / "a.safetensors").write_bytes(raw(**{field: value}))
    with pytest.raises(UnsupportedModelError, match="newer"):
        load_checkpoint(tmp_path / "a.safetensors")


@pytest.mark.parametrize("scale", [0, -1, 1e7, "1", None, True, 10**400])
def test_bad_scales_are_refused(tmp_path: Path, scale: Any) -> None:
    scales = dict.fromkeys(make().tensors, 1.0)
    (tmp_path / "a.safetensors").write_bytes(raw(scales={**scales, "head.w": scale}))
    with pytest.raises(CheckpointError, match=r"head\.w has scale"):
        load_checkpoint(tmp_path / "a.safetensors")


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "null", '"x"', "[" * 100_000, '{"format": NaN}', '{"a": 1e999}'])
def test_metadata_that_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.safetensors").write_bytes(raw(text))
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path / "a.safetensors")


def arrays() -> dict[str, NDArray[Any]]:
    return {name: tensor.values for name, tensor in make().tensors.items()}


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("head.w", None, r"head\.w is missing"),
        ("extra", np.zeros(3, np.int16), "unknown tensors extra"),
        ("head.b", np.zeros((15, 1), np.int16), r"head\.b has shape"),
        ("head.b", np.zeros(15, np.float64), "F64"),
        ("head.b", np.zeros(15, np.int32), "I32"),
        ("head.b", np.zeros(15, np.uint16), "U16"),
        ("head.b", np.full(15, np.nan, np.float32), "finite"),
        ("head.b", np.full(15, np.inf, np.float16), "finite"),
        ("head.b", np.full(15, -3e38, np.float32), "finite"),
    ],
)
def test_bad_tensors_are_refused_by_name(tmp_path: Path, name: str, array: NDArray[Any] | None, words: str) -> None:
    changed = arrays()
    if array is None:
        del changed[name]
    else:
        changed[name] = array
    scales = dict.fromkeys(changed, 1.0)
    (tmp_path / "a.safetensors").write_bytes(raw(arrays=changed, scales=scales))
    with pytest.raises(CheckpointError, match=words):
        load_checkpoint(tmp_path / "a.safetensors")


def test_other_safetensors_files_are_told_from_ours(tmp_path: Path) -> None:
    for number, metadata in enumerate([None, {"format": "pt"}]):
        path = tmp_path / f"{number}.safetensors"
        path.write_bytes(save(arrays(), metadata))
        with pytest.raises(CheckpointError, match="not of livesketch"):
            load_checkpoint(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 7,
        b"\0" * 8,
        b"\0" * 1000,
        b"\xff" * 1000,
        (10**15).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (3).to_bytes(8, "little") + b"\xff\xfe{",
        (4).to_bytes(8, "little") + b"null",
        pickle.dumps({"a": 1}),
        b"PK\x03\x04" + bytes(100),
        b'[{"mode":2}]',
    ],
)
def test_other_bytes_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    for read in (load_checkpoint, read_header):
        with pytest.raises(CheckpointError, match=r"expected a livesketch checkpoint|not of livesketch"):
            read(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "spec",
    [
        {"dtype": "I16", "shape": [10**9, 10**9], "data_offsets": [0, 4]},
        {"dtype": "I16", "shape": [2**63, 2**63], "data_offsets": [0, 4]},
        {"dtype": "I16", "shape": [2], "data_offsets": [0, 10**15]},
        {"dtype": "I16", "shape": [-2], "data_offsets": [0, 4]},
        {"dtype": "I16", "shape": [2], "data_offsets": [4, 0]},
        {"dtype": "I16", "shape": [2], "data_offsets": [2, 4]},
        {"dtype": "OBJECT", "shape": [2], "data_offsets": [0, 4]},
        {"dtype": "I16", "data_offsets": [0, 4]},
        [],
    ],
)
def test_absurd_claims_take_no_memory(tmp_path: Path, spec: Any) -> None:
    text = json.loads(raw()[8 : 8 + int.from_bytes(raw()[:8], "little")])
    header = json.dumps({"__metadata__": text["__metadata__"], "head.w": spec}).encode()
    (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path / "a.safetensors")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def test_absurd_files_are_not_opened(tmp_path: Path) -> None:
    huge = tmp_path / "huge.safetensors"
    with huge.open("wb") as stream:
        stream.truncate((4 << 30) + 1)
    with pytest.raises(CheckpointError, match="more than the"):
        load_checkpoint(huge)
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "zero.safetensors").symlink_to("/dev/zero")
    for name in ("folder.safetensors", "zero.safetensors"):
        with pytest.raises(CheckpointError, match="folder or a device"):
            load_checkpoint(tmp_path / name)
    for name in ("missing.safetensors", "nul\0.safetensors", "long" * 100):
        with pytest.raises(CheckpointError, match="cannot be read"):
            load_checkpoint(tmp_path / name)


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(make(), path)
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(CheckpointError):
            load_checkpoint(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(CheckpointError):
        load_checkpoint(path)


@pytest.mark.slow
@given(place=st.integers(0, 10**6), bit=st.integers(0, 7), dtype=st.sampled_from(["int16", "float16", "float32"]))
@settings(max_examples=500)
def test_flipped_bits_are_refused_or_give_a_sound_model(
    tmp_path_factory: pytest.TempPathFactory, place: int, bit: int, dtype: str
) -> None:
    path = tmp_path_factory.mktemp("flip") / "a.safetensors"
    save_checkpoint(make("labels", dtype), path)
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1 << bit
    path.write_bytes(content)
    try:
        back = load_checkpoint(path)
    except CheckpointError:
        return
    check(back, "flipped")


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "a.safetensors"
    path.write_bytes(len(content).to_bytes(8, "little") + content)
    with pytest.raises(CheckpointError):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"scale_factor": math.nan},
        {"hidden": 4},
        {"labels": ("cat",)},
        {"losses": {"nats": math.inf}},
        {"source": {"when": math.nan}},
        {"source": {"path": Path("x")}},
        {"source": {5: "x"}},
        {"source": {"long": "x" * (9 << 20)}},
        {"tensors": {}},
        {"tensors": {**make().tensors, "head.b": Tensor(np.full(15, np.nan, np.float32))}},
        {"tensors": {**make().tensors, "head.b": Tensor(np.zeros(15, np.int16), math.nan)}},
        {"tensors": {**make().tensors, "head.b": Tensor(np.zeros(15))}},
    ],
)
def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError):
        save_checkpoint(dataclasses.replace(make(), **changes), tmp_path / "a.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        save_checkpoint(make(), tmp_path / "missing" / "a.safetensors")


@pytest.mark.parametrize("name", ["bird.txt", "bird", "bird.gen.json", ".safetensors"])
def test_a_name_that_would_be_refused_when_opened_is_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"give a name such as .*\.safetensors"):
        save_checkpoint(make(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_capitals_in_the_ending_are_taken(tmp_path: Path) -> None:
    save_checkpoint(make(), tmp_path / "BIRD.SAFETENSORS")
    assert same(load_checkpoint(tmp_path / "BIRD.SAFETENSORS"), make())


@pytest.mark.parametrize("path", [3, None, b"a.safetensors", ["a.safetensors"]])
def test_what_is_no_path_is_refused(path: Any) -> None:
    name = type(path).__name__
    with pytest.raises(OutputError, match=f"{name}.*expected"):
        save_checkpoint(make(), path)
    for read in (load_checkpoint, read_header):
        with pytest.raises(CheckpointError, match=f"{name}.*expected"):
            read(path)


@pytest.mark.parametrize("checkpoint", [3, None, "cat", {"hidden": 3}])
def test_what_is_no_checkpoint_is_not_saved(tmp_path: Path, checkpoint: Any) -> None:
    with pytest.raises(CheckpointError, match=f"{type(checkpoint).__name__}.*expected"):
        save_checkpoint(checkpoint, tmp_path / "a.safetensors")
    assert list(tmp_path.iterdir()) == []


# Sound files


@pytest.mark.parametrize("dtype", ["int16", "float16", "float32"])
@pytest.mark.parametrize("kind", KINDS)
def test_saved_checkpoints_come_back(tmp_path: Path, kind: str, dtype: str) -> None:
    path = tmp_path / "a.safetensors"
    checkpoint = make(kind, dtype)
    save_checkpoint(checkpoint, path)
    back = load_checkpoint(path)
    assert same(back, checkpoint)
    info = read_header(path)
    assert type(info) is CheckpointInfo
    assert all(getattr(info, field.name) == getattr(back, field.name) for field in dataclasses.fields(CheckpointInfo))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_checkpoint_gives_the_same_bytes(tmp_path: Path, kind: str) -> None:
    one, two, three = (tmp_path / f"{name}.safetensors" for name in ("one", "two", "three"))
    save_checkpoint(make(kind), one)
    shuffled = dataclasses.replace(make(kind), tensors=dict(reversed(make(kind).tensors.items())))
    save_checkpoint(shuffled, two)
    save_checkpoint(load_checkpoint(one), three)
    assert one.read_bytes() == two.read_bytes() == three.read_bytes()


def test_a_checkpoint_is_written_over_in_one_move(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(make(), path)
    held = load_checkpoint(path)
    save_checkpoint(make("labels"), path)
    assert load_checkpoint(path).labels
    assert same(held, make())
    assert list(tmp_path.iterdir()) == [path]


def test_fields_of_a_later_version_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(raw(vocabulary=["山"], scales={**dict.fromkeys(arrays(), 0.5), "x": 1}))
    back = load_checkpoint(tmp_path / "a.safetensors")
    assert {tensor.scale for tensor in back.tensors.values()} == {0.5}


def test_the_header_alone_is_enough_for_the_header(tmp_path: Path) -> None:
    changed = {**arrays(), "head.b": np.full(15, np.nan, np.float32)}
    (tmp_path / "a.safetensors").write_bytes(raw(arrays=changed))
    assert read_header(tmp_path / "a.safetensors").name == "cat"
    with pytest.raises(CheckpointError, match="finite"):
        load_checkpoint(tmp_path / "a.safetensors")


def test_shapes_are_those_of_the_format() -> None:
    assert shapes_of(CheckpointInfo(**{**INFO, **KINDS["labels"]})) == {
        "decoder.w_x": (7, 12),
        "decoder.w_h": (3, 12),
        "decoder.b": (12,),
        "head.w": (3, 15),
        "head.b": (15,),
        "start.w": (2, 6),
        "start.b": (6,),
        "label.w": (3, 2),
    }
    vae = shapes_of(CheckpointInfo(**{**INFO, **KINDS["vae"]}), CellSizes("lstm", 5))
    assert vae["encoder.backward.w_x"] == (5, 20)
    assert (vae["mu.w"], vae["sigma.b"], vae["decoder.w_x"]) == ((10, 4), (4,), (9, 12))


# Rounding to integers


@given(hnp.arrays(np.float32, hnp.array_shapes(max_dims=2), elements=st.floats(-1e6, 1e6, width=32)))
def test_quantized_weights_are_off_by_half_a_step(array: NDArray[np.float32]) -> None:
    tensor = quantize(array)
    assert tensor.values.dtype == np.int16
    assert tensor.shape == array.shape
    assert np.abs(tensor.dense() - array).max() <= tensor.scale * 0.500001


def test_quantize_at_the_edges() -> None:
    assert quantize(np.zeros(3)).dense().tolist() == [0, 0, 0]
    assert quantize(np.zeros((0, 3))).shape == (0, 3)
    assert quantize(np.array([-2.0, 1.0])).values.tolist() == [-32767, 16384]
    assert np.isfinite(quantize(np.array([5e-324])).dense()).all()
    for bad in (math.nan, math.inf):
        with pytest.raises(CheckpointError, match="NaN"):
            quantize(np.array([1.0, bad]))


def test_bytes_made_here_are_what_the_library_reads(tmp_path: Path) -> None:
    save_checkpoint(make(), tmp_path / "a.safetensors")
    content = io.BytesIO((tmp_path / "a.safetensors").read_bytes()).getvalue()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    values = json.loads(header["__metadata__"]["livesketch"])
    assert list(header["__metadata__"]) == ["livesketch"]
    assert values["format"] == 1
    assert values["data"] == "kätzchen 猫"
    assert header["decoder.b"]["dtype"] == "I16"
