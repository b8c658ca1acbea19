"""The text beside a figure or a table: what it shows, of which networks, and the choices that it rests on."""

import json
from collections.abc import Sequence

import numpy as np
from matplotlib.patches import Patch

from tetviz.figures.labels import LOSSES, Drawn, axis_label, loss_symbol, names_of, network_names
from tetviz.figures.scale import Scale
from tetviz.results import Provenance, Surface, TrainingHistory, Trajectory
from tetviz.results.schema import IntArray
from tetviz.summaries.runs import architecture_of, loss_of, training_of

_HASH = 12


def compose_caption(what: str, results: Sequence[Drawn | TrainingHistory], contexts: Sequence[str], *notes: str) -> str:
    """A caption, as plain text that can be pasted into a paper.

    Args:
        what: what is drawn.
        results: what it is drawn from, one for each network.
        contexts: data, convention and the like of each; told once where they are the same.
        *notes: further sentences; empty ones are left out.

    Returns:
        Sentences in one line.
    """
    names = network_names(results)
    if len(set(contexts)) == 1:
        told = contexts[0]
    else:
        told = ". ".join(f"{name}: {context}" for name, context in zip(names, contexts, strict=True) if context)
    networks = "; ".join(
        f"{name}{_in_brackets(result.provenance, trained=_of_one_training(result))}"
        for name, result in zip(names, results, strict=True)
    )
    versions = ", ".join(dict.fromkeys(result.provenance.tetviz_version for result in results))
    made = f"Measured with tetviz {versions}" if versions else ""
    network = "Network" if len(results) == 1 else "Networks"
    choices = f"Data and choices: {told}" if told else ""
    # What is drawn starts a sentence; a note may start with the name of a network, which stays as it is.
    parts = (what[:1].upper() + what[1:], f"{network}: {networks}", choices, *notes, made)
    return " ".join(_sentence(part) for part in parts if part)


def training_words(provenance: Provenance) -> str:
    """How a network was trained, in words.

    Args:
        provenance: of a result.

    Returns:
        Such as ``"trained with L_TET, T:epochs 4:30, seed 0"``; empty where it is not known.
    """
    training = training_of(provenance)
    if not training.get("loss"):
        return ""
    losses = ", then ".join(f"L_{name.upper()}" for name in loss_of(provenance).split(">"))
    switch, stages = str(training.get("switch", "")), training.get("stages", [])
    parts = [
        f"trained with {losses}",
        f"switched after epoch {switch.partition('@')[2]}" if switch else "",
        f"lambda {training['lamb']:g}" if "lamb" in training and "total" in loss_of(provenance) else "",
        f"T:epochs {', '.join(map(str, stages))}" if stages else "",
        f"seed {training['seed']}" if "seed" in training else "",
    ]
    return ", ".join(part for part in parts if part)


def sample_words(results: Sequence[Drawn]) -> str:
    """Whether several networks were measured on the same samples.

    Args:
        results: one for each network.

    Returns:
        A sentence where they were not, else nothing.
    """
    samples: list[IntArray] = [result.sample for result in results]
    known = [each for each in samples if len(each)]
    same = all(len(each) == len(known[0]) and bool((each == known[0]).all()) for each in known)
    return "" if same else "The networks were measured on different samples"


def losses_words(losses: Sequence[str]) -> str:
    """Losses as plain text.

    Args:
        losses: such as ``("sdt", "tet")``.

    Returns:
        Such as ``"L_SDT and L_TET"``.
    """
    return " and ".join(f"L_{loss.upper()}" for loss in losses)


def steps_words(results: Sequence[Drawn], steps: Sequence[int]) -> str:
    """The numbers of timesteps of a figure.

    Args:
        results: one for each network.
        steps: T of each.

    Returns:
        Such as ``"at T = 4"``, with the networks where they differ.
    """
    if len(set(steps)) == 1:
        return f"at T = {steps[0]}"
    return "at " + ", ".join(f"T = {t} ({name})" for name, t in zip(network_names(results), steps, strict=True))


def scale_words(scale: Scale, surface: Surface) -> str:
    """How the maps of a figure are to be read: levels, coordinates, the mark in the middle.

    Args:
        scale: of all maps.
        surface: gives what a coordinate is.

    Returns:
        Sentences.
    """
    spacing = "spaced by logarithm" if scale.is_log else "evenly spaced"
    unit = axis_label("x", surface.norm).partition(" ")[2].strip("()")
    coordinates = f"; x and y in {unit}" if unit else ""
    levels = f"{scale.levels[0]:g} to {scale.levels[-1]:g} nat"
    return f"Levels from {levels}, {spacing}{coordinates}; the cross at (0, 0) is {_at_the_cross(surface)}"


def directions_words(surfaces: Sequence[Surface]) -> str:
    """Whether directions of the same seed are the same noise for several networks.

    Args:
        surfaces: one for each network.

    Returns:
        A sentence where architectures differ, else nothing.
    """
    if len({surface.provenance.network for surface in surfaces}) == 1:
        return ""
    return "The architectures differ, so directions of the same seed are not the same noise for all networks"


def holes_words(keys: Sequence[Patch]) -> str:
    """What the hatched places of a map are.

    Args:
        keys: their legend entries.

    Returns:
        A sentence, or nothing.
    """
    labels = list(dict.fromkeys(str(key.get_label()) for key in keys))
    return f"Hatched: {', '.join(labels)}" if labels else ""


def _at_the_cross(surface: Surface) -> str:
    if not isinstance(surface, Trajectory):
        return "the network itself"
    names = names_of(surface.names, len(surface.point), "checkpoint")
    return f"the checkpoint {names[int(np.argmin(surface.distance))]}"


def _of_one_training(result: Drawn | TrainingHistory) -> bool:
    # A file of several networks, such as the ends of a line, records the training of the first alone.
    return getattr(result, "path", "random") in ("random", "training")


def _in_brackets(provenance: Provenance, *, trained: bool) -> str:
    digests = [digest[:_HASH] for digest in provenance.checkpoint_sha256.split(", ") if digest]
    sha = f"SHA-256 {', '.join(digests)}" if digests else ""
    training = training_words(provenance) if trained else ""
    parts = [architecture_of(provenance), _neuron_words(provenance), training, sha]
    told = "; ".join(part for part in parts if part)
    return f" ({told})" if told else ""


def _neuron_words(provenance: Provenance) -> str:
    known = json.loads(provenance.neurons) if provenance.neurons else {}
    if not known:
        return ""
    if known.get("surrogate") == "sigmoid":
        return f"smooth neurons, k = {1 / known['gamma']:g}"
    return (
        f"{known.get('neuron', '')}, leak {known.get('leak', float('nan')):g}, {known.get('surrogate', '')} surrogate"
    )


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    for loss in LOSSES:
        text = text.replace(loss_symbol(loss), f"L_{loss.upper()}")
    return text if text.endswith((".", "?", "!")) else f"{text}."
