"""tetviz: loss surfaces and time scalability of directly trained spiking networks.

``import tetviz`` is light: the subpackages, and torch with them, load on first use.
"""

from importlib import import_module
from types import ModuleType

__version__ = "0.1.0"

_SUBPACKAGES = ("analysis", "errors", "figures", "landscape", "models", "results", "summaries", "training")

__all__ = ["__version__", *_SUBPACKAGES]


def __getattr__(name: str) -> ModuleType:
    if name in _SUBPACKAGES:
        return import_module(f"tetviz.{name}")
    raise AttributeError(f"module 'tetviz' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
