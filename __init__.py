"""tetviz: loss surfaces and time scalability of directly trained spiking networks.

``import tetviz`` is light: the subpackages, and torch with them, load on first use.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what __getattr__ gives, for type checkers and editors
    from tetviz import analysis as analysis
    from tetviz import commands as commands
    from tetviz import errors as errors
    from tetviz import figures as figures
    from tetviz import landscape as landscape
    from tetviz import models as models
    from tetviz import results as results
    from tetviz import summaries as summaries
    from tetviz import training as training

__version__ = "0.1.0"

_SUBPACKAGES = ("analysis", "errors", "figures", "landscape", "models", "results", "summaries", "training")

__all__ = ["__version__", *_SUBPACKAGES]


def __getattr__(name: str) -> ModuleType:
    if name in (*_SUBPACKAGES, "commands"):
        return import_module(f"tetviz.{name}")
    raise AttributeError(f"module 'tetviz' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
