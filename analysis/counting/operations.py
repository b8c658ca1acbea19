"""Exact operation counts of a network, at every number of timesteps, from one pass."""

import dataclasses
from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tetviz.analysis.counting.counter import Counter
from tetviz.analysis.counting.counts import Counts, LayerCounts, holders, within
from tetviz.analysis.counting.placement import Glimpses, KnownPlaces, Run, Site
from tetviz.analysis.counting.runs import by_steps, pick, samples_in, shown, spiking_modules
from tetviz.analysis.own_steps import OwnSteps
from tetviz.analysis.prefixes import tested_batches
from tetviz.errors import CheckpointError, DataError, unknown
from tetviz.models import ForeignNetwork, NodeClassifier, only_length
from tetviz.models.foreign.draws import drawn, draws_of, stilled
from tetviz.models.foreign.isolation import generators_kept
from tetviz.models.foreign.state import state_kept
from tetviz.results import OperationCounts, Provenance
from tetviz.results.schema import FloatArray, IntArray, array_fields
from tetviz.training import measure
from tetviz.training.doctor.runs import CANNOT_RUN
from tetviz.training.passes import check_length, outputs, streams
from tetviz.training.profile import a_parameter, evaluating, measured_on, of_the_longest

_COLUMNS = [n for n, schema in array_fields(OperationCounts).items() if schema["dims"] == ("layer", "timestep")]
# What a neuron adds inside is its update, counted as such.
_OUTSIDE_NEURONS = ("bias_add", "residual_add")
_INPUT_SPIKES: dict[str | bool, bool | None] = {"yes": True, "no": False, "auto": None, True: True, False: False}
_LOOKS = 4  # at pairs of samples, at most, while some are silent where others would tell


