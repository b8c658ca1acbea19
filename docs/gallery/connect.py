"""A curve of low loss between two networks.

The middle of a Bezier curve is trained for one epoch, on a part of the train split, then curve and straight line are
measured with batch-norm statistics estimated anew at every point.
"""

import numpy as np
from torch.utils.data import Subset

from tetviz.figures import draw, save_figure
from tetviz.landscape import Evaluator, Store, compute_curve, train_curve
from tetviz.results import Provenance
from tetviz.training import Checkpoint, load_data, select_balanced

first, second = (Checkpoint.load(f"{name}.pt").model() for name in ("sdt", "tet"))
train, test = load_data("digits", split="train"), load_data("digits", split="test")
part = Subset(train, select_balanced(train.labels, 640).tolist())
start, end = (dict(model.named_parameters()) for model in (first, second))
middle = train_curve(first, start, end, part, timesteps=4, loss="sdt", epochs=1)
some, others = select_balanced(test.labels, 50), select_balanced(train.labels, 100)
evaluator = Evaluator(
    first, test, indices=some, bn="recalibrate", calibration=train, calibration_indices=others
)
store = Store(provenance=Provenance(label="sdt to tet", dataset="digits", split="test"))
lines = compute_curve(evaluator, second.state_dict(), middle, np.linspace(0, 1, 17), store=store)
save_figure(draw([lines]), "connect.png")
