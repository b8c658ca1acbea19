"""Train a network and measure it.

SNN-5 at a tenth of its width, three epochs with L_TET. One pass over the test split then gives both losses and both
accuracies at every T. The picture is the history of the run.
"""

from tetviz.figures import draw, save_figure
from tetviz.models import ModelSpec
from tetviz.results import Provenance
from tetviz.training import (
    Checkpoint,
    Stage,
    TrainingConfig,
    fit,
    load_data,
    measure,
    training_history,
)

train, test = load_data("digits", split="train"), load_data("digits", split="test")
spec = ModelSpec(
    "snn5", num_classes=10, in_channels=test.in_channels, image_size=test.image_size, width=0.1
)
config = TrainingConfig(spec, train.spec, stages=(Stage(timesteps=4, epochs=3),), loss="tet")
chosen = fit(config, train, test, best_path="mine.pt", last_path="mine.last.pt")

profile = measure(chosen.model(), test, timesteps=8)
for t in range(8):
    print(f"T = {t + 1}: accuracy {profile.accuracy[t]:.2%}, L_SDT {profile.sdt_loss[t]:.4f}")
origin = Provenance(label="SNN-5", dataset="digits")
save_figure(draw([training_history(Checkpoint.load("mine.last.pt"), origin)]), "train.png")
