"""Stopping early, sample by sample.

A sample stops as soon as the margin between its two largest probabilities is wide enough. The curve is the accuracy
against the mean T over samples, beside the same number of steps for all of them.
"""

from tetviz.analysis import compute_scaling
from tetviz.figures import draw_exits, save_figure
from tetviz.results import Provenance
from tetviz.summaries import exit_curve
from tetviz.training import Checkpoint, load_data

model, test = Checkpoint.load("tet.pt").model(), load_data("digits", split="test")
curve = compute_scaling(
    model, test, tmax=16, provenance=Provenance(label="tet", dataset="digits", split="test")
)
exits = exit_curve(curve, "margin")
nearest = abs(exits.mean_timesteps - 2).argmin()
print(f"mean T {exits.mean_timesteps[nearest]:.2f}: accuracy {exits.accuracy[nearest]:.2%}")
save_figure(draw_exits([curve]), "exit.png")
