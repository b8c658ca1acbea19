"""The path of a training.

A small network keeps every epoch; the path is drawn on its principal plane. A checkpoint seldom lies in that plane, so
the true loss stands beside the one that is drawn at its place.
"""

from pathlib import Path

from tetviz.figures import draw, save_figure
from tetviz.landscape import Evaluator, Store, Waypoint, compute_trajectory
from tetviz.models import ModelSpec
from tetviz.results import Provenance
from tetviz.training import Checkpoint, Stage, TrainingConfig, fit, load_data, select_balanced

train, test = load_data("digits", split="train"), load_data("digits", split="test")
spec = ModelSpec(
    "snn5", num_classes=10, in_channels=test.in_channels, image_size=test.image_size, width=0.1
)
config = TrainingConfig(spec, train.spec, stages=(Stage(timesteps=2, epochs=5),), loss="tet")
fit(config, train, test, best_path="path.pt", last_path="path.last.pt", keep_every=1)

kept = [Checkpoint.load(file) for file in sorted(Path("path.kept").glob("*.pt"))][1:]
points = [Waypoint(f"epoch {each.epoch}", each.epoch, each.state) for each in kept]
some, others = select_balanced(test.labels, 50), select_balanced(train.labels, 50)
last = kept[-1].model()
evaluator = Evaluator(
    last, test, indices=some, bn="recalibrate", calibration=train, calibration_indices=others
)
store = Store(provenance=Provenance(label="path", dataset="digits", split="test"))
save_figure(
    draw([compute_trajectory(evaluator, points, points=13, loss="tet", store=store)]),
    "trajectory.png",
)
