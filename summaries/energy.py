"""From operation counts to energy at every T, under a convention and a cost model.

Energies are in pJ per sample, that is per inference, summed over steps 1..T, unless they say otherwise.
"""

from dataclasses import dataclass, replace

import numpy as np

from tetviz.errors import ResultError
from tetviz.results import OperationCounts
from tetviz.results.schema import FloatArray, IntArray
from tetviz.summaries.conventions import SIDE_COSTS, Convention, Operations, apply_convention, convention
from tetviz.summaries.costs import CostModel, cost_of, load_cost, with_memory
from tetviz.summaries.names import samples_of


@dataclass(frozen=True, eq=False)
class EnergyReport:
    """Operations under a convention, and their energy under a cost model.

    The headline is compute of synaptic operations alone. Arrays (layer, timestep) are of step t alone, summed over
    samples; arrays (timestep,) are those of a run of t steps, for each sample.

    Attributes:
        counts: what was measured.
        cost: what operations cost.
        convention: what counts as what.
        mac: multiply-accumulates (layer, timestep).
        ac: accumulates (layer, timestep).
        side: counts of the operations that are not in the headline, by the name of their column; (layer, timestep).
        compute_pj: mac * E_MAC + ac * E_AC, in pJ (layer, timestep).
        side_pj: energy of all side operations, in pJ (layer, timestep).
        memory_low_pj: energy of moving weights and potentials with full reuse, in pJ (layer, timestep); NaN without
            a memory model.
        memory_high_pj: the same without reuse.
        notes: what the reader has to know, in sentences: that counts are incomplete, that a choice had no effect.
    """

    counts: OperationCounts
    cost: CostModel
    convention: Convention
    mac: IntArray
    ac: IntArray
    side: dict[str, IntArray]
    compute_pj: FloatArray
    side_pj: FloatArray
    memory_low_pj: FloatArray
    memory_high_pj: FloatArray
    notes: tuple[str, ...]

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(samples_of(self.counts))

    @property
    def runs(self) -> int:
        """Number of runs of a sample that the counts are sums over: one for each draw of its random numbers."""
        return self.counts.runs

    @property
    def complete(self) -> bool:
        """Whether everything was counted; else totals are lower bounds, and stand in no ratio."""
        return not self.counts.not_counted

    @property
    def total_mac(self) -> FloatArray:
        """Multiply-accumulates per sample of a run of t steps (timestep,)."""
        return np.asarray(self.mac.sum(0).cumsum() / self.runs)

    @property
    def total_ac(self) -> FloatArray:
        """Accumulates per sample of a run of t steps (timestep,)."""
        return np.asarray(self.ac.sum(0).cumsum() / self.runs)

    @property
    def total_pj(self) -> FloatArray:
        """The headline: energy of the synaptic operations per sample of a run of t steps, in pJ (timestep,)."""
        return np.asarray(self.total_mac * self.cost.mac + self.total_ac * self.cost.ac)

    @property
    def total_side_pj(self) -> FloatArray:
        """Energy of the side operations per sample of a run of t steps, in pJ (timestep,)."""
        return self._cumulated(self.side_pj)

    @property
    def total_memory_low_pj(self) -> FloatArray:
        """Lower bound of the energy of memory per sample of a run of t steps, in pJ (timestep,)."""
        return self._cumulated(self.memory_low_pj)

    @property
    def total_memory_high_pj(self) -> FloatArray:
        """Upper bound of the energy of memory per sample of a run of t steps, in pJ (timestep,)."""
        return self._cumulated(self.memory_high_pj)

    @property
    def accuracy_per_joule(self) -> FloatArray:
        """Right answers per joule of the headline at each T (timestep,); NaN where that is 0 J, or incomplete."""
        joule = self.total_pj * 1e-12
        missing = np.full(len(joule), np.nan)
        return np.asarray(np.divide(self.counts.accuracy, joule, out=missing, where=(joule > 0) & self.complete))

    def _cumulated(self, pj: FloatArray) -> FloatArray:
        # cumsum adds in order, sum does not: a shorter run must give the same bits.
        return np.asarray(pj.cumsum(0)[-1].cumsum() / self.runs)


