import base64
import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from livesketch.errors import CheckpointError, OutputError, UnsupportedModelError
from livesketch.models.checkpoint import Checkpoint, CheckpointInfo, Tensor, load_checkpoint, quantize, save_checkpoint
from livesketch.models.checks import shapes_of
from livesketch.models.magenta import DEFAULT_STAGE_SCALE, INT16_SCALE, export_magenta, import_magenta

HIDDEN, MIXTURES, LATENT, ENCODER = 4, 2, 3, 5
INFO = {"mode": 2, "version": 6, "max_seq_len": 129, "name": "bird", "scale_factor": 71.3754}
HEAD = 3 + 6 * MIXTURES


def decoder_shapes(inputs: int = 5) -> list[list[int]]:
    return [[HIDDEN, HEAD], [HEAD], [inputs, 4 * HIDDEN], [HIDDEN, 4 * HIDDEN], [4 * HIDDEN]]


GEN = decoder_shapes()
CELL = [[5, 4 * ENCODER], [ENCODER, 4 * ENCODER], [4 * ENCODER]]
VAE = [
    *CELL, *CELL, [2 * ENCODER, LATENT], [LATENT], [2 * ENCODER, LATENT], [LATENT],
    [LATENT, 2 * HIDDEN], [2 * HIDDEN], *decoder_shapes(5 + LATENT),
]  # fmt: skip


def numbers(shapes: list[list[int]]) -> list[NDArray[np.int16]]:
    rng = np.random.default_rng(5)
    return [rng.integers(-32767, 32768, shape).astype(np.int16) for shape in shapes]


def blobs(shapes: list[list[int]]) -> list[str]:
    return [base64.b64encode(array.astype("<i2").tobytes()).decode() for array in numbers(shapes)]


def model(shapes: list[list[int]] = GEN, **info: Any) -> list[Any]:
    return [{**INFO, **info}, shapes, blobs(shapes)]


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content, separators=(",", ":")))
    return path


