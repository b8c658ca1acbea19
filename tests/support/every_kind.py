"""A figure of every kind, from planted results: what the tests of styles, captions and files go through."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from planted_attack import planted_attack
from planted_compression import planted_compression
from planted_isometry import planted_isometry
from planted_results import (
    planted_counts,
    planted_curvature,
    planted_curve,
    planted_history,
    planted_interpolation,
    planted_lines,
    planted_sharpness,
    planted_surface,
    planted_trajectory,
)
from planted_smoothness import planted_smoothness
from planted_training import planted_training

NAMES = ("VGGSNN SDT", "VGGSNN TET")


def two(make, **changes):
    return [make(label=name, **changes) for name in NAMES]


def trained(loss="tet", seed=0, lamb=0.05, k=None, digest=None, **changes):
    """A scaling curve of a network that tetviz trained."""
    curve = planted_curve(tmax=8, **changes)
    neurons = {"surrogate": "triangle", "gamma": 1.0} if k is None else {"surrogate": "sigmoid", "gamma": 1 / k}
    origin = replace(
        curve.provenance,
        training={"loss": loss, "seed": seed, "lamb": lamb, "stages": ["4:30"], "switch": ""},
        neurons={"neuron": "lif", "leak": 0.5, **neurons},
        network={"name": "resnet19", "width": 1.0, "options": {}},
        checkpoint_sha256=digest or f"{loss} {seed} {lamb} {k}".encode().hex(),
    )
    return replace(curve, provenance=origin)


def retrained(curve, **settings):
    """The same curve of a network that was trained with other settings."""
    training = {**curve.provenance.training, **settings}
    return replace(curve, provenance=replace(curve.provenance, training=training))


# What `tetviz plot` draws of results of each kind without being told.
KINDS: dict[str, Callable[[], list[Any]]] = {
    "surface": lambda: [planted_surface()],
    "surfaces": lambda: two(planted_surface),
    "trajectory": lambda: [planted_trajectory()],
    "lines": lambda: two(planted_lines),
    "interpolation": lambda: [planted_interpolation()],
    "sharpness": lambda: two(planted_sharpness),
    "curvature": lambda: [planted_curvature()],
    "scaling": lambda: two(planted_curve),
    "energy": lambda: two(planted_counts),
    "history": lambda: [planted_history(), planted_history(label="VGGSNN SDT then TET", switch="tet@20")],
    "training-energy": lambda: two(planted_training),
    "isometry": lambda: two(planted_isometry),
    "compression": lambda: [planted_compression()],
    "attack": lambda: two(planted_attack),
    "smoothness": lambda: [planted_smoothness(), planted_smoothness(label="without", threshold=2.0)],
}

# What each named figure or table is drawn from.
NAMED = {
    **dict.fromkeys(("fig2", "fig5"), KINDS["surfaces"]),
    **dict.fromkeys(("timesteps", "planes"), KINDS["surface"]),
    "surface-table": KINDS["surfaces"],
    "axes-table": lambda: two(planted_surface, planes=3),
    "sharpness-table": KINDS["sharpness"],
    "barrier-table": KINDS["interpolation"],
    "checkpoint-table": KINDS["trajectory"],
    "curvature-table": KINDS["curvature"],
    **dict.fromkeys(("fig4a", "fig8", "table4", "exits", "classes", "scale-table", "class-table"), KINDS["scaling"]),
    **dict.fromkeys(("margin-exit-table", "entropy-exit-table", "difference-table"), KINDS["scaling"]),
    "fig6": lambda: [trained("total", lamb=lamb, label=f"lambda {lamb}") for lamb in (0.001, 0.05, 0.2)],
    "fig7": lambda: [trained("sdt", label="a"), trained("tet", label="b")],
    **dict.fromkeys(("table1", "table3"), lambda: [trained(loss, seed) for loss in ("sdt", "tet") for seed in (0, 1)]),
    "table2": lambda: [trained("tet", k=k) for k in (1.0, 10.0, None)],
    **dict.fromkeys(("fig4b", "energy-table", "layer-table", "convention-table"), KINDS["energy"]),
    **dict.fromkeys(("beside-table", "spike-table", "networks-table"), KINDS["energy"]),
    **dict.fromkeys(("fig3", "history-table"), KINDS["history"]),
    **dict.fromkeys(("training-table", "density-table"), KINDS["training-energy"]),
    **dict.fromkeys(("isometry-table", "depth-table"), KINDS["isometry"]),
    **dict.fromkeys(("compression-table", "sensitivity-table"), KINDS["compression"]),
    "attack-table": KINDS["attack"],
    "smoothness-table": KINDS["smoothness"],
}
