"""``tetviz ablation``: smooth neurons in place of spikes, trained with both losses, and a table of it."""

from pathlib import Path
from typing import Any

import click

import tetviz
from tetviz.commands.command import command
from tetviz.commands.options import data_options
from tetviz.commands.train import (
    SHARPNESS,
    network_options,
    optimizer_options,
    process_options,
    sample_options,
    stage_options,
    surrogate_options,
)


@command()
@click.option(
    "--k",
    "ks",
    type=SHARPNESS,
    multiple=True,
    default=(1.0, 10.0, 20.0),
    show_default=True,
    help="Sharpness of the smooth neurons; repeat it for several.",
)
@network_options
@surrogate_options
@data_options
@sample_options
@stage_options
@optimizer_options
@process_options
@click.option("--force", is_flag=True, help="Train all of them anew.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as a JSON list.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder, made if missing."
)
def ablation(
    ks: tuple[float, ...],
    output: Path,
    device: str,
    workers: int,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train networks whose neurons are smooth, and see what their weights do when the neurons spike.

    For every --k, and for spiking neurons (with --surrogate and --gamma), trains a network with L_SDT and one with
    L_TET, all else the same: FOLDER/sdt-k10.pt and so on, as `tetviz train --surrogate sigmoid --k 10` does. Then
    measures all of them on the test split, the smooth ones with spiking neurons too, and writes FOLDER/ablation.csv,
    .md and .tex: the TET paper's Table 2. The same command goes on where it was stopped.

    \b
    tetviz ablation --data digits --width 0.25 --epochs 5 -o ablation
    tetviz ablation --k 1 --k 10 --k 20 --model resnet19 --data cifar100 --data-root data \\
        --epochs 300 -o table2
    """
    tetviz.commands.ablation_runs.run_ablation(ks, output, device, workers, force, as_json, **options)
