"""``tetviz import``: weights of someone else's become a checkpoint."""

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import tetviz
from tetviz.commands.choices import GIVES, RECOVERIES, STATES, TAKES
from tetviz.commands.command import command
from tetviz.commands.console import as_usage, note, say
from tetviz.commands.graphs import check_options, filled_in, is_graph, open_graph, step_option
from tetviz.commands.options import batch_option, combined, data_options, device_option, force_option
from tetviz.commands.published import open_published, published_options, take_published
from tetviz.commands.values import REFERENCE, STEPS, Parsed, WholeRange, parse_arguments

if TYPE_CHECKING:
    import torch

    from tetviz.models import Calling
    from tetviz.training import Checkpoint, LabelledDataset

_calling_options = combined(
    click.option(
        "--takes",
        type=click.Choice(TAKES),
        help="Its input: x_BCHW of one step, x_TBCHW, x_BTCHW, x_BCHWT, or x_BCHW that it repeats itself; "
        "of vectors and the like with the axes that the data have.",
    ),
    click.option(
        "--gives",
        type=click.Choice(GIVES),
        help="Its output: that of one step, T x B x K, B x T x K, B x K x T, or B x K over all steps.",
    ),
    click.option(
        "--item",
        help="Which item of a tuple or dictionary: spk (first), mem (last), a position, a key; a.b of one inside.",
    ),
    click.option("--integers", is_flag=True, help="Its input are whole numbers, such as tokens for an embedding."),
    click.option(
        "--timesteps-by",
        default="",
        metavar="argument[:NAME]|attribute:PATH|fixed",
        help="How it is told T, where its input does not tell; fixed: not at all, it runs for T alone.",
    ),
    click.option(
        "--state",
        type=click.Choice(STATES),
        default="modules",
        show_default=True,
        help="Where membranes are kept; passed: output, state = network(x, state).",
    ),
    click.option(
        "--recover",
        type=click.Choice(RECOVERIES),
        help="O(t) out of a mean or sum: skip the reduction inside, or run 1 to T steps.",
    ),
    click.option(
        "--draws",
        type=WholeRange(1),
        metavar="N",
        help="It draws random numbers in eval mode, as a Poisson encoder does: losses and accuracies are means over N "
        "draws, the same in every command.",
    ),
    click.option(
        "--time-axis",
        type=click.IntRange(-1, 1),
        default=0,
        show_default=True,
        help="Axis that it reduces inside; -1 is the last.",
    ),
)


