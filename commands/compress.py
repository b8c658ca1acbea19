"""``tetviz compress``: a network with fewer weights, fewer values of them and fewer spikes."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import tetviz
from tetviz.commands.command import command
from tetviz.commands.console import command_line, exit_code, note
from tetviz.commands.options import (
    combined,
    cost_option,
    data_options,
    device_option,
    force_option,
    json_option,
    output_option,
    samples_option,
    tmax_option,
    wait_option,
)
from tetviz.commands.targets import output_paths
from tetviz.commands.values import EPOCHS, POSITIVE, SEED, Parsed, WholeRange, parse_finite
from tetviz.errors import CheckpointError, DataError, OutputError

if TYPE_CHECKING:
    from tetviz.commands.measure import Job
    from tetviz.commands.session import Session
    from tetviz.results import Compression
    from tetviz.training import LabelledDataset
    from tetviz.training.compression import CompressionPlan

_MOST = 64  # values of one option


def parse_list(text: str) -> tuple[float, ...]:
    """Reads numbers with commas between."""
    values = tuple(dict.fromkeys(parse_finite(part) for part in str(text).split(",")))
    if len(values) > _MOST:
        raise ValueError(f"{len(values)} values, expected {_MOST} at most")
    return values


def parse_sparsities(text: str) -> tuple[float, ...]:
    """Reads shares of weights."""
    values = parse_list(text)
    if any(not 0 < value < 1 for value in values):
        raise ValueError(f"{text}: expected shares between 0 and 1, such as .5,.9")
    return values


def parse_bits(text: str) -> tuple[float, ...]:
    """Reads bits of weights."""
    values = parse_list(text)
    for value in values:
        tetviz.training.compression.projections.largest_level(value)
    return values


def parse_activities(text: str) -> tuple[float, ...]:
    """Reads weights of the spikes in the loss."""
    values = parse_list(text)
    if min(values) < 0:
        raise ValueError(f"{text}: expected 0 or more")
    return values


_mechanism_options = combined(
    click.option("--sparsity", type=Parsed("P,...", parse_sparsities), help="Shares of each layer's weights to prune."),
    click.option("--bits", type=Parsed("BITS,...", parse_bits), help="Bits of a weight: 1.58 (ternary), 3 to 8."),
    click.option(
        "--activity",
        type=Parsed("LAMBDA,...", parse_activities),
        help="Weights in the loss of the spikes of a neuron and step; 0: the dense network, trained on.",
    ),
    click.option("--combine", is_flag=True, help="All combinations of these values besides each alone."),
)
_training_options = combined(
    click.option("--admm-epochs", type=EPOCHS, default=10, show_default=True, help="Epochs of ADMM."),
    click.option(
        "--epochs",
        type=EPOCHS,
        default=10,
        show_default=True,
        help="Epochs of training after ADMM; what takes none is trained for both together.",
    ),
    click.option("--lr", type=POSITIVE, default=1e-3, show_default=True, help="Learning rate of Adam."),
    click.option(
        "--rho",
        type=POSITIVE,
        default=0.01,
        show_default=True,
        help="Weight of ADMM's penalty in its first epoch, 100 times as much in its last.",
    ),
    click.option(
        "--batch-size", type=WholeRange(1), default=64, show_default=True, help="Samples an update, and a pass."
    ),
    click.option("--seed", type=SEED, default=0, show_default=True, help="Of the order of samples."),
)


@command()
@click.argument("checkpoint", metavar="CKPT", type=click.Path(path_type=Path))
@_mechanism_options
@_training_options
@tmax_option("T of training")
@cost_option
@samples_option(0, "One pass gives all.")
@data_options
@device_option
@force_option
@wait_option
@json_option
@output_option("compression")
def compress(
    checkpoint: Path,
    sparsity: tuple[float, ...] | None,
    bits: tuple[float, ...] | None,
    activity: tuple[float, ...] | None,
    combine: bool,
    tmax: int | None,
    cost: str,
    output: Path | None,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Prune and quantise CKPT by ADMM, make it spike less, and measure what that saves and costs.

    Every value of --sparsity, --bits and --activity makes a network of its own, trained on the data of CKPT, beside
    pruning by size at once as control for each --sparsity. The checkpoints go in CKPT.compressed, for every command
    that takes one; weights that are 0 are no synapses. Writes CKPT.compression.h5 and CKPT.compression.png. A
    command that was stopped goes on when it is given again.

    \b
    tetviz compress tet.pt --sparsity .5,.75,.9 --bits 1.58,3 --activity 0,1e-3
    tetviz compress tet.pt --sparsity .9 --bits 3 --combine --admm-epochs 30 --epochs 30
    tetviz landscape tet.pt tet.compressed/s0.9.pt
    """
    if not (sparsity or bits or activity):
        raise click.UsageError("name what to do with --sparsity, --bits or --activity")
    names = ("admm_epochs", "epochs", "lr", "rho", "seed")
    admm_epochs, epochs, lr, rho, seed = (options.pop(name) for name in names)
    base = tetviz.training.compression.CompressionPlan(
        epochs=admm_epochs, retrain=epochs, lr=lr, rho=rho, seed=seed, batch_size=options["batch_size"]
    )
    plans = plans_of(base, sparsity or (), bits or (), activity or (), combine)
    targets = output_paths((checkpoint,), output, "compression")
    folder = targets[0].with_name(f"{targets[0].name.removesuffix('.h5').removesuffix('.compression')}.compressed")

    def sessions(jobs: "Sequence[Job]") -> "Iterator[Session]":
        for job in jobs:
            session = tetviz.commands.session.open_session(job.path, **options)
            if not job.finished:
                train_all(session, plans, folder, force)
            yield session

    def compute(session: "Session", **how: Any) -> "Compression":
        return measured(session, plans, folder, tmax, cost=cost, levels=sorted(sparsity or ()), **how)

    tetviz.commands.measure.run_measurement(
        tetviz.results.Compression,
        (checkpoint,),
        targets,
        sessions=sessions,
        measure=tetviz.commands.measure.InOneGo(
            compute,
            tmax=tmax,
            plans=[dataclasses.asdict(plan) for plan in plans],
            cost=tetviz.summaries.cost_text(tetviz.summaries.load_cost(cost)),
        ),
        draw={"compression": tetviz.figures.draw},
        force=force,
        as_json=as_json,
    )


