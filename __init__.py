"""tetviz: loss surfaces and time scalability of directly trained spiking networks.

``import tetviz`` is light: the subpackages, and torch with them, load on first use.
"""

from functools import cache
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

    __version__: str

_SUBPACKAGES = ("analysis", "errors", "figures", "landscape", "models", "results", "summaries", "training")

__all__ = ["__version__", *_SUBPACKAGES]


def __getattr__(name: str) -> ModuleType | str:
    if name == "__version__":
        return _version()
    if name in (*_SUBPACKAGES, "commands"):
        return import_module(f"tetviz.{name}")
    raise AttributeError(f"module 'tetviz' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


@cache
def _version() -> str:
    """As it was built; of a checkout, which moves on after it was installed, with the commit that it is at."""
    import subprocess
    from importlib.metadata import version
    from pathlib import Path

    built, folder = version("tetviz"), Path(__file__).resolve().parent
    if not (folder / ".git").exists():
        return built
    describe = ["git", "describe", "--always", "--exclude=*", "--abbrev=9", "--dirty=.dirty"]
    try:
        commit = "g" + subprocess.run(describe, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = "unknown"
    public, _, local = built.partition("+")
    return built if local == commit else f"{public.partition('.dev')[0]}.dev0+{commit}"
