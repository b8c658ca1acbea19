"""What results are called and what they rest on, in words: the one naming rule of terminal, picture and page."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tetviz.errors import printable
from tetviz.results import Provenance, Result
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
    """What a network is called, in a line: its label, else the name of its checkpoint."""
    return printable(provenance.label or Path(provenance.checkpoint).stem) or "unnamed network"


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
    """The samples that a result was measured on, each once; none for a history, whose numbers are of whole splits."""
    return np.unique(getattr(result, "sample", np.arange(0)))


def data_context(result: Result) -> str:
    """The data that a result was measured on."""
    source = f"{result.provenance.dataset} {result.provenance.split}".strip()
    count = len(samples_of(result))
    samples = counted(count, "sample") if count else ""
    draws = f"draws of each: {result.provenance.draws}" if result.provenance.draws else ""
    again = getattr(result, "recalibrated", 0)
    statistics = f"BN statistics re-estimated at every T on {counted(again, 'training sample')}" if again else ""
    return ", ".join(part for part in (source, samples, draws, statistics) if part)


def bn_words(result: Any) -> str:
    """What the batch-norm statistics of a measurement were, in words, such as ``"BN statistics frozen"``."""
    calibrated = len(getattr(result, "calibration", ()))
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


def names_of(listed: Sequence[str], count: int, what: str) -> list[str]:
    """The names that a result lists, or numbers where it does not list one for each."""
    return list(listed) if len(listed) == count else [f"{what} {index + 1}" for index in range(count)]
