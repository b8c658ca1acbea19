"""Exact operation counts of a network, at every number of timesteps, from one pass."""

import dataclasses
from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tetviz.analysis.counting.counter import Counter
from tetviz.analysis.counting.counts import Counts, LayerCounts, SpikeStatistics, within
from tetviz.analysis.counting.row_order import RowOrder, tell_order
from tetviz.analysis.prefixes import tested_batches
from tetviz.errors import CheckpointError
from tetviz.models import ForeignNetwork, only_length
from tetviz.models.foreign.isolation import generators_kept
from tetviz.models.foreign.state import state_kept
from tetviz.results import OperationCounts, Provenance
from tetviz.results.schema import FloatArray, IntArray, array_fields
from tetviz.training import measure
from tetviz.training.doctor.runs import CANNOT_RUN
from tetviz.training.profile import (
    a_parameter,
    check_length,
    evaluating,
    measured_on,
    of_the_longest,
    outputs,
    streams,
)

_COLUMNS = [n for n, schema in array_fields(OperationCounts).items() if schema["dims"] == ("layer", "timestep")]
# What a neuron adds inside is its update, counted as such.
_OUTSIDE_NEURONS = ("bias_add", "residual_add")


def count_operations(
    model: nn.Module,
    x: Tensor,
    timesteps: int,
    *,
    spiking: Collection[str] = (),
    skip_zero_weights: bool = False,
) -> OperationCounts:
    """Counts what a network computes on some samples, exactly, for every layer and step.

    Every operation of the run is seen, also those outside of modules. A pair is an input element that is not 0 and
    an output that a weight joins it to; its input is a spike or not by what it was made from, an operation at a
    time (:mod:`tetviz.analysis.counting.operands`), and its values are checked against that.

    Args:
        model: ``model(x, timesteps)`` gives logits_TBK. Networks of tetviz run step by step; where another one
            holds several steps in one call, runs of single samples tell which row is which.
        x: x_BCHW, shown at every step, or x_TBCHW.
        timesteps: T.
        spiking: names or types of modules whose outputs are spikes although no comparison can be seen in them, such
            as kernels of their own.
        skip_zero_weights: whether weights that are 0 are no synapses.

    Returns:
        The counts, summed over the samples; accuracies and losses are NaN.

    Raises:
        CheckpointError: a network whose O(t) is recovered from runs of 1 to T steps.
        DataError: a sequence that is too short.
        TetvizError: NaN at the input of a layer.
        ValueError: timesteps below 1, or outputs that are not logits_TBK.
    """
    if timesteps < 1:
        raise ValueError(f"timesteps must be at least 1, got {timesteps}")
    weight = a_parameter(model)
    counted = CountedRuns(model, timesteps, spiking, skip_zero_weights)
    with state_kept(model), evaluating(model):
        for _ in counted.run(model, x.to(weight.device, weight.dtype), timesteps):
            pass
    return counted.counts()


def compute_operations(
    model: nn.Module,
    data: Any,
    tmax: int,
    *,
    t_train: int = 0,
    indices: IntArray | None = None,
    batch_size: int = 256,
    spiking: Collection[str] = (),
    skip_zero_weights: bool = False,
    provenance: Provenance | None = None,
    progress: Callable[[int], None] | None = None,
) -> OperationCounts:
    """Operation counts, accuracies and losses at every T up to tmax, from one pass over a data set.

    Before it, a run of a few samples tests that one run does hold the shorter ones.

    Args:
        model: as in :func:`count_operations`.
        data: a Dataset, or batches, as in :func:`tetviz.training.to_batches`.
        tmax: the longest run.
        t_train: T that the network was trained for; the model's own by default.
        indices: which samples of a Dataset, in which order; all by default.
        batch_size: samples a batch.
        spiking: as in :func:`count_operations`.
        skip_zero_weights: likewise.
        provenance: what the caller knows of the origin; device and precision are filled in.
        progress: called with the number of samples of each finished batch.

    Returns:
        The counts, summed over the samples.

    Raises:
        CheckpointError: a shorter run is not the beginning of a longer one.
        DataError: no samples, a label out of range, a sequence that is too short.
        TetvizError: NaN at the input of a layer.
        ValueError: tmax below 1, or outputs that are not logits_TBK.
    """
    if tmax < 1:
        raise ValueError(f"tmax must be at least 1, got {tmax}")
    known = measured_on(model, provenance)
    batches, tested = tested_batches(model, data, tmax, batch_size, indices, known.checkpoint, every_t=False)
    counted = CountedRuns(model, tmax, spiking, skip_zero_weights)
    with state_kept(model):
        profile = measure(model, batches, tmax, progress=progress, run=counted.run)
    if only_length(model):
        profile = of_the_longest(profile)
    counts = counted.counts()
    remarks = [f"the first steps of a run: {tested}"] if tested.startswith("warning") else []
    return dataclasses.replace(
        counts,
        warnings=(*counts.warnings, *remarks),
        sample=np.arange(profile.samples) if indices is None else indices,
        accuracy=profile.accuracy,
        step_accuracy=profile.step_accuracy,
        sdt_loss=profile.sdt_loss,
        tet_loss=profile.tet_loss,
        t_train=t_train or getattr(model, "timesteps", None) or 0,
        provenance=known,
    )


