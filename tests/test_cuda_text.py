"""Text models on the cuda backend: the contract of every backend but for one clause, and what this one adds."""

import pytest
import test_text_backends
from cuda_devices import DEVICES, contract, use
from test_text_backends import SHAPES

globals().update(contract(test_text_backends, "test_a_voice_is_bit_equal_alone_among_others_and_at_any_split"))

QUICK = {"lstm, odd and untied"}


@pytest.fixture(params=DEVICES)
def backend(request, monkeypatch):
    use(request.param, monkeypatch)
    return "cuda"


@pytest.fixture(params=[pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in SHAPES])
def checkpoint(request):
    return SHAPES[request.param]
