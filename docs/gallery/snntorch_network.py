"""A network of snnTorch.

It is called once a step and gives a pair, spikes and potential; `item="mem"` takes the potential of the last neurons
as output O(t). Its loss surface is drawn like that of any other network.
"""

import snntorch
import torch
from torch import nn
from torch.utils.data import DataLoader

from tetviz.figures import draw, save_figure
from tetviz.landscape import compute_surface, random_plane
from tetviz.models import adapt
from tetviz.results import Provenance
from tetviz.training import load_data, select_balanced

torch.manual_seed(0)
train, test = load_data("digits", split="train"), load_data("digits", split="test")
hidden = snntorch.Leaky(0.5, init_hidden=True)
last = snntorch.Leaky(0.9, init_hidden=True, output=True)
network = nn.Sequential(
    nn.Conv2d(1, 8, 3, stride=2), nn.BatchNorm2d(8), hidden, nn.Flatten(), nn.Linear(392, 10), last
)
optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
for x, y in DataLoader(train, batch_size=64, shuffle=True):
    hidden.reset_mem(), last.reset_mem()
    loss = nn.functional.cross_entropy(torch.stack([network(x)[1] for _ in range(4)]).mean(0), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

x = torch.stack([test[i][0] for i in range(8)])
model = adapt(network.eval(), x, timesteps=4, takes="step", gives="step", item="mem")
samples, plane = select_balanced(test.labels, 100), random_plane(model, seed=0)
origin = Provenance(label="snnTorch", dataset="digits", split="test")
surface = compute_surface(model, test, plane, grid=13, indices=samples, provenance=origin)
save_figure(draw([surface]), "snntorch_network.png")