def plans_of(
    base: "CompressionPlan",
    sparsities: Sequence[float],
    bits: Sequence[float],
    activities: Sequence[float],
    combine: bool,
) -> "list[CompressionPlan]":
    """What is made: every value alone, pruning at once beside each sparsity, and combinations if they are asked for."""
    plans = [
        dataclasses.replace(base, sparsity=value, one_shot=one_shot)
        for value in sparsities
        for one_shot in (False, True)
    ]
    plans += [dataclasses.replace(base, bits=value) for value in bits]
    plans += [dataclasses.replace(base, activity=value) for value in activities]
    if combine:
        full = tetviz.training.compression.projections.FULL
        every = itertools.product((0.0, *sparsities), (full, *bits), (0.0, *(a for a in activities if a)))
        several = [each for each in every if (each[0] > 0) + (each[1] != full) + (each[2] > 0) > 1]
        plans += [dataclasses.replace(base, sparsity=s, bits=b, activity=a) for s, b, a in several]
    return plans


def train_all(session: "Session", plans: "Sequence[CompressionPlan]", folder: Path, force: bool) -> None:
    """Makes the compressed networks, or what is left of them."""
    recorded = session.checkpoint.data.get("name")
    if recorded is not None and session.dataset.spec.name != recorded:
        raise DataError(f"{session.path}: was trained on {recorded}, compression trains on the same data")
    try:
        tetviz.training.compression.run.config_of(session.checkpoint, plans[0])
    except CheckpointError as error:
        raise CheckpointError(f"{session.path}: {error}") from error
    if not force:
        refuse_others(session.provenance.checkpoint_sha256, plans, folder)
    train: LabelledDataset = tetviz.training.load_data(session.dataset.spec, split="train", trust=session.trusted)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OutputError(f"{folder}: is a file, expected a folder for the networks; move it away") from error
    if force:
        for path in sorted(folder.glob("*.pt")):
            path.unlink()
    device = next(session.model.parameters()).device
    for number, plan in enumerate(plans, 1):
        note(f"{plan.name}: network {number} of {len(plans)}")
        try:
            tetviz.training.compression.compress(
                session.checkpoint,
                plan,
                train,
                session.dataset,
                folder / f"{plan.name}.pt",
                origin=session.provenance.checkpoint_sha256,
                device=device,
                monitors=[tetviz.commands.progress.TrainingProgress()],
            )
        except KeyboardInterrupt as stop:
            note(f"stopped; every finished epoch is in {folder}. Go on with:\n{command_line()}")
            raise click.exceptions.Exit(exit_code(stop)) from None


def refuse_others(origin: str, plans: "Sequence[CompressionPlan]", folder: Path) -> None:
    """Refuses a folder whose networks were made otherwise than these would be."""
    for plan in plans:
        wanted = tetviz.training.compression.run.settings_of(plan, origin)
        for path in (folder / f"{plan.name}.admm.last.pt", folder / f"{plan.name}.last.pt"):
            if path.exists() and tetviz.training.Checkpoint.load(path).training.get("compressed") != wanted:
                raise OutputError(
                    f"{path}: is of another checkpoint or other settings; choose another name with -o, or replace all "
                    f"networks of {folder} with --force"
                )


def measured(
    session: "Session", plans: "Sequence[CompressionPlan]", folder: Path, tmax: int | None, progress: Any, **how: Any
) -> "Compression":
    """The dense network and all compressed ones, measured."""
    where = next(session.model.parameters()).device
    kind = tetviz.analysis.compression.Compressed
    networks = [kind("dense", session.model, path=str(session.path))]
    for plan in plans:
        path = folder / f"{plan.name}.pt"
        mechanism = "one-shot" if plan.one_shot else "admm" if plan.takes_admm else "activity"
        networks.append(
            kind(
                plan.name,
                tetviz.training.Checkpoint.load(path).model().to(where),
                mechanism if plan.activity or mechanism != "activity" else "retrained",
                str(path),
                plan.sparsity,
                plan.bits,
                plan.activity,
                tetviz.training.compression.run.admm_distances(path),
            )
        )
    trained = session.checkpoint.timesteps
    return tetviz.analysis.compute_compression(
        networks,
        session.dataset,
        tmax or trained,
        t_train=trained,
        progress=lambda more: progress(more / len(networks)),
        **how,
    )