def estimate_energy(
    counts: OperationCounts,
    cost: CostModel | str | None = None,
    convention: Convention | str | None = None,
    *,
    first_layer: str | None = None,
    pool: str | None = None,
    graded: str | None = None,
    norm: str | None = None,
    products: str | None = None,
    memory: str | None = None,
) -> EnergyReport:
    """Prices operation counts.

    Args:
        counts: exact counts.
        cost: a cost model, or what :func:`load_cost` takes; by default the one that the counts name.
        convention: a convention, or the name of a preset; by default the one that the counts name, with their
            ``first_layer`` and ``pool``.
        first_layer: as in :func:`convention`; takes the place of what the convention says, as all below.
        pool: likewise.
        graded: likewise.
        norm: likewise.
        products: likewise.
        memory: ``flat``, ``sram`` or ``none``; by default that of the cost model.

    Returns:
        The report.

    Raises:
        ValueError: an unknown convention or choice.
        TetvizError: an unknown cost or memory model, a file that is none, or counts that name an unknown convention.
    """
    choices = {"first_layer": first_layer, "pool": pool, "graded": graded, "norm": norm, "products": products}
    chosen = replace(_preset(counts, convention), **{k: v for k, v in choices.items() if v is not None})
    model = cost if isinstance(cost, CostModel) else cost_of(counts) if cost is None else load_cost(cost)
    model = model if memory is None else with_memory(model, memory)
    operations = apply_convention(counts, chosen)
    low, high = _memory_bounds(counts, model, operations)
    side_pj = np.zeros(operations.mac.shape)
    for name, price in SIDE_COSTS.items():
        side_pj += operations.side[name] * getattr(model, price)
    return EnergyReport(
        counts=counts,
        cost=model,
        convention=chosen,
        mac=operations.mac,
        ac=operations.ac,
        side=operations.side,
        compute_pj=operations.mac * model.mac + operations.ac * model.ac,
        side_pj=side_pj,
        memory_low_pj=low,
        memory_high_pj=high,
        notes=operations.notes,
    )


def _preset(counts: OperationCounts, given: Convention | str | None) -> Convention:
    if isinstance(given, Convention):
        return given
    if given is not None:
        return convention(given)
    try:
        return convention(counts.convention, first_layer=counts.first_layer, pool=counts.pool, norm=counts.norm)
    except ValueError as error:
        raise ResultError(f"the operation counts are to be priced by what this tetviz does not know: {error}") from None


def _memory_bounds(counts: OperationCounts, cost: CostModel, operations: Operations) -> tuple[FloatArray, FloatArray]:
    # Energy of memory with full and without reuse, in pJ (layer, timestep).
    memory, synaptic = cost.memory, operations.mac + operations.ac
    if memory is None:
        nothing = np.full(synaptic.shape, np.nan)
        return nothing, nothing
    weight_pj = cost.weight_bits * memory.pj_per_bit(counts.weights * cost.weight_bits / 8)[:, None]
    state_pj = cost.state_bits * memory.pj_per_bit(counts.neurons * cost.state_bits / 8)[:, None]
    all_weights = counts.weights[:, None] * counts.step_runs
    states = 2 * counts.neuron_compare * state_pj
    high = synaptic * weight_pj + states
    if memory.potential_per_operation:
        high = high + 2 * synaptic * _next_neurons(counts, state_pj)
    return np.minimum(synaptic, all_weights) * weight_pj + states, high


def _next_neurons(counts: OperationCounts, state_pj: FloatArray) -> FloatArray:
    # The potentials that a layer adds to are those of the next neurons; behind the last there are none.
    found, after = state_pj.copy(), np.zeros(1)
    for layer in reversed(range(len(found))):
        after = state_pj[layer] if counts.neurons[layer] else after
        found[layer] = after
    return found
