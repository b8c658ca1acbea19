"""Which of two networks is flatter?

Lines along five random planes, steps up the surrogate gradient and steps in random directions, for both networks on the
same noise. The comparison is paired, plane by plane, and says when noise hides the difference.
"""

import numpy as np

from tetviz.figures import draw, save_figure
from tetviz.landscape import Evaluator, RandomPlanes, Store, compute_sharpness
from tetviz.results import Provenance
from tetviz.summaries import compare_sharpness
from tetviz.training import Checkpoint, load_data, select_balanced

test = load_data("digits", split="test")
results = []
for name in ("sdt", "tet"):
    evaluator = Evaluator(
        Checkpoint.load(f"{name}.pt").model(), test, indices=select_balanced(test.labels, 50)
    )
    planes = RandomPlanes(evaluator.model, seed=0, planes=5)
    store = Store(provenance=Provenance(label=name, dataset="digits", split="test"))
    results.append(
        compute_sharpness(evaluator, planes, np.linspace(-1, 1, 21), rho=(0.01, 0.03), store=store)
    )
for loss in ("sdt", "tet"):
    differences = compare_sharpness(*results, loss, results[0].t_train)
    print(
        *(each.sentence() for each in differences if each.quantity == "rise at r = 0.5"), sep="\n"
    )
save_figure(draw(results), "sharpness.png")
