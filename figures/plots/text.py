"""Text on pictures: losses as symbols, lines that fit."""

import re
import textwrap

from tetviz.figures.plots.venues import characters

_PLAIN_LOSS = re.compile(r"\bL_(SDT|TET|TOTAL)\b")
_NO_BREAK = "\N{NO-BREAK SPACE}"


def loss_symbol(loss: str) -> str:
    """A loss as the papers write it, but that L is italic: the calligraphic one is no character of an SVG's text."""
    return rf"$L_{{\mathrm{{{loss.upper()}}}}}$"


def wrap(text: str, width: float, *, narrow: bool = False) -> str:
    """Text as it is shown: broken into lines, best after a semicolon; losses as symbols, no accidental mathematics."""
    fit = characters(width, narrow=narrow)
    return _lines(_held(text, fit), fit)


def wrap_evenly(text: str, width: float, *, narrow: bool = False) -> str:
    """As :func:`wrap`, in lines of about the same length."""
    fit = characters(width, narrow=narrow)
    text = _held(text, fit)
    lines = len(_broken(text, fit))
    held = max(map(len, text.split(" ")))
    while fit > max(20, held) and len(_broken(text, fit - 1)) == lines:
        fit -= 1
    return _lines(text, fit)


def _lines(text: str, fit: int) -> str:
    shown = "\n".join(_broken(text, fit) or [""]).replace("$", r"\$").replace(_NO_BREAK, " ")
    return _PLAIN_LOSS.sub(lambda found: loss_symbol(found[1]), shown).replace("phi(JJ^T)", r"$\phi(JJ^T)$")


def _broken(text: str, fit: int) -> list[str]:
    # At hyphens only where a word does not fit otherwise.
    return textwrap.wrap(text, fit, break_on_hyphens=any(len(word) > fit for word in text.split()))


def _held(text: str, fit: int) -> str:
    # What stands between two semicolons is kept on one line, unless it is long.
    return "; ".join(part.replace(" ", _NO_BREAK) if len(part) < 0.7 * fit else part for part in text.split("; "))
