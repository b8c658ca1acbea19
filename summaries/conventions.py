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
    "products": ("ssa", "sdsa", "strict"),
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
        products: of two activations. ``ssa``: a pair is an accumulate where one of both is spikes, of whatever height,
            else a MAC, as Spikformer counts Q K^T V. ``sdsa``: the same, but spikes that are multiplied element by
            element, with no sum behind, are a mask, which computes nothing, as in the spike-driven transformer.
            ``strict``: by values, a pair is an accumulate where one of both is 0, 1 or -1, else a MAC.
    """

    name: str
    first_layer: str
    pool: str
    graded: str
    norm: str
    products: str = "ssa"

    def __post_init__(self) -> None:
        """Checks the choices."""
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(unknown(name, str(getattr(self, name)), known))

    @property
    def label(self) -> str:
        """Such as ``tet, once``: the preset and its first layer, then what differs from the preset."""
        preset = CONVENTIONS.get(self.name, self)
        other = [n for n in ("pool", "graded", "norm", "products") if getattr(self, n) != getattr(preset, n)]
        return ", ".join([self.name, self.first_layer, *(f"{n} {getattr(self, n)}" for n in other)])


CONVENTIONS = {
    # TET section 5.1: "the first layer has multiplication, the other layers only additions"; batch norm folded (eq. 6).
    "tet": Convention("tet", first_layer="per-step", pool="fold", graded="repeat", norm="fold"),
    "strict": Convention("strict", first_layer="per-step", pool="mac", graded="mac", norm="fold", products="strict"),
    # Zhou et al. 2023 and Yao et al. 2023 differ from it, and from each other, in products of activations alone.
    "ssa": Convention("ssa", first_layer="per-step", pool="fold", graded="repeat", norm="fold", products="ssa"),
    "sdsa": Convention("sdsa", first_layer="per-step", pool="fold", graded="repeat", norm="fold", products="sdsa"),
}


def convention(
    name: str,
    *,
    first_layer: str | None = None,
    pool: str | None = None,
    graded: str | None = None,
    norm: str | None = None,
    products: str | None = None,
) -> Convention:
    """A preset, with some choices changed.

    Args:
        name: ``tet``, ``strict``, ``ssa`` or ``sdsa``.
        first_layer: ``per-step`` or ``once``; None for that of the preset, as below.
        pool: ``fold`` or ``mac``.
        graded: ``repeat`` or ``mac``.
        norm: ``fold`` or ``charge``.
        products: ``ssa``, ``sdsa`` or ``strict``.

    Returns:
        The convention.

    Raises:
        ValueError: an unknown preset or choice.
    """
    if name not in CONVENTIONS:
        raise ValueError(unknown("convention", name, CONVENTIONS))
    choices = {"first_layer": first_layer, "pool": pool, "graded": graded, "norm": norm, "products": products}
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
    notes = [*incomplete(counts), *_ends(counts)]
    mac, ac = _products_of(counts, chosen, *_spikes_of(counts, chosen, notes))
    once = _once(counts, chosen, notes)
    return Operations(
        mac=_first_step(mac, once),
        ac=_first_step(ac, once),
        side={name: _first_step(column, once) for name, column in _side(counts, chosen, notes).items()},
        notes=tuple(notes),
    )


def incomplete(counts: OperationCounts) -> list[str]:
    """What is missing, as one sentence, or nothing; totals are lower bounds then, and stand in no ratio."""
    return [f"incomplete: {'; '.join(counts.not_counted)}"] if counts.not_counted else []


def _ends(counts: OperationCounts) -> list[str]:
    if counts.length is None:
        return []
    steps = f"{counts.length.min()} to {counts.length.max()} of {len(counts.timestep)} steps"
    return [f"samples have {steps}: each counts up to its own end, and the numbers are means over samples"]


def factors(counts: OperationCounts) -> dict[int, tuple[str, str]]:
    """The kinds of both factors, of the layers that are products of two activations."""
    kinds = {layer: entry.split(" x ") for layer, entry in enumerate(counts.inputs)}
    return {layer: (found[0], found[1]) for layer, found in kinds.items() if len(found) == 2}


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


def _products_of(counts: OperationCounts, chosen: Convention, mac: IntArray, ac: IntArray) -> tuple[IntArray, IntArray]:
    mac, ac = mac.copy(), ac.copy()
    for layer, kinds in factors(counts).items():
        if chosen.products == "strict" and not {"binary", "ternary"} & set(kinds):
            mac[layer], ac[layer] = mac[layer] + ac[layer], 0
        elif chosen.products == "sdsa" and counts.modules[layer] == "mul":
            ac[layer] = 0
    return mac, ac


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
