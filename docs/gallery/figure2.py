"""Two networks under both losses: Figure 2 of the TET paper.

The same seed moves both networks along the same noise, normalised to their own filters. All panels share levels,
colours and axes. One plane is one sample of all planes.
"""

from tetviz.figures import compare_surfaces, save_figure
from tetviz.landscape import compute_surface, random_plane
from tetviz.results import Provenance
from tetviz.training import Checkpoint, load_data, select_balanced

test = load_data("digits", split="test")
samples = select_balanced(test.labels, 100)
surfaces = []
for name in ("sdt", "tet"):
    model = Checkpoint.load(f"{name}.pt").model()
    origin = Provenance(label=name, dataset="digits", split="test")
    plane = random_plane(model, seed=0)
    surfaces.append(
        compute_surface(model, test, plane, grid=13, indices=samples, provenance=origin)
    )
save_figure(compare_surfaces(surfaces), "figure2.png")
