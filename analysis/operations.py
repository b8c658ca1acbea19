"""Exact operation counts of a network, at every number of timesteps, from one pass."""

import dataclasses
from collections.abc import Callable, Collection, Iterator
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tetviz.analysis.layout import Layout, tell_order
from tetviz.analysis.ledger import Entry, Ledger, within
from tetviz.analysis.meter import Meter
from tetviz.analysis.population import Population
from tetviz.analysis.prefixes import check_prefixes
from tetviz.errors import CheckpointError, DataError
from tetviz.models import ForeignNetwork
from tetviz.models.foreign.isolation import generators_kept
from tetviz.models.foreign.state import state_kept
from tetviz.results import OperationCounts, Provenance
from tetviz.results.schema import FloatArray, IntArray, array_fields
from tetviz.training import measure, to_batches
from tetviz.training.doctor.runs import CANNOT_RUN
from tetviz.training.profile import a_parameter, check_length, evaluating, outputs, streams

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
    time (:mod:`tetviz.analysis.provenance`), and its values are checked against that.

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
        ValueError: timesteps below 1, or outputs that are not logits_TBK.
    """
    if timesteps < 1:
        raise ValueError(f"timesteps must be at least 1, got {timesteps}")
    weight = a_parameter(model)
    counter = Counter(model, timesteps, spiking, skip_zero_weights)
    with state_kept(model), evaluating(model):
        for _ in counter.run(model, x.to(weight.device, weight.dtype), timesteps):
            pass
    return counter.counts()


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

    Before it, :func:`tetviz.analysis.prefixes.check_prefixes` tests on a few samples that one run does hold the
    shorter ones.

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
        ValueError: tmax below 1.
    """
    if tmax < 1:
        raise ValueError(f"tmax must be at least 1, got {tmax}")
    origin = provenance or Provenance()
    batches = iter(to_batches(data, batch_size, indices))
    first = next(batches, None)
    if first is None:
        raise DataError("no samples to measure on: the data set is empty")
    tested = check_prefixes(model, first, tmax, origin.checkpoint)
    counter = Counter(model, tmax, spiking, skip_zero_weights)
    with state_kept(model):
        profile = measure(model, chain([first], batches), tmax, progress=progress, run=counter.run)
    weight, counts = a_parameter(model), counter.counts()
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
        provenance=dataclasses.replace(
            origin, device=str(weight.device), dtype=str(weight.dtype).removeprefix("torch.")
        ),
    )


class Counter:
    """Counts over any number of batches of one network."""

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
        self._meter = Meter(model, spiking, skip_zero_weights)
        self._layout: Layout | None = None

    def run(self, model: nn.Module, x: Tensor, timesteps: int) -> Iterator[Tensor]:
        """A run that is counted, as :func:`tetviz.training.profile.outputs` makes it."""
        check_length(x, timesteps)
        if torch.is_inference_mode_enabled():
            raise ValueError("operations cannot be seen inside torch.inference_mode(); torch.no_grad() is set anyway")
        x = x.clone() if x.is_inference() else x
        samples = x.shape[1] if x.dim() == 5 else len(x)
        self.samples += samples
        if self._layout is None:
            self._layout = Layout() if streams(model) else self._tell_layout(model, x, timesteps)
        if not self._layout.open or samples == 1:
            yield from self._stretches(model, x, timesteps, samples)
            return
        # No layer has told the order of its rows: a sample alone has them in the order of its steps.
        alone = [list(self._stretches(model, _pick(x, [at]), timesteps, 1)) for at in range(samples)]
        yield torch.cat([torch.cat(stretches) for stretches in alone], 1)

    def _stretches(self, model: nn.Module, x: Tensor, timesteps: int, samples: int) -> Iterator[Tensor]:
        ledger, steps = self._meter.ledger, 1 if streams(model) else timesteps
        self._meter.feed(x, static=x.dim() == 4)
        stretches = outputs(model, x, timesteps)
        for start in range(0, timesteps, steps):
            ledger.begin(self.timesteps, start, steps, samples)
            with self._meter:
                logits_TBK = next(stretches)
            ledger.flush(self._layout or Layout())
            ledger.read_out(logits_TBK)
            yield logits_TBK
        yield from stretches  # nothing; it leaves streaming()

    def _tell_layout(self, model: nn.Module, x: Tensor, timesteps: int) -> Layout:
        samples = x.shape[1] if x.dim() == 5 else len(x)
        if timesteps == 1 or samples == 1:
            return Layout(open=timesteps > 1)
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
        return Layout(known, open=merged and not known)

    def _rows(self, model: nn.Module, x: Tensor, timesteps: int) -> dict[str, tuple[Tensor, bool]]:
        # Counts of the rows of every layer with weights, unsorted, and whether each call held one step.
        samples = x.shape[1] if x.dim() == 5 else len(x)
        meter = Meter(model, *self._settings)
        meter.ledger.begin(timesteps, 0, timesteps, samples)
        with generators_kept(x.device), state_kept(model), meter:
            model(x[:timesteps].clone() if x.dim() == 5 else x.clone(), timesteps)
        return meter.ledger.row_counts()

    def counts(self) -> OperationCounts:
        """What has been counted so far."""
        return _result(self._meter, self.timesteps, self.samples)