class CountedRuns:
    """Runs one network on any number of batches and counts what it computes."""

    def __init__(
        self, model: nn.Module, timesteps: int, spiking: Collection[str] = (), skip_zero_weights: bool = False
    ) -> None:
        if isinstance(model, ForeignNetwork) and model.calling.recover == "prefix":
            raise CheckpointError(
                "operations cannot be counted where O(t) is recovered from runs of 1 to T steps (recover prefix): they "
                "are those of all the runs; have the network give its output at every step, or recover reduction"
            )
        self.timesteps, self.samples = timesteps, 0
        self._settings = spiking, skip_zero_weights
        self._counter = Counter(model, spiking, skip_zero_weights)
        self._row_order: RowOrder | None = None

    def run(self, model: nn.Module, x: Tensor, timesteps: int) -> Iterator[Tensor]:
        """A run that is counted, as :func:`tetviz.training.profile.outputs` makes it."""
        check_length(x, timesteps)
        if torch.is_inference_mode_enabled():
            raise ValueError("operations cannot be seen inside torch.inference_mode(); torch.no_grad() is set anyway")
        x = x.clone() if x.is_inference() else x
        samples = _samples(x)
        self.samples += samples
        if self._row_order is None:
            self._row_order = RowOrder() if streams(model) else self._tell_row_order(model, x, timesteps)
        if not self._row_order.open or samples == 1:
            yield from self._stretches(model, x, timesteps, samples)
            return
        # No layer has told the order of its rows: a sample alone has them in the order of its steps.
        alone = [list(self._stretches(model, _pick(x, [at]), timesteps, 1)) for at in range(samples)]
        yield torch.cat([torch.cat(stretches) for stretches in alone], 1)

    def _stretches(self, model: nn.Module, x: Tensor, timesteps: int, samples: int) -> Iterator[Tensor]:
        counts, steps = self._counter.counts, 1 if streams(model) else timesteps
        self._counter.feed(x, static=x.dim() == 4)
        stretches = outputs(model, x, timesteps)
        for start in range(0, timesteps, steps):
            counts.begin(self.timesteps, start, steps, samples)
            with self._counter:
                logits_TBK = next(stretches)
            counts.sort_into_steps(self._row_order or RowOrder())
            counts.add_readout(logits_TBK)
            yield logits_TBK
        yield from stretches  # nothing; it leaves streaming()

    def _tell_row_order(self, model: nn.Module, x: Tensor, timesteps: int) -> RowOrder:
        samples = _samples(x)
        if timesteps == 1 or samples == 1:
            return RowOrder(open=timesteps > 1)
        pair = _pick(x, [0, samples - 1])
        together = self._rows(model, pair, timesteps)
        alone = [self._rows(model, _pick(pair, [at]), timesteps) for at in range(2)]
        try:
            first = self._rows(model, _pick(pair, [0]), 1)
        except CANNOT_RUN:  # it runs for one T only
            first = {}
        known: dict[str, str] = {}
        merged = False
        for layer, (rows, single) in together.items():
            merged |= not single
            if all(layer in run for run in alone):
                first_step = first[layer][0] if layer in first else None
                order = tell_order(rows, [run[layer][0] for run in alone], first_step, single, timesteps)
                known |= {layer: order} if order else {}
        return RowOrder(known, open=merged and not known)

    def _rows(self, model: nn.Module, x: Tensor, timesteps: int) -> dict[str, tuple[Tensor, bool]]:
        # Counts of the rows of every layer with weights, unsorted, and whether each call held one step.
        counter = Counter(model, *self._settings)
        counter.counts.begin(timesteps, 0, timesteps, _samples(x))
        with generators_kept(x.device), state_kept(model), counter:
            model(x[:timesteps].clone() if x.dim() == 5 else x.clone(), timesteps)
        return counter.counts.row_counts()

    def counts(self) -> OperationCounts:
        """What has been counted so far."""
        return _result(self._counter, self.timesteps, self.samples)


