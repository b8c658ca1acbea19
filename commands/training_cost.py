"""``tetviz training-energy``: what a checkpoint's training computes, phase by phase, and what its run has cost."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tetviz.commands.options import (
    checkpoints_argument,
    combined,
    data_options,
    output_option,
    output_paths,
    samples_option,
)

if TYPE_CHECKING:
    from tetviz.commands.subject import Subject
    from tetviz.results import TrainingOperations
    from tetviz.summaries.costs import CostModel

_measure_options = combined(
    click.option("--timesteps", type=click.IntRange(1), help="T.  [default: T of training]"),
    click.option(
        "--loss", type=click.Choice(["sdt", "tet", "total"]), help="Whose errors.  [default: the loss trained on]"
    ),
    click.option(
        "--bn",
        type=click.Choice(["frozen", "batch"]),
        default="frozen",
        show_default=True,
        help="Batch norm as a constant map, or by the statistics of each batch, as in training.",
    ),
    click.option(
        "--cost", default="45nm-fp32", show_default=True, help="Cost model: a name, or a TOML file that defines one."
    ),
)

_run_options = combined(
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."),
    click.option("--batch-size", type=click.IntRange(1), default=64, show_default=True, help="Samples a batch."),
    click.option("--precision", type=click.Choice(["float32", "float64"]), help="[default: the checkpoint's]"),
    click.option("--split", type=click.Choice(["train", "test"]), default="train", show_default=True),
    click.option("--force", is_flag=True, help="Replace existing outputs."),
    click.option("--json", "as_json", is_flag=True, help="Print the numbers as a JSON list."),
)


@click.command("training-energy")
@checkpoints_argument
@_measure_options
@samples_option(256)
@data_options
@_run_options
@output_option("training-energy")
def training_energy(
    checkpoints: tuple[Path, ...],
    timesteps: int | None,
    loss: str | None,
    bn: str,
    cost: str,
    output: Path | None,
    force: bool,
    as_json: bool,
    batch_size: int,
    **options: Any,
) -> None:
    """Count what training CKPT computes, from its measured spikes and gradients, and price it.

    One forward and backward pass over the samples gives, for every layer and step, the pairs of an input and an
    output that the forward pass, the input gradient and the weight gradient have to compute, all of them and those
    that are not 0. Writes CKPT.training-energy.h5 and CKPT.training-energy.png, and prints energies, densities, and
    the cost of the whole run.

    \b
    tetviz training-energy tet.pt
    tetviz training-energy sdt.pt tet.pt --samples 1024 --bn batch
    """
    from tetviz.commands.console import note, print_json
    from tetviz.commands.subject import open_subject
    from tetviz.errors import CheckpointError
    from tetviz.figures import draw_training_cost, save_figure
    from tetviz.models import ForeignSpec
    from tetviz.results import save, writable_target
    from tetviz.summaries.costs import load_cost
    from tetviz.training import Checkpoint

    targets = output_paths(checkpoints, output, "training-energy")
    for target in targets:
        writable_target(target, force)
        writable_target(target.with_suffix(".png"), force)
    for path in checkpoints:
        if isinstance(Checkpoint.load(path).spec, ForeignSpec):
            raise CheckpointError(
                f"{path}: is a foreign network; what training computes is counted from the surrogate derivatives of "
                "neurons of tetviz alone. `tetviz energy` counts what running it computes"
            )
    prices, records = load_cost(cost), []
    for path, target in zip(checkpoints, targets, strict=True):
        subject = open_subject(path, batch_size=batch_size, **options)
        result = measure_training(subject, prices, timesteps, loss, bn, batch_size)
        save(target, result)
        save_figure(draw_training_cost([result]), target.with_suffix(".png"))
        records.append(record(result))
        for sentence in result.not_counted:
            note(f"warning: not counted: {sentence}")
        if not as_json:
            click.echo(format_training(result))
        note(f"wrote {target} and {target.with_suffix('.png')}")
    if as_json:
        print_json(records)


def measure_training(
    subject: "Subject", cost: "CostModel", timesteps: int | None, loss: str | None, bn: str, batch_size: int
) -> "TrainingOperations":
    """Counts the operations of a checkpoint's training, and looks up how it was trained."""
    import dataclasses

    from tetviz.analysis.training_cost import compute_training_cost
    from tetviz.commands.console import progress_bar
    from tetviz.summaries.training import with_cost

    training, history = subject.checkpoint.training, subject.checkpoint.history
    trained_on = history[-1].get("loss") if history else training.get("loss")
    with progress_bar(subject.path.stem, len(subject.indices)) as (bar, task):
        result = compute_training_cost(
            subject.model,
            subject.dataset,
            timesteps,
            loss or trained_on or "tet",
            lamb=training.get("lamb", 0.05),
            phi=training.get("phi", 1.0),
            bn=bn,
            indices=subject.indices,
            batch_size=batch_size,
            provenance=subject.provenance,
            progress=lambda samples: bar.advance(task, samples),
        )
    return dataclasses.replace(with_cost(result, cost), **run_settings(subject))


