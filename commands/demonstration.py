"""What ``tetviz demo`` does: one small network trained with both losses, and all that is measured of them."""

from pathlib import Path
from typing import Any, cast

from tetviz.analysis import compute_operations, compute_scaling, temporal_variance
from tetviz.commands.console import note, say
from tetviz.commands.measure import InOneGo, Job, point_by_point
from tetviz.commands.movable import MovableSession, open_movable
from tetviz.commands.progress import TrainingProgress
from tetviz.commands.report_server import write_report
from tetviz.commands.session import Session, open_session
from tetviz.figures import (
    Table,
    compare_surfaces,
    draw,
    draw_energy,
    draw_named,
    draw_scaling,
    draw_surface,
    save_figure,
    save_table,
)
from tetviz.figures.table import headed, to_text
from tetviz.landscape import RandomPlanes, compute_sharpness, grid_coordinates, surface_on
from tetviz.models import ModelSpec
from tetviz.results import OperationCounts, ScalingCurve, Sharpness, Surface, writable_target
from tetviz.summaries import baselines, compare_sharpness, estimate_energy
from tetviz.training import DataSpec, Stage, TrainingConfig, fit, load_data

EPOCHS = 10
TIMESTEPS = 4
WIDTH = 0.25
GRID = 25
SAMPLES = 100
PLANES = 5
LINE = 21
RHO = (0.003, 0.01, 0.03)
TMAX = 64
ENERGY_TMAX = 8
LOSSES = ("sdt", "tet")
REPORTED = ("landscape", "sharpness", "scale", "energy")


