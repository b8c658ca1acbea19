"""The errors that a user can cause; the command line turns them into one line and exit code 1.

A message says what went wrong, where, what was expected, what was found, and the cure.
Misuse of the Python API raises ``ValueError`` or ``TypeError`` instead.
"""

import difflib
from collections.abc import Iterable
from types import TracebackType


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """The message for a name that is not in a registry.

    Args:
        what: what is named, such as ``model``.
        name: what was given.
        known: the names of the registry.

    Returns:
        A line with the nearest name, if there is one near, and all of them.
    """
    names = list(known)
    near = difflib.get_close_matches(name.lower(), names, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    return f"unknown {what} {name!r}{hint} known: {', '.join(names)}"


class TetvizError(Exception):
    """Base of every error that a user can cause."""


class CheckpointError(TetvizError):
    """A checkpoint that is missing, damaged, foreign or does not fit its data."""


class ModelError(TetvizError, RuntimeError):
    """A network of someone else's that cannot be built or run, or that breaks the contract."""


class DataError(TetvizError):
    """A data set that is missing, empty, malformed or labelled out of range."""


class ResultError(TetvizError):
    """A result file that is missing, damaged, of another kind or bound to another command."""


class OutputError(TetvizError):
    """An output that exists already or cannot be written."""


class TrainingError(TetvizError):
    """A training run that cannot go on: a loss that is not finite, settings that do not match."""


class ForeignCode:
    """Runs code of someone else's, which may raise anything; it becomes one line of an error of ours.

    Args:
        what: what the code is, such as ``mypkg.nets:build``.
        kind: the error to raise.
    """

    def __init__(self, what: str, kind: type[TetvizError] = ModelError) -> None:
        self.what, self.kind = what, kind

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Says what was raised; errors of ours and a full memory, which the command line explains, pass.

        Args:
            kind: not used.
            error: what was raised.
            trace: not used.

        Raises:
            TetvizError: of the kind asked for.
        """
        if not isinstance(error, Exception | SystemExit) or isinstance(error, TetvizError):
            return
        if "out of memory" not in str(error):
            line = next(iter(str(error).strip().splitlines()), "")
            raise self.kind(f"{self.what}: {type(error).__name__}{': ' * bool(line)}{line}") from error
