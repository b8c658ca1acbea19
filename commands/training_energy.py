"""``tetviz training-energy``: what a checkpoint's training computes, phase by phase, and what its run has cost."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tetviz
from tetviz.commands.command import command
from tetviz.commands.options import (
    batch_option,
    bn_option,
    checkpoints_argument,
    combined,
    cost_option,
    data_options,
    device_option,
    force_option,
    gradient_loss_option,
    json_option,
    output_option,
    precision_option,
    samples_option,
    split_option,
    timesteps_option,
    wait_option,
)
from tetviz.commands.targets import output_paths
from tetviz.errors import CheckpointError

if TYPE_CHECKING:
    from tetviz.commands.measure import Job
    from tetviz.commands.session import Session
    from tetviz.results import TrainingOperations

_measure_options = combined(
    timesteps_option(),
    gradient_loss_option,
    bn_option("frozen", " As in training, batch leaves hardly any error 0.", ("frozen", "batch")),
    cost_option,
)


@command("training-energy")
@checkpoints_argument
@_measure_options
@samples_option(256, "Each takes a backward pass.")
@data_options
@device_option
@batch_option(64, "Samples that a network runs on at once; a backward pass holds every step of them.")
@precision_option
@split_option("train", "Training computes on train samples.")
@force_option
@wait_option
@json_option
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
    prices = tetviz.summaries.load_cost(cost)

    def sessions(jobs: "Sequence[Job]") -> "Iterator[Session]":
        for path in checkpoints:
            _refuse_foreign(path)
        return (tetviz.commands.session.open_session(job.path, **options) for job in jobs)

    def compute(session: "Session", **how: Any) -> "TrainingOperations":
        training = session.checkpoint.training
        result = tetviz.analysis.compute_training_cost(
            session.model,
            session.dataset,
            timesteps,
            loss or session.trained_on() or "tet",
            lamb=training.get("lamb", 0.05),
            phi=training.get("phi", 1.0),
            bn=bn,
            **how,
        )
        return dataclasses.replace(tetviz.summaries.training.with_cost(result, prices), **run_settings(session))

    tetviz.commands.measure.run_measurement(
        tetviz.results.TrainingOperations,
        checkpoints,
        output_paths(checkpoints, output, "training-energy"),
        sessions=sessions,
        measure=tetviz.commands.measure.InOneGo(
            compute, timesteps=timesteps, loss=loss, bn=bn, cost=tetviz.summaries.cost_text(prices)
        ),
        draw={"training-energy": tetviz.figures.draw_training_cost},
        warnings=lambda session, result: [f"not counted: {sentence}" for sentence in result.not_counted],
        force=force,
        as_json=as_json,
    )


def _refuse_foreign(path: Path) -> None:
    if isinstance(tetviz.training.Checkpoint.load(path).spec, tetviz.models.ForeignSpec):
        raise CheckpointError(
            f"{path}: is a foreign network; what training computes is counted from the surrogate derivatives of "
            "neurons of tetviz alone. `tetviz energy` counts what running it computes"
        )


def run_settings(session: "Session") -> dict[str, Any]:
    """How the checkpoint was trained, as attributes of the result."""
    training, spec = session.checkpoint.training, session.dataset.spec
    needed = {"stages", "optimizer", "momentum", "weight_decay", "batch_size", "val_fraction", "seed"}
    if not needed <= training.keys() or session.checkpoint.data.get("name") != spec.name:
        return {}
    train = (
        session.dataset
        if session.provenance.split == "train"
        else tetviz.training.load_data(spec, split="train", trust=session.trusted)
    )
    try:
        stages = [tetviz.training.Stage.parse(text) for text in training["stages"]]
        macs = tetviz.summaries.training.optimizer_mac(
            training["optimizer"], training["momentum"], training["weight_decay"]
        )
        shown, _ = tetviz.training.data.split_validation(train.labels, training["val_fraction"], training["seed"])
    except (TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{session.path}: damaged, its training settings cannot be used ({error})") from error
    return {
        "stages": tuple((stage.timesteps, stage.epochs) for stage in stages),
        "optimizer": training["optimizer"],
        "optimizer_mac": macs,
        "train_batch_size": training["batch_size"],
        "train_samples": len(shown),
    }