def _pick(x: Tensor, at: list[int]) -> Tensor:
    return x[:, at] if x.dim() == 5 else x[at]


def _result(meter: Meter, timesteps: int, samples: int) -> OperationCounts:
    ledger = meter.ledger
    neurons = {meter.neuron_name(module): population for module, population in ledger.populations.items()}
    rows = dict.fromkeys(meter.neuron_name(name) if name in ledger.populations else name for name in ledger.seen)
    entries = {name: ledger.layers.get(name, Entry({})) for name in rows}
    updating = {meter.updating_module(module) for module in ledger.populations}
    for name, entry in entries.items():
        if within(name, updating) and not entry.weights and "norm_mac" not in entry.columns:
            for column in _OUTSIDE_NEURONS:
                entry.columns.pop(column, None)
        if name in neurons:
            entry.columns |= _updates(neurons[name], ledger.leaks(name), timesteps)
        _fold_bias(entry, ledger)
    kept = [name for name, entry in entries.items() if any(column.any() for column in entry.columns.values())]
    zeros = np.zeros(timesteps, np.int64)
    unknown: FloatArray = np.full(timesteps, np.nan)
    columns: dict[str, Any] = {
        column: np.array([entries[name].columns.get(column, zeros) for name in kept], np.int64).reshape(-1, timesteps)
        for column in _COLUMNS
    }
    return OperationCounts(
        layer=np.arange(len(kept)),
        timestep=np.arange(1, timesteps + 1),
        sample=np.arange(samples),
        **columns,
        neurons=np.array([len(neurons[name].first) if name in neurons else 0 for name in kept], np.int64),
        weights=np.array([entries[name].weights for name in kept], np.int64),
        static=np.array([bool(entries[name].kinds) and entries[name].static for name in kept], np.int8),
        foldable=np.array([_foldable(entries[name]) for name in kept], np.int8),
        accuracy=unknown,
        step_accuracy=unknown,
        sdt_loss=unknown,
        tet_loss=unknown,
        names=tuple(name or "network" for name in kept),
        modules=tuple(meter.type_of(name) for name in kept),
        inputs=tuple(", ".join(entries[name].kinds) for name in kept),
        warnings=(*ledger.warnings, *meter.remarks()),
        not_counted=tuple(ledger.not_counted_outside(updating)),
        skip_zero_weights=int(meter.accounts.skip_zero_weights),
    )


def _foldable(entry: Entry) -> bool:
    if entry.source is not None:
        return bool(entry.source)
    return bool({"pooled", "graded"} & set(entry.kinds)) and entry.foldable


def _fold_bias(entry: Entry, ledger: Ledger) -> None:
    # A folded normalisation adds a bias where its layer had none.
    if entry.source and "norm_mac" in entry.columns:
        source = ledger.layers[entry.source].columns
        if not source.get("bias_add", np.zeros(1)).any():
            entry.columns["bias_add"] = entry.columns["norm_mac"].copy()


def _updates(population: Population, leaks: bool, timesteps: int) -> dict[str, IntArray]:
    steps = np.arange(timesteps)
    first, silent = population.first.numpy(), population.silent.numpy()
    columns = {
        "neuron_add": population.updates,
        "neuron_compare": population.updates,
        "neuron_reset": population.spikes,
        "spikes": population.spikes,
        "never_fired": (first[:, None] > steps).sum(0),
        "always_fired": (silent[:, None] > steps).sum(0),
    }
    return columns | ({"neuron_mul": population.updates} if leaks else {})
