"""Every T as a run of its own, with batch-norm statistics of runs of that T."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import nn

from tetviz.analysis.predictions import Predictions
from tetviz.errors import CheckpointError, DataError
from tetviz.models import only_length
from tetviz.models.foreign.draws import draws_of
from tetviz.training import measure
from tetviz.training.batches import Batch
from tetviz.training.padding import without_padding
from tetviz.training.profile import a_parameter
from tetviz.training.recalibration import batch_norms, recalibrate

_OF_T = ("accuracy", "step_accuracy", "sdt_loss", "tet_loss", "step_loss")
_CURE = "take a smaller --tmax, or --bn frozen"


def recalibrated(
    model: nn.Module,
    batches: Sequence[Batch],
    calibration: Sequence[Batch],
    tmax: int,
    keep_outputs: bool = False,
    progress: Callable[[float], None] | None = None,
) -> tuple[dict[str, Any], int]:
    """What a network does in runs of 1 to tmax steps, each with statistics of runs of its length.

    Args:
        model: the network; it is left as it was.
        batches: what is measured on.
        calibration: what statistics are estimated on.
        tmax: the longest run.
        keep_outputs: whether to keep O(t).
        progress: called with how many samples, in fractions of all runs, are done.

    Returns:
        Arrays of a scaling curve, by name, and the number of classes. Entry t is the last step of a run of t.

    Raises:
        CheckpointError: the network has no batch normalisation, or runs for one T alone.
        DataError: a sample ends before tmax.
    """
    if not batch_norms(model):
        raise CheckpointError("the network has no batch normalisation to recalibrate; take the policy frozen")
    if only_length(model) is not None:
        raise CheckpointError(
            "the network runs for one T alone: there are no others to recalibrate for; take the policy frozen"
        )
    for x, labels in (*batches, *calibration):
        without_padding(labels, tmax, "batch-norm statistics of every T", _CURE)
        if x.dim() == 5 and len(x) < tmax:
            raise DataError(f"batch-norm statistics of every T: a sample has {len(x)} frames, T is {tmax}; {_CURE}")
    own, weight = copy.deepcopy(model).eval(), a_parameter(model)
    calibration = [(x.to(weight.device, weight.dtype), labels) for x, labels in calibration]
    steps = tmax * (tmax + 1) / 2
    profiles, seen = [], []
    for t in range(1, tmax + 1):
        recalibrate(own, calibration, t)
        predictions = Predictions(keep_outputs, draws_of(own))
        told = None if progress is None else lambda done, t=t: progress(done * t / steps)
        profiles.append(measure(own, predictions.labelled(batches), t, progress=told, run=predictions.run))
        seen.append(predictions.arrays())
    arrays: dict[str, Any] = {name: np.array([getattr(each, name)[-1] for each in profiles]) for name in _OF_T}
    of_last = ("prediction", "step_prediction", "margin", "entropy", "outputs")
    arrays |= {name: np.stack([each[name][:, -1] for each in seen], 1) for name in of_last}
    return arrays | {name: seen[-1][name] for name in ("label", "output_class")}, predictions.classes
