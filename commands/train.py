"""``tetviz train``: a network trained with surrogate gradients, as a checkpoint."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import tetviz
from tetviz.commands.choices import (
    AUGMENTATIONS,
    ENCODINGS,
    LAYER_NORMS,
    LOSSES,
    LR_SCHEDULES,
    MODELS,
    NEURONS,
    OPTIMIZERS,
    PRECISIONS,
    REGULARISERS,
    RESETS,
    SURROGATES,
)
from tetviz.commands.command import command
from tetviz.commands.console import as_usage, at_chance, command_line, exit_code, hold, note, say, warn
from tetviz.commands.options import (
    batch_option,
    combined,
    compile_option,
    data_options,
    device_option,
    force_option,
    timesteps_option,
    wait_option,
)
from tetviz.commands.values import (
    EPOCHS,
    POSITIVE,
    SEED,
    FiniteRange,
    Name,
    Parsed,
    WholeRange,
    model_option,
    parse_finite,
)
from tetviz.errors import DataError, OutputError, TrainingError

if TYPE_CHECKING:
    from tetviz.models import ModelSpec
    from tetviz.training import LabelledDataset, TrainingConfig

SHARPNESS = FiniteRange(1e-6, 1e6)

network_options = combined(
    click.option(
        "--model",
        type=Name(MODELS),
        metavar="NAME",
        default="snn5",
        show_default=True,
        help="snn5, vggsnn, vggsnn-nopool, resnet19, spiking-resnet18|34, sew-resnet18|34|50|101|152, "
        "ms-resnet18|34|104; for CIFAR ms-resnet20|110|482, and cifar-resnet of any depth; fc, fully connected; for "
        "graphs gcsnn, gasnn.",
    ),
    click.option("--width", type=POSITIVE, default=1.0, show_default=True, help="Channels, relative to the paper's."),
    click.option(
        "--model-option",
        "model_options",
        multiple=True,
        metavar="NAME=VALUE",
        help="Such as stem=128, connect=AND, zero_init=false. Repeat it for several.",
    ),
    click.option(
        "--norm",
        type=Name(LAYER_NORMS),
        help="Normalisation: bn or tdbn; of graph networks stfn, stfn-run or none.  [default: bn, of graphs stfn]",
    ),
    click.option("--neuron", type=Name(NEURONS), default="lif", show_default=True),
    click.option(
        "--leak", type=FiniteRange(0, 1), default=0.5, show_default=True, help="Of lif; of plif where it starts."
    ),
    click.option("--threshold", type=POSITIVE, default=1.0, show_default=True, help="Firing threshold V_th."),
    click.option(
        "--reset",
        type=Name(RESETS),
        default="hard",
        show_default=True,
        help="To 0, or soft: by the threshold.",
    ),
    click.option("--detach-reset", is_flag=True, help="No gradient through the reset."),
    click.option("--detach-carry", is_flag=True, help="No gradient from step to step (SLTT)."),
    click.option("--image-size", type=WholeRange(1), help="Side of the input.  [default: the data's own]"),
)

surrogate_options = combined(
    click.option("--surrogate", type=Name(SURROGATES), default="triangle", show_default=True),
    click.option("--gamma", type=POSITIVE, help="Width of the surrogate.  [default: 1]"),
)

loss_options = combined(
    click.option(
        "--loss",
        type=Name(LOSSES),
        default="tet",
        show_default=True,
        help="The loss to train on; mse is that of the mean output, trt has a decay of the weights over time.",
    ),
    click.option(
        "--lamb", type=FiniteRange(0, 1), default=0.05, show_default=True, help="lambda of total; eta of trt."
    ),
    click.option(
        "--phi",
        type=Parsed("FLOAT", parse_finite),
        default=1.0,
        show_default=True,
        help="phi of total.",
    ),
    click.option(
        "--decay", type=FiniteRange(0, 1e6), default=1e-5, show_default=True, help="lambda of trt, of the weights."
    ),
    click.option(
        "--delta", type=FiniteRange(0, 1e6), default=0.25, show_default=True, help="delta of trt, in each step."
    ),
    click.option("--reg", type=Name(REGULARISERS), help="A regulariser of the membrane potentials, added to the loss."),
    click.option(
        "--reg-weight", type=FiniteRange(0, 1e6), default=0.005, show_default=True, help="Its weight, for every layer."
    ),
    click.option(
        "--switch",
        type=Parsed("LOSS@EPOCH", lambda text: tetviz.training.Switch.parse(text)),
        help="Another loss after so many epochs, such as tet@200.",
    ),
)

stage_options = combined(
    timesteps_option("4"),
    click.option("--epochs", type=EPOCHS, help="Epochs at that T.  [default: 10]"),
    click.option(
        "--stage",
        "stages",
        multiple=True,
        type=Parsed("T:EPOCHS[@LR]", lambda text: tetviz.training.Stage.parse(text)),
        help="In place of --timesteps and --epochs; repeat it for time inheritance training. "
        "Events: a stage sees the first T of --frames.",
    ),
)

optimizer_options = combined(
    click.option("--optimizer", type=Name(OPTIMIZERS), default="adam", show_default=True),
    click.option("--lr", type=POSITIVE, default=1e-3, show_default=True, help="Initial learning rate."),
    click.option(
        "--lr-schedule",
        type=Name(LR_SCHEDULES),
        default="cosine",
        show_default=True,
    ),
    click.option("--weight-decay", type=FiniteRange(0), default=0.0, show_default=True),
    click.option("--momentum", type=FiniteRange(0, 1), default=0.9, show_default=True, help="Of sgd and sam."),
    click.option(
        "--rho",
        type=FiniteRange(0, 1e6),
        default=0.05,
        show_default=True,
        help="How far uphill sam takes its gradient.",
    ),
    batch_option(64, "Samples an update."),
    click.option(
        "--augment",
        multiple=True,
        type=Name(AUGMENTATIONS),
        help="Repeat for several, in their order; flip and roll suit events, all others images.",
    ),
    click.option("--val-fraction", type=FiniteRange(0, 0.5), default=0.1, show_default=True, help="Held out."),
    click.option("--seed", type=SEED, default=0, show_default=True, help="Of weights, batches and what is held out."),
    click.option(
        "--precision",
        type=Name(PRECISIONS, {"bf16": "bfloat16", "fp16": "float16"}),
        default="float32",
        show_default=True,
        help="bfloat16 and float16 by autocast; bf16 and fp16 for short.",
    ),
    click.option(
        "--checkpoint-activations",
        is_flag=True,
        help="Residual networks: keep the input of a block alone, and run it again in the backward pass.",
    ),
)


sample_options = combined(
    click.option("--split-seed", type=SEED, default=0, show_default=True, help="Events: of the 9:1 split."),
    click.option(
        "--encode",
        type=Name(ENCODINGS),
        help="Images: bernoulli, spikes drawn with the pixel as their probability.  [default: the image at every step]",
    ),
)

process_options = combined(
    device_option,
    click.option("--workers", type=WholeRange(0, 1024), default=0, show_default=True, help="Processes that load data."),
    compile_option,
)


@command()
@network_options
@surrogate_options
@click.option("--k", type=SHARPNESS, help="Sharpness of --surrogate sigmoid, sigmoid(k (u - V_th)): 1 / --gamma.")
@data_options
@sample_options
@loss_options
@stage_options
@optimizer_options
@process_options
@click.option(
    "--keep-every",
    type=WholeRange(0),
    default=0,
    show_default=True,
    help="Keep every N-th epoch in OUTPUT.kept, for tetviz trajectory; 0 keeps none.",
)
@click.option("--log-dir", type=click.Path(path_type=Path), help="TensorBoard logs.")
@click.option("--resume", is_flag=True, help="Go on from where the same command was stopped.")
@force_option
@wait_option
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Checkpoint, such as tet.pt.")
def train(
    output: Path,
    device: str,
    workers: int,
    keep_every: int,
    log_dir: Path | None,
    resume: bool,
    force: bool,
    **options: Any,
) -> None:
    """Train a spiking network with surrogate gradients.

    OUTPUT.pt is the epoch with the best accuracy on samples held out of the train split; OUTPUT.last.pt is the
    last epoch, from which --resume goes on. Both record L_SDT, L_TET and the accuracy on the test split after
    every epoch, whatever the loss. OUTPUT.epochs.h5 holds these numbers so far, for figures of a run in progress.

    \b
    tetviz train --model snn5 --data digits --loss tet --timesteps 4 --epochs 10 -o tet.pt
    tetviz train --data digits --keep-every 1 -o tet.pt
    tetviz train --model resnet19 --data cifar10 --data-root data --augment flip --augment crop \\
        --stage 2:300 --stage 6:50@1e-4 -o tit.pt
    """
    if output.suffix != ".pt":
        raise click.UsageError(f"-o {output}: name a file that ends in .pt")
    last = output.with_name(f"{output.stem}.last.pt")
    epochs = output.with_name(f"{output.stem}.epochs.h5")
    folder = tetviz.training.loop.kept_folder(output)
    kept = sorted(folder.glob("epoch-*.pt"))
    processes, first = tetviz.training.parallel.size(), tetviz.training.parallel.rank() == 0
    if first:
        _check_outputs(output, last, epochs, kept, resume=resume, force=force)
        hold(output)
    where = tetviz.commands.session.pick_device(device)
    monitors: list[tetviz.training.Monitor] = [
        tetviz.commands.progress.TrainingProgress(),
        tetviz.commands.epochs.HistoryFile(last, epochs),
    ]
    if log_dir is not None:
        monitors.append(tetviz.training.TensorBoardMonitor(log_dir))
    config, train_set, test_set = prepare(**options)
    if config.reg:
        note(f"--reg {config.reg}: neurons keep their potentials, so a step takes more memory and time than without")
    for data in (train_set, test_set):
        if tetviz.training.fingerprint.reads_vary(data):
            note(
                f"{data.spec.name}: gives other samples each time that they are read; --resume holds its labels alone "
                "against those of the beginning"
            )
            break
    together = f", in {processes} processes" if processes > 1 else ""
    if train_set.validation is not None:
        held_out = f", {len(train_set.validation)} validation samples"
    else:
        held_out = f" ({config.val_fraction:.0%} of them held out)"
    note(f"{len(train_set)} training samples{held_out}, {len(test_set)} test samples{together}")
    tetviz.commands.session.compile_as_asked()
    with tetviz.training.parallel.joined(where) as where:
        if force and not resume and first:
            for path in (output, last, epochs, *kept):
                path.unlink(missing_ok=True)
        if first:
            tetviz.results.files.remove_abandoned_in(folder)
        try:
            best = tetviz.training.fit(
                config,
                train_set,
                test_set,
                best_path=output,
                last_path=last,
                device=where,
                resume=resume,
                workers=workers,
                keep_every=keep_every,
                monitors=monitors if first else (),
            )
        except KeyboardInterrupt as stop:
            start = f"torchrun --nproc-per-node {processes} -m " if processes > 1 else ""
            again = start + command_line() + ("" if resume else " --resume")
            note(f"stopped; every finished epoch is in {last}. Go on with:\n{again}")
            raise click.exceptions.Exit(exit_code(stop)) from None
    record = best.history[-1]
    warn(at_chance(record["test_sdt_loss"], best.spec.num_classes))
    say(
        f"{output}: epoch {best.epoch}, test accuracy {record['test_accuracy']:.2%}, "
        f"L_SDT {record['test_sdt_loss']:.4f}, L_TET {record['test_tet_loss']:.4f} at T = {best.timesteps}"
    )


def _check_outputs(output: Path, last: Path, epochs: Path, kept: Sequence[Path], *, resume: bool, force: bool) -> None:
    if resume and not last.exists():
        raise TrainingError(f"{last}: no such file, there is nothing to go on from; leave out --resume")
    if last.exists() and not (force or resume):
        raise OutputError(f"{last}: exists already; go on from it with --resume, or replace it with --force")
    for path in (output, last):
        tetviz.results.writable_target(path, force or resume)
    if kept and not (force or resume):
        raise OutputError(f"{kept[0]}: exists already; go on with --resume, or replace all of them with --force")
    tetviz.results.writable_target(epochs, force or resume)


def prepare(**options: Any) -> "tuple[TrainingConfig, LabelledDataset, LabelledDataset]":
    """Turns the options of the command line into settings and data."""
    options["gamma"] = _surrogate_width(options["surrogate"], options["gamma"], options.pop("k", None))
    stages: tuple[tetviz.training.Stage, ...] = options.pop("stages")
    timesteps, epochs = options.pop("timesteps"), options.pop("epochs")
    if stages and (timesteps or epochs):
        raise click.UsageError("--stage says T and epochs: leave out --timesteps and --epochs")
    if not options["data"]:
        raise click.UsageError("name the data set with --data")
    given = [f"--{name}" for name in ("frames", "framing", "sensor", "duration", "units") if options[name]]
    stages = stages or (tetviz.training.Stage(timesteps or 4, epochs or 10),)
    longest = max(stage.timesteps for stage in stages)
    added = {name: options.pop(name) for name in ("axes", "lengths", "duration", "units", "encode")}
    with as_usage():
        spec = tetviz.training.DataSpec(
            options.pop("data"),
            root=str(root.expanduser().resolve()) if (root := options.pop("data_root")) else "",
            image_size=options.pop("image_size") or 0,
            frames=options.pop("frames") or longest,
            framing=options.pop("framing") or "time",
            split_seed=options.pop("split_seed"),
            sensor=options.pop("sensor") or (),
            **{name: value for name, value in added.items() if value},
        )
    normalise = options.pop("normalise") or ""
    opening = {"download": options.pop("download"), "trust": options.pop("trust")}
    tetviz.commands.session.announce(spec.name, trust=opening["trust"])
    train_set = tetviz.training.load_data(spec, split="train", normalise=normalise, **opening)
    test_set = tetviz.training.load_data(train_set.spec, split="test", **opening)
    if not train_set.sequence:
        train_set.spec = dataclasses.replace(train_set.spec, frames=0)
        if given:
            raise click.UsageError(f"{', '.join(given)}: only for event data, {spec.name} holds images")
    elif train_set.spec.frames < longest:
        raise DataError(f"recordings are cut into {train_set.spec.frames} frames, T is {longest}; raise --frames")
    if not options.get("reg"):
        options.pop("reg", None)
    with as_usage():
        model = _model_spec(train_set, options)
        config = tetviz.training.TrainingConfig(model, train_set.spec, stages, **options)
    return config, train_set, test_set


def _surrogate_width(surrogate: str, gamma: float | None, k: float | None) -> float:
    if k is None:
        return 1.0 if gamma is None else gamma
    if surrogate != "sigmoid":
        raise click.UsageError(f"--k is the sharpness of --surrogate sigmoid, a smooth forward pass; got {surrogate}")
    if gamma is not None:
        raise click.UsageError("--k is 1 / --gamma: give one of them")
    return 1 / k


def _model_spec(data: "LabelledDataset", options: dict[str, Any]) -> "ModelSpec":
    data.check_network(tetviz.models.spec.is_on_graph(options["model"]))
    extra = {**data.model_options, **dict(model_option(text) for text in options.pop("model_options"))}
    if options.pop("checkpoint_activations"):
        extra.setdefault("checkpointing", 1)
    names = ("width", "leak", "threshold", "surrogate", "gamma", "neuron", "reset", "detach_reset", "detach_carry")
    spec = tetviz.models.ModelSpec(
        options.pop("model"),
        num_classes=data.num_classes,
        in_channels=data.in_channels,
        image_size=data.image_size,
        options=extra,
        norm=options.pop("norm") or "",
        **{name: options.pop(name) for name in names},
    )
    tetviz.models.build(spec)
    return spec
