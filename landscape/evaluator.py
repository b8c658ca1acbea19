"""A network that is measured at other weights than its own: a copy, so that the network itself is never touched."""

import copy
import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tetviz.errors import CheckpointError, DataError
from tetviz.landscape.batchnorm import BN_POLICIES, use_batch_statistics
from tetviz.landscape.directions import displaced
from tetviz.models import only_length
from tetviz.results.schema import IntArray
from tetviz.training import TemporalProfile, measure, to_batches
from tetviz.training.batches import Batch
from tetviz.training.padding import without_padding
from tetviz.training.passes import Passes, uses_batch_statistics
from tetviz.training.profile import a_parameter, of_the_longest
from tetviz.training.recalibration import batch_norms, recalibrate


class Evaluator:
    """Measures a network at other weights than its own.

    Args:
        model: ``model(x, timesteps)`` gives logits_TBK.
        data: a Dataset, or batches, as in :func:`tetviz.training.to_batches`. Held in memory.
        timesteps: T, the longest run; the model's own by default.
        indices: which samples of a Dataset, in which order; all by default. Of batches: what to record of them.
        batch_size: samples a batch.
        bn: what becomes of batch-norm statistics at other weights: ``frozen`` (those of the checkpoint, as in Li
            et al. 2018), ``recalibrate`` (estimated anew on ``calibration``, in runs of the training T) or
            ``batch`` (those of each measured batch; they look over all T steps, so a run of fewer steps is not
            a part of the run, and its entries are NaN).
        calibration: data to estimate statistics on, as ``data``; needed for ``recalibrate`` alone.
        calibration_indices: as ``indices``.

    Attributes:
        origin: the checkpoint's parameters, by unique name.
        buffers: the buffers of its state_dict, such as running statistics.
        timesteps: T.
        t_train: T of training; of a model that names none, ``timesteps``.
        samples: indices of the samples.
        calibration_samples: indices of the calibration samples.

    Raises:
        CheckpointError: a batch-norm policy for a network without batch normalisation.
        DataError: no samples, or calibration samples that end before the T of training.
        ValueError: no timesteps are given and the model names none, an unknown policy, or recalibration without
            data for it.
    """

    def __init__(
        self,
        model: nn.Module,
        data: Any,
        timesteps: int | None = None,
        *,
        indices: IntArray | None = None,
        batch_size: int = 256,
        bn: str = "frozen",
        calibration: Any = None,
        calibration_indices: IntArray | None = None,
    ) -> None:
        trained: int | None = getattr(model, "timesteps", None)
        longest = trained if timesteps is None else timesteps
        if longest is None:
            raise ValueError("say for how many timesteps: the model names none")
        if longest < 1:
            raise ValueError(f"timesteps must be at least 1, got {longest}")
        self.timesteps, self.t_train = longest, trained or longest
        if bn not in BN_POLICIES:
            raise ValueError(f"unknown batch-norm policy {bn!r}; known: {', '.join(BN_POLICIES)}")
        if bn == "recalibrate" and calibration is None:
            raise ValueError("recalibration needs data: give calibration")
        if bn != "frozen" and not batch_norms(model):
            raise CheckpointError(f"the network has no batch normalisation to {bn}; take the policy frozen")
        self.bn = bn
        self.model = copy.deepcopy(model).eval().requires_grad_()
        self.origin = {name: p.detach().clone() for name, p in self.model.named_parameters()}
        # Those of the state_dict: neurons of other libraries keep membranes in buffers of their own.
        kept = self.model.state_dict().keys()
        self.buffers = {name: b.detach().clone() for name, b in self.model.named_buffers() if name in kept}
        self.batches, self.samples = self._loaded(data, batch_size, indices)
        self.calibration: list[Batch] = []
        self.calibration_samples: IntArray = np.arange(0)
        if calibration is not None:
            self.calibration, self.calibration_samples = self._loaded(calibration, batch_size, calibration_indices)
            shortest = min(len(x) if x.dim() == 5 else self.t_train for x, _ in self.calibration)
            if shortest < self.t_train:
                raise DataError(
                    f"batch-norm statistics are estimated in runs of the {self.t_train} timesteps of training, the "
                    f"train samples have {shortest} frames; cut the recordings into at least {self.t_train} (--frames)"
                )
            if batch_norms(model):
                what, cure = "estimating batch-norm statistics", "take longer samples, or --bn frozen"
                for _, labels in self.calibration:
                    without_padding(labels, self.t_train, what, cure)
        self._plain = self.model
        self._run = Passes()
        if bn == "batch":
            self.model = copy.deepcopy(self.model)
            use_batch_statistics(self.model)

    @property
    def gradient_timesteps(self) -> int:
        """The number of timesteps that gradients are taken at: that of training, if it is measured."""
        return min(self.t_train, self.timesteps)

    @property
    def only_longest(self) -> bool:
        """Whether the first steps of a run are no shorter run: with statistics of the batch, and of one T alone."""
        return uses_batch_statistics(self.model) or only_length(self.model) is not None

    @property
    def dtype(self) -> str:
        """The precision that it runs in."""
        return str(a_parameter(self.model).dtype).removeprefix("torch.")

    def measure_checkpoint(self, state: Mapping[str, Tensor]) -> TemporalProfile:
        """Measures another checkpoint of the same network as it is, with its own statistics.

        Args:
            state: its state_dict.

        Returns:
            The profile.
        """
        _load(self._plain, self.origin, self.buffers, state)
        profile = measure(self._plain, self.batches, self.timesteps, run=self._run)
        return of_the_longest(profile) if only_length(self._plain) else profile

    def measure(
        self,
        weights: Mapping[str, Tensor],
        statistics: Mapping[str, Tensor] | None = None,
        *,
        calibrated: bool | None = None,
    ) -> TemporalProfile:
        """Measures at other weights.

        Args:
            weights: parameter name to value; a parameter that is not named is the checkpoint's.
            statistics: buffer name to value, likewise.
            calibrated: whether statistics are estimated anew; by default as ``bn`` says.

        Returns:
            The profile.
        """
        self.place(weights, statistics, calibrated)
        profile = measure(self.model, self.batches, self.timesteps, run=self._run)
        # A shorter run would have other statistics, or there is none.
        return of_the_longest(profile) if self.only_longest else profile

    def measure_along(self, *terms: tuple[float, Mapping[str, Tensor]]) -> TemporalProfile:
        """Measures at the checkpoint's weights moved along directions, w + a d + b e + ...

        Args:
            *terms: pairs of a coefficient and a direction, parameter name to tensor.

        Returns:
            The profile.
        """
        return self.measure(displaced(self.origin, *terms))

    @torch.no_grad()
    def place(
        self,
        weights: Mapping[str, Tensor],
        statistics: Mapping[str, Tensor] | None = None,
        calibrated: bool | None = None,
    ) -> None:
        """Sets the weights and brings the batch-norm statistics in line with them.

        Args:
            weights: as in :meth:`measure`.
            statistics: as in :meth:`measure`.
            calibrated: as in :meth:`measure`.
        """
        _load(self.model, self.origin, self.buffers, {**weights, **(statistics or {})})
        if self.bn == "recalibrate" if calibrated is None else calibrated:
            recalibrate(self.model, self.calibration, self.t_train)

    def request(self, tensors: Iterable[tuple[str, Tensor]], settings: Mapping[str, Any]) -> str:
        """SHA-256 of all that decides what is measured.

        Args:
            tensors: what the weights are moved along, by name.
            settings: plain values, such as the grid.

        Returns:
            64 hexadecimal digits that other weights, samples, batches, directions or settings change.
        """
        own = {"bn": self.bn, "timesteps": self.timesteps, "t_train": self.t_train}
        plain = {**own, "device": a_parameter(self.model).device.type, **settings}
        digest = hashlib.sha256(json.dumps([repr(self.model), plain], sort_keys=True).encode())
        data = [("data", tensor) for batch in self.batches for tensor in batch]
        data += [("calibration", tensor) for batch in self.calibration for tensor in batch]
        for name, tensor in itertools.chain(self.origin.items(), self.buffers.items(), data, tensors):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def _loaded(self, data: Any, batch_size: int, indices: IntArray | None) -> tuple[list[Batch], IntArray]:
        weight = a_parameter(self.model)
        batches = [(x.to(weight.device, weight.dtype), y) for x, y in to_batches(data, batch_size, indices)]
        count = sum(len(labels_B) for _, labels_B in batches)
        samples = np.arange(count) if indices is None else np.asarray(indices)
        if not count:
            raise DataError("no samples to measure on: the data set is empty")
        if len(samples) != count:
            raise ValueError(f"{len(samples)} indices are given for {count} samples")
        return batches, samples


@torch.no_grad()
def _load(
    model: nn.Module, origin: Mapping[str, Tensor], buffers: Mapping[str, Tensor], state: Mapping[str, Tensor]
) -> None:
    # What the state does not name is the checkpoint's.
    for name, parameter in model.named_parameters():
        parameter.copy_(state.get(name, origin[name]))
    for name, buffer in model.named_buffers():
        if name in buffers:
            buffer.copy_(state.get(name, buffers[name]))


def split_state(
    evaluator: Evaluator, state: Mapping[str, Tensor], name: str = "the other checkpoint"
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The parameters and the buffers of another checkpoint of an evaluator's network."""
    own = {**evaluator.origin, **evaluator.buffers}
    wrong = [n for n, t in own.items() if n not in state or state[n].shape != t.shape]
    if wrong:
        raise CheckpointError(
            f"{name} holds another network: {', '.join(wrong[:3])} is missing or has another shape; take checkpoints "
            "of one architecture"
        )
    weights, buffers = ({n: state[n].to(t) for n, t in part.items()} for part in (evaluator.origin, evaluator.buffers))
    return weights, buffers
