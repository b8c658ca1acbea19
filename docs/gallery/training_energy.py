"""What training computes.

One forward and backward pass over 64 samples of the train split, counted where spikes, errors and surrogate
derivatives are not 0, beside all that a dense network would compute.
"""

from tetviz.analysis import compute_training_cost
from tetviz.figures import draw, save_figure
from tetviz.results import Provenance
from tetviz.summaries import densities
from tetviz.training import Checkpoint, load_data, select_balanced

model, train = Checkpoint.load("tet.pt").model(), load_data("digits", split="train")
samples = select_balanced(train.labels, 64)
origin = Provenance(label="tet", dataset="digits", split="train")
counts = compute_training_cost(model, train, loss="tet", indices=samples, provenance=origin)
print(densities(counts).round(3))
save_figure(draw([counts]), "training_energy.png")