@command("import")
@click.argument("weights", type=click.Path(path_type=Path))
@published_options
@click.option(
    "--factory",
    metavar="MODULE:FUNCTION",
    type=REFERENCE,
    help="Function of your own that builds the network.",
)
@click.option(
    "--factory-args",
    "arguments",
    metavar="JSON",
    type=Parsed("JSON", parse_arguments),
    default="{}",
    show_default=True,
    help="What it is called with, by name.",
)
@click.option(
    "--timesteps",
    type=STEPS,
    required=True,
    help="Length of the run, T, that it was trained with.",
)
@_calling_options
@click.option(
    "--key",
    default="",
    metavar="ENTRY",
    help="Entry of the file that holds the state_dict, or what stands before the names of its tensors.  "
    "[default: the usual ones, such as model or state_dict]",
)
@click.option(
    "--allow-missing",
    multiple=True,
    metavar="PATTERN",
    help="With --factory: tensors that the file may lack, such as 'head.*'; the factory's stay. Repeat it for several.",
)
@click.option(
    "--ignore",
    multiple=True,
    metavar="PATTERN",
    help="With --factory: tensors of the file to leave out. Repeat it for several.",
)
@step_option
@data_options
@click.option(
    "--image-size", type=WholeRange(1), help="Side of the input.  [default: the data's own, or the published]"
)
@device_option
@batch_option()
@force_option
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The checkpoint, a .pt file.")
def import_weights(
    weights: Path,
    factory: str | None,
    arguments: dict[str, Any],
    timesteps: int,
    key: str,
    allow_missing: tuple[str, ...],
    ignore: tuple[str, ...],
    dt: float | None,
    device: str,
    batch_size: int,
    force: bool,
    output: Path,
    **options: Any,
) -> None:
    """Make a checkpoint of WEIGHTS: a state_dict, published or of a network of your own, or a graph of NIR.

    Without --factory, WEIGHTS are published ones of TET, STBP-simple, Spiking-ResNet, SEW-ResNet or MS-ResNet, or of
    their like in SpikingJelly. Their keys tell the layout, their shapes width and classes; neurons are the published
    ones. Every key must have its place: an unknown, missing or mis-shaped one is named.

    WEIGHTS are of torch.save or safetensors. What Lightning, DataParallel, torch.compile or averages put before and
    into the names comes off, as the names of the network say; what is left out or filled in is named.

    \b
    tetviz import weights.pth --model resnet19 --timesteps 4 --data cifar10 --data-root data -o tet.pt

    A file that ends in .nir is a feed-forward graph of NIR (Affine, Linear, Conv1d, Conv2d, AvgPool2d, SumPool2d,
    Flatten, Scale, Threshold, IF, LIF, CubaLIF), as snnTorch, SpikingJelly and others write it; it runs as these two
    run it. Name the step of its training with --dt. It takes pip install 'tetviz[nir]'.

    \b
    tetviz import graph.nir --timesteps 8 --data digits -o graph.pt

    With --factory, the network is what that builds: any torch module, of SpikingJelly, snnTorch, norse or plain.
    With --trust the factory is imported (the current folder comes first) and called. How the network is called is
    stated, never guessed: without --takes and --gives you are told what fits. Before anything is written, a real
    batch shows whether the network keeps to it: shapes at two T and two batch sizes, the same outputs twice, no
    influence of one sample on another, inputs and weights left alone. All other commands then take the checkpoint
    with --trust. Compare the shape, mean and range of its input, and the accuracy, with your own: a network that was
    trained on other images is measured all the same.

    \b
    tetviz import weights.pth --factory nets:build --factory-args '{"T": 4}' --timesteps 4 \\
        --takes time-major --gives time-major --data digits --trust -o net.pt
    tetviz scale net.pt --trust
    """
    if output.suffix != ".pt":
        raise click.UsageError(f"-o {output}: name a file that ends in .pt")
    published = take_published(options, factory=factory is not None)
    if is_graph(weights):
        check_options(published, factory=factory is not None, key=key)
    elif dt is not None:
        raise click.UsageError(f"--dt: is for graphs of NIR, files that end in .nir; {weights} is none")
    if factory is None and options["draws"]:
        raise click.UsageError("--draws: only with --factory; networks of tetviz draw no random numbers")
    calling = _calling(options)
    tetviz.results.writable_target(output, force)
    where = tetviz.commands.session.pick_device(device)
    if factory is None:
        if allow_missing or ignore:
            raise click.UsageError("--allow-missing, --ignore: only with --factory; published weights have to be whole")
        size = options["image_size"]
        if is_graph(weights):
            opened = open_graph(weights, timesteps, size, dt, published)
        else:
            opened = open_published(weights, key, timesteps, size, published)
        _import_known(weights, opened, output, options, batch_size, where)
        return
    tetviz.training.load_weights(weights, key)
    tetviz.commands.session.announce(factory, options["data"] or "", trust=options["trust"])
    data = _data(options, timesteps)
    note(f"its input is {tetviz.training.importing.describe_input(data)}")
    checkpoint = tetviz.training.import_foreign(
        weights,
        factory,
        data,
        timesteps,
        calling,
        arguments=arguments,
        key=key,
        allow_missing=allow_missing,
        ignore=ignore,
        trust=options["trust"],
        device=where,
    )
    for line in checkpoint.training.get("adapted", ()):
        note(line)
    profile = tetviz.training.measure(
        checkpoint.model(trust=True).to(where), tetviz.training.to_batches(data, batch_size), timesteps
    )
    checkpoint.save(output)
    say(
        f"{output}: {describe(checkpoint)}, accuracy {profile.accuracy[-1]:.2%}, L_SDT {profile.sdt_loss[-1]:.4f}, "
        f"L_TET {profile.tet_loss[-1]:.4f} at T = {timesteps} on {profile.samples} test samples"
        + _over_draws(checkpoint)
    )
    _warn_at_chance(profile.sdt_loss[-1], checkpoint.spec.num_classes)
    digests = [f"of {path}: {tetviz.training.file_sha256(path)}" for path in (weights, output)]
    note(f"SHA-256 {'; '.join(digests)}")


