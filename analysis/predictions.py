"""What a network predicts for each sample at every timestep, kept from the very pass that measures it."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tetviz.training.batches import Batch
from tetviz.training.profile import outputs

_Arrays = dict[str, npt.NDArray[Any]]


class Predictions:
    """Looks at what passes through :func:`tetviz.training.measure`, and keeps a few numbers a sample and step.

    Attributes:
        draws: how often each batch is run, one run after the other.
        classes: number of classes K; 0 before the first batch.
    """

    def __init__(self, keep_outputs: bool = False, draws: int = 1) -> None:
        self.keep_outputs, self.draws = keep_outputs, draws
        self.classes = 0
        self._runs: list[_Arrays] = []
        self._labels: list[npt.NDArray[np.int64]] = []

    def labelled(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Notes the labels of batches on their way."""
        for x, labels_B in batches:
            self._labels.append(labels_B.cpu().numpy().astype(np.int64))
            yield x, labels_B

    def run(self, model: nn.Module, x: Tensor, timesteps: int) -> Iterator[Tensor]:
        """Runs a network as :func:`tetviz.training.profile.outputs` does, and notes what comes out."""
        total, done = torch.zeros((), dtype=torch.float64), 0
        stretches: list[dict[str, Tensor]] = []
        for logits_TBK in outputs(model, x, timesteps):
            yield logits_TBK  # measure() looks whether these are outputs
            step_TBK = logits_TBK.double()
            counts = torch.arange(done + 1, done + len(step_TBK) + 1, device=step_TBK.device)[:, None, None]
            sum_TBK = total.to(step_TBK.device) + step_TBK.cumsum(0)
            total, done = sum_TBK[-1], done + len(step_TBK)
            stretches.append(self._look(logits_TBK, step_TBK, sum_TBK / counts))
        self._runs.append(
            {
                name: torch.cat([stretch[name] for stretch in stretches]).transpose(0, 1).cpu().numpy()
                for name in stretches[0]
            }
        )

    def _look(self, logits_TBK: Tensor, step_TBK: Tensor, mean_TBK: Tensor) -> dict[str, Tensor]:
        self.classes = mean_TBK.shape[2]
        margin_TB, entropy_TB = confidence(mean_TBK)
        return {
            "prediction": _predicted(mean_TBK),
            "step_prediction": _predicted(step_TBK),
            "margin": margin_TB.float(),
            "entropy": entropy_TB.float(),
            "outputs": logits_TBK.float() if self.keep_outputs else logits_TBK[:, :, :0].float(),
        }

    def arrays(self) -> _Arrays:
        """All that was kept, as a scaling curve takes it: all samples of the first draw, then those of the next."""
        in_order = [run for draw in range(self.draws) for run in self._runs[draw :: self.draws]]
        kept = {name: np.concatenate([run[name] for run in in_order]) for name in in_order[0]}
        labels = np.tile(np.concatenate(self._labels), self.draws)
        return {"label": labels, "output_class": np.arange(kept["outputs"].shape[2]), **kept}


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
