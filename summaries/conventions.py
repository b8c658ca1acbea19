"""What counts as an accumulate, and what is computed how often: conventions, and what they make of counts."""

from dataclasses import dataclass, replace

import numpy as np

from tetviz.errors import unknown
from tetviz.results import OperationCounts
from tetviz.results.schema import IntArray

SPIKES = {"binary", "scaled", "ternary"}

# What is not a synaptic operation, with its price, a field of CostModel.
SIDE_COSTS = {
    "bias_add": "add",
    "norm_mac": "mac",
    "residual_add": "add",
    "pool_add": "add",
    "readout_add": "add",
    "neuron_mul": "mul",
    "neuron_add": "add",
    "neuron_compare": "compare",
    "neuron_reset": "compare",
}
CHOICES = {
    "first_layer": ("per-step", "once"),
    "pool": ("fold", "mac"),
    "graded": ("repeat", "mac"),
    "norm": ("fold", "charge"),
}


@dataclass(frozen=True)
class Convention:
    """What counts as an accumulate, and what is computed how often.

    Attributes:
        name: of the preset that it starts from.
        first_layer: ``per-step`` or ``once``: layers between a static image and the first neuron compute at each
            step, as networks that repeat the image before them do, or at the first step alone.
        pool: ``fold``: where spikes are averaged without overlap and padding, the division goes into the next
            weights, and each spike behind a mean is an accumulate; ``mac``: each mean that is not 0 is a MAC.
        graded: ``repeat``: a sum of n spikes is n accumulates; ``mac``: it is a MAC.
        norm: ``fold``: batch norm is merged into the weights before it, and only its bias is added; ``charge``: it
            multiplies and adds.
    """

    name: str
    first_layer: str
    pool: str
    graded: str
    norm: str

    def __post_init__(self) -> None:
        """Checks the choices."""
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(unknown(name, str(getattr(self, name)), known))

    @property
    def label(self) -> str:
        """Such as ``tet, once``: the preset and its first layer, then what differs from the preset."""
        preset = CONVENTIONS.get(self.name, self)
        other = [n for n in ("pool", "graded", "norm") if getattr(self, n) != getattr(preset, n)]
        return ", ".join([self.name, self.first_layer, *(f"{n} {getattr(self, n)}" for n in other)])


CONVENTIONS = {
    # TET section 5.1: "the first layer has multiplication, the other layers only additions"; batch norm folded (eq. 6).
    "tet": Convention("tet", first_layer="per-step", pool="fold", graded="repeat", norm="fold"),
    "strict": Convention("strict", first_layer="per-step", pool="mac", graded="mac", norm="fold"),
}


def convention(
    name: str,
    *,
    first_layer: str | None = None,
    pool: str | None = None,
    graded: str | None = None,
    norm: str | None = None,
) -> Convention:
    """A preset, with some choices changed.

    Args:
        name: ``tet`` or ``strict``.
        first_layer: ``per-step`` or ``once``; None for that of the preset, as below.
        pool: ``fold`` or ``mac``.
        graded: ``repeat`` or ``mac``.
        norm: ``fold`` or ``charge``.

    Returns:
        The convention.

    Raises:
        ValueError: an unknown preset or choice.
    """
    if name not in CONVENTIONS:
        raise ValueError(unknown("convention", name, CONVENTIONS))
    choices = {"first_layer": first_layer, "pool": pool, "graded": graded, "norm": norm}
    return _changed(CONVENTIONS[name], choices)


@dataclass(frozen=True, eq=False)
class Operations:
    """Operations under a convention, of step t alone, summed over samples.

    Attributes:
        mac: multiply-accumulates (layer, timestep).
        ac: accumulates (layer, timestep).
        side: what is no synaptic operation, by the name of its column; (layer, timestep).
        notes: what the reader has to know, in sentences.
    """

    mac: IntArray
    ac: IntArray
    side: dict[str, IntArray]
    notes: tuple[str, ...]


