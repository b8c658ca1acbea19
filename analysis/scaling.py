"""Time scalability: a network run for fewer and for more timesteps than it was trained for."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from tetviz.analysis.predictions import Predictions
from tetviz.analysis.prefixes import tested_batches
from tetviz.analysis.recalibrated import recalibrated
from tetviz.errors import DataError
from tetviz.models.foreign.draws import draws_of
from tetviz.results import Provenance, ScalingCurve
from tetviz.results.schema import IntArray
from tetviz.training import measure, to_batches
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
    calibration: Any = None,
    calibration_indices: IntArray | None = None,
    provenance: Provenance | None = None,
    progress: Callable[[float], None] | None = None,
) -> ScalingCurve:
    """Accuracy and losses at every T from 1 to tmax, and the predictions of every sample, from one pass.

    Before it, a run of a few samples tests that one run does hold the shorter ones. With ``calibration`` every T is a
    run of its own, with batch-norm statistics estimated anew in runs of T, as MTT (ICLR 2025) does.

    Args:
        model: ``model(x, timesteps)`` gives logits_TBK.
        data: a Dataset, or batches, as in :func:`tetviz.training.to_batches`.
        tmax: the longest run.
        t_train: T that the network was trained for; the model's own by default.
        indices: which samples of a Dataset, in which order; all by default.
        batch_size: samples a batch.
        keep_outputs: whether to keep O(t) of every sample: samples x tmax x K numbers of 4 bytes.
        calibration: data to estimate batch-norm statistics on at every T, as ``data``, held in memory; None keeps
            those of the checkpoint.
        calibration_indices: as ``indices``.
        provenance: what the caller knows of the origin; device and precision are filled in.
        progress: called with the number of samples of each finished batch, in fractions of a sample where each T is a
            run of its own.

    Returns:
        The curve. Growth is relative to t_train, NaN where t_train is beyond tmax or nothing is right at it.

    Raises:
        CheckpointError: a shorter run is not the beginning of a longer one; with ``calibration``, the network has no
            batch normalisation, or runs for one T alone.
        DataError: no samples, a label out of range, a sequence that is too short.
        ValueError: tmax below 1, or t_train is not given and the model names none.
    """
    trained = t_train or getattr(model, "timesteps", None)
    if not trained:
        raise ValueError("say what T the network was trained for (t_train): the model names none")
    if tmax < 1:
        raise ValueError(f"tmax must be at least 1, got {tmax}")
    known = measured_on(model, provenance)
    if calibration is not None:
        own = list(to_batches(data, batch_size, indices))
        others = list(to_batches(calibration, batch_size, calibration_indices))
        if not own or not others:
            raise DataError("no samples to measure on: the data set is empty")
        arrays, classes = recalibrated(model, own, others, tmax, keep_outputs, progress)
        count, used = sum(len(labels) for _, labels in own), sum(len(labels) for _, labels in others)
        arrays["calibration"] = np.arange(used) if calibration_indices is None else calibration_indices
        return _curve(model, arrays, np.arange(count) if indices is None else indices, classes, trained, _OWN, known)
    batches, tested = tested_batches(model, data, tmax, batch_size, indices, known.checkpoint)
    predictions = Predictions(keep_outputs, draws_of(model))
    profile = measure(model, predictions.labelled(batches), tmax, progress=progress, run=predictions.run)
    measured = ("accuracy", "step_accuracy", "sdt_loss", "tet_loss", "step_loss")
    arrays = predictions.arrays() | {name: getattr(profile, name) for name in measured}
    samples = np.arange(profile.samples) if indices is None else indices
    return _curve(model, arrays, samples, predictions.classes, trained, tested, known)


_OWN = "ok: not needed, every T is a run of its own"


def _curve(
    model: nn.Module,
    arrays: dict[str, Any],
    samples: IntArray,
    classes: int,
    trained: int,
    tested: str,
    provenance: Provenance,
) -> ScalingCurve:
    accuracy, steps = arrays["accuracy"], len(arrays["accuracy"])
    at_training = accuracy[trained - 1] if trained <= steps else np.nan
    return ScalingCurve(
        **arrays,
        timestep=np.arange(1, steps + 1),
        sample=np.tile(samples, draws_of(model)),
        relative_growth=accuracy / (at_training or np.nan) - 1,
        num_classes=classes,
        t_train=trained,
        temporal_variance=temporal_variance(arrays["step_accuracy"], trained),
        temporal_variance_all=temporal_variance(arrays["step_accuracy"], 0),
        prefix_test=tested,
        provenance=provenance,
    )
