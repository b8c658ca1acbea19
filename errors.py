"""The errors that a user can cause; the command line turns them into one line and exit code 1.

A message says what went wrong, where, what was expected, what was found, and the cure.
Misuse of the Python API raises ``ValueError`` or ``TypeError`` instead.
"""

import difflib
import pickle
import struct
import tokenize
import unicodedata
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType

# What libraries raise of bytes that are not what they should be.
UNREADABLE = (
    *(OSError, RuntimeError, EOFError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError),
    *(AssertionError, MemoryError, SyntaxError, struct.error, zlib.error, zipfile.BadZipFile, tokenize.TokenError),
    pickle.UnpicklingError,
)
_CONTROLS = ("Cc", "Cf", "Cs", "Zl", "Zp")  # of a terminal, of the direction of a text, halves of characters, lines
_LONGEST, _LONGEST_LINE = 300, 2000
_ALLOWED = "\t\u200c\u200d"


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
    """Base of every error that a user can cause: one line, whatever the names and values that it quotes."""

    def __init__(self, message: str = "") -> None:
        line = printable(message)
        super().__init__(line if len(line) <= _LONGEST_LINE else f"{line[:1000]} ... {line[-500:]}")


class CheckpointError(TetvizError):
    """A checkpoint that is missing, damaged, foreign or does not fit its data."""


class ModelError(TetvizError, RuntimeError):
    """A network of someone else's that cannot be built or run, or that breaks the contract."""


class DataError(TetvizError):
    """A data set that is missing, empty, malformed or labelled out of range."""


class ResultError(TetvizError):
    """A result file that is missing, damaged, of another kind or bound to another command."""


class KindError(ResultError):
    """Results of kinds that nothing shows together, or that a figure does not take."""


class OutputError(TetvizError):
    """An output that exists already or cannot be written."""


class TrainingError(TetvizError):
    """A training run that cannot go on: a loss that is not finite, settings that do not match."""


def printable(text: str) -> str:
    """A text of somebody else's as one line that a terminal shows and does not obey."""
    controls = {c for c in text if unicodedata.category(c) in _CONTROLS and c not in _ALLOWED}
    return "".join(c.encode("unicode_escape").decode() if c in controls else c for c in text) if controls else text


def reason(error: BaseException) -> str:
    """What a library says is wrong, as part of a message of one line."""
    if isinstance(error, MemoryError):
        return "it asks for more memory than there is"
    if "allow_pickle" in str(error):  # NumPy, which says how to load them all the same
        return "it holds Python objects, or is damaged"
    said = getattr(error, "strerror", None) or str(error)
    return printable(_first_line(said) or type(error).__name__)


def _first_line(text: str) -> str:
    line = next(iter(text.strip().splitlines()), "")
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} ..."  # libraries quote the bytes of a file


@contextmanager
def reading(what: object, kind: type[TetvizError], trouble: str, cure: str) -> Iterator[None]:
    """Reads what a library reads, which may raise anything of damaged bytes; it becomes one line of an error of ours.

    What the library warns of meanwhile, in words of the file perhaps, is not printed.

    Args:
        what: the file.
        kind: the error to raise.
        trouble: what is the matter then, such as ``not an .npz file``.
        cure: what to do.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except TetvizError:
        raise
    except UNREADABLE as error:
        raise kind(f"{what}: {trouble} ({reason(error)}): {cure}") from error


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
            line = _first_line(str(error))
            raise self.kind(f"{self.what}: {type(error).__name__}{': ' * bool(line)}{line}") from error
