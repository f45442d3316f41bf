"""The examples in docstrings run."""

import doctest
import importlib
import pkgutil

import livesketch

WITH_EXAMPLES = {
    "livesketch.cues",
    "livesketch.latents",
    "livesketch.sampling",
    "livesketch.streams.sketch",
    "livesketch.streams.voices",
    "livesketch.strokes",
}
LEFT_OUT = ("livesketch.__main__", "livesketch.training", "livesketch.models.network")  # a program; what needs torch


def test_docstring_examples_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = {}
    for info in pkgutil.walk_packages(livesketch.__path__, "livesketch."):
        if info.name.startswith(LEFT_OUT):
            continue
        result = doctest.testmod(importlib.import_module(info.name), optionflags=doctest.ELLIPSIS)
        assert result.failed == 0, info.name
        if result.attempted:
            found[info.name] = result.attempted
    assert found.keys() >= WITH_EXAMPLES
