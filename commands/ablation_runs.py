"""What ``tetviz ablation`` does: networks with smooth neurons and with spikes, trained, measured and set in a table."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pandas as pd

from tetviz.analysis import Transfer, measure_transfer
from tetviz.commands.console import at_chance, command_line, exit_code, hold, note, print_json, say, warn
from tetviz.commands.progress import TrainingProgress
from tetviz.commands.session import compile_as_asked, pick_device
from tetviz.commands.train import prepare
from tetviz.errors import TrainingError
from tetviz.figures.table import Column, Table, save_table, to_text
from tetviz.results import writable_target, write_whole
from tetviz.results.export import csv_text
from tetviz.training import Checkpoint, TrainingConfig, fit
from tetviz.training.settings import differing_settings

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
    config: TrainingConfig
    folder: Path

    @property
    def neuron(self) -> str:
        """Its neurons, in a few words."""
        return "spikes" if math.isnan(self.k) else f"k = {self.k:g}"

    @property
    def path(self) -> Path:
        """Its chosen checkpoint."""
        return self.folder / f"{self.config.loss}-{self.neuron.replace(' = ', '')}.pt"

    @property
    def last(self) -> Path:
        """Its last epoch."""
        return self.path.with_name(f"{self.path.stem}.last.pt")


def run_ablation(
    ks: Sequence[float], output: Path, device: str, workers: int, force: bool, as_json: bool, **options: Any
) -> None:
    """Trains and measures all networks, and writes the table of them."""
    if options["surrogate"] == "sigmoid":
        raise click.UsageError("--surrogate is that of the spiking networks; the smooth ones follow from --k")
    where = pick_device(device)
    compile_as_asked()
    config, train_set, test_set = prepare(loss=LOSSES[0], **options)
    runs = _plan(ks, config, output)
    output.mkdir(parents=True, exist_ok=True)
    tables = [output / f"ablation{suffix}" for suffix in (".csv", ".md", ".tex")]
    hold(*tables[:1])
    _check_outputs(runs, tables, force)
    rows = []
    try:
        for number, run in enumerate(runs, 1):
            note(f"[{number}/{len(runs)}] {run.path.stem}: {run.neuron}, trained with L_{run.config.loss.upper()}")
            best = fit(
                run.config,
                train_set,
                test_set,
                best_path=run.path,
                last_path=run.last,
                device=where,
                resume=True,
                workers=workers,
                monitors=[TrainingProgress()],
            )
            found = measure_transfer(best, test_set, batch_size=config.batch_size, device=where)
            warn(at_chance(found.sdt_loss, test_set.num_classes))
            rows.append(row(run, found))
    except KeyboardInterrupt as stop:
        again = command_line().replace(" --force", "")
        note(f"stopped; every finished epoch is in {output}. Go on with:\n{again}")
        raise click.exceptions.Exit(exit_code(stop)) from None
    table = ablation_table(rows)
    write_whole(tables[0], csv_text(pd.DataFrame(rows), index=False, missing="").encode())
    for path in tables[1:]:
        save_table(table, path)
    if as_json:
        print_json(rows)
    else:
        say(to_text(table))
    note(f"wrote {', '.join(map(str, tables))}")


def _plan(ks: Sequence[float], config: TrainingConfig, folder: Path) -> list[Run]:
    runs = []
    for k in (*ks, float("nan")):
        smooth: dict[str, Any] = {} if math.isnan(k) else {"surrogate": "sigmoid", "gamma": 1 / k}
        spec = dataclasses.replace(config.spec, **smooth)
        runs += [Run(k, dataclasses.replace(config, spec=spec, loss=loss), folder) for loss in LOSSES]
    if len({run.path for run in runs}) < len(runs):
        raise click.UsageError("--k: the same sharpness, to six digits, is named twice")
    return runs


def _check_outputs(runs: Sequence[Run], tables: Sequence[Path], force: bool) -> None:
    # Before the first epoch, since a run may take days.

    begun = [run for run in runs if run.last.exists()]
    for table in tables:
        writable_target(table, force or bool(begun))
    for run in runs:
        for path in (run.path, run.last):
            writable_target(path, force or run in begun)
    if force:
        for run in runs:
            run.path.unlink(missing_ok=True)
            run.last.unlink(missing_ok=True)
        return
    for run in begun:
        differ = differing_settings(Checkpoint.load(run.last), run.config)
        if differ:
            raise TrainingError(
                f"{run.last}: was trained with other settings: {', '.join(differ)}; choose another folder with -o, or "
                "train all of them anew with --force"
            )


def row(run: Run, found: Transfer) -> dict[str, Any]:
    """What the table says of one network.

    Returns:
        Plain values; accuracies are fractions, what does not apply is NaN.
    """
    head = {"checkpoint": run.path.name, "neuron": run.neuron, "k": run.k, "loss": run.config.loss}
    return {**head, **dataclasses.asdict(found), "transfer_gap": found.gap}


def ablation_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Table 2 of the TET paper, with losses and the transfer to spiking neurons beside it: a row for each neuron."""
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