def run(folder: Path, seed: int, force: bool) -> None:
    """Tells the whole story, and leaves it in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    _check_outputs(folder, force)
    surfaces, flatness, curves, counts = {}, {}, {}, {}
    for loss in LOSSES:
        path = folder / f"{loss}.pt"
        note(f"training with L_{loss.upper()}")
        _train(path, loss, seed)
        session = open_movable(
            path, timesteps=TIMESTEPS, batch_size=SAMPLES, allow_chance=True, samples=SAMPLES, seed=seed
        )
        note("the surface of one plane")
        surfaces[loss] = _surface(session, loss, seed)
        note(f"lines along {PLANES} planes")
        flatness[loss] = _sharpness(session, loss, seed)
        everything = open_session(path, samples=0, batch_size=SAMPLES)
        curves[loss] = InOneGo(_scaling)(everything, _job(path, "scale"))
        save_figure(draw_scaling([curves[loss]]), folder / f"{loss}.scale.png")
        counts[loss] = InOneGo(_operations)(everything, _job(path, "energy"))
    save_figure(draw(list(flatness.values())), folder / "sharpness.png")
    save_figure(compare_surfaces(list(surfaces.values())), folder / "figure2.png")
    save_figure(draw_scaling(list(curves.values())), folder / "figure8.png")
    save_figure(draw_energy(list(counts.values())), folder / "figure4b.png")
    table = cast(Table, draw_named("table4", list(curves.values())))
    for suffix in (".md", ".csv"):
        save_table(table, folder / f"table4{suffix}")
    say(f"{to_text(headed(table))}\n")
    for sentence in (*_landscape_words(flatness), _scaling_words(curves), _table_words(curves), _energy_words(counts)):
        say(sentence)
    say("359 digits are too few and too easy to show what the paper found on CIFAR: this is how, not what.")
    files = [folder / f"{loss}.{part}.h5" for part in REPORTED for loss in LOSSES]
    write_report(files, folder / "report.html", "The demo: L_SDT and L_TET on the digits")
    say(
        f"all of it is in {folder}: report.html, figure2.png, sharpness.png, figure8.png, figure4b.png, table4.md, the "
        "checkpoints and the HDF5 results; open report.html in a browser"
    )


def _job(path: Path, kind: str) -> Job:
    return Job(path, path.with_name(f"{path.stem}.{kind}.h5"), force=True, finished=False, resumes=False)


def _surface(session: MovableSession, loss: str, seed: int) -> Surface:
    planes, axis = RandomPlanes(session.model, seed, 1), grid_coordinates(GRID)
    job = _job(session.path, "landscape")
    surface = point_by_point(
        lambda each, store: surface_on(each.evaluator, planes, axis, axis, loss, store), points=lambda each: GRID**2
    )(session, job)
    save_figure(draw_surface(surface), job.target.with_suffix(".png"))
    return surface


def _sharpness(session: MovableSession, loss: str, seed: int) -> Sharpness:
    planes, axis = RandomPlanes(session.model, seed, PLANES), grid_coordinates(LINE)
    return point_by_point(
        lambda each, store: compute_sharpness(each.evaluator, planes, axis, RHO, loss, store),
        points=lambda each: PLANES * (2 * LINE + len(RHO)) + len(RHO),
    )(session, _job(session.path, "sharpness"))


def _scaling(session: Session, **how: Any) -> ScalingCurve:
    curve = compute_scaling(session.model, session.dataset, TMAX, **how)
    if curve.prefix_test.startswith("warning"):
        note(f"{curve.prefix_test} (causal in t)")
    return curve


def _operations(session: Session, **how: Any) -> OperationCounts:
    return compute_operations(
        session.model,
        session.dataset,
        ENERGY_TMAX,
        t_train=session.checkpoint.timesteps,
        skip_zero_weights=False,
        **how,
    )


def _check_outputs(folder: Path, force: bool) -> None:
    single = ["figure2.png", "sharpness.png", "figure8.png", "figure4b.png", "table4.md", "table4.csv", "report.html"]
    parts = ["pt", "last.pt", "landscape.h5", "landscape.png", "sharpness.h5", "scale.h5", "scale.png", "energy.h5"]
    for name in (*single, *(f"{loss}.{part}" for loss in LOSSES for part in parts)):
        writable_target(folder / name, force)


def _train(path: Path, loss: str, seed: int) -> None:
    train, test = (load_data(DataSpec("digits"), split=split) for split in ("train", "test"))
    spec = ModelSpec("snn5", train.num_classes, train.in_channels, train.image_size, WIDTH)
    config = TrainingConfig(spec, train.spec, (Stage(TIMESTEPS, EPOCHS),), loss=loss, seed=seed)
    last = path.with_name(f"{path.stem}.last.pt")
    for earlier in (path, last):
        earlier.unlink(missing_ok=True)
    fit(config, train, test, best_path=path, last_path=last, monitors=[TrainingProgress()])


def _landscape_words(flatness: dict[str, Sharpness]) -> list[str]:
    differences = [
        difference
        for loss in LOSSES
        for difference in compare_sharpness(flatness["sdt"], flatness["tet"], loss, TIMESTEPS)
        if difference.quantity == "rise at r = 0.5"
    ]
    return [f"Landscape (figure2.png, sharpness.png): {difference.sentence()}." for difference in differences]


def _scaling_words(curves: dict[str, ScalingCurve]) -> str:
    parts = [
        f"{name.upper()} goes from {curve.accuracy[TIMESTEPS - 1]:.2%} at T = {TIMESTEPS} to {curve.accuracy[-1]:.2%} "
        f"at T = {TMAX} (relative growth {curve.relative_growth[-1]:+.2%}) and has {curve.accuracy[0]:.2%} at T = 1"
        for name, curve in curves.items()
    ]
    return f"Time (figure8.png): {'; '.join(parts)}."


def _table_words(curves: dict[str, ScalingCurve]) -> str:
    sdt, tet = (1e4 * temporal_variance(curves[name].step_accuracy[:8], TIMESTEPS) for name in LOSSES)
    return (
        f"Single steps (table4.md): beyond training, t = {TIMESTEPS + 1}..8, the accuracy of a single step varies by "
        f"{sdt:.2f} %^2 (SDT) and {tet:.2f} %^2 (TET)."
    )


def _energy_words(counts: dict[str, OperationCounts]) -> str:
    parts = []
    for preset in ("tet", "strict"):
        spent = [1e-6 * estimate_energy(each, convention=preset).total_pj[TIMESTEPS - 1] for each in counts.values()]
        parts.append(f"{spent[0]:.2f} uJ (SDT) and {spent[1]:.2f} uJ (TET) under the convention {preset}")
    ann = baselines(estimate_energy(counts["sdt"]), TIMESTEPS)["energy (nJ)"].to_dict()["ANN, in-bounds"] / 1e3
    return (
        f"Energy (figure4b.png): at T = {TIMESTEPS} a sample takes {', '.join(parts)}, and a dense ANN of the same "
        f"shapes {ann:.2f} uJ."
    )
