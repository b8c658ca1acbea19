import random

import numpy as np
import pytest
import torch
from doctor_networks import Calls, Foreign, T, healthy_batches, sick, verdicts
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from wording import heard

from tetviz.training.doctor import examine

OWN_GENERATOR = torch.Generator().manual_seed(0)


class OverMerged(nn.Module):
    """A layer that knows no time, applied to time and batch at once."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x.flatten(0, 1)).view_as(x)


def test_shuffled_data_are_named():
    x, y = (torch.cat(parts) for parts in zip(*healthy_batches(), strict=True))
    loader = DataLoader(TensorDataset(x, y), 7, shuffle=True)
    message = sick(Foreign(), "repeatable", loader)
    assert "the data change" in message and "shuffl" in message
    assert "dropout" not in message and "state" not in message


def test_augmented_data_are_named():
    class Augmented(list):
        def __iter__(self):
            return ((x + torch.randn(x.shape), y) for x, y in super().__iter__())

    heard(sick(Foreign(), "repeatable", Augmented(healthy_batches())), "data change")


def test_dropout_that_is_kept_on_is_named():
    class MonteCarlo(Foreign):
        def eval(self):
            super().eval()
            self.middle.train()
            return self

    message = sick(MonteCarlo(nn.Dropout(0.5)), "repeatable")
    heard(message, "dropout Dropout")
    assert "besides" not in message and "data change" not in message and "leaks" not in message
    both = MonteCarlo(nn.Dropout(0.5), front=Calls(lambda x: F.dropout(x, 0.5)))
    heard(sick(both, "repeatable"), "Dropout function")


@pytest.mark.parametrize(
    "noise",
    [
        lambda x: F.dropout(x, 0.5),
        lambda x: x * random.random(),
        lambda x: x * float(np.random.rand()),
    ],
)
def test_randomness_in_forward_is_named(noise):
    message = sick(Foreign(Calls(noise)), "repeatable")
    heard(message, "function forward")
    assert "stays active" not in message and "leaks" not in message
    assert "see repeatable" in sick(Foreign(Calls(noise)), "causal in t", verdict="warning")


def test_randomness_from_elsewhere_is_told_apart():
    message = sick(Foreign(Calls(lambda x: x * torch.rand((), generator=OWN_GENERATOR))), "repeatable")
    assert "outside its modules" in message and "F.dropout" not in message


def test_leaked_state_is_named():
    message = sick(Foreign(keep=True), "repeatable")
    heard(message, "neuron Neuron")
    assert "random" not in message and "data change" not in message


def test_leaked_state_in_lists_and_buffers_is_named():
    class Lists(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("total", torch.zeros(()))
            self.trace = [torch.zeros(())]

        def forward(self, x):
            out = x * (1 + self.total + self.trace[0])
            self.total += 0.1
            self.trace = [self.trace[0] + 0.1]
            return out

    message = sick(Foreign(Lists()), "repeatable")
    heard(message, "middle Lists")


def test_state_that_does_not_fit_the_next_batch_is_a_finding():
    (x, y), _ = healthy_batches()
    message = sick(Foreign(keep=True), "repeatable", [(x, y), (x[:5], y[:5])])
    heard(message, "measured RuntimeError")
    heard(message, "neuron Neuron")


def test_state_of_a_graph_is_named():
    model = Foreign()
    model(healthy_batches()[0][0], T)
    message = sick(model, "repeatable")
    heard(message, "tensors autograd")
    assert not model.neuron._memories["v"].is_leaf


def test_batch_norm_in_train_mode_is_named():
    class AlwaysTraining(Foreign):
        def train(self, mode=True):
            return super().train(True)

    message = sick(AlwaysTraining(OverMerged(nn.BatchNorm1d(16))), "repeatable")
    heard(message, "middle.layer BatchNorm1d")
    heard(message, "running_mean running_var")
    assert verdicts(examine(AlwaysTraining(), healthy_batches(), T))["repeatable"] == "ok"
    assert verdicts(examine(Foreign(OverMerged(nn.BatchNorm1d(16))), healthy_batches(), T))["repeatable"] == "ok"
