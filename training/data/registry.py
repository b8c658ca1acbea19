"""Data sets by name."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tetviz.errors import DataError, unknown
from tetviz.training.data.arrays import load_digits, load_npz
from tetviz.training.data.bernoulli import BernoulliSpikes
from tetviz.training.data.dataset import DataSpec, LabelledDataset
from tetviz.training.data.events import load_events
from tetviz.training.data.foreign import load_foreign
from tetviz.training.data.images import load_imagefolder, load_imagenet, load_torchvision
from tetviz.training.data.planetoid import load_planetoid
from tetviz.training.data.spike_trains import load_spike_trains
from tetviz.training.data.tonic import load_tonic

Loader = Callable[[DataSpec, str, bool], LabelledDataset]

DATASETS: dict[str, Loader] = {
    "digits": load_digits,
    "mnist": load_torchvision,
    "fashion-mnist": load_torchvision,
    "cifar10": load_torchvision,
    "cifar100": load_torchvision,
    "imagenet": load_imagenet,
    "imagefolder": load_imagefolder,
    "npz": load_npz,
    "events": load_events,
    "hdf5-spikes": load_spike_trains,
    "nmnist": load_tonic,
    "cifar10-dvs": load_tonic,
    "dvs-gesture": load_tonic,
    "planetoid": load_planetoid,
}


def load_data(
    name: str | DataSpec, *, split: str, root: str = "", download: bool = False, trust: bool = False, **settings: Any
) -> LabelledDataset:
    """Loads one split of a data set.

    Args:
        name: a key of ``DATASETS``, ``module:function`` for a function of someone else's (see
            :func:`tetviz.training.data.foreign.load_foreign`), or a whole description, such as a checkpoint records.
        split: ``train`` or ``test``.
        root: the folder (``npz``: the file) with the data; goes before that of a description.
        download: whether to fetch data that are missing, where that is possible.
        trust: whether a function of someone else's may be imported and run.
        **settings: other fields of :class:`DataSpec`; they go before those of a description.

    Returns:
        The samples, with their description completed.

    Raises:
        DataError: the name is unknown, or the data are missing, damaged or empty.
        ValueError: the split is not ``train`` or ``test``.
    """
    if split not in ("train", "test"):
        raise ValueError(f"split must be train or test, got {split!r}")
    spec = name if isinstance(name, DataSpec) else DataSpec(name)
    if spec.name not in DATASETS and ":" not in spec.name:
        raise DataError(unknown("data set", spec.name, DATASETS))
    spec = replace(spec, root=root or spec.root, **settings)
    if (spec.lengths or spec.axes) and ":" not in spec.name:
        option, what = ("--lengths", "samples of one length") if spec.lengths else ("--axes", "axes that are known")
        raise DataError(f"{option}: only for data of your own, {spec.name!r} has {what}; leave it out")
    if spec.encode:
        if spec.normalise not in ("", "none"):
            raise DataError(f"--encode {spec.encode}: spikes are drawn from pixels in [0, 1]; leave --normalise out")
        spec = replace(spec, normalise="none")
    dataset = load_foreign(spec, split, trust) if ":" in spec.name else DATASETS[spec.name](spec, split, download)
    if spec.encode:
        dataset = BernoulliSpikes(dataset, spec.frames)
    if not len(dataset):
        raise DataError(f"data set {spec.name!r}: its {split} split in {spec.root} has no samples")
    if dataset.normalisation is None:
        if settings.get("normalise"):
            raise DataError(f"--normalise: {spec.name!r} holds no images that tetviz normalises; leave it out")
        dataset.spec = replace(dataset.spec, normalise="")
    return dataset
