"""Time scalability: a network run for fewer and for more timesteps than it was trained for."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from tetviz.analysis.predictions import Predictions
from tetviz.analysis.prefixes import tested_batches
from tetviz.models.foreign.draws import draws_of
from tetviz.results import Provenance, ScalingCurve
from tetviz.results.schema import IntArray
from tetviz.training import measure
from tetviz.training.profile import measured_on


def temporal_variance(step_accuracy: npt.ArrayLike, t_train: int) -> float:
    """Sample variance (n - 1) of the per-step accuracy over the steps beyond training, t > t_train.

    The TET paper (Deng et al. 2022, Table 4) does not define its "variance"; this definition gives the printed
    values from the printed accuracies.

    Args:
        step_accuracy: accuracy of each step alone, from t = 1, in any unit.
        t_train: T that the network was trained for; 0 for the variance over all steps.

    Returns:
        The variance, in the square of that unit; NaN with fewer than two steps beyond t_train.
    """
    beyond = np.asarray(step_accuracy, float)[t_train:]
    return float(beyond.var(ddof=1)) if len(beyond) > 1 else float("nan")


def compute_scaling(
    model: nn.Module,
    data: Any,
    tmax: int = 64,
    t_train: int | None = None,
    *,
    indices: IntArray | None = None,
    batch_size: int = 256,
    keep_outputs: bool = False,
    provenance: Provenance | None = None,
    progress: Callable[[int], None] | None = None,
) -> ScalingCurve:
    """Accuracy and losses at every T from 1 to tmax, and the predictions of every sample, from one pass.

    Before it, a run of a few samples tests that one run does hold the shorter ones.

    Args:
        model: ``model(x, timesteps)`` gives logits_TBK.
        data: a Dataset, or batches, as in :func:`tetviz.training.to_batches`.
        tmax: the longest run.
        t_train: T that the network was trained for; the model's own by default.
        indices: which samples of a Dataset, in which order; all by default.
        batch_size: samples a batch.
        keep_outputs: whether to keep O(t) of every sample: samples x tmax x K numbers of 4 bytes.
        provenance: what the caller knows of the origin; device and precision are filled in.
        progress: called with the number of samples of each finished batch.

    Returns:
        The curve. Growth is relative to t_train, NaN where t_train is beyond tmax or nothing is right at it.

    Raises:
        CheckpointError: a shorter run is not the beginning of a longer one.
        DataError: no samples, a label out of range, a sequence that is too short.
        ValueError: tmax below 1, or t_train is not given and the model names none.
    """
    trained = t_train or getattr(model, "timesteps", None)
    if not trained:
        raise ValueError("say what T the network was trained for (t_train): the model names none")
    if tmax < 1:
        raise ValueError(f"tmax must be at least 1, got {tmax}")
    known = measured_on(model, provenance)
    batches, tested = tested_batches(model, data, tmax, batch_size, indices, known.checkpoint)
    draws = draws_of(model)
    predictions = Predictions(keep_outputs, draws)
    profile = measure(model, predictions.labelled(batches), tmax, progress=progress, run=predictions.run)
    at_training = profile.accuracy[trained - 1] if trained <= tmax else np.nan
    return ScalingCurve(
        timestep=np.arange(1, tmax + 1),
        sample=np.tile(np.arange(profile.samples) if indices is None else indices, draws),
        accuracy=profile.accuracy,
        step_accuracy=profile.step_accuracy,
        sdt_loss=profile.sdt_loss,
        tet_loss=profile.tet_loss,
        step_loss=profile.step_loss,
        relative_growth=profile.accuracy / (at_training or np.nan) - 1,
        **predictions.arrays(),
        num_classes=predictions.classes,
        t_train=trained,
        temporal_variance=temporal_variance(profile.step_accuracy, trained),
        temporal_variance_all=temporal_variance(profile.step_accuracy, 0),
        prefix_test=tested,
        provenance=known,
    )
