"""What every data set is: its description, its base class, the choice and the split of its samples."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

from tetviz.errors import DataError
from tetviz.models import NodeClassifier
from tetviz.models.layers import SAMPLE_AXES
from tetviz.results.plain import MOST_TIMESTEPS
from tetviz.results.schema import IntArray
from tetviz.training.axes import check_axes
from tetviz.training.data.normalise import Normalisation
from tetviz.training.data.sources import Sources

FRAMINGS = ("time", "count")
ENCODINGS = ("bernoulli",)
MOST_PIXELS = 16_384  # of a side
MOST_UNITS = 1_000_000
DOWNLOAD = "run the same command with --download"


@dataclass(frozen=True)
class DataSpec:
    """What a data set is made from; plain values, so that a checkpoint can record it.

    Args:
        name: a key of :data:`tetviz.training.data.DATASETS`.
        root: the folder (``npz``: the file) that holds the data, ``""`` for bundled data.
        image_size: side of the images in pixels; 0 is the data set's own.
        frames: events: the number T of frames a recording is cut into.
        framing: events: ``time`` for windows of equal length, ``count`` for windows of equal event counts.
        split_seed: seed of the 9:1 split of event data that have no official one.
        sensor: events: height and width of the sensor in pixels; ``()`` finds them by scanning the arrays.
        normalise: images: ``MEAN:STD`` or ``none``, as :class:`tetviz.training.data.normalise.Normalisation` reads it;
            ``""`` is the data set's own.
        axes: data of someone else's: the axes of a sample, such as ``TF`` or ``CHWT``, as
            :mod:`tetviz.training.axes` reads them; ``""`` takes them for F, T F, C H W or T C H W.
        lengths: data of someone else's: whether the third item of a sample or batch is its length in frames, or a mask
            of them; what is behind is padding.
        duration: spike trains: seconds that the frames cover; 0 is the longest recording of both splits.
        units: spike trains: input units, to which neighbours are added up; 0 is all that were recorded.
        encode: images: ``bernoulli`` for spikes drawn with the pixel as their probability; ``""`` shows the image at
            every step.

    Raises:
        ValueError: a number is negative, the framing is unknown, the sensor is not two positive numbers, or
            normalisation or axes are of another form.
    """

    name: str
    root: str = ""
    image_size: int = 0
    frames: int = 0
    framing: str = "time"
    split_seed: int = 0
    sensor: Sequence[int] = ()
    normalise: str = ""
    axes: str = ""
    lengths: bool = False
    duration: float = 0.0
    units: int = 0
    encode: str = ""

    def __post_init__(self) -> None:
        """Checks the values; the sensor becomes a tuple of plain integers, the normalisation is written one way."""
        object.__setattr__(self, "root", str(self.root))
        object.__setattr__(self, "sensor", tuple(int(side) for side in self.sensor))
        limits = {"image_size": MOST_PIXELS, "frames": MOST_TIMESTEPS, "units": MOST_UNITS}
        for field in ("image_size", "frames", "split_seed", "duration", "units"):
            most = limits.get(field, sys.float_info.max)
            if not 0 <= getattr(self, field) <= most:
                raise ValueError(f"{field} must be from 0 to {most}, got {getattr(self, field)}")
        if self.framing not in FRAMINGS:
            raise ValueError(f"framing must be one of {', '.join(FRAMINGS)}, got {self.framing!r}")
        if self.encode and self.encode not in ENCODINGS:
            raise ValueError(f"encode must be {' or '.join(ENCODINGS)}, got {self.encode!r}")
        if self.sensor and (len(self.sensor) != 2 or not 1 <= min(self.sensor) <= max(self.sensor) <= MOST_PIXELS):
            raise ValueError(f"sensor must be a height and a width, up to {MOST_PIXELS} pixels, got {self.sensor}")
        if self.normalise:
            object.__setattr__(self, "normalise", str(Normalisation.parse(self.normalise)))
        if self.axes:
            check_axes(self.axes)

    def to_dict(self) -> dict[str, Any]:
        """The description as plain values, which ``DataSpec(**it)`` takes back.

        What later versions added is left out where it says nothing, so that it compares with what older ones wrote.
        """
        added = ("normalise", "axes", "lengths", "duration", "units", "encode")
        values = {name: value for name, value in asdict(self).items() if value or name not in added}
        return values | {"sensor": list(self.sensor)}

    def located(self, cure: str = "give --data-root the place where they are") -> Path:
        """The root as a path, with ``~`` filled in.

        Args:
            cure: what to do when there is nothing, for the message.

        Raises:
            DataError: no root was given, or there is nothing at it.
        """
        if not self.root:
            raise DataError(f"data set {self.name!r} has to be told where its data are: give --data-root")
        path = Path(self.root).expanduser()
        if not path.exists():
            raise DataError(f"data set {self.name!r}: looked for it in {path}, which does not exist: {cure}")
        return path


class LabelledDataset(Dataset[tuple[Tensor, int]]):
    """Base of the data sets: samples x (x_CHW, or x_TCHW where ``sequence``) with integer labels.

    Attributes:
        spec: the description, completed: the image size and the sensor as they are.
        labels: the labels (N,), known without decoding a sample.
        lengths: the frames (N,) of each sample, behind which there is padding; None where samples fill all frames.
        classes: the names of the classes.
        in_channels: channels C of a sample.
        image_size: side H = W of a sample in pixels.
        sequence: whether a sample has a time axis.
        states_classes: whether the classes are known, not told by the labels that are there.
        sample_axes: how many axes a sample has at one step, as it was given; what is 1 long behind them was added.
        normalisation: what is done to images scaled to [0, 1]; None where samples are taken as they come.
        repeatable: whether a sample is the same each time that it is read, unless its file is changed.
        sources: the files that samples are read from, as they were when it was opened.
        validation: samples that choose the best epoch, where the data have such; else some of these are held out.
        together: whether a network computes all samples at once, whatever the batch.
        model_options: options that a network for these data needs.
        digest: SHA-256 of what samples share; ``""`` where they share nothing.
    """

    spec: DataSpec
    labels: IntArray
    classes: list[str]
    in_channels: int
    image_size: int
    lengths: IntArray | None = None
    sequence: bool = False
    states_classes: bool = True
    sample_axes: int = SAMPLE_AXES
    normalisation: Normalisation | None = None
    repeatable: bool = True
    sources: Sources = Sources()
    validation: "LabelledDataset | None" = None
    together: bool = False
    model_options: Mapping[str, Any] = MappingProxyType({})
    digest: str = ""

    def check_network(self, on_graph: bool) -> None:
        """Checks that a network takes these data.

        Args:
            on_graph: whether it classifies the nodes of a graph.
        """
        if on_graph:
            raise DataError(
                f"{self.spec.name}: holds no graph, which the network classifies the nodes of; take --data planetoid"
            )

    def attach(self, model: nn.Module) -> None:
        """Gives a network what it needs of the data beside samples.

        Raises:
            DataError: the network does not take these data.
        """
        self.check_network(isinstance(model, NodeClassifier))

    @property
    def num_classes(self) -> int:
        """The number of classes, also of those without a sample in this split."""
        return len(self.classes)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """One sample."""
        raise NotImplementedError


def chosen_normalisation(spec: DataSpec, own: Normalisation, channels: int) -> Normalisation:
    """The normalisation that is asked for, or else a data set's own."""
    chosen = Normalisation.parse(spec.normalise) if spec.normalise else own
    chosen.check(spec.name, channels)
    return chosen


def resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resizes every channel by itself: bilinear, antialiased when it shrinks."""
    if tuple(x.shape[-2:]) == size:
        return x
    merged = x.reshape(1, -1, *x.shape[-2:])
    resized = F.interpolate(merged, size, mode="bilinear", antialias=True, align_corners=False)
    return resized.reshape(*x.shape[:-2], *size)


def select_balanced(labels: npt.ArrayLike, count: int | None) -> IntArray:
    """Chooses a class-balanced subset that is always the same.

    Goes round the classes in ascending order and takes of each the next sample in data-set order, so of two
    such subsets the smaller one is the beginning of the larger.

    Args:
        labels: the labels (N,).
        count: how many samples; None, 0, N or more take all of them, in data-set order.

    Returns:
        The positions of the chosen samples, in the order of their choice.

    Raises:
        ValueError: the count is negative.
    """
    labels_N = np.asarray(labels, dtype=np.int64)
    if count is not None and count < 0:
        raise ValueError(f"the number of samples must not be negative, got {count}")
    if not count or count >= len(labels_N):
        return np.arange(len(labels_N), dtype=np.int64)
    rank_N = np.empty_like(labels_N)
    for label in np.unique(labels_N):
        members = np.flatnonzero(labels_N == label)
        rank_N[members] = np.arange(len(members))
    return np.lexsort((labels_N, rank_N))[:count].astype(np.int64)


def split_validation(labels: npt.ArrayLike, fraction: float, seed: int) -> tuple[IntArray, IntArray]:
    """Splits off a random share of every class.

    Of n samples round(n * fraction) go, a half rounded up, but at least one and never all; a class of one
    sample keeps it. The choice within a class depends on the seed, the class and n alone.

    Args:
        fraction: the share to split off, in [0, 1); 0 splits off nothing.
    """
    labels_N = np.asarray(labels, dtype=np.int64)
    if not 0 <= fraction < 1:
        raise ValueError(f"the share to split off must be in [0, 1), got {fraction}")
    chosen_N = np.zeros(len(labels_N), dtype=bool)
    for label in np.unique(labels_N) if fraction else ():
        members = np.flatnonzero(labels_N == label)
        share = min(max(1, int(len(members) * fraction + 0.5)), len(members) - 1)
        shuffled = np.random.default_rng([seed, int(label)]).permutation(members)
        chosen_N[shuffled[:share]] = True
    return np.flatnonzero(~chosen_N).astype(np.int64), np.flatnonzero(chosen_N).astype(np.int64)
