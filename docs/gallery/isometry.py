"""What depth does to gradients.

Two untrained networks of 20 layers: one of plain blocks, one of MS blocks. Of each block it is measured how much it
stretches gradients; 1 is isometry.
"""

import torch

from tetviz.analysis import compute_isometry
from tetviz.figures import draw, save_figure
from tetviz.models import ModelSpec, build
from tetviz.results import Provenance
from tetviz.training import load_data, select_balanced

test = load_data("digits", split="test")
results = []
for block in ("plain", "ms"):
    torch.manual_seed(0)
    options = {"depth": 20, "block": block}
    model = build(
        ModelSpec("cifar-resnet", 10, test.in_channels, test.image_size, width=0.5, options=options)
    )
    origin = Provenance(label=block, dataset="digits", split="test")
    samples = select_balanced(test.labels, 20)
    results.append(
        compute_isometry(model, test, timesteps=2, probes=2, indices=samples, provenance=origin)
    )
save_figure(draw(results), "isometry.png")
