"""``tetviz ablation``: smooth neurons in place of spikes, trained with both losses, and a table of it."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import tetviz
from tetviz.commands.command import command
from tetviz.commands.console import at_chance, command_line, note, print_json, warn
from tetviz.commands.options import data_options
from tetviz.commands.train import (
    SHARPNESS,
    network_options,
    optimizer_options,
    prepare,
    process_options,
    split_seed_option,
    stage_options,
    surrogate_options,
)
from tetviz.errors import TrainingError

if TYPE_CHECKING:
    from tetviz.analysis import Transfer
    from tetviz.figures import Table
    from tetviz.training import TrainingConfig

LOSSES = ("sdt", "tet")
CAPTION = (
    "Smooth neurons, sigmoid(k (u - V_th)), beside spiking ones (TET paper, Table 2): accuracy on the test split in %, "
    "losses in nat; 'spiking' is the accuracy of the same weights with spiking neurons, 'gap' the difference"
)


@dataclass(frozen=True)
class Run:
    """One of the networks to train.

    Attributes:
        k: sharpness of its smooth neurons; NaN where they spike.
        config: its settings.
        folder: where its checkpoints go.
    """

    k: float
    config: "TrainingConfig"
    folder: Path

    @property
    def neuron(self) -> str:
        """Its neurons, in a few words."""
        return "spikes" if self.k != self.k else f"k = {self.k:g}"

    @property
    def path(self) -> Path:
        """Its chosen checkpoint."""
        return self.folder / f"{self.config.loss}-{self.neuron.replace(' = ', '')}.pt"

    @property
    def last(self) -> Path:
        """Its last epoch."""
        return self.path.with_name(f"{self.path.stem}.last.pt")


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
@split_seed_option
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
    if options["surrogate"] == "sigmoid":
        raise click.UsageError("--surrogate is that of the spiking networks; the smooth ones follow from --k")
    where = tetviz.commands.session.pick_device(device)
    config, train_set, test_set = prepare(loss=LOSSES[0], **options)
    runs = _plan(ks, config, output)
    output.mkdir(parents=True, exist_ok=True)
    tables = [output / f"ablation{suffix}" for suffix in (".csv", ".md", ".tex")]
    _check_outputs(runs, tables, force)
    rows = []
    try:
        for number, run in enumerate(runs, 1):
            note(f"[{number}/{len(runs)}] {run.path.stem}: {run.neuron}, trained with L_{run.config.loss.upper()}")
            best = tetviz.training.fit(
                run.config,
                train_set,
                test_set,
                best_path=run.path,
                last_path=run.last,
                device=where,
                resume=True,
                workers=workers,
                monitors=[tetviz.commands.progress.TrainingProgress()],
            )
            found = tetviz.analysis.measure_transfer(best, test_set, batch_size=config.batch_size, device=where)
            warn(at_chance(found.sdt_loss, test_set.num_classes))
            rows.append(row(run, found))
    except KeyboardInterrupt:
        again = command_line().replace(" --force", "")
        note(f"stopped; every finished epoch is in {output}. Go on with:\n{again}")
        raise click.exceptions.Exit(130) from None
    table = ablation_table(rows)
    with tetviz.results.replacing(tables[0]) as partial:
        partial.write_text(_csv(rows), encoding="utf-8")
    for path in tables[1:]:
        tetviz.figures.save_table(table, path)
    if as_json:
        print_json(rows)
    else:
        click.echo(tetviz.figures.table.to_text(table))
    note(f"wrote {', '.join(map(str, tables))}")


def _plan(ks: Sequence[float], config: "TrainingConfig", folder: Path) -> list[Run]:
    runs = []
    for k in (*ks, float("nan")):
        smooth: dict[str, Any] = {} if k != k else {"surrogate": "sigmoid", "gamma": 1 / k}
        spec = dataclasses.replace(config.spec, **smooth)
        runs += [Run(k, dataclasses.replace(config, spec=spec, loss=loss), folder) for loss in LOSSES]
    if len({run.path for run in runs}) < len(runs):
        raise click.UsageError("--k: the same sharpness, to six digits, is named twice")
    return runs


def _check_outputs(runs: Sequence[Run], tables: Sequence[Path], force: bool) -> None:
    # Before the first epoch, since a run may take days.

    begun = [run for run in runs if run.last.exists()]
    for table in tables:
        tetviz.results.writable_target(table, force or bool(begun))
    for run in runs:
        for path in (run.path, run.last):
            tetviz.results.writable_target(path, force or run in begun)
    if force:
        for run in runs:
            run.path.unlink(missing_ok=True)
            run.last.unlink(missing_ok=True)
        return
    for run in begun:
        differ = tetviz.training.loop.differing_settings(tetviz.training.Checkpoint.load(run.last), run.config)
        if differ:
            raise TrainingError(
                f"{run.last}: was trained with other settings: {', '.join(differ)}; choose another folder with -o, or "
                "train all of them anew with --force"
            )


def row(run: Run, found: "Transfer") -> dict[str, Any]:
    """What the table says of one network.

    Returns:
        Plain values; accuracies are fractions, what does not apply is NaN.
    """
    head = {"checkpoint": run.path.name, "neuron": run.neuron, "k": run.k, "loss": run.config.loss}
    return {**head, **dataclasses.asdict(found), "transfer_gap": found.gap}


def ablation_table(rows: Sequence[dict[str, Any]]) -> "Table":
    """Table 2 of the TET paper, with losses and the transfer to spiking neurons beside it: a row for each neuron."""
    import pandas as pd

    from tetviz.figures.table import Column, Table

    numbers: dict[str, dict[str, float]] = {}
    for each in rows:
        name = each["loss"].upper()
        numbers.setdefault(each["neuron"], {}).update(
            {
                f"{name} (%)": 100 * each["accuracy"],
                f"{name}: L_SDT": each["sdt_loss"],
                f"{name}: L_TET": each["tet_loss"],
                f"{name}: spiking": 100 * each["spiking_accuracy"],
                f"{name}: gap": 100 * each["transfer_gap"],
            }
        )
    frame = pd.DataFrame.from_dict(numbers, orient="index").rename_axis("neurons")
    forms = {"L_SDT": ".4f", "L_TET": ".4f", "gap": "+.2f"}
    columns = tuple(Column(name, form=forms.get(name.partition(": ")[2], ".2f")) for name in frame.columns)
    return Table(frame, columns, note=CAPTION, caption=CAPTION, label="ablation")


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    import pandas as pd

    return pd.DataFrame(list(rows)).to_csv(index=False)
