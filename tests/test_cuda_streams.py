"""Streams on the cuda backend: going back and branching off, which asks the most of a backend, as on the others."""

import pytest
import test_rewind
import test_text_rewind
from cuda_devices import DEVICES, contract, use
from test_rewind import models  # noqa: F401 - a fixture
from test_text_rewind import architecture  # noqa: F401 - likewise

globals().update(contract(test_rewind))
globals().update({f"{name}_in_texts": test for name, test in contract(test_text_rewind).items()})

pytestmark = pytest.mark.slow


@pytest.fixture(params=DEVICES)
def backend(request, monkeypatch):
    use(request.param, monkeypatch)
    return "cuda"
