"""Runs of samples that end before the last step: as many steps as each has, so that none of the padding is run."""

import math
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from tetviz.results.schema import IntArray
from tetviz.training.batches import Batch
from tetviz.training.padding import classes_and_lengths, of_run
from tetviz.training.passes import Runner


class OwnSteps:
    """Looks at what passes through :func:`tetviz.training.measure`, and ends each run where its samples end.

    Args:
        run: makes a run.
        timesteps: T, the longest run.
    """

    def __init__(self, run: Runner, timesteps: int) -> None:
        self._run, self.timesteps = run, timesteps
        self._length, self._padded = timesteps, False
        self._lengths: list[IntArray] = []

    def by_length(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Batches in parts of one length each; whole where no sample ends before the last step."""
        for x, labels in batches:
            lengths_B = classes_and_lengths(labels, self.timesteps)[1]
            self._lengths.append(lengths_B.cpu().numpy())
            if of_run(labels, self.timesteps).dim() == 1:
                self._length = self.timesteps
                yield x, labels
                continue
            self._padded = True
            for self._length in sorted(set(lengths_B.tolist())):
                members = torch.nonzero(lengths_B == self._length)[:, 0]
                yield x[:, members.to(x.device)], labels[members]

    def run(self, model: nn.Module, x: Tensor, timesteps: int) -> Iterator[Tensor]:
        """Runs a network for the steps that its samples have; behind them outputs are NaN."""
        if self._length == timesteps:
            yield from self._run(model, x, timesteps)
            return
        for logits_TBK in self._run(model, x[: self._length], self._length):
            yield logits_TBK
        yield logits_TBK.new_full((timesteps - self._length, *logits_TBK.shape[1:]), math.nan)

    def lengths(self) -> IntArray | None:
        """How many of the steps each sample has; None where all have all."""
        return np.concatenate(self._lengths) if self._padded else None
