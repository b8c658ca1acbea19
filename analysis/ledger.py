"""The books of a run: what each layer did, sorted into steps."""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from tetviz.analysis.inputs import Signs
from tetviz.analysis.layout import Layout, arrange
from tetviz.analysis.population import Population
from tetviz.analysis.provenance import Origin
from tetviz.results.schema import IntArray

_ONCE = "once"  # the order of rows that are samples, of no step


@dataclass
class Entry:
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

    columns: dict[str, IntArray]
    kinds: dict[str, None] = field(default_factory=dict)
    weights: int = 0
    foldable: bool = True
    static: bool = True
    source: str | None = None
    early: bool = False


@dataclass
class Visit:
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


class Ledger:
    """Collects the counts of a run of any length, a stretch of time at a time."""

    def __init__(self) -> None:
        self.signs = Signs()
        self.layers: dict[str, Entry] = {}
        self.populations: dict[str, Population] = {}
        self.leaking: set[str] = set()
        self.warnings: dict[str, None] = {}
        self.missing: dict[str, None] = {}
        self.fed_by: set[str] = set()
        self.seen: dict[str, None] = {}
        self.unsorted: dict[str, tuple[int, int, int]] = {}
        self.gains: dict[tuple[str, str, str], None] = {}
        self.claims: dict[str, str] = {}
        self.timesteps = 0
        self.samples = 0
        self.visits: dict[str, list[Visit]] = defaultdict(list)
        self._fired: dict[str, list[Tensor]] = defaultdict(list)
        self._first_input: dict[str, Tensor] = {}
        self._booked: Counter[tuple[str, int]] = Counter()
        self._start, self._steps = 0, 1

    def begin(self, timesteps: int, start: int, steps: int, samples: int) -> None:
        """Starts a stretch of time."""
        self.timesteps, self.samples = timesteps, samples
        self._start, self._steps = start, steps
        self._booked.clear()
        if start == 0:
            self._first_input.clear()

    def visit(self, layer: str, shape: Sequence[int], rows: int = 0, **columns: int | Tensor) -> Visit:
        """Notes a call.

        Args:
            shape: of a tensor whose first axes are time and samples, or both in one.
        """
        self.seen[layer] = None
        if layer not in self.layers:
            self.layers[layer] = Entry({}, early=not (self.populations or self._fired or self.fed_by))
        columns = {name: _reduced(value, self._steps) for name, value in columns.items()}
        self.visits[layer].append(Visit(tuple(shape), columns, rows))
        return self.visits[layer][-1]

    def describe(self, layer: str, visit: Visit, x: Tensor, weights: int, origin: Origin, foldable: bool) -> None:
        """Notes what a layer with weights is."""
        entry = self.layers[layer]
        entry.kinds[origin.kind] = None
        entry.weights = weights
        entry.foldable &= foldable or origin.kind not in ("pooled", "graded")
        entry.static &= origin.static if origin.kind == "data" else origin.kind == "analog" and entry.early
        if entry.static:
            visit.x = x
        self.fed_by |= origin.makers

    def normalises(self, layer: str, source: str) -> None:
        """Notes that a normalisation stands behind a layer."""
        self.layers[layer].source = source

    def spikes(self, module: str, origin: Origin, tensor: Tensor) -> None:
        """Notes the spikes that a module returns."""
        if any(self.claims.setdefault(maker, module) != module for maker in origin.makers):
            return  # a module inside this one has returned them
        self.seen[module] = None
        if self._steps == 1:
            self._book_step(module, self.signs.active(tensor, origin).reshape(self.samples, -1), self._start)
        else:
            self._fired[module].append(self.signs.of(tensor)[1])

    def flush(self, layout: Layout) -> None:
        """Sorts what a stretch of time has brought into its steps."""
        for layer, visits in self.visits.items():
            calls = self.rows_of_calls(visits)
            order = layout.order(layer, calls, self._steps, self.samples)
            entry = self.layers[layer]
            if order is None and sum(calls) == self.samples and entry.early and {"data", "analog"} >= set(entry.kinds):
                order = _ONCE
                self.warn(
                    f"{layer or 'network'}: runs once for all steps, before any neuron; counted at the first step"
                )
            if order is None:
                self.unsorted[layer] = sum(calls), self._steps, self.samples
                continue
            self._book(entry, visits, calls, order)
            if order != _ONCE and entry.static and any(visit.x is not None for visit in visits):
                self._check_static(layer, visits, order)
        for module, fired in self._fired.items():
            self._book_spikes(module, fired, layout)
        self.visits.clear()
        self._fired.clear()

    def rows_of_calls(self, visits: Sequence[Visit]) -> list[int]:
        """How many rows each call of a layer held.

        Returns:
            Steps times samples, samples, or 0 where a shape fits neither.
        """
        return [visit.rows or rows_of(visit.shape, self._steps, self.samples, len(visits)) for visit in visits]

    def _book(self, entry: Entry, visits: list[Visit], calls: list[int], order: str) -> None:
        start = self._start
        for name in dict.fromkeys(name for visit in visits for name in visit.columns):
            total = entry.columns.setdefault(name, np.zeros(self.timesteps, np.int64))
            parts = [visit.columns.get(name, 0) for visit in visits]
            if self._steps == 1 or order == _ONCE:
                total[start] += sum(int(part.sum()) if isinstance(part, Tensor) else part for part in parts)
                continue
            rows = torch.cat([_spread(part, rows) for part, rows in zip(parts, calls, strict=True)])
            total[start : start + self._steps] += arrange(rows, order, self._steps, self.samples).sum((1, 2)).numpy()

    def _check_static(self, layer: str, visits: list[Visit], order: str) -> None:
        inputs = [visit.x for visit in visits if visit.x is not None]
        frames_TCB = arrange(torch.cat(inputs), order, self._steps, self.samples)
        first = self._first_input.setdefault(layer, frames_TCB[0].clone())
        self.layers[layer].static = all(torch.equal(frame, first) for frame in frames_TCB)

    def _book_spikes(self, module: str, fired: list[Tensor], layout: Layout) -> None:
        calls = [rows_of(tensor.shape, self._steps, self.samples, len(fired)) for tensor in fired]
        order = layout.order(module, calls, self._steps, self.samples)
        if order is None:
            self.warn(f"{module}: which step its spikes belong to cannot be told; they are left out")
            return
        rows = [tensor.reshape(number, -1) for tensor, number in zip(fired, calls, strict=True)]
        if calls[0] == self.samples and self._steps > 1:
            places_TC = arrange(torch.arange(len(rows)), order, self._steps, 1)[..., 0]
            by_step = [[rows[call] for call in places_C] for places_C in places_TC.tolist()]
        else:
            sorted_TB = [arrange(each, order, self._steps, self.samples)[:, 0] for each in rows]
            by_step = [[each_TB[t] for each_TB in sorted_TB] for t in range(self._steps)]
        for t, calls_of_step in enumerate(by_step, self._start):
            for fired_BN in calls_of_step:
                self._book_step(module, fired_BN, t)

    def _book_step(self, module: str, fired_BN: Tensor, t: int) -> None:
        # Each call of a step is that of other neurons: a module without memory may serve several layers.
        begin = self._booked[module, t]
        self._booked[module, t] += fired_BN.shape[1]
        if module not in self.populations:
            self.populations[module] = Population.of(0, self.timesteps)
        self.populations[module].note(fired_BN, t, begin)

    def read_out(self, logits_TBK: Tensor) -> None:
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
        for layer, visits in self.visits.items():
            calls = self.rows_of_calls(visits)
            pairs = [visit.columns.get("ac", visit.columns.get("mac")) for visit in visits]
            rows = [_spread(part, count) for part, count in zip(pairs, calls, strict=True) if isinstance(part, Tensor)]
            if len(rows) == len(calls):
                found[layer] = torch.cat(rows), all(count == self.samples for count in calls)
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


def rows_of(shape: Sequence[int], steps: int, samples: int, calls: int = 1) -> int:
    """How many of the leading places of a tensor are samples, or steps of samples.

    Args:
        shape: of the tensor.

    Returns:
        Steps times samples, or samples; 0 where the shape fits neither.
    """
    leading = [math.prod(shape[: axis + 1]) for axis in range(min(2, len(shape)))]
    single = leading[:1] == [samples]
    if steps == 1 or (single and calls % steps == 0):
        return samples
    if steps * samples in leading:
        return steps * samples
    return samples if single else 0


def _reduced(value: int | Tensor, steps: int) -> int | Tensor:
    if not isinstance(value, Tensor) or value.dim() == 1:
        return value
    places = value.flatten(2).sum(2) if value.dim() > 2 else value  # whole numbers, exact in float32 below 2^24
    return int(places.sum(dtype=torch.float64)) if steps == 1 else places.long()


def _spread(value: int | Tensor, rows: int) -> Tensor:
    if not isinstance(value, Tensor):
        return torch.full((rows,), value // rows, dtype=torch.int64)
    return value.reshape(rows, -1).sum(1).cpu()
