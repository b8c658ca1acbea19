"""``tetviz demo``: the whole story on the handwritten digits that scikit-learn ships."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from tetviz.commands.options import SEED

if TYPE_CHECKING:
    from tetviz.figures import Table
    from tetviz.results import OperationCounts, ScalingCurve, Sharpness

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


@click.command()
@click.argument("folder", metavar="[DIR]", default="demo", type=click.Path(path_type=Path, file_okay=False))
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of training and plane.")
@click.option("--force", is_flag=True, help="Replace what an earlier demo left in DIR.")
def demo(folder: Path, seed: int, force: bool) -> None:
    """Tell the whole story in a few minutes, on bundled data, and leave it in DIR.

    Trains one small network twice from the same seed, with L_SDT and with L_TET, then measures the loss surface
    around both, runs both for up to 64 timesteps, and counts what they compute in up to 8: the TET paper's Figures 2,
    8 and 4B and its Table 4.
    """
    from tetviz.commands.console import note
    from tetviz.commands.energy import measure_operations
    from tetviz.commands.landscape import measure_landscape
    from tetviz.commands.probing import Opened, open_probe, recording
    from tetviz.commands.scale import measure_scaling
    from tetviz.commands.subject import open_subject
    from tetviz.figures import (
        compare_surfaces,
        draw_energy,
        draw_named,
        draw_scaling,
        draw_sharpness,
        save_figure,
        save_table,
    )
    from tetviz.figures.report.page import read_sources, render_report
    from tetviz.figures.table import headed, to_text
    from tetviz.landscape import RandomPlanes, compute_sharpness, grid_coordinates
    from tetviz.results import replacing, save

    folder.mkdir(parents=True, exist_ok=True)
    _check_outputs(folder, force)
    surfaces, flatness, curves, counts = {}, {}, {}, {}
    for loss in LOSSES:
        path = folder / f"{loss}.pt"
        note(f"training with L_{loss.upper()}")
        _train(path, loss, seed)
        subject, probe, seconds = open_probe(
            path, timesteps=TIMESTEPS, batch_size=SAMPLES, allow_chance=True, samples=SAMPLES, seed=seed
        )
        target = folder / f"{loss}.landscape.h5"
        note("the surface of one plane")
        opened = Opened(subject, probe, seconds, RandomPlanes(subject.model, seed, 1), target)
        surfaces[loss] = measure_landscape(opened, grid_coordinates(GRID), loss, force=True)
        planes = RandomPlanes(subject.model, seed, PLANES)
        note(f"lines along {PLANES} planes")
        target, points = folder / f"{loss}.sharpness.h5", PLANES * (2 * LINE + len(RHO)) + len(RHO)
        with recording(subject, target, True, points, seconds) as record:
            flatness[loss] = compute_sharpness(probe, planes, grid_coordinates(LINE), RHO, loss, record)
        everything = open_subject(path, samples=0, batch_size=SAMPLES)
        curves[loss] = measure_scaling(everything, folder / f"{loss}.scale.h5", TMAX, SAMPLES)
        counts[loss] = measure_operations(everything, ENERGY_TMAX, SAMPLES, False)
        save(folder / f"{loss}.energy.h5", counts[loss])
    save_figure(draw_sharpness(list(flatness.values())), folder / "sharpness.png")
    save_figure(compare_surfaces(list(surfaces.values())), folder / "figure2.png")
    save_figure(draw_scaling(list(curves.values())), folder / "figure8.png")
    save_figure(draw_energy(list(counts.values())), folder / "figure4b.png")
    table = cast("Table", draw_named("table4", list(curves.values())))
    for suffix in (".md", ".csv"):
        save_table(table, folder / f"table4{suffix}")
    click.echo(f"{to_text(headed(table))}\n")
    for sentence in (*_landscape_words(flatness), _scaling_words(curves), _table_words(curves), _energy_words(counts)):
        click.echo(sentence)
    click.echo("359 digits are too few and too easy to show what the paper found on CIFAR: this is how, not what.")
    files = [folder / f"{loss}.{part}.h5" for part in REPORTED for loss in LOSSES]
    page = render_report(read_sources(files), title="The demo: L_SDT and L_TET on the digits")
    with replacing(folder / "report.html") as partial:
        partial.write_bytes(page.encode("utf-8", "backslashreplace"))
    click.echo(
        f"all of it is in {folder}: report.html, figure2.png, sharpness.png, figure8.png, figure4b.png, table4.md, the "
        "checkpoints and the HDF5 results; open report.html in a browser"
    )


def _check_outputs(folder: Path, force: bool) -> None:
    from tetviz.results import writable_target

    single = ["figure2.png", "sharpness.png", "figure8.png", "figure4b.png", "table4.md", "table4.csv", "report.html"]
    parts = ["pt", "last.pt", "landscape.h5", "landscape.png", "sharpness.h5", "scale.h5", "scale.png", "energy.h5"]
    for name in (*single, *(f"{loss}.{part}" for loss in LOSSES for part in parts)):
        writable_target(folder / name, force)


def _train(path: Path, loss: str, seed: int) -> None:
    from tetviz.commands.console import TrainingProgress
    from tetviz.models import ModelSpec
    from tetviz.training import DataSpec, Stage, TrainingConfig, fit, load_data

    train, test = (load_data(DataSpec("digits"), split=split) for split in ("train", "test"))
    spec = ModelSpec("snn5", train.num_classes, train.in_channels, train.image_size, WIDTH)
    config = TrainingConfig(spec, train.spec, (Stage(TIMESTEPS, EPOCHS),), loss=loss, seed=seed)
    last = path.with_name(f"{path.stem}.last.pt")
    for earlier in (path, last):
        earlier.unlink(missing_ok=True)
    fit(config, train, test, best_path=path, last_path=last, monitors=[TrainingProgress()])


def _landscape_words(flatness: "dict[str, Sharpness]") -> list[str]:
    from tetviz.summaries import compare_sharpness

    differences = [
        difference
        for loss in LOSSES
        for difference in compare_sharpness(flatness["sdt"], flatness["tet"], loss, TIMESTEPS)
        if difference.quantity == "rise at r = 0.5"
    ]
    return [f"Landscape (figure2.png, sharpness.png): {difference.sentence()}." for difference in differences]


def _scaling_words(curves: "dict[str, ScalingCurve]") -> str:
    parts = [
        f"{name.upper()} goes from {curve.accuracy[TIMESTEPS - 1]:.2%} at T = {TIMESTEPS} to {curve.accuracy[-1]:.2%} "
        f"at T = {TMAX} (relative growth {curve.relative_growth[-1]:+.2%}) and has {curve.accuracy[0]:.2%} at T = 1"
        for name, curve in curves.items()
    ]
    return f"Time (figure8.png): {'; '.join(parts)}."


def _table_words(curves: "dict[str, ScalingCurve]") -> str:
    from tetviz.analysis import temporal_variance

    sdt, tet = (1e4 * temporal_variance(curves[name].step_accuracy[:8], TIMESTEPS) for name in LOSSES)
    return (
        f"Single steps (table4.md): beyond training, t = {TIMESTEPS + 1}..8, the accuracy of a single step varies by "
        f"{sdt:.2f} %^2 (SDT) and {tet:.2f} %^2 (TET)."
    )


def _energy_words(counts: "dict[str, OperationCounts]") -> str:
    from tetviz.summaries import baselines, estimate_energy

    parts = []
    for preset in ("tet", "strict"):
        spent = [1e-6 * estimate_energy(each, convention=preset).total_pj[TIMESTEPS - 1] for each in counts.values()]
        parts.append(f"{spent[0]:.2f} uJ (SDT) and {spent[1]:.2f} uJ (TET) under the convention {preset}")
    ann = baselines(estimate_energy(counts["sdt"]), TIMESTEPS)["energy (nJ)"].to_dict()["ANN, in-bounds"] / 1e3
    return (
        f"Energy (figure4b.png): at T = {TIMESTEPS} a sample takes {', '.join(parts)}, and a dense ANN of the same "
        f"shapes {ann:.2f} uJ."
    )
