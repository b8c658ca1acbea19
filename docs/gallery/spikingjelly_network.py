"""A network of SpikingJelly.

Any module is measured once it is said how it is called: here with all steps at once, time first. `adapt` tests that on
real samples, and resets the neurons before every run.
"""

import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch.utils.data import DataLoader

from tetviz.analysis import compute_scaling
from tetviz.figures import draw, save_figure
from tetviz.models import adapt
from tetviz.results import Provenance
from tetviz.training import load_data

torch.manual_seed(0)
train, test = load_data("digits", split="train"), load_data("digits", split="test")
lif = neuron.LIFNode(surrogate_function=surrogate.ATan(), detach_reset=True)
convolution = (layer.Conv2d(1, 8, 3, stride=2), layer.BatchNorm2d(8))
network = torch.nn.Sequential(*convolution, lif, layer.Flatten(), layer.Linear(392, 10))
functional.set_step_mode(network, "m")
optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
for x, y in DataLoader(train, batch_size=64, shuffle=True):
    functional.reset_net(network)
    loss = torch.nn.functional.cross_entropy(network(x.expand(4, *x.shape)).mean(0), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

x = torch.stack([test[i][0] for i in range(8)])
model = adapt(network.eval(), x, timesteps=4, takes="time-major", gives="time-major")
origin = Provenance(label="SpikingJelly", dataset="digits", split="test")
curve = compute_scaling(model, test, tmax=16, provenance=origin)
save_figure(draw([curve]), "spikingjelly_network.png")
