"""What is done to the values of images before a network sees them: (x - mean) / std by channel."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tetviz.errors import DataError

NONE = "none"


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of every channel of images scaled to [0, 1], or one of each for all channels.

    The numbers are those of float32, in which they are used.

    Raises:
        ValueError: they are not as many, not finite, or a deviation is not positive.
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        """Checks the values."""
        if len(self.mean) != len(self.std) or not self.mean:
            raise ValueError(f"expected as many means as deviations, got {len(self.mean)} and {len(self.std)}")
        if not all(map(math.isfinite, (*self.mean, *self.std))) or min(self.std) <= 0:
            raise ValueError(f"expected finite means and positive deviations, got {self}")

    @classmethod
    def of(cls, mean: Sequence[float], std: Sequence[float]) -> "Normalisation":
        """From statistics of data; a channel that is the same everywhere is only centred."""
        return cls(tuple(map(_short, mean)), tuple(_short(value) or 1.0 for value in std))

    @classmethod
    def parse(cls, text: str) -> "Normalisation":
        """Reads ``MEAN:STD``, each a number or one for every channel with commas between, or ``none``."""
        if text == NONE:
            return cls()
        mean, colon, std = text.partition(":")
        try:
            read = [tuple(_short(float(value)) for value in part.split(",")) for part in (mean, std)]
        except ValueError:
            read = []
        if not colon or not read:
            raise ValueError(
                f"expected MEAN:STD such as 0.5:0.25 or 0.491,0.482,0.447:0.202,0.199,0.201, or none; got {text!r}"
            )
        return cls(*read)

    def __str__(self) -> str:
        if self == Normalisation():
            return NONE
        return ":".join(",".join(map(str, values)) for values in (self.mean, self.std))

    def check(self, name: str, channels: int) -> None:
        """Checks that the numbers are those of so many channels."""
        if len(self.mean) not in (1, channels):
            raise DataError(
                f"data set {name!r}: its images have {channels} channels, --normalise has {len(self.mean)} means and "
                "deviations; give one of each for every channel, or one for all"
            )

    def __call__(self, x: Tensor) -> Tensor:
        """Normalises images x_..CHW scaled to [0, 1]."""
        return (x - self._by_channel(x, self.mean)) / self._by_channel(x, self.std)

    def undo(self, x: Tensor) -> Tensor:
        """The images in [0, 1] again."""
        return x * self._by_channel(x, self.std) + self._by_channel(x, self.mean)

    def black(self, x: Tensor) -> Tensor:
        """What 0 becomes, by channel, to be set into x_..CHW."""
        return self(torch.zeros(max(1, len(self.mean)), 1, 1, dtype=x.dtype, device=x.device))

    def _by_channel(self, x: Tensor, values: tuple[float, ...]) -> Tensor:
        return torch.tensor(values, dtype=x.dtype, device=x.device)[:, None, None]


def _short(value: float) -> float:
    # The number of float32, with as few digits as tell it.
    return float(str(np.float32(value)))
