"""What scaling curves say in numbers: intervals over samples, classes, and how two checkpoints differ."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from tetviz.errors import ResultError
from tetviz.results import OperationCounts, ScalingCurve, default_timestep
from tetviz.results.schema import FloatArray, IntArray
from tetviz.summaries.flatness import data_settings
from tetviz.summaries.intervals import CONFIDENCE
from tetviz.summaries.names import counted, network_names

FEW_SPLIT = 6
_Z = float(stats.norm.ppf(0.5 + CONFIDENCE / 2))
_STEPS = 8


def wilson(accuracy: npt.ArrayLike, samples: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """The 95 % Wilson score interval of a share (Wilson 1927).

    With z the 97.5 % quantile of the normal distribution, of a share p of n samples

        (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n).

    Unlike p -+ z times its standard error it stays within [0, 1] and has a width at 0 and 1.

    Args:
        accuracy: shares in [0, 1], such as accuracies.
        samples: number of samples n of each.

    Returns:
        Lower and upper ends, NaN where a share is NaN or there is no sample.
    """
    p, n = np.asarray(accuracy, float), np.asarray(samples, float)
    n = np.where(n > 0, n, np.nan)
    z2 = _Z**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return np.where((p == 0) & (n > 0), 0.0, centre - half), np.where((p == 1) & (n > 0), 1.0, centre + half)


def is_right(curve: ScalingCurve) -> npt.NDArray[np.bool_]:
    """Which samples the mean output gets right; a row for each draw of each."""
    return np.asarray(curve.prediction == curve.label[:, None])


def right_shares(curve: ScalingCurve) -> FloatArray:
    """In which share of its draws the mean output gets each sample right: 0 or 1 where nothing is drawn."""
    samples, at = np.unique(curve.sample, return_inverse=True)
    sums = np.zeros((len(samples), len(curve.timestep)))
    np.add.at(sums, at, is_right(curve))
    return sums / np.bincount(at)[:, None]


def table_timesteps(curve: ScalingCurve | OperationCounts) -> list[int]:
    """The numbers of timesteps that a table has rows for."""
    last = int(curve.timestep[-1])
    return [t for t in range(1, last + 1) if t in (curve.t_train, last) or t & (t - 1) == 0]


def class_accuracy(curve: ScalingCurve) -> pd.DataFrame:
    """Accuracy of the mean output on the samples of each class.

    Args:
        curve: a scaling curve.

    Returns:
        A row for each class, a column for each number of timesteps; fractions, NaN for a class without samples.
    """
    right = is_right(curve)
    members = [curve.label == each for each in range(curve.num_classes)]
    values = [right[member].mean(0) if member.any() else np.full(right.shape[1], np.nan) for member in members]
    index, columns = pd.RangeIndex(curve.num_classes, name="class"), pd.Index(curve.timestep, name="T")
    return pd.DataFrame(np.reshape(values, (curve.num_classes, len(curve.timestep))), index=index, columns=columns)


def step_accuracy_table(curves: Sequence[ScalingCurve]) -> pd.DataFrame:
    """Accuracy of the output of each step alone, and its variance over time: Table 4 of the TET paper.

    The steps shown are 1..S with S = 8, or twice the training T where that is more, or all there are. Both
    variances are sample variances (n - 1) over steps of the table alone: the first over the steps beyond
    training, which is what gives the paper's printed numbers (t = T_train+1..8), the second over all.

    Args:
        curves: one for each network.

    Returns:
        A row for each network, with ``T_train``, a column ``t=1`` ... for each step in percent, and two
        variance columns in percent squared whose names say the steps; the one over steps beyond training is left
        out where the table ends before them, or where no training T is known. NaN where a step was not measured, and
        for a variance over fewer than two steps or over one that was not measured.

    Raises:
        ResultError: there is no curve.
    """
    if not curves:
        raise ResultError("no scaling curve for a table")
    trained = [curve.t_train for curve in curves]
    last = min(max(int(curve.timestep[-1]) for curve in curves), max(_STEPS, 2 * max(trained)))
    first = f"{trained[0] + 1}" if len(set(trained)) == 1 and trained[0] else "T_train+1"
    rows = []
    for curve in curves:
        percent = np.full(last, np.nan)
        shown = curve.timestep <= last
        percent[curve.timestep[shown] - 1] = 100 * curve.step_accuracy[shown]
        beyond = percent[curve.t_train :] if curve.t_train else percent[:0]
        rows.append(
            {
                "T_train": curve.t_train,
                **{f"t={step}": value for step, value in enumerate(percent, start=1)},
                **({f"var {first}..{last}": _sample_variance(beyond)} if any(0 < t < last for t in trained) else {}),
                f"var 1..{last}": _sample_variance(percent),
            }
        )
    return pd.DataFrame(rows, index=pd.Index(network_names(curves), name="network"))


@dataclass(frozen=True)
class AccuracyDifference:
    """How the accuracies of two checkpoints differ on the same samples; every array is over T = 1 to the last shared.

    Attributes:
        first: name of the first checkpoint, the baseline.
        second: name of the second.
        first_accuracy: accuracy of its mean output, a fraction.
        second_accuracy: of the second.
        mean: second minus first.
        low: lower end of the 95 % interval over samples.
        high: upper end.
        split: number of samples that exactly one of the two gets right.
        samples: number of samples N.
        timestep: the T that a sentence is about: the first checkpoint's training T, or the last measured.
    """

    first: str
    second: str
    first_accuracy: FloatArray
    second_accuracy: FloatArray
    mean: FloatArray
    low: FloatArray
    high: FloatArray
    split: IntArray
    samples: int
    timestep: int

    @property
    def leaves_out_zero(self) -> npt.NDArray[np.bool_]:
        """At which T the interval leaves out 0."""
        return (self.low > 0) | (self.high < 0)

    @property
    def is_resolved(self) -> npt.NDArray[np.bool_]:
        """At which T it does, and six samples or more split the two; with fewer, chance alone may do it too often."""
        return self.leaves_out_zero & (self.split >= FEW_SPLIT)

    def words(self, timestep: int) -> str:
        """What an interval allows to say.

        Args:
            timestep: number of timesteps T.

        Returns:
            A few words; empty where the checkpoints differ.
        """
        at = timestep - 1
        if self.leaves_out_zero[at] and not self.is_resolved[at]:
            count = int(self.split[at])
            return f"only {count} sample{'s' * (count != 1)} tell them apart, too few"
        return "" if self.is_resolved[at] else f"within the noise of {counted(self.samples, 'sample')}"

    def sentence(self, timestep: int | None = None) -> str:
        """The difference in words.

        Args:
            timestep: number of timesteps T; the default one by default.

        Returns:
            Which of the two is more accurate and by how much, or that the noise of the samples hides it.
        """
        t = timestep or self.timestep
        mean, low, high = (100 * float(each[t - 1]) for each in (self.mean, self.low, self.high))
        words = self.words(t)
        if words:
            size = f"{mean:+.2f} points [{low:+.2f}, {high:+.2f}]"
            return f"T = {t}: accuracy of {self.second} minus {self.first}: {size}, {words}"
        better, worse = (self.second, self.first) if mean > 0 else (self.first, self.second)
        low, high = sorted((abs(low), abs(high)))
        size = f"{abs(mean):.2f} points [{low:.2f}, {high:.2f}]"
        return f"T = {t}: {better} is more accurate than {worse} by {size} over {self.samples:,} samples"


def compare_scaling(first: ScalingCurve, second: ScalingCurve) -> AccuracyDifference:
    """The difference of two checkpoints' accuracies at every T, with its 95 % interval over samples (paired).

    The interval is the adjusted Wald one of Bonett, Price 2012. With b of N samples that only the first gets right and
    c that only the second does, p = (b + 1) / (N + 2), q = (c + 1) / (N + 2) and z the 97.5 % quantile of the normal
    distribution,

        q - p -+ z sqrt((p + q - (q - p)^2) / (N + 2))

    within [-1, 1]. It is about these checkpoints and other samples, not about other training seeds. Where a network
    draws random numbers b and c are sums of the shares of draws by which one does better than the other on a sample,
    and the interval is too wide rather than too narrow.

    Args:
        first: the baseline.
        second: another checkpoint, on the same samples.

    Returns:
        Second minus first, at every T that both were measured at.

    Raises:
        ResultError: they were not measured on the same samples.
    """
    _require_same_samples(first, second)
    last = min(len(first.timestep), len(second.timestep))
    gaps = right_shares(second)[:, :last] - right_shares(first)[:, :last]
    samples = len(gaps)
    only_first, only_second = -gaps.clip(max=0).sum(0), gaps.clip(min=0).sum(0)
    low, high = paired_interval(only_first, only_second, samples)
    one, other = network_names([first, second])
    return AccuracyDifference(
        first=one,
        second=other,
        first_accuracy=first.accuracy[:last],
        second_accuracy=second.accuracy[:last],
        mean=gaps.mean(0),
        low=low,
        high=high,
        split=np.floor(only_first + only_second + 1e-9).astype(int),
        samples=samples,
        timestep=min(default_timestep(first), last),
    )


def paired_interval(
    only_first: npt.NDArray[Any], only_second: npt.NDArray[Any], samples: int
) -> tuple[FloatArray, FloatArray]:
    """The 95 % interval of :func:`compare_scaling`, of the numbers of samples that one of two alone gets right."""
    p, q = (only_first + 1) / (samples + 2), (only_second + 1) / (samples + 2)
    half = _Z * np.sqrt((p + q - (q - p) ** 2) / (samples + 2))
    return np.maximum(q - p - half, -1.0), np.minimum(q - p + half, 1.0)


def differences_from_first(curves: Sequence[ScalingCurve]) -> list[AccuracyDifference]:
    """How each checkpoint differs from the first."""
    names = network_names(curves)
    found = [compare_scaling(curves[0], other) for other in curves[1:]]
    return [replace(each, first=names[0], second=name) for each, name in zip(found, names[1:], strict=True)]


def _require_same_samples(first: ScalingCurve, second: ScalingCurve) -> None:
    a, b = first.provenance, second.provenance
    for what, one, other in (
        ("data set", a.dataset, b.dataset),
        ("split", a.split, b.split),
        ("data settings", data_settings(a), data_settings(b)),
    ):
        if one != other:
            raise ResultError(f"the checkpoints were measured on a different {what} ({one!r} and {other!r})")
    for what in ("sample", "label"):
        indices, others = (_by_sample(each, what) for each in (first, second))
        if not np.array_equal(indices, others):
            raise ResultError(
                f"the checkpoints were measured on different {what}s ({len(indices):,} and {len(others):,}): they "
                "cannot be compared sample by sample; measure both with the same --samples and --split"
            )


def _by_sample(curve: ScalingCurve, name: str) -> IntArray:
    _, first = np.unique(curve.sample, return_index=True)
    values: IntArray = getattr(curve, name)[first]
    return values


def _sample_variance(percent: FloatArray) -> float:
    return float(np.var(percent, ddof=1)) if len(percent) > 1 else float("nan")
