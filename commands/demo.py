"""``tetviz demo``: the whole story on the handwritten digits that scikit-learn ships."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tetviz.commands.options import SEED

if TYPE_CHECKING:
    from tetviz.results import ScalingCurve, Surface

EPOCHS = 10
TIMESTEPS = 4
WIDTH = 0.25
GRID = 25
SAMPLES = 100
TMAX = 64
LOSSES = ("sdt", "tet")


@click.command()
@click.argument("folder", metavar="[DIR]", default="demo", type=click.Path(path_type=Path, file_okay=False))
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of training and plane.")
@click.option("--force", is_flag=True, help="Replace what an earlier demo left in DIR.")
def demo(folder: Path, seed: int, force: bool) -> None:
    """Tell the whole story in a few minutes, on bundled data, and leave it in DIR.

    Trains one small network twice from the same seed, with L_SDT and with L_TET, then measures the loss surface
    around both and runs both for up to 64 timesteps: the TET paper's Figures 2 and 8 and its Table 4.
    """
    from tetviz.commands.console import note
    from tetviz.commands.landscape import measure_landscape
    from tetviz.commands.scale import measure_scaling
    from tetviz.commands.subject import open_subject
    from tetviz.figures import (
        TABLE_CAPTION,
        compare_surfaces,
        draw_scaling,
        format_table,
        save_figure,
        step_accuracy_table,
        to_markdown,
    )
    from tetviz.landscape import grid_coordinates

    folder.mkdir(parents=True, exist_ok=True)
    _check_outputs(folder, force)
    surfaces, curves = {}, {}
    for loss in LOSSES:
        path = folder / f"{loss}.pt"
        note(f"training with L_{loss.upper()}")
        _train(path, loss, seed)
        subject_on = partial(
            open_subject,
            path,
            data=None,
            data_root=None,
            download=False,
            split="test",
            device="auto",
            precision=None,
            seed=seed,
        )
        axis = grid_coordinates(GRID)
        target = folder / f"{loss}.landscape.h5"
        surfaces[loss] = measure_landscape(
            subject_on(samples=SAMPLES), target, axis, TIMESTEPS, seed, loss, SAMPLES, force=True
        )
        curves[loss] = measure_scaling(subject_on(samples=0, seed=None), folder / f"{loss}.scale.h5", TMAX, SAMPLES)
    save_figure(compare_surfaces(list(surfaces.values())), folder / "figure2.png")
    save_figure(draw_scaling(list(curves.values())), folder / "figure8.png")
    table = step_accuracy_table(list(curves.values()))
    (folder / "table4.md").write_text(f"{TABLE_CAPTION}\n\n{to_markdown(table)}\n", encoding="utf-8")
    (folder / "table4.csv").write_text(table.to_csv(), encoding="utf-8")
    click.echo(f"{TABLE_CAPTION}\n{format_table(table)}\n")
    for sentence in (*_landscape_words(surfaces), _scaling_words(curves), _table_words(curves)):
        click.echo(sentence)
    click.echo("359 digits are too few and too easy to show what the paper found on CIFAR: this is how, not what.")
    click.echo(f"all of it is in {folder}: figure2.png, figure8.png, table4.md, the checkpoints and the HDF5 results")


def _check_outputs(folder: Path, force: bool) -> None:
    from tetviz.results import writable_target

    single = ["figure2.png", "figure8.png", "table4.md", "table4.csv"]
    parts = ["pt", "last.pt", "landscape.h5", "landscape.png", "scale.h5", "scale.png"]
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


def _landscape_words(surfaces: "dict[str, Surface]") -> list[str]:
    import numpy as np

    def rise(surface: "Surface", loss: str) -> float:
        values = getattr(surface, f"{loss}_loss")[0, :, :, -1]
        return float(np.nanmean(values) - values[len(surface.y) // 2, len(surface.x) // 2])

    sentences = []
    for loss in LOSSES:
        sdt, tet = (rise(surfaces[name], loss) for name in LOSSES)
        sentences.append(
            f"Landscape (figure2.png): on average over this plane L_{loss.upper()} rises by {sdt:.3f} around the SDT "
            f"network and by {tet:.3f} around the TET network; one random plane cannot tell whether "
            f"{abs(sdt - tet):.3f} is more than the chance of its directions."
        )
    return sentences


def _scaling_words(curves: "dict[str, ScalingCurve]") -> str:
    parts = [
        f"{name.upper()} goes from {curve.accuracy[TIMESTEPS - 1]:.2%} at T = {TIMESTEPS} to {curve.accuracy[-1]:.2%} "
        f"at T = {TMAX} ({curve.relative_growth[-1]:+.2%}) and has {curve.accuracy[0]:.2%} at T = 1"
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
