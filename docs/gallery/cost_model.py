"""A cost model of your own.

Counts are priced after they are taken, so another cost model needs no other measurement. These numbers are made up:
put those of your hardware in their place, with their source.
"""

from dataclasses import replace

from tetviz.analysis import compute_operations
from tetviz.figures import draw, save_figure
from tetviz.results import Provenance
from tetviz.summaries import CostModel, break_even, estimate_energy
from tetviz.summaries.costs import cost_text
from tetviz.training import Checkpoint, load_data

model, test = Checkpoint.load("tet.pt").model(), load_data("digits", split="test")
origin = Provenance(label="tet", dataset="digits", split="test")
counts = compute_operations(model, test, tmax=8, provenance=origin)
mine = CostModel(
    "my-chip",
    "made up",
    mac=0.2,
    ac=0.05,
    mul=0.15,
    add=0.05,
    compare=0.05,
    weight_bits=8,
    state_bits=16,
)
for cost in ("45nm-int8", mine):
    print(f"{estimate_energy(counts, cost).total_pj[3] / 1e3:.1f} nJ a sample at T = 4")
print(f"break-even at {break_even(mine):.2f} spikes per synapse")
save_figure(draw([replace(counts, cost=cost_text(mine))]), "cost_model.png")