def count_operations(
    model: nn.Module,
    x: Tensor,
    timesteps: int,
    *,
    spiking: Collection[str] = (),
    input_spikes: str | bool = "no",
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
        input_spikes: whether the input is spikes, so that the first layer adds: ``yes`` (or True), ``no`` (or False),
            or ``auto``: where its first batch is 0 and 1 alone.
        skip_zero_weights: whether weights that are 0 are no synapses.

    Returns:
        The counts, summed over the samples; accuracies and losses are NaN.

    Raises:
        CheckpointError: a network whose O(t) is recovered from runs of 1 to T steps.
        DataError: a sequence that is too short, or input that is stated to be spikes and is none.
        TetvizError: NaN at the input of a layer, or a name in ``spiking`` that the network does not have.
        ValueError: timesteps below 1, another ``input_spikes``, or outputs that are not logits_TBK.
    """
    if timesteps < 1:
        raise ValueError(f"timesteps must be at least 1, got {timesteps}")
    weight = a_parameter(model)
    counted = CountedRuns(model, timesteps, spiking, skip_zero_weights, input_spikes)
    with state_kept(model), evaluating(model), drawn(model, [x.to(weight.device, weight.dtype)]) as passes:
        for each in passes:
            for _ in counted.run(model, each, timesteps):
                pass
    samples = np.tile(np.arange(samples_in(x)), draws_of(model))
    return dataclasses.replace(counted.counts(), sample=samples, computed=counted.computed)


def compute_operations(
    model: nn.Module,
    data: Any,
    tmax: int,
    *,
    t_train: int = 0,
    indices: IntArray | None = None,
    batch_size: int = 256,
    spiking: Collection[str] = (),
    input_spikes: str | bool = "no",
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
        input_spikes: likewise.
        skip_zero_weights: likewise.
        provenance: what the caller knows of the origin; device and precision are filled in.
        progress: called with the number of samples of each finished batch.

    Returns:
        The counts, summed over the samples: of one that ends before tmax those of its own steps.

    Raises:
        CheckpointError: a shorter run is not the beginning of a longer one.
        DataError: no samples, a label out of range, a sequence that is too short, or input that is stated to be spikes
            and is none.
        TetvizError: NaN at the input of a layer, or a name in ``spiking`` that the network does not have.
        ValueError: tmax below 1, another ``input_spikes``, or outputs that are not logits_TBK.
    """
    if tmax < 1:
        raise ValueError(f"tmax must be at least 1, got {tmax}")
    known = measured_on(model, provenance)
    batches, tested = tested_batches(model, data, tmax, batch_size, indices, known.checkpoint, every_t=False)
    counted = CountedRuns(model, tmax, spiking, skip_zero_weights, input_spikes)
    with state_kept(model):
        own = OwnSteps(counted.run, tmax)
        profile = measure(model, own.by_length(batches), tmax, progress=progress, run=own.run)
    if only_length(model):
        profile = of_the_longest(profile)
    counts = counted.counts()
    remarks = [f"the first steps of a run: {tested}"] if tested.startswith("warning") else []
    return dataclasses.replace(
        counts,
        warnings=(*counts.warnings, *remarks),
        sample=np.tile(np.arange(profile.samples) if indices is None else indices, draws_of(model)),
        computed=counted.computed,
        accuracy=profile.accuracy,
        step_accuracy=profile.step_accuracy,
        sdt_loss=profile.sdt_loss,
        tet_loss=profile.tet_loss,
        length=None if (lengths := own.lengths()) is None else np.tile(lengths, draws_of(model)),
        t_train=t_train or getattr(model, "timesteps", None) or 0,
        provenance=known,
    )


class CountedRuns:
    """Runs one network on any number of batches and counts what it computes."""

    def __init__(
        self,
        model: nn.Module,
        timesteps: int,
        spiking: Collection[str] = (),
        skip_zero_weights: bool = False,
        input_spikes: str | bool = "no",
    ) -> None:
        if isinstance(model, ForeignNetwork) and model.calling.recover == "prefix":
            raise CheckpointError(
                "operations cannot be counted where O(t) is recovered from runs of 1 to T steps (recover prefix): they "
                "are those of all the runs; have the network give its output at every step, or recover reduction"
            )
        if input_spikes not in _INPUT_SPIKES:
            raise ValueError(unknown("choice of input_spikes", str(input_spikes), ["yes", "no", "auto"]))
        self.timesteps, self.samples = timesteps, 0
        self._input_spikes = _INPUT_SPIKES[input_spikes]
        self._settings = spiking_modules(model, spiking), skip_zero_weights
        self._counter = Counter(model, *self._settings)
        self._known = KnownPlaces()
        self._known_by_length: dict[int, KnownPlaces] = {timesteps: self._known}

    def run(self, model: nn.Module, x: Tensor, timesteps: int) -> Iterator[Tensor]:
        """A run that is counted, as :func:`tetviz.training.profile.outputs` makes it."""
        check_length(x, timesteps)
        if torch.is_inference_mode_enabled():
            raise ValueError("operations cannot be seen inside torch.inference_mode(); torch.no_grad() is set anyway")
        x = x.clone() if x.is_inference() else x
        self._known = self._known_by_length.setdefault(timesteps, KnownPlaces())
        asked_B = None
        if isinstance(model, NodeClassifier):  # which computes all nodes, whichever it is asked for
            x, asked_B = model.every_node(), x.flatten().long()
        self.samples += samples_in(x)
        if self._input_spikes is not False:
            self._check_input(shown(model, x))
        if asked_B is not None:
            yield from (logits_TBK[:, asked_B] for logits_TBK in self._streamed(model, x, timesteps))
        elif by_steps(model):
            yield self._step_by_step(model, x, timesteps)
        elif streams(model):
            yield from self._streamed(model, x, timesteps)
        else:
            yield self._at_once(model, x, timesteps)

    @property
    def computed(self) -> IntArray | None:
        """The samples that were computed where these are not those that were asked for: all nodes, for each run."""
        model = self._counter.model
        return np.arange(self.samples) % model.nodes if isinstance(model, NodeClassifier) else None

    def _check_input(self, x: Tensor) -> None:
        binary = bool(((x == 0) | (x == 1)).all())
        if self._input_spikes and not binary:
            raise DataError(
                f"the input is stated to be spikes, but holds values besides 0 and 1, between {float(x.min()):g} and "
                f"{float(x.max()):g}; say input_spikes no (--input-spikes no)"
            )
        self._input_spikes = binary

    def _streamed(self, model: nn.Module, x: Tensor, timesteps: int) -> Iterator[Tensor]:
        counts, stretches = self._counter.counts, outputs(model, x, timesteps)
        self._counter.feed(shown(model, x), x.dim() == 4, bool(self._input_spikes))
        for t in range(timesteps):
            counts.begin(self.timesteps, t, 1, samples_in(x))
            with self._counter:
                logits_TBK = next(stretches)
            counts.end()
            counts.add_readout(logits_TBK, 1)
            yield logits_TBK
        yield from stretches  # nothing; it leaves streaming()

    def _step_by_step(self, model: nn.Module, x: Tensor, timesteps: int) -> Tensor:
        counts, begun = self._counter.counts, iter(range(timesteps))

        def begin(*_: Any) -> None:
            counts.end()
            counts.begin(self.timesteps, next(begun), 1, samples_in(x))

        self._counter.feed(x, x.dim() == 4, bool(self._input_spikes))
        handle = model.get_submodule("network").register_forward_pre_hook(begin)
        try:
            with self._counter:
                (logits_TBK,) = outputs(model, x, timesteps)
        finally:
            handle.remove()
        counts.end()
        counts.add_readout(logits_TBK, timesteps)
        return logits_TBK

    def _at_once(self, model: nn.Module, x: Tensor, timesteps: int) -> Tensor:
        counts, samples = self._counter.counts, samples_in(x)
        self._learn_places(model, x, timesteps)
        self._counter.feed(x, x.dim() == 4, bool(self._input_spikes))
        counts.begin(self.timesteps, 0, timesteps, samples, self._known.places)
        with self._counter:
            (logits_TBK,) = outputs(model, x, timesteps)
        counts.end()
        counts.add_readout(logits_TBK, timesteps)
        self._sort_by_shorter_runs(model, x, timesteps)
        return logits_TBK

    def _learn_places(self, model: nn.Module, x: Tensor, timesteps: int) -> None:
        samples = samples_in(x)
        for at in range((samples + 1) // 2 if timesteps > 1 else 0):
            if self._known.unsure == set() or self._known.looks == _LOOKS:
                return
            self._known.looks += 1
            told, unsure = self._look(model, pick(x, sorted({at, samples - 1 - at})), timesteps).places()
            for site, places in told.items():
                if site not in self._known.places or (site in (self._known.unsure or ()) and site not in unsure):
                    self._known.places[site] = places
            self._known.unsure = unsure if self._known.unsure is None else self._known.unsure & unsure

    def _look(self, model: nn.Module, x: Tensor, timesteps: int) -> Glimpses:
        samples = [pick(x, [at]) for at in range(samples_in(x))]
        alone = [self._glimpses(model, each, timesteps) for each in samples]
        together = self._glimpses(model, x, timesteps) if len(samples) > 1 else None
        try:
            shorter = {t: self._glimpses(model, samples[0], t) for t in {1, 2, timesteps - 1} if t < timesteps}
        except CANNOT_RUN:  # it runs for one T only
            shorter = {}
        return Glimpses(timesteps, alone, together, shorter)

    def _glimpses(self, model: nn.Module, x: Tensor, timesteps: int) -> Run:
        counter = Counter(model, *self._settings)
        counter.counts.begin_glimpse(timesteps, samples_in(x))
        with stilled(model):  # outside of the counter, which sees what is drawn as ever
            self._run_aside(counter, model, x, timesteps)
        return counter.counts.glimpses or {}

    def _sort_by_shorter_runs(self, model: nn.Module, x: Tensor, timesteps: int) -> None:
        # What no rule has told: step t costs what a run of t steps costs more than one of t - 1.
        counts = self._counter.counts
        pending, counts.pending = counts.pending, {}
        self._known.places = {site: places for site, places in self._known.places.items() if site not in pending}
        updating = counts.pure(self._counter.updating_modules())
        pending = {site: totals for site, totals in pending.items() if not within(counts.module_of(site[0]), updating)}
        try:
            runs = [self._totals(model, x, t) for t in range(1, timesteps)] if pending else []
        except CANNOT_RUN:  # it runs for one T only
            runs = None
        summed = [self._by_layer(run) for run in [*(runs or []), pending]]
        for layer in dict.fromkeys(layer for layer, _ in pending):
            until = [run.get(layer, {}) for run in summed]
            steps = {name: np.diff([each.get(name, 0) for each in until], prepend=0) for name in until[-1]}
            if runs is None or any((each < 0).any() for each in steps.values()):
                counts.lose(layer, until[-1])
            else:
                counts.commit(layer, steps)

    def _by_layer(self, run: dict[Site, dict[str, int]]) -> dict[str, dict[str, int]]:
        # Kernels for one row and for many may be other operations, so they are added up.
        found: dict[str, dict[str, int]] = {}
        for site in [site for site in run if site not in self._known.places]:
            sums = found.setdefault(site[0], {})
            sums |= {name: sums.get(name, 0) + total for name, total in run[site].items()}
        return found

    def _totals(self, model: nn.Module, x: Tensor, timesteps: int) -> dict[Site, dict[str, int]]:
        counter = Counter(model, *self._settings)
        counter.counts.begin(timesteps, 0, timesteps, samples_in(x))
        self._run_aside(counter, model, x, timesteps)
        return counter.counts.totals()

    def _run_aside(self, counter: Counter, model: nn.Module, x: Tensor, timesteps: int) -> None:
        x = (x[:timesteps] if x.dim() == 5 else x).clone()
        counter.feed(x, x.dim() == 4, bool(self._input_spikes))
        with generators_kept(x.device), state_kept(model), counter:
            model(x, timesteps)

    def counts(self) -> OperationCounts:
        """What has been counted so far."""
        return _result(self._counter, self.timesteps, self.samples)


def _result(counter: Counter, timesteps: int, samples: int) -> OperationCounts:
    counts = counter.counts
    neurons = {counter.neuron_name(module): statistics for module, statistics in counts.spikes.items()}
    rows = dict.fromkeys(counter.neuron_name(name) if name in counts.spikes else name for name in counts.seen)
    layers = {name: counts.layers.get(name, LayerCounts()) for name in rows}
    updating = counter.updating_modules()
    pure, leaking = counts.pure(updating), holders(counts.leaking)
    layers = {name: layer for name, layer in layers.items() if not (layer.product and within(layer.inside, pure))}
    for name, layer in layers.items():
        if within(name, updating) and not layer.weights and "norm_mac" not in layer.columns:
            for column in _OUTSIDE_NEURONS:
                layer.columns.pop(column, None)
        if name in neurons:
            layer.columns |= neurons[name].columns(name in leaking)
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
