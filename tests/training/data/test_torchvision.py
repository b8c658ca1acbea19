import importlib
import subprocess
import sys
from types import ModuleType

import pytest
import torch
from wording import refuses

from tetviz.training.data import torchvision as vision

FRESH = """
import sys
from tetviz.training.data.torchvision import import_torchvision
assert "torchvision" not in sys.modules
first = import_torchvision()
import torchvision
assert first is import_torchvision() is torchvision
assert torchvision.datasets.MNIST and torchvision.transforms.Resize
import torchvision.datasets.folder
print(torchvision.__version__)
"""


def run_fresh(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)


def test_imports_in_a_process_that_never_tried_it() -> None:
    result = run_fresh(FRESH)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()


def test_heals_a_failed_import() -> None:
    result = run_fresh("try:\n    import torchvision\nexcept (RuntimeError, UserWarning): pass\nimport sys\n"
                       "sys.modules.pop('torchvision', None)\n" + FRESH)  # fmt: skip
    assert result.returncode == 0, result.stderr


class Importing:
    """Stands in for the import system: fails as told, then gives a module."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.module = ModuleType("torchvision")

    def import_module(self, name: str) -> ModuleType:
        assert name == "torchvision"
        if self.errors:
            raise self.errors.pop(0)
        return self.module


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    calls: list[tuple[object, ...]] = []

    class Library:
        def __init__(self, *arguments: object) -> None:
            calls.append(arguments)

        def define(self, schema: str) -> None:
            calls.append((schema.partition("(")[0],))

    monkeypatch.setattr(torch.library, "Library", Library)
    monkeypatch.setattr(vision, "_DECLARED", [])
    return calls


def test_declares_nothing_where_torchvision_works(
    declared: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    working = Importing()
    monkeypatch.setattr(vision, "importlib", working)
    assert vision.import_torchvision() is working.module
    assert declared == []


def test_declares_the_operators_when_they_are_what_is_missing(
    declared: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = Importing(RuntimeError("operator torchvision::nms does not exist"))
    monkeypatch.setattr(vision, "importlib", failing)
    monkeypatch.setitem(sys.modules, "torchvision.half", ModuleType("torchvision.half"))
    kept = {name: module for name, module in sys.modules.items() if name.startswith("torchvision")}
    try:
        assert vision.import_torchvision() is failing.module
        assert "torchvision.half" not in sys.modules
    finally:
        del kept["torchvision.half"]
        sys.modules.update(kept)
    assert declared == [("torchvision", "FRAGMENT"), ("nms",), ("qnms",)]
    assert len(vision._DECLARED) == 1


@pytest.mark.parametrize("error", [RuntimeError("CUDA driver is too old"), ImportError("no torchvision")])
def test_another_failure_passes_through(
    declared: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(vision, "importlib", Importing(error))
    with pytest.raises(type(error), match=str(error)):
        vision.import_torchvision()
    assert declared == []


def test_does_not_try_twice(declared: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    error = RuntimeError("operator torchvision::nms does not exist")
    monkeypatch.setattr(vision, "importlib", Importing(error, error))
    kept = {name: module for name, module in sys.modules.items() if name.startswith("torchvision")}
    try:
        with refuses(RuntimeError, "nms"):
            vision.import_torchvision()
    finally:
        sys.modules.update(kept)
    assert importlib.import_module("torch") is torch
