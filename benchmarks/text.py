"""Suite `text`: microseconds for one token of one voice of a large vocabulary, one thread, all engines in turn.

The model has random weights: how long a step takes does not depend on them. Its symbols are the bundled poem model's
and invented ones, so that a form can be asked for.
"""

from typing import Any

import numpy as np

from . import limits
from .report import Result
from .rounds import Run, interleaved, repeat

SYMBOLS, UNITS, LAYERS = 5500, 512, 2
STREAM = "livesketch cpu, next(stream)"
LIMIT = "reading the stored weights once"


def suite(*, model: str, rounds: int, steps: int) -> Result:  # noqa: ARG001 - the suites' signature
    import torch

    torch.set_num_threads(1)
    checkpoint = random_model()
    engines = livesketch_engines(checkpoint)
    engines["PyTorch, nn.LSTM, softmax and multinomial, no_grad"] = torch_engine()
    engines["PyTorch, LSTMCell, softmax and multinomial, inference_mode"] = cells_engine()
    data = b"".join(tensor.values.tobytes() for name, tensor in checkpoint.tensors.items())
    engines[LIMIT] = limits.reading(data)
    return Result(
        suite="text",
        unit="us",
        facts={
            "symbols": SYMBOLS,
            "hidden": UNITS,
            "layers": LAYERS,
            "weights read per step (MB)": round(len(data) / 1e6, 3),
            "threads": 1,
            "rounds": rounds,
            "steps": steps,
        },
        series=interleaved(engines, rounds, steps),
        compare_with=STREAM,
        limit=LIMIT,
    )


def random_model() -> Any:
    """A tied LSTM of the sizes above, int16, whose pieces never end by themselves."""
    from livesketch.models.catalogue import open_text
    from livesketch.models.model import quantize
    from livesketch.models.text_model import TextCheckpoint, TextInfo, text_shapes

    known = open_text("wuyan")[0].vocabulary
    info = TextInfo(
        name="random", architecture="text_lstm", unit="character", embedding=UNITS, hidden=UNITS, layers=LAYERS,
        vocabulary=(*known, *(chr(0xAC00 + k) for k in range(SYMBOLS - len(known)))), tied=True, heads=0, window=0,
        label_size=0, labels=(), max_steps=10**6, forget_bias=1.0, licence="none", attribution="none", data="random",
        losses={}, source={},
    )  # fmt: skip
    rng = np.random.default_rng(1)
    tensors = {name: quantize(rng.normal(0, 0.04, shape)) for name, shape in text_shapes(info).items()}
    return TextCheckpoint(**{name: getattr(info, name) for name in TextInfo.__dataclass_fields__}, tensors=tensors)


def livesketch_engines(checkpoint: Any) -> dict[str, Run]:
    from livesketch import backends, forms
    from livesketch.streams.text import TextStream
    from livesketch.token_sampling import TextSettings

    def stream(*rules: Any, **settings: Any) -> Run:
        made = TextStream(checkpoint, None, TextSettings(**settings), 1, "cpu", 0).constrain(*rules)
        return repeat(made.__next__)

    batch = backends.load("cpu").open_text(checkpoint, 1)
    return {
        STREAM: stream(),
        "livesketch cpu, next(stream), held to 五绝 with rhyme and tones": stream(forms.form("五绝", True, True)),
        "livesketch cpu, next(stream), top_p 0.9": stream(top_p=0.9),
        "livesketch cpu, backend": repeat(batch.step),
    }


def torch_engine() -> Run:
    """What a person would write first."""
    import torch

    embedding = torch.nn.Embedding(SYMBOLS, UNITS)
    layers = torch.nn.LSTM(UNITS, UNITS, LAYERS)
    head = torch.nn.Linear(UNITS, SYMBOLS)
    state: Any = None
    token = torch.zeros(1, dtype=torch.long)

    def run(steps: int) -> None:
        nonlocal state, token
        with torch.no_grad():
            for _ in range(steps):
                out, state = layers(embedding(token)[None], state)
                token = torch.multinomial(torch.softmax(head(out[0]), -1), 1)[0]

    return run


def cells_engine() -> Run:
    """An LSTMCell for each layer, whose small steps cost less than those of nn.LSTM."""
    import torch

    embedding = torch.nn.Embedding(SYMBOLS, UNITS)
    cells = [torch.nn.LSTMCell(UNITS, UNITS) for _ in range(LAYERS)]
    head = torch.nn.Linear(UNITS, SYMBOLS)
    state = [(torch.zeros(1, UNITS), torch.zeros(1, UNITS)) for _ in cells]
    token = torch.zeros(1, dtype=torch.long)

    def run(steps: int) -> None:
        nonlocal token
        with torch.inference_mode():
            for _ in range(steps):
                value = embedding(token)
                for k, cell in enumerate(cells):
                    state[k] = cell(value, state[k])
                    value = state[k][0]
                token = torch.multinomial(torch.softmax(head(value), -1), 1)[0]

    return run
