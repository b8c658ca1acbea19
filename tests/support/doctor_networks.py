"""Networks for the doctor, and what it finds in them."""

import torch
from torch import nn

from tetviz.models import build
from tetviz.training.doctor import CHECKS, examine

T = 4


class Neuron(nn.Module):
    """Integrate-and-fire, written like SpikingJelly's: it may keep its membrane from call to call."""

    def __init__(self, keep=False):
        super().__init__()
        self.v_threshold, self.keep = 1.0, keep
        self._memories = {"v": 0.0}

    def forward(self, x_TB):
        v = self._memories["v"] if self.keep else 0.0
        spikes = []
        for current in x_TB:
            v = v + current
            s = (v > self.v_threshold).to(v)
            v = v * (1 - s)
            spikes.append(s)
        self._memories["v"] = v
        return torch.stack(spikes)


class Foreign(nn.Module):
    """A network that knows nothing of tetviz; static samples are encoded once."""

    def __init__(self, middle=None, keep=False, front=None, classes=4):
        super().__init__()
        torch.manual_seed(1)
        self.first, self.last = nn.Linear(9, 16), nn.Linear(16, classes)
        self.front, self.middle = front or nn.Identity(), middle or nn.Identity()
        self.neuron = Neuron(keep)
        with torch.no_grad():
            self.last.weight.mul_(4)

    def forward(self, x, timesteps):
        current = self.first(x.flatten(-3))
        if x.dim() == 4:
            current = current.expand(timesteps, *current.shape)
        return self.last(self.middle(self.neuron(self.front(current[:timesteps]))))


class Calls(nn.Module):
    """A layer out of a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def batches_for(model, channels=1, side=3, samples=40):
    """Two batches whose labels are what a clean copy of the network says, so that it is better than chance."""
    generator = torch.Generator().manual_seed(5)
    x = 2 * torch.randn(samples, channels, side, side, generator=generator)
    with torch.no_grad():
        labels = model(x, T).mean(0).argmax(1)
    half = samples // 2 + 3
    return [(x[:half], labels[:half]), (x[half:], labels[half:])]


def healthy_batches():
    return batches_for(Foreign())


def warmed(name="snn5", **settings):
    torch.manual_seed(0)
    settings = {"num_classes": 4, "in_channels": 1, "image_size": 16, "width": 0.0625, **settings}
    model = build(name, **settings)
    x = 2 * torch.randn(16, 1, 16, 16)
    with torch.no_grad():
        for _ in range(40):
            model(x, 3)
        for module in model.modules():
            if isinstance(module, nn.Linear):
                module.weight.mul_(4)
    return model.eval()


def found(model, check, data=None, timesteps=T):
    """All findings must be there; those of one check, the worst first."""
    findings = examine(model, healthy_batches() if data is None else data, timesteps)
    assert list(dict.fromkeys(finding.check for finding in findings)) == list(CHECKS)
    assert all(finding.verdict in ("ok", "warning", "failure") for finding in findings)
    assert all(finding.message and "\n" not in finding.message for finding in findings)
    return [finding for finding in findings if finding.check == check]


def sick(model, check, data=None, timesteps=T, verdict="failure"):
    (finding,) = found(model, check, data, timesteps)
    assert finding.verdict == verdict, finding
    return finding.message


def verdicts(findings):
    return {finding.check: finding.verdict for finding in findings}
