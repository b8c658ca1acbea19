"""How far the outputs of a network vary that draws random numbers."""

from collections.abc import Iterable

import numpy as np
from torch import nn

from tetviz.models.foreign.draws import drawn, draws_of, is_stochastic
from tetviz.training.batches import Batch
from tetviz.training.doctor.runs import logits
from tetviz.training.padding import classes_and_lengths, mean_over_steps, of_run
from tetviz.training.profile import a_parameter


def over_draws(model: nn.Module, batches: Iterable[Batch], timesteps: int) -> str:
    """How far the accuracy of one draw is from that of another, in words; none where no random numbers are drawn."""
    if not is_stochastic(model):
        return ""
    draws, weight = draws_of(model), a_parameter(model)
    right, total = np.zeros(draws), 0
    with drawn(model, batches) as passes:
        for run, (x, labels) in enumerate(passes):
            logits_TBK = logits(model, x.to(weight.device, weight.dtype), timesteps).double().cpu()
            labels_B, _ = classes_and_lengths(labels.cpu(), timesteps)
            predicted_B = mean_over_steps(logits_TBK, of_run(labels.cpu(), timesteps)).argmax(1)
            right[run % draws] += int((predicted_B == labels_B).sum())
            total += len(labels_B)
    shares = right * draws / total
    if draws == 1:
        return f"; the accuracy of the one draw is {shares[0]:.2%}, with more --draws it is told how far they vary"
    spread = f"{shares.min():.2%} to {shares.max():.2%}, standard deviation {100 * shares.std(ddof=1):.2g} points"
    return f"; of {draws} draws the accuracy is {spread}"