def apply_convention(counts: OperationCounts, chosen: Convention) -> Operations:
    """Counts under a convention."""
    notes = [f"incomplete: {sentence}" for sentence in counts.not_counted]
    mac, ac = _spikes_of(counts, chosen, notes)
    once = _once(counts, chosen, notes)
    return Operations(
        mac=_first_step(mac, once),
        ac=_first_step(ac, once),
        side={name: _first_step(column, once) for name, column in _side(counts, chosen, notes).items()},
        notes=tuple(notes),
    )


def _changed(preset: Convention, choices: dict[str, str | None]) -> Convention:
    return replace(preset, **{name: choice for name, choice in choices.items() if choice is not None})


def _spikes_of(counts: OperationCounts, chosen: Convention, notes: list[str]) -> tuple[IntArray, IntArray]:
    # MACs and ACs, where the MACs of pooled and graded inputs may become ACs.
    allowed = {"pooled"} if chosen.pool == "fold" else set()
    allowed |= {"graded"} if chosen.graded == "repeat" else set()
    rows = np.zeros(len(counts.layer), dtype=bool)
    for layer, (name, kinds) in enumerate(zip(counts.names, _kinds(counts), strict=True)):
        wanted = kinds & {"pooled", "graded"}
        if not wanted & allowed:
            continue
        rows[layer] = wanted <= allowed
        left = (counts.mac[layer] > counts.unit_mac[layer]).any() and not kinds - SPIKES - wanted
        if left or not rows[layer]:
            notes.append(
                f"{name}: its {' and '.join(sorted(wanted))} input stays MACs, since not every value of it is known "
                "to be a sum of spikes, or their mean without overlap and padding"
            )
    columns = rows[:, None].astype(np.int64)
    return counts.mac - columns * counts.unit_mac, counts.ac + columns * counts.unit_ac


def _once(counts: OperationCounts, chosen: Convention, notes: list[str]) -> IntArray:
    # 1 for the layers that compute at the first step alone.
    if chosen.first_layer == "per-step":
        return np.zeros(len(counts.layer), dtype=np.int64)
    weighted = (counts.dense_mac > 0).any(1)
    before = np.cumsum(counts.neurons > 0) == 0
    data = np.array([kinds == {"data"} for kinds in _kinds(counts)], dtype=bool)
    # A deeper layer whose input happens not to change in this run would change in a longer one.
    once = weighted & (counts.static == 1) & (before | data)
    if not once.any():
        notes.append("first layer once: no layer sees the same data at every step, so all compute at every step")
    elif once[weighted & before].all():
        once |= before  # what normalises and adds there has nothing new to do either
    return np.asarray(once, dtype=np.int64)


def _kinds(counts: OperationCounts) -> list[set[str]]:
    # A layer that is called several times may have several.
    return [set(entry.split(", ")) for entry in counts.inputs]


def _first_step(column: IntArray, once: IntArray) -> IntArray:
    later = np.arange(column.shape[1]) > 0
    return np.asarray(np.where((once == 1)[:, None] & later, 0, column))


def _side(counts: OperationCounts, chosen: Convention, notes: list[str]) -> dict[str, IntArray]:
    side: dict[str, IntArray] = {name: getattr(counts, name) for name in SIDE_COSTS}
    norms = np.any(counts.norm_mac > 0, axis=1) & ~np.any(counts.dense_mac > 0, axis=1)
    if chosen.norm == "charge":
        side["bias_add"] = np.where(norms[:, None], 0, counts.bias_add)  # it is in the multiply-add
        return side
    for layer in np.flatnonzero(norms & (counts.foldable == 0)):
        name, kind = counts.names[layer], counts.modules[layer]
        notes.append(f"{name} ({kind}): cannot be folded into weights before it, so it is charged")
    side["norm_mac"] = np.where((norms & (counts.foldable == 1))[:, None], 0, counts.norm_mac)
    return side
