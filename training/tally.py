"""What samples an epoch has seen, in whatever order, so that a data set that changes during a run is noticed."""

import hashlib
from collections.abc import Iterable, Iterator

from torch import Tensor

from tetviz.training.batches import Batch

_MODULUS = 1 << 256


class Tally:
    """A digest of the samples of each split: the sum of their SHA-256, which no order changes."""

    def __init__(self) -> None:
        self._sums: dict[str, int] = {}

    def watched(self, split: str, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Batches as they are, while their samples are taken down."""
        for x, labels_B in batches:
            for sample, label in zip(x.unbind(int(x.dim() == 5)), labels_B.tolist(), strict=True):
                self._sums[split] = (self._sums.get(split, 0) + _digest(sample, label)) % _MODULUS
            yield x, labels_B

    def sum_of(self, split: str) -> int:
        """The sum so far of a split."""
        return self._sums.get(split, 0)

    def merge(self, split: str, sums: Iterable[int]) -> None:
        """Takes the sum of a split that was seen in parts."""
        if split in self._sums:
            self._sums[split] = sum(sums) % _MODULUS

    def digests(self) -> dict[str, str]:
        """The digest of each split, in hexadecimal digits."""
        return {split: f"{total:064x}" for split, total in self._sums.items()}


def _digest(sample: Tensor, label: int) -> int:
    digest = hashlib.sha256(sample.contiguous().numpy().tobytes())
    digest.update(str(label).encode())
    return int.from_bytes(digest.digest())
