"""The loss around a network.

Both losses on one random plane of filter-normalised directions, on 100 test samples. The result is stored point by
point in `tet.surface.h5`; `load` reads it back, and drawing it again measures nothing.
"""

from tetviz.figures import draw, save_figure
from tetviz.landscape import compute_surface, random_plane
from tetviz.results import Provenance
from tetviz.training import Checkpoint, load_data, select_balanced

model, test = Checkpoint.load("tet.pt").model(), load_data("digits", split="test")
samples = select_balanced(test.labels, 100)
plane, origin = random_plane(model, seed=0), Provenance(label="tet", dataset="digits", split="test")
file = "tet.surface.h5"
surface = compute_surface(
    model,
    test,
    plane,
    grid=15,
    indices=samples,
    loss="tet",
    path=file,
    force=True,
    provenance=origin,
)
save_figure(draw([surface]), "surface.png")
