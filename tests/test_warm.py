"""`livesketch warm` compiles ahead what a first step would wait for."""

import pytest
from small_models import small_checkpoint

from livesketch.backends.cpu import BACKEND
from livesketch.cli import main
from livesketch.models.checkpoint import save_checkpoint


def test_named_models_are_made_ready(tmp_path, capsys, monkeypatch):
    path = tmp_path / "small.safetensors"
    save_checkpoint(small_checkpoint(), path)
    monkeypatch.setenv("LIVESKETCH_THREADS", "2")
    monkeypatch.setattr(BACKEND, "_warm", set())
    assert main(["warm", str(path)]) == 0
    assert {kinds[0] for kinds in BACKEND._warm} == {"lstm"}
    assert len(BACKEND._warm) == 3  # one voice, some, and many in threads
    assert "1 model ready" in capsys.readouterr().out


def test_a_model_that_there_is_not_is_an_error(capsys):
    assert main(["warm", "catt"]) != 0
    assert "catt" in capsys.readouterr().err


@pytest.mark.slow
def test_all_bundled_models_are_made_ready(capsys):
    assert main(["warm"]) == 0
    assert "models ready" in capsys.readouterr().out
