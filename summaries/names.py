"""What results are called and what they rest on, in words: the one naming rule of terminal, picture and page."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tetviz.results import BlockIsometry, Curvature, Lines, Provenance, Result, Surface, TrainingHistory, Trajectory
from tetviz.results.schema import IntArray

LOSSES = ("sdt", "tet")
FROZEN = "BN statistics frozen"
LOSS_WORDS = {loss: f"L_{loss.upper()}" for loss in LOSSES}
_ROLES = {"weight": "weights", "bias": "biases", "norm": "norms", "neuron": "neurons"}
_TREATMENTS = {"random": "moved", "hold": "fixed", "scale": "scaled"}


def counted(count: int, what: str) -> str:
    """So many things, such as ``1 sample`` or ``1,024 samples``."""
    return f"{count:,} {what}{'s' if count != 1 else ''}"


def network_name(provenance: Provenance) -> str:
    """What a network is called: its label, else the name of its checkpoint."""
    return provenance.label or Path(provenance.checkpoint).stem or "unnamed network"


def network_names(results: Sequence[Result]) -> list[str]:
    """What several networks are called, numbered where two have the same name."""
    names = [network_name(result.provenance) for result in results]
    total, seen = Counter(names), Counter[str]()
    for index, name in enumerate(names):
        seen[name] += 1
        if total[name] > 1:
            names[index] = f"{name} #{seen[name]}"
    return names


def samples_of(result: Result) -> IntArray:
    """The samples that a result was measured on; none for a history, whose numbers are of whole splits."""
    return getattr(result, "sample", np.arange(0))


def data_context(result: Result) -> str:
    """The data that a result was measured on."""
    source = f"{result.provenance.dataset} {result.provenance.split}".strip()
    count = len(samples_of(result))
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
        "frozen": FROZEN,
        "recalibrate": f"BN statistics re-estimated at every point{count}",
        "batch": "BN statistics of each batch",
    }
    return words.get(result.bn, f"BN {result.bn}")


def policy_words(policy: str) -> str:
    """What was done with each role of parameter, such as ``"weights moved; biases, norms and neurons fixed"``."""
    parts = []
    for part in filter(None, policy.split("; ")):
        treatment, _, roles = part.partition(" ")
        named = [_ROLES.get(role, role) for role in roles.split(", ")]
        listed = " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)
        parts.append(f"{listed} {_TREATMENTS[treatment]}" if treatment in _TREATMENTS else part)
    return "; ".join(parts)


def surface_context(surface: Surface) -> str:
    """The choices that a surface rests on, besides its network, loss and number of timesteps."""
    if isinstance(surface, Trajectory):
        where = f"plane fitted to {len(surface.point)} checkpoints"
    elif surface.plane_seed < 0:
        where = "planes of unknown seed"
    else:
        where = f"plane seed {surface.plane_seed}{', orthogonal directions' * bool(surface.orthogonal)}"
    parts = [data_context(surface), bn_words(surface), where, policy_words(surface.policy)]
    return "; ".join(part for part in parts if part)


def lines_context(lines: Lines) -> str:
    """The choices that lines rest on, besides their network, loss and number of timesteps."""
    bn, where = bn_words(lines), ""
    if lines.path == "random":
        where = f"plane seed {lines.plane_seed}{', orthogonal directions' * bool(lines.orthogonal)}"
    elif lines.path == "linear":
        count = len(lines.calibration)
        bn = f"BN statistics re-estimated on {count:,} training samples where recalibrated" if count else ""
    return "; ".join(part for part in (data_context(lines), bn, where, policy_words(lines.policy)) if part)


def curvature_context(curvature: Curvature) -> str:
    """The choices that a curvature rests on, besides its network, loss and number of timesteps."""
    return "; ".join(part for part in (data_context(curvature), FROZEN, policy_words(curvature.policy)) if part)


def isometry_context(result: BlockIsometry) -> str:
    """The choices that a block isometry rests on, besides its network."""
    parts = [f"L_{result.loss.upper()}", f"T = {len(result.timestep)}", data_context(result), bn_words(result)]
    return "; ".join(part for part in [*parts, f"{result.probes} probes"] if part)


def names_of(listed: Sequence[str], count: int, what: str) -> list[str]:
    """The names that a result lists, or numbers where it does not list one for each."""
    return list(listed) if len(listed) == count else [f"{what} {index + 1}" for index in range(count)]