def _import_known(
    weights: Path,
    checkpoint: "Checkpoint",
    output: Path,
    options: dict[str, Any],
    batch_size: int,
    where: "torch.device",
) -> None:
    timesteps, size = checkpoint.timesteps, checkpoint.spec.image_size or options["image_size"]
    if not options["data"] and not checkpoint.spec.image_size:
        raise click.UsageError(f"{weights}: takes vectors; name the data set that it was trained on with --data")
    if not options["data"]:
        checkpoint.save(output)
        say(f"{output}: {checkpoint.spec.to_dict()['name']}, T = {timesteps}, no data set: name one with --data")
        return
    tetviz.commands.session.announce(options["data"], trust=options["trust"])
    published_loader = checkpoint.training.get("normalise", {})
    data = _data({**options, "image_size": size}, timesteps, published_loader)
    if data.spec.name in published_loader and not options["normalise"]:
        note(f"images are normalised as the layout's code does it, --normalise {data.spec.normalise}")
    checkpoint = filled_in(checkpoint, data)
    note(f"its input is {tetviz.training.importing.describe_input(data)}")
    tetviz.commands.session.check_fit(weights, checkpoint, data)
    checkpoint = dataclasses.replace(checkpoint, data=data.spec.to_dict())
    profile = tetviz.training.measure(
        checkpoint.model().to(where), tetviz.training.to_batches(data, batch_size), timesteps
    )
    checkpoint.save(output)
    say(
        f"{output}: accuracy {profile.accuracy[-1]:.2%}, L_SDT {profile.sdt_loss[-1]:.4f}, "
        f"L_TET {profile.tet_loss[-1]:.4f} at T = {timesteps} on {profile.samples} test samples"
    )
    _warn_at_chance(profile.sdt_loss[-1], checkpoint.spec.num_classes)


def _calling(options: dict[str, Any]) -> "Calling | None":
    names = ("takes", "gives", "item", "timesteps_by", "state", "recover", "time_axis", "integers", "draws")
    stated = {name: options.pop(name) for name in names}
    if stated["takes"] is None and stated["gives"] is None:
        return None
    if None in (stated["takes"], stated["gives"]):
        raise click.UsageError("--takes and --gives go together; leave out both to be told what fits")
    if stated["item"] is not None and stated["item"].removeprefix("-").isdecimal():
        stated["item"] = int(stated["item"])
    with as_usage():
        return tetviz.models.Calling(**{**stated, "recover": stated["recover"] or "", "draws": stated["draws"] or 0})


def _data(options: dict[str, Any], timesteps: int, published: Mapping[str, str] | None = None) -> "LabelledDataset":
    if not options["data"]:
        raise click.UsageError("name the data set that the network was trained on with --data")
    root = options["data_root"]
    normalise = options["normalise"] or (published or {}).get(options["data"], "")
    with as_usage():
        spec = tetviz.training.DataSpec(
            options["data"],
            root=str(root.expanduser().resolve()) if root else "",
            image_size=options["image_size"] or 0,
            frames=options["frames"] or timesteps,
            framing=options["framing"] or "time",
            sensor=options["sensor"] or (),
            axes=options["axes"] or "",
            lengths=options["lengths"],
            duration=options["duration"] or 0.0,
            units=options["units"] or 0,
        )
    opening = {"download": options["download"], "trust": options["trust"]}
    data = tetviz.training.load_data(spec, split="test", normalise=normalise, **opening)
    if not data.sequence:
        data.spec = dataclasses.replace(data.spec, frames=0)
    return data


def _warn_at_chance(loss: float, classes: int) -> None:
    if tetviz.training.losses.no_better_than_chance(loss, classes):
        note(
            f"warning: no better than chance (L_SDT {loss:.4f}, log {classes} = {math.log(classes):.4f}); compare its "
            "input, and how it is called, with its training: the accuracy should be the one that you know"
        )


def _over_draws(checkpoint: "Checkpoint") -> str:
    spec: Any = checkpoint.spec
    return f", mean over draws: {spec.calling.draws}" if spec.calling.draws else ""


def describe(checkpoint: "Checkpoint") -> str:
    """A foreign network in a few words."""
    spec: Any = checkpoint.spec
    called = f"{spec.factory}({json.dumps(dict(spec.arguments))[1:-1]})"
    return f"{called}, {spec.num_classes} classes, {spec.parameters:,} parameters"
