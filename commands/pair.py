"""Several checkpoints of one network: what they must have in common, and what a result about them is called."""

import dataclasses
from pathlib import Path
from typing import Any

import click
import numpy as np

from tetviz.commands.console import note
from tetviz.commands.movable import MovableSession, open_movable
from tetviz.commands.session import neuron_settings, training_settings
from tetviz.errors import CheckpointError, DataError
from tetviz.landscape import Waypoint, train_curve
from tetviz.results.schema import FloatArray
from tetviz.training import Checkpoint, file_sha256
from tetviz.training.checkpoint import check_state


def require_one_network(paths: tuple[Path, ...]) -> None:
    """Checks that checkpoints are weights of one and the same network: shapes, neurons and normalisation.

    Surrogates and the gradients of reset and carry may differ, they do not show in outputs.
    """
    specs = [Checkpoint.load(path).spec.to_dict() for path in paths]
    for spec in specs:
        spec |= {f"node {name}": node for name, node in spec.pop("nodes", {}).items()}
    for spec in (each for each in specs if "surrogate" in each):
        smooth = spec["surrogate"] == "sigmoid"
        spec |= {"surrogate": smooth, "gamma": spec["gamma"] if smooth else 0}
        spec |= {"detach_reset": False, "detach_carry": False}
    for path, spec in zip(paths[1:], specs[1:], strict=True):
        pairs = [(name, specs[0].get(name), value) for name, value in spec.items()]
        differ = [f"{name} {first!r} and {value!r}" for name, first, value in pairs if first != value]
        if differ:
            raise CheckpointError(
                f"{path}: holds another network than {paths[0]} ({'; '.join(differ)}); there is no path between two "
                "networks that compute different things with the same weights"
            )


def open_pair(checkpoints: tuple[Path, ...], **options: Any) -> MovableSession:
    """Opens the first of several checkpoints of one network for a result about all of them."""
    require_one_network(checkpoints)
    return about_all(open_movable(checkpoints[0], **options), checkpoints)


def about_all(session: MovableSession, checkpoints: tuple[Path, ...]) -> MovableSession:
    """The session of a checkpoint, with the origin of a result about several."""
    loaded = [Checkpoint.load(path) for path in checkpoints]
    training, neurons = ([tell(each) for each in loaded] for tell in (training_settings, neuron_settings))
    origin = dataclasses.replace(
        session.provenance,
        label=" to ".join(path.stem.encode(errors="replace").decode() for path in checkpoints),
        checkpoint=", ".join(map(str, checkpoints)),
        checkpoint_sha256=", ".join(file_sha256(path) for path in checkpoints),
        training=training[0] if all(each == training[0] for each in training) else {},
        neurons=neurons[0] if all(each == neurons[0] for each in neurons) else {},
    )
    return dataclasses.replace(session, provenance=origin)


def about_run(session: MovableSession, run: str) -> MovableSession:
    """The session of the last kept checkpoint, with the name of its run."""
    return dataclasses.replace(session, provenance=dataclasses.replace(session.provenance, label=run))


def with_ends(points: int, span: tuple[float, float]) -> FloatArray:
    """Even coordinates with both checkpoints, 0 and 1, among them."""
    low, high = span
    step = (high - low) / (points - 1)
    nodes = np.array([-low / step, (1 - low) / step]) if low <= 0 < 1 <= high < float("inf") else np.array([np.nan])
    if not np.allclose(nodes, np.round(nodes), atol=1e-6):
        raise click.UsageError(
            f"{points} points on {low:g}:{high:g} miss a checkpoint, 0 or 1; take a range that holds both and a grid "
            "that meets them, such as --range -0.5:1.5 --grid 41"
        )
    start, end = np.round(nodes).astype(int)
    coordinates: FloatArray = (np.arange(points) - start) / (end - start)
    return coordinates


def require_same_run(run: Path, kept: Path) -> None:
    """Checks that kept checkpoints are those of a run."""
    first, second = Checkpoint.load(run), Checkpoint.load(kept)
    differ = [name for name in ("spec", "training", "data") if getattr(first, name) != getattr(second, name)]
    if differ:
        raise CheckpointError(
            f"{kept}: was kept by another run than {run}, its {', '.join(differ)} differ; train again with --keep-every"
        )


def waypoint(path: Path, kind: str) -> Waypoint:
    """A checkpoint as a point of a path."""
    checkpoint = Checkpoint.load(path)
    return Waypoint(
        f"epoch {checkpoint.epoch}" if kind == "training" else path.stem, checkpoint.epoch, checkpoint.state
    )


def curve_axis(points: int) -> FloatArray:
    """Even coordinates on a curve from one checkpoint, 0, to another, 1."""
    return np.linspace(0, 1, points)


def train_middle(
    session: MovableSession, checkpoints: tuple[Path, ...], middle: Path, force: bool, **settings: Any
) -> Checkpoint:
    """The middle point of a curve between two checkpoints, trained unless its file holds it."""
    first, second = (Checkpoint.load(path) for path in checkpoints)
    evaluator, calibration = session.evaluator, session.calibration
    assert calibration is not None
    check_state(checkpoints[1], evaluator.model.state_dict(), second.state)
    asked = {
        **settings,
        "between": [file_sha256(path) for path in checkpoints],
        "timesteps": evaluator.t_train,
        "precision": evaluator.dtype,
        "data": calibration.spec.to_dict(),
    }
    if force or not middle.exists():
        frames = calibration.spec.frames if calibration.sequence else evaluator.t_train
        if frames < evaluator.t_train:
            raise DataError(
                f"the curve is trained in runs of {evaluator.t_train} timesteps, the train samples have {frames} "
                f"frames; cut the recordings into at least {evaluator.t_train} (--frames)"
            )
        note(f"training the curve for {settings['epochs']} epochs")
        control = train_curve(
            session.model,
            evaluator.origin,
            {name: second.state[name].to(weight) for name, weight in evaluator.origin.items()},
            calibration,
            evaluator.t_train,
            progress=lambda epoch, loss: note(f"epoch {epoch}/{settings['epochs']}  loss on the curve {loss:.4f}"),
            **settings,
        )
        session.check_sources()
        evaluator.place(control)  # with statistics that fit it
        state = evaluator.model.state_dict()
        Checkpoint(first.spec, state, first.timesteps, training=asked, data=asked["data"]).save(middle)
    trained = Checkpoint.load(middle)
    _check_middle(middle, trained.training, asked)
    return trained


def _check_middle(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Checks that a stored curve was trained as the command asks."""
    differ = [
        f"{name} (was {found.get(name)!r}, now {wanted[name]!r})" for name in wanted if found.get(name) != wanted[name]
    ]
    if differ:
        raise CheckpointError(
            f"{path}: holds a curve of other settings: {', '.join(differ)}; choose another name with -o, or replace it "
            "with --force"
        )
