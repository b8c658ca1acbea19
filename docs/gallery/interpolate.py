"""From one network to another, on a straight line.

The loss between the two depends on what is done with batch-norm statistics: held at those of the first network,
interpolated like the weights, or estimated anew at every point.
"""

import numpy as np

from tetviz.figures import draw, save_figure
from tetviz.landscape import Evaluator, Store, compute_interpolation
from tetviz.results import Provenance
from tetviz.summaries import barriers
from tetviz.training import Checkpoint, load_data, select_balanced

first, second = (Checkpoint.load(f"{name}.pt").model() for name in ("sdt", "tet"))
train, test = load_data("digits", split="train"), load_data("digits", split="test")
some, others = select_balanced(test.labels, 100), select_balanced(train.labels, 100)
evaluator = Evaluator(first, test, indices=some, calibration=train, calibration_indices=others)
store = Store(provenance=Provenance(label="sdt to tet", dataset="digits", split="test"))
lines = compute_interpolation(evaluator, second.state_dict(), np.linspace(0, 1, 21), store=store)
print(barriers(lines, "sdt", evaluator.timesteps))
save_figure(draw([lines]), "interpolate.png")
