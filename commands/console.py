"""What a command says: notes on stderr, JSON on stdout."""

import json
import math
import shlex
from collections.abc import Iterable
from typing import Any

import click

COMMAND_LINE = "tetviz.command_line"


def command_line() -> str:
    """The command as it was typed."""
    return shlex.join(["tetviz", *click.get_current_context().meta.get(COMMAND_LINE, [])])


def note(text: str) -> None:
    """Prints a line on stderr."""
    click.echo(text, err=True)


def at_chance(sdt_loss: float, classes: int) -> list[str]:
    """What is to be said of a network that knows nothing: its loss is that of equal odds, log K, or more."""
    if sdt_loss < math.log(classes) - 1e-3:
        return []
    return [
        f"this network is no better than chance (L_SDT {sdt_loss:.4f}, log {classes} = {math.log(classes):.4f}), its "
        "numbers say little; with few batches an epoch it takes more epochs, or a smaller --batch-size, until the "
        "batch-norm statistics follow"
    ]


def warn(sentences: Iterable[str]) -> None:
    """Prints warnings on stderr."""
    for sentence in sentences:
        note(f"warning: {sentence}")


def duration(seconds: float) -> str:
    """A time span for people, such as ``40 s``, ``3 min`` or ``2.5 h``."""
    if seconds < 90:
        return f"{math.ceil(seconds)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def print_json(records: list[dict[str, Any]]) -> None:
    """Prints records as JSON on stdout; a number that is not finite is null."""

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(each) for each in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    click.echo(json.dumps([{name: plain(value) for name, value in record.items()} for record in records]))
