"""Fewer and more timesteps: Figure 8 of the TET paper.

One pass of 32 steps gives the accuracy at every T up to 32, with 95 % Wilson intervals; the two networks are compared
sample by sample.
"""

from tetviz.analysis import compute_scaling
from tetviz.figures import draw, save_figure
from tetviz.results import Provenance
from tetviz.summaries import compare_scaling
from tetviz.training import Checkpoint, load_data

test = load_data("digits", split="test")
curves = []
for name in ("sdt", "tet"):
    model = Checkpoint.load(f"{name}.pt").model()
    origin = Provenance(label=name, dataset="digits", split="test")
    curves.append(compute_scaling(model, test, tmax=32, provenance=origin))
print(compare_scaling(*curves).sentence())
save_figure(draw(curves), "scale.png")
