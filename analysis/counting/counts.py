"""What each layer of a run did, sorted into steps."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from tetviz.analysis.counting.operands import Operand
from tetviz.analysis.counting.row_order import RowOrder, arrange, rows_of
from tetviz.analysis.counting.spike_check import Signs
from tetviz.results.schema import IntArray

_ONCE = "once"  # the order of rows that are samples, of no step


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
    """

    columns: dict[str, IntArray] = field(default_factory=dict)
    kinds: dict[str, None] = field(default_factory=dict)
    weights: int = 0
    foldable: bool = True
    static: bool = True
    source: str | None = None
    early: bool = False


@dataclass
class LayerCall:
    """One call of a layer, before its rows are sorted into steps.

    Attributes:
        shape: of a tensor whose first axes are time and samples, or both in one.
        columns: counts of each kind: in all, for each row, or for each place of the first two axes.
        rows: number of rows, where they are the first axis.
        x: the input, where it may be the same at every step.
    """

    shape: tuple[int, ...]
    columns: dict[str, int | Tensor]
    rows: int = 0
    x: Tensor | None = None


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


class Counts:
    """Collects the counts of a run of any length, a stretch of time at a time.

    Attributes:
        layers: what is known of each layer.
        calls: those of the stretch at hand, by layer.
        spikes: those that modules have returned, by module.
        returned_by: module whose comparison made spikes, to the innermost one that returned them.
        fed_by: modules whose comparisons made spikes that entered a layer with weights.
        seen: layers and modules that return spikes, in order of their first call.
        leaking: modules that multiply what they have summed up.
        gains: (module, owner of the weights, operation) of products with weights, element by element.
        unsorted: layer to rows, steps and samples where the step of a row cannot be told.
        missing: what else could not be counted.
    """

    def __init__(self) -> None:
        self.signs = Signs()
        self.layers: dict[str, LayerCounts] = {}
        self.spikes: dict[str, SpikeStatistics] = {}
        self.leaking: set[str] = set()
        self.warnings: dict[str, None] = {}
        self.missing: dict[str, None] = {}
        self.fed_by: set[str] = set()
        self.seen: dict[str, None] = {}
        self.unsorted: dict[str, tuple[int, int, int]] = {}
        self.gains: dict[tuple[str, str, str], None] = {}
        self.returned_by: dict[str, str] = {}
        self.timesteps = 0
        self.samples = 0
        self.calls: dict[str, list[LayerCall]] = defaultdict(list)
        self._fired: dict[str, list[Tensor]] = defaultdict(list)
        self._first_input: dict[str, Tensor] = {}
        self._counted: defaultdict[tuple[str, int], int] = defaultdict(int)
        self._start, self._steps = 0, 1

    def begin(self, timesteps: int, start: int, steps: int, samples: int) -> None:
        """Starts a stretch of time."""
        self.timesteps, self.samples = timesteps, samples
        self._start, self._steps = start, steps
        self._counted.clear()
        if start == 0:
            self._first_input.clear()

    def add_call(self, layer: str, shape: Sequence[int], rows: int = 0, **columns: int | Tensor) -> LayerCall:
        """Notes a call.

        Args:
            shape: of a tensor whose first axes are time and samples, or both in one.
        """
        self.seen[layer] = None
        if layer not in self.layers:
            self.layers[layer] = LayerCounts(early=not (self.spikes or self._fired or self.fed_by))
        columns = {name: _reduced(value, self._steps) for name, value in columns.items()}
        self.calls[layer].append(LayerCall(tuple(shape), columns, rows))
        return self.calls[layer][-1]

    def describe(self, layer: str, call: LayerCall, x: Tensor, weights: int, operand: Operand, foldable: bool) -> None:
        """Notes what a layer with weights is."""
        entry = self.layers[layer]
        entry.kinds[operand.kind] = None
        entry.weights = weights
        entry.foldable &= foldable or operand.kind not in ("pooled", "graded")
        entry.static &= operand.static if operand.kind == "data" else operand.kind == "analog" and entry.early
        if entry.static:
            call.x = x
        self.fed_by |= operand.makers

    def normalises(self, layer: str, source: str) -> None:
        """Notes that a normalisation stands behind a layer."""
        self.layers[layer].source = source

    def add_spikes(self, module: str, operand: Operand, tensor: Tensor) -> None:
        """Notes the spikes that a module returns."""
        if any(self.returned_by.setdefault(maker, module) != module for maker in operand.makers):
            return  # a module inside this one has returned them
        self.seen[module] = None
        if self._steps == 1:
            self._add_spikes_of_step(module, self.signs.active(tensor, operand).reshape(self.samples, -1), self._start)
        else:
            self._fired[module].append(self.signs.of(tensor)[1])

    def sort_into_steps(self, row_order: RowOrder) -> None:
        """Sorts what a stretch of time has brought into its steps."""
        for layer, calls in self.calls.items():
            rows_C = self.rows_of_calls(calls)
            order = row_order.of(layer, rows_C, self._steps, self.samples)
            entry = self.layers[layer]
            if order is None and sum(rows_C) == self.samples and entry.early and {"data", "analog"} >= set(entry.kinds):
                order = _ONCE
                self.warn(
                    f"{layer or 'network'}: runs once for all steps, before any neuron; counted at the first step"
                )
            if order is None:
                self.unsorted[layer] = sum(rows_C), self._steps, self.samples
                continue
            self._sort(entry, calls, rows_C, order)
            if order != _ONCE and entry.static and any(call.x is not None for call in calls):
                self._check_static(layer, calls, order)
        for module, fired in self._fired.items():
            self._sort_spikes(module, fired, row_order)
        self.calls.clear()
        self._fired.clear()

    def rows_of_calls(self, calls: Sequence[LayerCall]) -> list[int]:
        """How many rows each call of a layer held.

        Returns:
            Steps times samples, samples, or 0 where a shape fits neither.
        """
        return [call.rows or rows_of(call.shape, self._steps, self.samples, len(calls)) for call in calls]

    def _sort(self, entry: LayerCounts, calls: list[LayerCall], rows_C: list[int], order: str) -> None:
        start = self._start
        for name in dict.fromkeys(name for call in calls for name in call.columns):
            total = entry.columns.setdefault(name, np.zeros(self.timesteps, np.int64))
            parts = [call.columns.get(name, 0) for call in calls]
            if self._steps == 1 or order == _ONCE:
                total[start] += sum(int(part.sum()) if isinstance(part, Tensor) else part for part in parts)
                continue
            rows = torch.cat([_spread(part, rows) for part, rows in zip(parts, rows_C, strict=True)])
            total[start : start + self._steps] += arrange(rows, order, self._steps, self.samples).sum((1, 2)).numpy()

    def _check_static(self, layer: str, calls: list[LayerCall], order: str) -> None:
        inputs = [call.x for call in calls if call.x is not None]
        frames_TCB = arrange(torch.cat(inputs), order, self._steps, self.samples)
        first = self._first_input.setdefault(layer, frames_TCB[0].clone())
        self.layers[layer].static = all(torch.equal(frame, first) for frame in frames_TCB)

    def _sort_spikes(self, module: str, fired: list[Tensor], row_order: RowOrder) -> None:
        rows_C = [rows_of(tensor.shape, self._steps, self.samples, len(fired)) for tensor in fired]
        order = row_order.of(module, rows_C, self._steps, self.samples)
        if order is None:
            self.warn(f"{module}: which step its spikes belong to cannot be told; they are left out")
            return
        rows = [tensor.reshape(number, -1) for tensor, number in zip(fired, rows_C, strict=True)]
        if rows_C[0] == self.samples and self._steps > 1:
            places_TC = arrange(torch.arange(len(rows)), order, self._steps, 1)[..., 0]
            by_step = [[rows[call] for call in places_C] for places_C in places_TC.tolist()]
        else:
            sorted_TB = [arrange(each, order, self._steps, self.samples)[:, 0] for each in rows]
            by_step = [[each_TB[t] for each_TB in sorted_TB] for t in range(self._steps)]
        for t, calls_of_step in enumerate(by_step, self._start):
            for fired_BN in calls_of_step:
                self._add_spikes_of_step(module, fired_BN, t)

    def _add_spikes_of_step(self, module: str, fired_BN: Tensor, t: int) -> None:
        # Each call of a step is that of other neurons: a module without memory may serve several layers.
        begin = self._counted[module, t]
        self._counted[module, t] += fired_BN.shape[1]
        if module not in self.spikes:
            self.spikes[module] = SpikeStatistics(self.timesteps)
        self.spikes[module].add(fired_BN, t, begin)

    def add_readout(self, logits_TBK: Tensor) -> None:
        """Notes that the outputs of a stretch are added up over time, as additions of the last layer with weights."""
        if logits_TBK.dim() != 3 or tuple(logits_TBK.shape[:2]) != (self._steps, self.samples):
            raise ValueError(
                f"expected outputs {self._steps} x {self.samples} x K, got {tuple(logits_TBK.shape)}: the model must "
                "return its output at every timestep, time first"
            )
        weighted = [layer for layer, entry in self.layers.items() if entry.weights]
        if weighted:
            total = self.layers[weighted[-1]].columns.setdefault("readout_add", np.zeros(self.timesteps, np.int64))
            total[self._start : self._start + self._steps] += logits_TBK[0].numel()

    def row_counts(self) -> dict[str, tuple[Tensor, bool]]:
        """What the rows of the stretch so far hold."""
        found = {}
        for layer, calls in self.calls.items():
            rows_C = self.rows_of_calls(calls)
            pairs = [call.columns.get("ac", call.columns.get("mac")) for call in calls]
            rows = [_spread(part, count) for part, count in zip(pairs, rows_C, strict=True) if isinstance(part, Tensor)]
            if len(rows) == len(rows_C):
                found[layer] = torch.cat(rows), all(count == self.samples for count in rows_C)
        return found

    def not_counted_outside(self, neurons: Collection[str]) -> list[str]:
        """What could not be counted, but for what neurons do inside."""
        texts = list(self.missing)
        for layer, (rows, steps, samples) in self.unsorted.items():
            if self.layers[layer].weights or not within(layer, neurons):
                texts.append(
                    f"{layer or 'network'}: {rows} rows for {steps} steps of {samples} samples; which step each "
                    "belongs to cannot be told"
                )
        holding = [layer for layer, entry in self.layers.items() if entry.weights]
        pure = [neuron for neuron in neurons if not any(within(layer, [neuron]) for layer in holding)]
        for module, layer, name in self.gains:
            if not within(module, pure):
                texts.append(f"{layer}: {name} with an activation, element by element, in {module or 'network'}")
        return texts

    def leaks(self, neuron: str) -> bool:
        """Whether a neuron multiplies its potential."""
        return any(within(name, [neuron]) for name in self.leaking)

    def warn(self, text: str) -> None:
        """Keeps a warning, once."""
        self.warnings[text] = None

    def not_counted(self, text: str) -> None:
        """Keeps what could not be counted, once."""
        self.missing[text] = None


def within(name: str, modules: Collection[str]) -> bool:
    """Whether a module is one of some modules, or inside one."""
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def _reduced(value: int | Tensor, steps: int) -> int | Tensor:
    if not isinstance(value, Tensor) or value.dim() == 1:
        return value
    places = value.flatten(2).sum(2) if value.dim() > 2 else value  # whole numbers, exact in float32 below 2^24
    return int(places.sum(dtype=torch.float64)) if steps == 1 else places.long()


def _spread(value: int | Tensor, rows: int) -> Tensor:
    if not isinstance(value, Tensor):
        return torch.full((rows,), value // rows, dtype=torch.int64)
    return value.reshape(rows, -1).sum(1).cpu()
