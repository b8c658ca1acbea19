"""What a network predicts for each sample at every timestep, kept from the very pass that measures it."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tetviz.training.batches import Batch
from tetviz.training.padding import classes_and_lengths, of_run
from tetviz.training.passes import Passes

_Arrays = dict[str, npt.NDArray[Any]]


class Predictions:
    """Looks at what passes through :func:`tetviz.training.measure`, and keeps a few numbers a sample and step.

    Attributes:
        draws: how often each batch is run, one run after the other.
        classes: number of classes K; 0 before the first batch.
        padded: whether a sample has ended before the last step.
    """

    def __init__(self, keep_outputs: bool = False, draws: int = 1) -> None:
        self.keep_outputs, self.draws = keep_outputs, draws
        self.classes = 0
        self.padded = False
        self._runs: list[_Arrays] = []
        self._passes = Passes()
        self._labels = torch.zeros(0, dtype=torch.int64)

    def labelled(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Notes the labels of batches on their way."""
        for x, self._labels in batches:
            yield x, self._labels

    def run(self, model: nn.Module, x: Tensor, timesteps: int) -> Iterator[Tensor]:
        """Runs a network as :func:`tetviz.training.passes.outputs` does, and notes what comes out."""
        self.padded |= of_run(self._labels, timesteps).dim() == 2
        labels_B, lengths_B = classes_and_lengths(self._labels, timesteps)
        total, done = torch.zeros((), dtype=torch.float64), 0
        stretches: list[dict[str, Tensor]] = []
        for logits_TBK in self._passes(model, x, timesteps):
            yield logits_TBK  # measure() looks whether these are outputs
            lengths_B = lengths_B.to(logits_TBK.device)
            steps_T = torch.arange(done + 1, done + len(logits_TBK) + 1, device=logits_TBK.device)
            inside_TB = steps_T[:, None] <= lengths_B
            own_TBK = logits_TBK.where(inside_TB[..., None], math.nan)
            sum_TBK = total.to(logits_TBK.device) + own_TBK.double().where(inside_TB[..., None], 0).cumsum(0)
            total, done = sum_TBK[-1], done + len(logits_TBK)
            stretches.append(self._look(own_TBK, sum_TBK / steps_T[:, None].minimum(lengths_B)[..., None]))
        kept = {
            name: torch.cat([stretch[name] for stretch in stretches]).transpose(0, 1).cpu().numpy()
            for name in stretches[0]
        }
        known = {"label": labels_B, "length": lengths_B}
        self._runs.append(kept | {name: each.cpu().numpy().astype(np.int64) for name, each in known.items()})

    def _look(self, logits_TBK: Tensor, mean_TBK: Tensor) -> dict[str, Tensor]:
        self.classes = mean_TBK.shape[2]
        margin_TB, entropy_TB = confidence(mean_TBK)
        return {
            "prediction": _predicted(mean_TBK),
            "step_prediction": _predicted(logits_TBK.double()),
            "margin": margin_TB.float(),
            "entropy": entropy_TB.float(),
            "outputs": logits_TBK.float() if self.keep_outputs else logits_TBK[:, :, :0].float(),
        }

    def arrays(self) -> _Arrays:
        """All that was kept, as a scaling curve takes it: all samples of the first draw, then those of the next."""
        in_order = [run for draw in range(self.draws) for run in self._runs[draw :: self.draws]]
        kept = {name: np.concatenate([run[name] for run in in_order]) for name in in_order[0]}
        if not self.padded:
            kept.pop("length")
        return {"output_class": np.arange(kept["outputs"].shape[2]), **kept}


def confidence(logits_TBK: Tensor) -> tuple[Tensor, Tensor]:
    """How sure outputs are of what they predict.

    Returns:
        Of the softmax p: the largest less the second largest (T x B), and the normalised entropy
        -sum p log p / log K (T x B). NaN where an output is not finite, and for a single class.
    """
    classes = logits_TBK.shape[2]
    if classes < 2:
        nothing = torch.full_like(logits_TBK[:, :, 0], math.nan)
        return nothing, nothing
    p_TBK = logits_TBK.softmax(2)
    first_TB, second_TB = p_TBK.topk(2, dim=2).values.unbind(2)
    return first_TB - second_TB, torch.special.entr(p_TBK).sum(2) / math.log(classes)


def _predicted(logits_TBK: Tensor) -> Tensor:
    # As measure() counts: no class is predicted where an output is NaN.
    return logits_TBK.argmax(2).masked_fill(logits_TBK.isnan().any(2), -1).int()
