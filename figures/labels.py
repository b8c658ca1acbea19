"""What figures and tables call things: networks, losses, the choices a number rests on."""

import re
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tetviz.figures.formatting import counted
from tetviz.figures.plots.venues import characters
from tetviz.results import (
    BlockIsometry,
    Curvature,
    Lines,
    OperationCounts,
    Provenance,
    ScalingCurve,
    Surface,
    TrainingHistory,
    TrainingOperations,
    Trajectory,
)

LOSSES = ("sdt", "tet")
Drawn = Surface | Lines | Curvature | ScalingCurve | OperationCounts | TrainingOperations | BlockIsometry

_PLAIN_LOSS = re.compile(r"\bL_(SDT|TET|TOTAL)\b")
_NO_BREAK = "\N{NO-BREAK SPACE}"
_UNITS = {"unit": "L2 distance", "none": "", "": ""}


def network_name(provenance: Provenance) -> str:
    """What a network is called: its label, else the name of its checkpoint."""
    return provenance.label or Path(provenance.checkpoint).stem or "unnamed network"


def network_names(results: Sequence[Drawn | TrainingHistory]) -> list[str]:
    """What several networks are called, numbered where two have the same name."""
    names = [network_name(result.provenance) for result in results]
    total, seen = Counter(names), Counter[str]()
    for index, name in enumerate(names):
        seen[name] += 1
        if total[name] > 1:
            names[index] = f"{name} #{seen[name]}"
    return names


def loss_symbol(loss: str) -> str:
    """A loss as the papers write it, but that L is italic: the calligraphic one is no character of an SVG's text."""
    return rf"$L_{{\mathrm{{{loss.upper()}}}}}$"


def data_context(result: Drawn) -> str:
    """The data that a result was measured on."""
    source = f"{result.provenance.dataset} {result.provenance.split}".strip()
    count = len(result.sample)
    samples = counted(count, "sample") if count else ""
    return ", ".join(part for part in (source, samples) if part)


def history_context(history: TrainingHistory) -> str:
    """The data that a training run was followed on, such as ``"cifar10 test split"``."""
    return f"{history.provenance.dataset} test split".strip()


def bn_words(result: Surface | Lines | BlockIsometry) -> str:
    """What the batch-norm statistics of a measurement were, in words, such as ``"BN statistics frozen"``."""
    calibrated = 0 if isinstance(result, BlockIsometry) else len(result.calibration)
    count = f" on {calibrated:,} training samples" if calibrated else ""
    words = {
        "frozen": "BN statistics frozen",
        "recalibrate": f"BN statistics re-estimated at every point{count}",
        "batch": "BN statistics of each batch",
    }
    return words.get(result.bn, f"BN {result.bn}")


def surface_context(surface: Surface) -> str:
    """The choices that a surface rests on, besides its network, loss and number of timesteps."""
    if isinstance(surface, Trajectory):
        where = f"plane fitted to {len(surface.point)} checkpoints"
    elif surface.plane_seed < 0:
        where = "planes of unknown seed"
    else:
        where = f"plane seed {surface.plane_seed}{', orthogonal directions' * bool(surface.orthogonal)}"
    parts = [data_context(surface), bn_words(surface), where, surface.policy]
    return "; ".join(part for part in parts if part)


def lines_context(lines: Lines) -> str:
    """The choices that lines rest on, besides their network, loss and number of timesteps."""
    bn, where = bn_words(lines), ""
    if lines.path == "random":
        where = f"plane seed {lines.plane_seed}{', orthogonal directions' * bool(lines.orthogonal)}"
    elif lines.path == "linear":
        count = len(lines.calibration)
        bn = f"BN statistics re-estimated on {count:,} training samples where recalibrated" if count else ""
    return "; ".join(part for part in (data_context(lines), bn, where, lines.policy) if part)


def isometry_context(result: BlockIsometry) -> str:
    """The choices that a block isometry rests on, besides its network."""
    parts = [f"L_{result.loss.upper()}", f"T = {len(result.timestep)}", data_context(result), bn_words(result)]
    return "; ".join(part for part in [*parts, f"{result.probes} probes"] if part)


def axis_label(name: str, norm: str) -> str:
    """A coordinate with its unit, such as ``"x (filter norms)"``."""
    unit = _UNITS.get(norm, f"{norm} norms")
    return f"{name} ({unit})" if unit else name


def names_of(listed: Sequence[str], count: int, what: str) -> list[str]:
    """The names that a result lists, or numbers where it does not list one for each."""
    return list(listed) if len(listed) == count else [f"{what} {index + 1}" for index in range(count)]


def wrap(text: str, width: float, *, narrow: bool = False) -> str:
    """Text as it is shown: broken into lines, best after a semicolon; losses as symbols, no accidental mathematics."""
    fit = characters(width, narrow=narrow)
    return _lines(_held(text, fit), fit)


def wrap_evenly(text: str, width: float, *, narrow: bool = False) -> str:
    """As :func:`wrap`, in lines of about the same length."""
    fit = characters(width, narrow=narrow)
    text = _held(text, fit)
    lines = len(_broken(text, fit))
    while fit > 20 and len(_broken(text, fit - 1)) == lines:
        fit -= 1
    return _lines(text, fit)


def _lines(text: str, fit: int) -> str:
    shown = "\n".join(_broken(text, fit) or [""]).replace("$", r"\$").replace(_NO_BREAK, " ")
    return _PLAIN_LOSS.sub(lambda found: loss_symbol(found[1]), shown)


def _broken(text: str, fit: int) -> list[str]:
    # At hyphens only where a word does not fit otherwise.
    return textwrap.wrap(text, fit, break_on_hyphens=any(len(word) > fit for word in text.split()))


def _held(text: str, fit: int) -> str:
    # What stands between two semicolons is kept on one line, unless it is long.
    return "; ".join(part.replace(" ", _NO_BREAK) if len(part) < 0.7 * fit else part for part in text.split("; "))