def _samples(x: Tensor) -> int:
    return x.shape[1] if x.dim() == 5 else len(x)


def _pick(x: Tensor, at: list[int]) -> Tensor:
    return x[:, at] if x.dim() == 5 else x[at]


def _result(counter: Counter, timesteps: int, samples: int) -> OperationCounts:
    counts = counter.counts
    neurons = {counter.neuron_name(module): statistics for module, statistics in counts.spikes.items()}
    rows = dict.fromkeys(counter.neuron_name(name) if name in counts.spikes else name for name in counts.seen)
    layers = {name: counts.layers.get(name, LayerCounts()) for name in rows}
    updating = {counter.updating_module(module) for module in counts.spikes}
    for name, layer in layers.items():
        if within(name, updating) and not layer.weights and "norm_mac" not in layer.columns:
            for column in _OUTSIDE_NEURONS:
                layer.columns.pop(column, None)
        if name in neurons:
            layer.columns |= _updates(neurons[name], counts.leaks(name), timesteps)
        _fold_bias(layer, counts)
    kept = [name for name, layer in layers.items() if any(column.any() for column in layer.columns.values())]
    zeros = np.zeros(timesteps, np.int64)
    unknown: FloatArray = np.full(timesteps, np.nan)
    columns: dict[str, Any] = {
        column: np.array([layers[name].columns.get(column, zeros) for name in kept], np.int64).reshape(-1, timesteps)
        for column in _COLUMNS
    }
    return OperationCounts(
        layer=np.arange(len(kept)),
        timestep=np.arange(1, timesteps + 1),
        sample=np.arange(samples),
        **columns,
        neurons=np.array([len(neurons[name].first) if name in neurons else 0 for name in kept], np.int64),
        weights=np.array([layers[name].weights for name in kept], np.int64),
        static=np.array([bool(layers[name].kinds) and layers[name].static for name in kept], np.int8),
        foldable=np.array([_foldable(layers[name]) for name in kept], np.int8),
        accuracy=unknown,
        step_accuracy=unknown,
        sdt_loss=unknown,
        tet_loss=unknown,
        names=tuple(name or "network" for name in kept),
        modules=tuple(counter.type_of(name) for name in kept),
        inputs=tuple(", ".join(layers[name].kinds) for name in kept),
        warnings=(*counts.warnings, *counter.remarks()),
        not_counted=tuple(counts.not_counted_outside(updating)),
        skip_zero_weights=int(counter.rules.skip_zero_weights),
    )


def _foldable(layer: LayerCounts) -> bool:
    if layer.source is not None:
        return bool(layer.source)
    return bool({"pooled", "graded"} & set(layer.kinds)) and layer.foldable


def _fold_bias(layer: LayerCounts, counts: Counts) -> None:
    # A folded normalisation adds a bias where its layer had none.
    if layer.source and "norm_mac" in layer.columns:
        source = counts.layers[layer.source].columns
        if not source.get("bias_add", np.zeros(1)).any():
            layer.columns["bias_add"] = layer.columns["norm_mac"].copy()


def _updates(statistics: SpikeStatistics, leaks: bool, timesteps: int) -> dict[str, IntArray]:
    steps = np.arange(timesteps)
    first, silent = statistics.first.numpy(), statistics.silent.numpy()
    columns = {
        "neuron_add": statistics.updates,
        "neuron_compare": statistics.updates,
        "neuron_reset": statistics.spikes,
        "spikes": statistics.spikes,
        "never_fired": (first[:, None] > steps).sum(0),
        "always_fired": (silent[:, None] > steps).sum(0),
    }
    return columns | ({"neuron_mul": statistics.updates} if leaks else {})