def run_settings(subject: "Subject") -> dict[str, Any]:
    """How the checkpoint was trained, as attributes of the result."""
    from tetviz.errors import CheckpointError
    from tetviz.summaries.training import optimizer_mac
    from tetviz.training import Stage, load_data
    from tetviz.training.data import split_validation

    training, spec = subject.checkpoint.training, subject.dataset.spec
    needed = {"stages", "optimizer", "momentum", "weight_decay", "batch_size", "val_fraction", "seed"}
    if not needed <= training.keys() or subject.checkpoint.data.get("name") != spec.name:
        return {}
    train = (
        subject.dataset
        if subject.provenance.split == "train"
        else load_data(spec, split="train", trust=subject.trusted)
    )
    try:
        stages = [Stage.parse(text) for text in training["stages"]]
        macs = optimizer_mac(training["optimizer"], training["momentum"], training["weight_decay"])
        shown, _ = split_validation(train.labels, training["val_fraction"], training["seed"])
    except (TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{subject.path}: damaged, its training settings cannot be used ({error})") from error
    return {
        "stages": tuple((stage.timesteps, stage.epochs) for stage in stages),
        "optimizer": training["optimizer"],
        "optimizer_mac": macs,
        "train_batch_size": training["batch_size"],
        "train_samples": len(shown),
    }


def record(result: "TrainingOperations") -> dict[str, Any]:
    """Training energy as plain values.

    Returns:
        Its origin, energies in pJ for a sample, densities by layer, and the whole run.
    """
    from tetviz.summaries.training import (
        PHASES,
        SPARSITIES,
        densities,
        neuron_energy,
        optimizer_energy,
        phase_energy,
        run_energy,
        schedule_cost,
        training_table,
    )

    layers = training_table(result).drop(index="total")
    steps = phase_energy(result).sum(1)
    return {
        "checkpoint": result.provenance.checkpoint,
        "loss": result.loss,
        "bn": result.bn,
        "timesteps": int(result.timestep[-1]),
        "cost": result.cost,
        "layer": layers.index.tolist(),
        **{f"{name}_pj": layers[name].tolist() for name in (*PHASES, *SPARSITIES)},
        **{str(name): column.tolist() for name, column in densities(result).items()},
        **{f"{phase}_pj_by_timestep": of_phase.tolist() for phase, of_phase in zip(PHASES, steps, strict=True)},
        "neurons_pj": float(neuron_energy(result).sum()),
        "optimizer_pj_per_update": optimizer_energy(result),
        "timestep_epochs": schedule_cost(result.stages),
        "train_samples": result.train_samples,
        "run_joules": run_energy(result),
        "not_counted": result.not_counted,
    }


def format_training(result: "TrainingOperations") -> str:
    """Training energy as tables."""
    from tetviz.figures import format_table
    from tetviz.figures.plots.style import plain_units
    from tetviz.figures.report.tables_training import training_energies
    from tetviz.summaries.names import network_name

    energies, densities = training_energies(result)
    head = f"{network_name(result.provenance)}: {energies.caption}"
    tables = [format_table(energies.frame), "", format_table(densities.frame), ""]
    return plain_units("\n".join([head, *tables, *energies.feet]))
