"""What each layer of a run did, sorted into steps."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from tetviz.analysis.counting.operands import Operand
from tetviz.analysis.counting.placement import Glimpse, Place, Site, whole_sums
from tetviz.analysis.counting.spike_check import Signs
from tetviz.results.schema import IntArray

_SPIKES = "spikes"  # what a module returns, beside the operations in it
_CANNOT_TELL = "which step their operations belong to cannot be told"


@dataclass
class LayerCounts:
    """What is known of one layer.

    Attributes:
        columns: counts of each kind, (timestep,).
        kinds: kinds of its inputs.
        weights: number of its weights.
        foldable: whether spikes behind its input were always known.
        static: whether its input was always the same at every step.
        source: the layer whose output it normalises.
        early: whether it first ran before any neuron.
        product: the operation that multiplies two activations; empty where weights are applied, or nothing is.
        inside: the module that multiplies them.
        summed: whether a sum follows that product of elements.
    """

    columns: dict[str, IntArray] = field(default_factory=dict)
    kinds: dict[str, None] = field(default_factory=dict)
    weights: int = 0
    foldable: bool = True
    static: bool = True
    source: str | None = None
    early: bool = False
    product: str = ""
    inside: str = ""
    summed: bool = False


@dataclass
class _Calls:
    """What one operation of a layer did in the stretch at hand.

    Attributes:
        number: of calls.
        sorted: counts of each kind, (step,), of calls whose place is known.
        totals: counts of each kind, of all calls.
    """

    number: int = 0
    sorted: dict[str, IntArray] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)


class SpikeStatistics:
    """Spikes of the neurons of one layer, over all samples so far.

    Attributes:
        first: for each neuron, the first step at which a sample has made it fire; the longest run if none.
        silent: for each neuron, the first step at which it stayed silent for a sample; likewise.
        spikes: number of spikes, (timestep,).
        updates: neurons times samples, (timestep,).
    """

    def __init__(self, timesteps: int) -> None:
        self.first = self.silent = torch.zeros(0, dtype=torch.int64)
        self.spikes: IntArray = np.zeros(timesteps, np.int64)
        self.updates: IntArray = np.zeros(timesteps, np.int64)

    def add(self, fired_BN: Tensor, t: int, begin: int) -> None:
        """Adds what the neurons from number ``begin`` on did at a step."""
        end, timesteps = begin + fired_BN.shape[1], len(self.spikes)
        new = torch.full((max(0, end - len(self.first)),), timesteps)
        if len(new):
            self.first, self.silent = torch.cat([self.first, new]), torch.cat([self.silent, new])
        count_N = fired_BN.sum(0).cpu()  # whole numbers, exact in float32 below 2^24
        self.spikes[t] += int(count_N.sum(dtype=torch.float64))
        self.updates[t] += fired_BN.numel()
        self.first[begin:end].clamp_(max=torch.where(count_N > 0, t, timesteps))
        self.silent[begin:end].clamp_(max=torch.where(count_N < len(fired_BN), t, timesteps))

    def columns(self, leaks: bool) -> dict[str, IntArray]:
        """What the neurons did at every step; those that leak multiply at each update."""
        steps = np.arange(len(self.spikes))
        columns = {
            "neuron_add": self.updates,
            "neuron_compare": self.updates,
            "neuron_reset": self.spikes,
            "spikes": self.spikes,
            "never_fired": (self.first.numpy()[:, None] > steps).sum(0),
            "always_fired": (self.silent.numpy()[:, None] > steps).sum(0),
        }
        return columns | ({"neuron_mul": self.updates} if leaks else {})


class Counts:
    """Collects the counts of a run of any length, a stretch of time at a time.

    Attributes:
        layers: what is known of each layer.
        glimpses: of a run that is only looked at: what passed at each call; None where a run is counted.
        spikes: those that modules have returned, by module.
        returned_by: module whose comparison made spikes, to the innermost one that returned them.
        fed_by: modules whose comparisons made spikes that entered a layer with weights.
        seen: layers and modules that return spikes, in order of their first call.
        leaking: modules that multiply what they have summed up.
        gains: (module, owner of the weights, operation) of products with weights, element by element.
        pending: operations of the last stretch whose steps no rule told, with their totals.
        lost: layers of which something could not be sorted, with its dense pairs.
        missing: what else could not be counted, with the modules in which it is.
    """

    def __init__(self) -> None:
        self.signs = Signs()
        self.layers: dict[str, LayerCounts] = {}
        self.glimpses: dict[Site, list[Glimpse]] | None = None
        self.spikes: dict[str, SpikeStatistics] = {}
        self.leaking: set[str] = set()
        self.warnings: dict[str, None] = {}
        self.missing: dict[str, dict[str, None]] = {}
        self.lost: dict[str, int] = {}
        self.fed_by: set[str] = set()
        self.seen: dict[str, None] = {}
        self.gains: dict[tuple[str, str, str], None] = {}
        self.returned_by: dict[str, str] = {}
        self.pending: dict[Site, dict[str, int]] = {}
        self.timesteps = 0
        self.samples = 0
        self._calls: dict[Site, _Calls] = {}
        self._places: Mapping[Site, Sequence[Place]] = {}
        self._fired: dict[str, list[Tensor]] = {}
        self._first_input: dict[tuple[Site, int], Tensor] = {}
        self._inputs: dict[tuple[Site, int], int] = {}
        self._counted: dict[tuple[str, int], int] = {}
        self._start, self._steps = 0, 1

    def begin(
        self, timesteps: int, start: int, steps: int, samples: int, places: Mapping[Site, Sequence[Place]] | None = None
    ) -> None:
        """Starts a stretch of time.

        Args:
            places: of the calls of each operation, where it holds several steps.
        """
        self.timesteps, self.samples = timesteps, samples
        self._start, self._steps = start, steps
        self._places = places or {}
        self._counted.clear()
        self._inputs.clear()
        if start == 0:
            self._first_input.clear()

    def begin_glimpse(self, steps: int, samples: int) -> None:
        """Starts a run that is only looked at."""
        self.begin(steps, 0, steps, samples)
        self.glimpses = {}

    def needs_elements(self, site: Site, shape: Sequence[int]) -> bool:
        """Whether the counts of a call are to be told for each element of its input, not for each of its rows."""
        if self._steps == 1 or not shape:
            return self.glimpses is not None
        place, elements = self._place(site), int(torch.Size(shape).numel())
        if place is None or place.step is not None:
            return self.glimpses is not None
        return bool(place.stride(self.samples) % max(elements // shape[0], 1))

    def add(
        self, layer: str, operation: str, passing: Tensor, x: Tensor | None = None, **columns: int | Tensor
    ) -> None:
        """Notes a call.

        Args:
            passing: what passes, in whose elements steps and samples lie.
            x: the input, where it may be the same at every step.
            columns: counts of each kind: in all, or of as many neighbouring elements each.
        """
        self.seen[layer] = None
        if layer not in self.layers:
            self.layers[layer] = LayerCounts(early=not (self.spikes or self._fired or self.fed_by))
        site = (layer, operation)
        if self.glimpses is not None:
            self._glimpse(site, passing, columns)
            return
        place, elements = self._place(site), passing.numel()
        calls = self._calls.setdefault(site, _Calls())
        calls.number += 1
        for name, value in columns.items():
            total = _total(value) if isinstance(value, Tensor) else value
            calls.totals[name] = calls.totals.get(name, 0) + total
            sums = calls.sorted.setdefault(name, np.zeros(self._steps, np.int64))
            if place is None or not place.fits(elements, self._steps, self.samples):
                calls.number = -1 << 30  # no rule fits
            elif place.step is not None:
                sums[place.step] += total
            elif isinstance(value, Tensor):
                by_step = place.sums(value, elements, self._steps, self.samples)
                calls.number = -1 << 30 if by_step is None else calls.number
                sums += 0 if by_step is None else by_step.round().long().numpy()
            else:
                sums += value // self._steps
                calls.number = -1 << 30 if value % self._steps else calls.number
        if x is not None and place is not None and calls.number > 0:
            self._check_static(site, place, x)

    def describe(self, layer: str, weights: int, operand: Operand, foldable: bool) -> bool:
        """Notes what a layer with weights is, and says whether its input may be the same at every step."""
        entry = self.layers.setdefault(layer, LayerCounts(early=not (self.spikes or self._fired or self.fed_by)))
        entry.weights = weights
        if operand.kind == "zero":  # a state before the first step
            return False
        entry.kinds[operand.kind] = None
        entry.foldable &= foldable or operand.kind not in ("pooled", "graded")
        entry.static &= operand.static or (operand.kind == "analog" and entry.early)
        self.fed_by |= operand.makers
        return entry.static

    def describe_product(self, row: str, inside: str, kinds: str, product: str) -> None:
        """Notes that a row holds products of two activations."""
        entry = self.layers.setdefault(row, LayerCounts(static=False))
        entry.kinds[kinds] = None
        entry.product, entry.inside = product, inside

    def normalises(self, layer: str, source: str) -> None:
        """Notes that a normalisation stands behind a layer."""
        self.layers[layer].source = source

    def add_spikes(self, module: str, operand: Operand, tensor: Tensor) -> None:
        """Notes the spikes that a module returns."""
        if any(self.returned_by.setdefault(maker, module) != module for maker in operand.makers):
            return  # a module inside this one has returned them
        self.seen[module] = None
        if self.glimpses is not None:
            self._fired[module] = []
            self._glimpse((module, _SPIKES), tensor, {})
        elif self._steps == 1:
            self._add_spikes_of_step(module, self.signs.active(tensor, operand).reshape(self.samples, -1), self._start)
        else:
            self._fired.setdefault(module, []).append(self.signs.of(tensor)[1])

    def end(self) -> None:
        """Sorts what a stretch of time has brought into its steps."""
        for site, calls in self._calls.items():
            layer, known = site[0], self._places.get(site, ())
            if self._steps == 1 or calls.number == len(known):
                self.commit(layer, calls.sorted)
                if self._steps > 1 and all(place == Place(0, 0, place.sample) for place in known):
                    self._warn_once(layer)
            else:
                self.pending[site] = calls.totals
        for module, fired in self._fired.items():
            self._sort_spikes(module, fired)
        self._calls.clear()
        self._fired.clear()

    def totals(self) -> dict[Site, dict[str, int]]:
        """What every operation has done in the stretch at hand."""
        return {site: calls.totals for site, calls in self._calls.items()}

    def commit(self, layer: str, columns: Mapping[str, IntArray]) -> None:
        """Adds the counts of each step of the stretch."""
        entry = self.layers[layer]
        for name, sums in columns.items():
            total = entry.columns.setdefault(name, np.zeros(self.timesteps, np.int64))
            total[self._start : self._start + len(sums)] += sums

    def lose(self, layer: str, totals: Mapping[str, int]) -> None:
        """Gives up what no run can sort into steps."""
        self.lost[layer] = self.lost.get(layer, 0) + totals.get("dense_mac", 0)

    def _warn_once(self, layer: str) -> None:
        entry = self.layers[layer]
        if entry.weights and entry.early and {"data", "analog"} >= set(entry.kinds):
            self.warn(f"{layer or 'network'}: runs once for all steps, before any neuron; counted at the first step")

    def _place(self, site: Site) -> Place | None:
        if self._steps == 1:
            return Place(0)
        known, calls = self._places.get(site, ()), self._calls.get(site)
        number = calls.number if calls is not None else 0
        return known[number] if 0 <= number < len(known) else None

    def _glimpse(self, site: Site, passing: Tensor, columns: Mapping[str, int | Tensor]) -> None:
        assert self.glimpses is not None
        counts = next((value for value in columns.values() if isinstance(value, Tensor)), None)
        self.glimpses.setdefault(site, []).append(Glimpse.of(passing, counts, self._steps))

    def _check_static(self, site: Site, place: Place, x: Tensor) -> None:
        frames_TBN = place.arrange(x, self._steps, self.samples)
        first_step = self._start if place.step is None else self._start + place.step
        number = self._inputs[site, first_step] = self._inputs.get((site, first_step), -1) + 1
        first = self._first_input.setdefault((site, number), frames_TBN[0].clone())
        self.layers[site[0]].static &= all(torch.equal(frame, first) for frame in frames_TBN)

    def _sort_spikes(self, module: str, fired: list[Tensor]) -> None:
        places = self._places.get((module, _SPIKES), ())
        fits = [place.fits(each.numel(), self._steps, self.samples) for place, each in zip(places, fired, strict=False)]
        if len(places) != len(fired) or not all(fits):
            self.warn(f"{module}: which step its spikes belong to cannot be told; they are left out")
            return
        for place, each in zip(places, fired, strict=True):
            for t, fired_BN in enumerate(place.arrange(each, self._steps, self.samples), place.step or 0):
                self._add_spikes_of_step(module, fired_BN, self._start + t)

    def _add_spikes_of_step(self, module: str, fired_BN: Tensor, t: int) -> None:
        # Each call of a step is that of other neurons: a module without memory may serve several layers.
        begin = self._counted.get((module, t), 0)
        self._counted[module, t] = begin + fired_BN.shape[1]
        if module not in self.spikes:
            self.spikes[module] = SpikeStatistics(self.timesteps)
        self.spikes[module].add(fired_BN, t, begin)

    def add_readout(self, logits_TBK: Tensor, steps: int) -> None:
        """Notes that outputs are added up over time, as additions of the last layer with weights."""
        if logits_TBK.dim() != 3 or tuple(logits_TBK.shape[:2]) != (steps, self.samples):
            raise ValueError(
                f"expected outputs {steps} x {self.samples} x K, got {tuple(logits_TBK.shape)}: the model must "
                "return its output at every timestep, time first"
            )
        weighted = [layer for layer, entry in self.layers.items() if entry.weights]
        if weighted:
            total = self.layers[weighted[-1]].columns.setdefault("readout_add", np.zeros(self.timesteps, np.int64))
            end = self._start + self._steps
            total[end - steps : end] += logits_TBK[0].numel()

    def not_counted_outside(self, neurons: Set[str]) -> list[str]:
        """What could not be counted, but for what neurons do inside."""
        pure = self.pure(neurons)
        missing = {
            what: [place for place in places if not within(place, pure)] for what, places in self.missing.items()
        }
        for module, layer, name in self.gains:
            if not within(module, pure):
                missing.setdefault(f"{name} of a weight and an activation, element by element", []).append(
                    f"{layer} in {module or 'network'}"
                )
        lost = [
            layer for layer in self.lost if self.layers[layer].weights or not within(self.module_of(layer), neurons)
        ]
        dense = sum(
            int(each.columns["dense_mac"].sum()) for each in self.layers.values() if "dense_mac" in each.columns
        )
        part = sum(self.lost[layer] for layer in lost)
        missing |= {f"{_CANNOT_TELL} ({100 * part / max(dense + part, 1):.3g} % of the dense MACs)": lost}
        return [
            f"{what}: {', '.join(place or 'network' for place in places)}" for what, places in missing.items() if places
        ]

    def module_of(self, layer: str) -> str:
        """The module that a layer, or a row of products, is in."""
        return self.layers[layer].inside or layer

    def pure(self, neurons: Collection[str]) -> set[str]:
        """Those modules of neurons that hold no layer with weights."""
        return set(neurons) - holders(self.module_of(layer) for layer, entry in self.layers.items() if entry.weights)

    def warn(self, text: str) -> None:
        """Keeps a warning, once."""
        self.warnings[text] = None

    def not_counted(self, what: str, module: str) -> None:
        """Keeps what could not be counted, once for each module."""
        self.missing.setdefault(what, {})[module] = None


def within(name: str, modules: Set[str]) -> bool:
    """Whether a module is one of some modules, or inside one."""
    return not modules.isdisjoint(around(name))


def holders(names: Iterable[str]) -> set[str]:
    """The modules that are, or hold, one of some modules."""
    return {module for name in names for module in around(name)}


def around(name: str) -> Iterator[str]:
    """A module and those that it is inside of, the innermost first, but for the whole network."""
    yield name
    while name := name.rpartition(".")[0]:
        yield name


def _total(counts: Tensor) -> int:
    rows = counts.flatten(1) if counts.dim() > 1 else counts[None]
    return int(whole_sums(rows).sum(dtype=torch.float64))
