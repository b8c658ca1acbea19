"""What a network computes, and what that costs.

Operations are counted exactly, in one pass. What is an addition and what a multiplication is a convention: the table
sets four of them side by side, for the same spikes.
"""

from tetviz.analysis import compute_operations
from tetviz.figures import draw, save_figure
from tetviz.results import Provenance
from tetviz.summaries import convention_table
from tetviz.training import Checkpoint, load_data

model, test = Checkpoint.load("tet.pt").model(), load_data("digits", split="test")
counts = compute_operations(
    model, test, tmax=8, provenance=Provenance(label="tet", dataset="digits", split="test")
)
table = convention_table(counts)
print(table.attrs["caption"], table.round(1), sep="\n")
save_figure(draw([counts]), "energy.png")
