"""Every cell on the cuda backend: the tests of ``test_cells`` again, but for one."""

import pytest
import test_cells
from cuda_devices import DEVICES, contract, use
from small_models import small_checkpoint

globals().update(contract(test_cells, "test_voices_are_bit_equal_alone_and_among_others"))
test_cells.NEAR["cuda"] = 1e-5


@pytest.fixture(params=DEVICES)
def backend(request, monkeypatch):
    use(request.param, monkeypatch)
    return "cuda"


@pytest.fixture(params=[*(pytest.param(name, marks=pytest.mark.slow) for name in ("lstm", "layer_norm")), "hyper"])
def cell(request):
    return request.param


@pytest.fixture(params=["odd", pytest.param("wide", marks=pytest.mark.slow)])
def checkpoint(request, cell):
    sizes = test_cells.ODD if request.param == "odd" else test_cells.WIDE
    return small_checkpoint(cell=cell, **sizes, **test_cells.CONDITIONS["z and label"])