# Broken files


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot be read"),
        (b"\xff\xfe[\x00]\x00", "can't decode"),
        ("[]".encode("utf-16"), "can't decode"),
        (b"[{}, [], []", "delimiter"),
        (b"[" * 100_000, "nested"),
        (b"{}", "a JSON dict"),
        (b"5", "a JSON int"),
        (b"null", "a JSON NoneType"),
        (b"[]", "a list of 0"),
        (b"[1, 2]", "a list of 2"),
        (b"[1, 2, 3]", "a list of int, int, int"),
        (b"[{}, {}, []]", "a list of dict, dict, list"),
        (b"[{}, [], []]", "'version' is missing"),
        (b'[{"version": 6, "mode": 2}, [], []]', "0 shapes and 0 arrays"),
        (b'[{"version": NaN}, [], []]', "NaN"),
        (b'[{"version": 1e999}, [], []]', "1e999"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.gen.json"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=words) as caught:
        import_magenta(path)
    assert "a.gen.json" in str(caught.value)


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"scale_factor": math.nan}, "NaN"),
        ({"scale_factor": -math.inf}, "Infinity"),
        ({"scale_factor": 0}, "'scale_factor'"),
        ({"scale_factor": -1}, "'scale_factor'"),
        ({"scale_factor": None}, "'scale_factor'"),
        ({"scale_factor": "71"}, "'scale_factor'"),
        ({"scale_factor": 1e200}, "'scale_factor'"),
        ({"scale_factor": 9e8}, "'stage_units'"),
        ({"max_seq_len": 0}, "'max_seq_len'"),
        ({"max_seq_len": 10**9}, "'max_seq_len'"),
        ({"max_seq_len": 12.5}, "'max_seq_len'"),
        ({"name": 5}, "'name'"),
        ({"name": ""}, "'name'"),
        ({"name": "\ud800"}, "'name'"),
        ({"mode": 3}, "'mode'"),
        ({"mode": "decoder"}, "'mode'"),
        ({"mode": True}, "'mode'"),
        ({"mode": [2]}, "'mode'"),
        ({"mode": None}, "'mode'"),
        ({"mode": 0}, "5 shapes"),
        ({"version": 7}, "version 7"),
        ({"version": 0}, "'version'"),
        ({"version": "6"}, "'version'"),
        ({"start_token": [0, 0]}, "'start_token'"),
    ],
)
def test_bad_info_is_refused_by_field(tmp_path: Path, info: dict[str, Any], words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        import_magenta(write(tmp_path / "a.gen.json", model(**info)))


@pytest.mark.parametrize("field", INFO)
def test_a_missing_field_is_named(tmp_path: Path, field: str) -> None:
    content = model()
    del content[0][field]
    with pytest.raises(CheckpointError, match=f"'{field}' is missing"):
        import_magenta(write(tmp_path / "a.gen.json", content))


@pytest.mark.parametrize(
    ("place", "shape", "words"),
    [
        (3, [10**9, 4 * 10**9], "'hidden'"),
        (3, [16384, 65536], "tensor decoder.w_x"),
        (3, [10**300, 10**300], "'hidden'"),
        (0, [10**9, 10**9], "tensor head.w"),
        (1, [10**9], "'mixtures'"),
        (1, [3], "tensor head.w"),
        (1, [16], "tensor head.b has shape"),
        (1, [1], "tensor head"),
        (0, [HIDDEN], "tensor head.w"),
        (0, [HEAD, HIDDEN], "tensor head.w"),
        (2, [8, 16], "tensor decoder.w_x"),
        (4, [15], "tensor decoder.b"),
        (4, [0], "sizes above 0"),
        (4, [-16], "sizes above 0"),
        (4, [], "sizes above 0"),
        (4, [2, 2, 4], "one or two sizes"),
        (4, [16.0], "one or two sizes"),
        (4, [True], "one or two sizes"),
        (4, 16, "one or two sizes"),
        (4, "16", "one or two sizes"),
        (4, None, "one or two sizes"),
    ],
)
def test_bad_shapes_are_refused_before_anything_is_decoded(
    tmp_path: Path, place: int, shape: Any, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(base64, "b64decode")
    content = model()
    content[1] = [*GEN[:place], shape, *GEN[place + 1 :]]
    with pytest.raises(CheckpointError, match=words):
        import_magenta(write(tmp_path / "a.gen.json", content))


def test_huge_shapes_that_agree_are_refused_for_their_short_arrays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(base64, "b64decode")
    hidden = 16384
    shapes = [[hidden, HEAD], [HEAD], [5, 4 * hidden], [hidden, 4 * hidden], [4 * hidden]]
    with pytest.raises(CheckpointError, match="calls for"):
        import_magenta(write(tmp_path / "a.gen.json", [INFO, shapes, blobs(GEN)]))


@pytest.mark.parametrize(
    ("blob", "words"),
    [
        (5, "JSON int"),
        (None, "JSON NoneType"),
        ("", "0 characters"),
        (blobs(GEN)[4][:-4], "calls for"),
        (blobs(GEN)[4] + "AAAA", "calls for"),
        ("!" * len(blobs(GEN)[4]), "base64"),
        ("=" * len(blobs(GEN)[4]), "base64"),
        ("é" * len(blobs(GEN)[4]), "base64"),
        (blobs(GEN)[4].rstrip("=") + "A" * blobs(GEN)[4].count("="), "base64|int16"),
        (" " + blobs(GEN)[4][:-1], "base64"),
    ],
)
def test_bad_arrays_are_refused_by_name(tmp_path: Path, blob: Any, words: str) -> None:
    content = model()
    content[2][4] = blob
    with pytest.raises(CheckpointError, match=words) as caught:
        import_magenta(write(tmp_path / "a.gen.json", content))
    assert "decoder.b" in str(caught.value)


@pytest.mark.parametrize("count", [0, 4, 6, 17])
def test_another_number_of_arrays_is_refused(tmp_path: Path, count: int) -> None:
    content = model()
    content[2] = (content[2] * 4)[:count]
    with pytest.raises(CheckpointError, match=f"{count} arrays"):
        import_magenta(write(tmp_path / "a.gen.json", content))


def test_absurd_files_are_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.gen.json").open("wb") as stream:
        stream.truncate((256 << 20) + 1)
    (tmp_path / "zero.gen.json").symlink_to("/dev/zero")
    (tmp_path / "folder.gen.json").mkdir()
    for name, words in (("huge", "more than"), ("zero", "device"), ("folder", "folder"), ("missing", "No such file")):
        with pytest.raises(CheckpointError, match=words):
            import_magenta(tmp_path / f"{name}.gen.json")


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gen.json", model())
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(CheckpointError):
            import_magenta(path)


@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
@settings(max_examples=500)
def test_flipped_bits_are_refused_or_give_a_sound_model(
    tmp_path_factory: pytest.TempPathFactory, place: int, bit: int
) -> None:
    path = write(tmp_path_factory.mktemp("flip") / "a.gen.json", model())
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1 << bit
    path.write_bytes(content)
    try:
        checkpoint = import_magenta(path)
    except CheckpointError:
        return
    save_checkpoint(checkpoint, path.with_suffix(".safetensors"))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
        lambda part: st.lists(part, max_size=4) | st.dictionaries(st.sampled_from(sorted(INFO)), part, max_size=5),
    )
)
def test_any_json_is_refused(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    with pytest.raises(CheckpointError):
        import_magenta(write(tmp_path_factory.mktemp("any") / "a.gen.json", content))


# Decoders in


@pytest.mark.parametrize("info", [{}, {"version": 2, "mode": "gen", "r_loss": -0.5, "kl_loss": 0, "training_size": 9}])
def test_a_decoder_is_imported_as_it_is(tmp_path: Path, info: dict[str, Any]) -> None:
    checkpoint = import_magenta(write(tmp_path / "a.gen.json", model(**info)))
    assert (checkpoint.name, checkpoint.architecture, checkpoint.cell) == ("bird", "sketch_decoder", "lstm")
    assert (checkpoint.hidden, checkpoint.mixtures, checkpoint.z_size, checkpoint.labels) == (HIDDEN, MIXTURES, 0, ())
    assert (checkpoint.scale_factor, checkpoint.max_steps, checkpoint.forget_bias) == (71.3754, 129, 1.0)
    assert checkpoint.stage_units == DEFAULT_STAGE_SCALE * 71.3754
    assert checkpoint.start_token == (0.0, 0.0, 0.0, 0.0, 0.0)
    assert checkpoint.losses == ({"r_loss": -0.5, "kl_loss": 0.0} if info else {})
    assert checkpoint.source == {"format": "magenta gen.json", "info": {**INFO, **info}}
    names = ("head.w", "head.b", "decoder.w_x", "decoder.w_h", "decoder.b")
    for name, array in zip(names, numbers(GEN), strict=True):
        tensor = checkpoint.tensors[name]
        assert np.array_equal(tensor.values, array)
        assert tensor.values.dtype == np.int16
        assert np.allclose(tensor.dense(), 10 * array.astype(float) / 32767, rtol=1e-15)


def test_a_synthetic_vae_is_imported(tmp_path: Path) -> None:
    """No real .vae.json was at hand; the order of arrays is that of the official JavaScript reader."""
    for mode in (0, 1, "vae"):
        checkpoint = import_magenta(write(tmp_path / "a.vae.json", model(VAE, mode=mode)))
        assert (checkpoint.architecture, checkpoint.z_size, checkpoint.hidden) == ("sketch_vae", LATENT, HIDDEN)
        assert checkpoint.start_token == (0.0, 0.0, 1.0, 0.0, 0.0)
    arrays = numbers(VAE)
    for name, place in (("encoder.forward.w_x", 0), ("encoder.backward.b", 5), ("mu.w", 6), ("sigma.b", 9),
                        ("start.w", 10), ("head.w", 12), ("decoder.w_x", 14), ("decoder.b", 16)):  # fmt: skip
        assert np.array_equal(checkpoint.tensors[name].values, arrays[place])
    save_checkpoint(checkpoint, tmp_path / "a.safetensors")
    back = load_checkpoint(tmp_path / "a.safetensors")
    assert all(np.array_equal(back.tensors[name].values, checkpoint.tensors[name].values) for name in back.tensors)


@pytest.mark.parametrize("place", range(17))
def test_a_vae_with_any_shape_wrong_is_refused(tmp_path: Path, place: int) -> None:
    content = model(VAE, mode=0)
    content[1] = [*VAE[:place], [7] * len(VAE[place]), *VAE[place + 1 :]]
    with pytest.raises(CheckpointError, match=r"tensor|encoder"):
        import_magenta(write(tmp_path / "a.vae.json", content))


# Decoders out


@pytest.mark.parametrize("info", [{}, {"version": 2, "mode": "gen", "r_loss": -0.5}, {"start_token": [0, 0, 1, 0, 0]}])
def test_an_imported_decoder_comes_out_with_the_same_bytes(tmp_path: Path, info: dict[str, Any]) -> None:
    path = write(tmp_path / "a.gen.json", model(**info))
    checkpoint = import_magenta(path)
    save_checkpoint(checkpoint, tmp_path / "a.safetensors")
    export_magenta(load_checkpoint(tmp_path / "a.safetensors"), tmp_path / "b.gen.json")
    assert (tmp_path / "b.gen.json").read_bytes() == path.read_bytes()


def test_what_was_changed_is_changed_in_the_info(tmp_path: Path) -> None:
    checkpoint = import_magenta(write(tmp_path / "a.gen.json", model()))
    changed = dataclasses.replace(checkpoint, name="crow", start_token=(0.0, 0.0, 1.0, 0.0, 0.0), max_steps=50)
    export_magenta(changed, tmp_path / "b.gen.json")
    back = import_magenta(tmp_path / "b.gen.json")
    assert (back.name, back.start_token, back.max_steps) == ("crow", (0.0, 0.0, 1.0, 0.0, 0.0), 50)
    export_magenta(dataclasses.replace(back, start_token=(0.0,) * 5), tmp_path / "c.gen.json")
    assert import_magenta(tmp_path / "c.gen.json").start_token == (0.0,) * 5


def own(labels: tuple[str, ...] = (), z_size: int = 0, forget_bias: float = 1.0) -> Checkpoint:
    values: dict[str, Any] = {
        "name": "own", "architecture": "sketch_decoder", "cell": "lstm", "hidden": HIDDEN, "mixtures": MIXTURES,
        "z_size": z_size, "label_size": 2 if labels else 0, "labels": labels, "scale_factor": 40.0,
        "stage_units": 300.0, "max_steps": 90, "start_token": (0.0, 0.0, 1.0, 0.0, 0.0), "start_pen": "down",
        "forget_bias": forget_bias, "licence": "", "attribution": "", "data": "", "losses": {}, "source": {},
    }  # fmt: skip
    rng = np.random.default_rng(2)
    shapes = shapes_of(CheckpointInfo(**values))
    return Checkpoint(**values, tensors={name: quantize(rng.normal(0, 6, shape)) for name, shape in shapes.items()})


def test_other_decoders_are_rounded_and_clipped(tmp_path: Path) -> None:
    checkpoint = own()
    export_magenta(checkpoint, tmp_path / "a.gen.json")
    back = import_magenta(tmp_path / "a.gen.json")
    assert (back.start_token, back.scale_factor) == (checkpoint.start_token, 40.0)
    for name, tensor in checkpoint.tensors.items():
        dense = tensor.dense()
        assert np.abs(np.clip(dense, -10, 10) - back.tensors[name].dense()).max() <= INT16_SCALE / 2 * 1.0001
    assert np.abs(checkpoint.tensors["decoder.w_h"].dense()).max() > 10


def test_another_forget_bias_moves_into_the_stored_bias(tmp_path: Path) -> None:
    checkpoint = own(forget_bias=0.25)
    bias = Tensor(np.zeros(4 * HIDDEN, np.float32))
    checkpoint = dataclasses.replace(checkpoint, tensors={**checkpoint.tensors, "decoder.b": bias})
    export_magenta(checkpoint, tmp_path / "a.gen.json")
    stored = import_magenta(tmp_path / "a.gen.json").tensors["decoder.b"].dense()
    expected = np.repeat([0, 0, -0.75, 0], HIDDEN)
    assert np.abs(stored - expected).max() < INT16_SCALE


def test_what_gen_json_cannot_hold_is_refused(tmp_path: Path) -> None:
    vae = import_magenta(write(tmp_path / "a.vae.json", model(VAE, mode=0)))
    for checkpoint, words in ((own(("cat", "pig")), "2 labels"), (own(z_size=3), "latent"), (vae, "latent")):
        with pytest.raises(UnsupportedModelError, match=words):
            export_magenta(checkpoint, tmp_path / "b.gen.json")
    with pytest.raises(OutputError):
        export_magenta(own(), tmp_path / "missing" / "b.gen.json")
    assert not (tmp_path / "b.gen.json").exists()


@pytest.mark.parametrize("name", ["bird.txt", "bird", "bird.safetensors"])
def test_a_name_that_would_be_refused_when_opened_is_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"give a name such as .*\.gen\.json"):
        export_magenta(own(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_wrong_types_are_refused(tmp_path: Path) -> None:
    for path in (3, None, b"a.gen.json"):
        with pytest.raises(OutputError, match=f"{type(path).__name__}.*expected"):
            export_magenta(own(), path)  # type: ignore[arg-type]
        with pytest.raises(CheckpointError, match=f"{type(path).__name__}.*expected"):
            import_magenta(path)  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match=r"str.*expected"):
        export_magenta("cat", tmp_path / "a.gen.json")  # type: ignore[arg-type]


# The official files


@pytest.mark.shared
@pytest.mark.parametrize("name", ["bear", "bicycle", "bird", "rabbit", "sheep"])
def test_official_decoders_come_through_unchanged(shared: Path, tmp_path: Path, name: str) -> None:
    path = shared / "magenta-models" / f"{name}.gen.json"
    imported = import_magenta(path)
    save_checkpoint(imported, tmp_path / "a.safetensors")
    back = load_checkpoint(tmp_path / "a.safetensors")
    export_magenta(back, tmp_path / "b.gen.json")
    info, shapes, arrays = json.loads(path.read_text())
    again = json.loads((tmp_path / "b.gen.json").read_text())
    assert again == [info, shapes, arrays]
    assert list(again[0]) == list(info)
    assert (back.name, back.hidden, back.mixtures) == (name, 512, 20)
    assert back.start_token == (0.0,) * 5
    assert (tmp_path / "a.safetensors").stat().st_size < 2.3e6
    integers = np.frombuffer(base64.b64decode(arrays[3]), "<i2").reshape(512, 2048)
    assert np.array_equal(back.tensors["decoder.w_h"].values, integers)


@pytest.mark.shared
def test_an_official_decoder_cut_short_is_refused(shared: Path, tmp_path: Path) -> None:
    content = (shared / "magenta-models" / "bird.gen.json").read_bytes().rstrip()
    for size in (*range(0, 120, 7), *range(200, len(content), 400_000), len(content) - 1):
        (tmp_path / "a.gen.json").write_bytes(content[:size])
        with pytest.raises(CheckpointError):
            import_magenta(tmp_path / "a.gen.json")
