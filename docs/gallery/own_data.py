"""Data of your own.

Whatever gives pairs of image and label will do: a Dataset or a DataLoader. Here it is the digits, clean and with noise
on them, and the question is whether more timesteps help against noise.
"""

import torch
from torch.utils.data import TensorDataset

from tetviz.analysis import compute_scaling
from tetviz.figures import draw, save_figure
from tetviz.results import Provenance
from tetviz.training import Checkpoint, load_data

model, test = Checkpoint.load("tet.pt").model(), load_data("digits", split="test")
images = torch.stack([test[i][0] for i in range(len(test))])
labels = torch.as_tensor(test.labels)
noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
curves = []
for name, strength in (("clean", 0.0), ("noisy", 1.5)):
    data = TensorDataset(images + strength * noise, labels)
    curves.append(
        compute_scaling(model, data, tmax=16, provenance=Provenance(label=name, dataset="digits"))
    )
save_figure(draw(curves), "own_data.png")
