"""By what a run that goes on tells that its data set is still the same."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from tetviz.models.foreign.isolation import generators_seeded
from tetviz.training.data import LabelledDataset

_READS = 8


@dataclass(frozen=True)
class Fingerprint:
    """Enough to notice other data under the same name.

    Attributes:
        labels: SHA-256 of the labels of all splits.
        samples: the same with the first sample of each split; ``""`` where it differs from read to read.
    """

    labels: str
    samples: str

    @classmethod
    def of(cls, *splits: LabelledDataset) -> "Fingerprint":
        """That of some splits, in their order."""
        labels, samples = hashlib.sha256(), hashlib.sha256()
        for data in splits:
            labels.update(_labels(data))
            samples.update(_labels(data) + _first_sample(data) + data.digest.encode())
        return cls(labels.hexdigest(), "" if any(map(reads_vary, splits)) else samples.hexdigest())

    def to_dict(self) -> dict[str, str]:
        """As plain values, for a checkpoint."""
        return asdict(self)

    def fits(self, kept: Mapping[str, Any]) -> bool:
        """Whether this is of the data that a checkpoint keeps the plain values of; older ones keep no labels."""
        if self.samples and kept.get("samples"):
            return bool(kept["samples"] == self.samples)
        return kept.get("labels") == self.labels


def reads_vary(data: LabelledDataset) -> bool:
    """Whether a sample differs from read to read, also where the generators of torch, NumPy and Python are seeded."""
    return not data.repeatable and len({_first_sample(data) for _ in range(_READS)}) > 1


def _labels(data: LabelledDataset) -> bytes:
    return np.ascontiguousarray(data.labels).tobytes()


def _first_sample(data: LabelledDataset) -> bytes:
    with generators_seeded(torch.device("cpu"), 0):
        return data[0][0].contiguous().numpy().tobytes()
