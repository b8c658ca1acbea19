"""The text beside a figure or a table: what it shows, of which networks, and the choices that it rests on."""

import re
from collections.abc import Sequence

import numpy as np

from tetviz.results import Provenance, Result
from tetviz.summaries.names import counted, network_names, samples_of
from tetviz.summaries.runs import architecture_of, loss_of, takes_lambda, training_of

_HASH = 12
_SYMBOL = re.compile(r"\$L_\{\\mathrm\{(\w+)\}\}\$")  # a loss as pictures write it
_FEW = 4  # networks, of which a caption in a paper says each


def compose_caption(what: str, results: Sequence[Result], contexts: Sequence[str], *notes: str) -> str:
    """A caption, as plain text that can be pasted into a paper."""
    names, few = network_names(results), len(results) <= _FEW
    traits = [_traits(result) for result in results]
    shared = [trait for trait in traits[0] if all(trait in each for each in traits)] if len(results) > 1 else []
    own = ["; ".join(trait for trait in each if trait not in shared) for each in traits]
    networks = [_listed(names, own) if few else str(len(names)), f"all of them {'; '.join(shared)}" if shared else ""]
    told = {
        context: [name for name, other in zip(names, contexts, strict=True) if other == context] for context in contexts
    }
    choices = ". ".join(told if len(told) == 1 else (f"{', '.join(which)}: {text}" for text, which in told.items()))
    hashes = [_hashes(result.provenance) for result in results]
    known = hashes if few else ["; ".join(filter(None, pair)) for pair in zip(own, hashes, strict=True)]
    versions = ", ".join(dict.fromkeys(result.provenance.tetviz_version for result in results))
    shown = [
        what[:1].upper() + what[1:],  # what starts a sentence; a note may start with a name, which stays as it is
        f"{'Network' if len(names) == 1 else 'Networks'}: {'; '.join(filter(None, networks))}",
        f"Data and choices: {choices}" if any(told) else "",
        *notes,
        sample_words(results),
    ]
    origin = [
        f"Checkpoints: {_listed(names, known)}" if any(known) or not few else "",
        f"Measured with tetviz {versions}" if versions else "",
    ]
    return "\n\n".join(" ".join(map(_sentence, filter(None, part))) for part in (shown, origin) if any(part))


def sample_words(results: Sequence[Result]) -> str:
    """Whether several networks were measured on the same samples, in any order."""
    known = [samples for each in results if len(samples := samples_of(each))]
    same = all(np.array_equal(each, known[0]) for each in known)
    return "" if same else "The networks were measured on different samples"


def directions_words(results: Sequence[Result]) -> str:
    """Whether directions of the same seed are the same noise for several networks."""
    if len({result.provenance.texts()["network"] for result in results}) == 1:
        return ""
    return "The architectures differ, so directions of the same seed are not the same noise for all networks"


def losses_words(losses: Sequence[str]) -> str:
    """Losses as plain text, such as ``"L_SDT and L_TET"``."""
    return " and ".join(f"L_{loss.upper()}" for loss in losses)


def steps_words(results: Sequence[Result], steps: Sequence[int]) -> str:
    """The numbers of timesteps of a figure, such as ``"at T = 4"``, with the networks of each where they differ."""
    names: dict[int, list[str]] = {}
    for name, t in zip(network_names(results), steps, strict=True):
        names.setdefault(t, []).append(name)
    alone = len(names) == 1
    return "at " + ", ".join(f"T = {t}" if alone else f"T = {t} ({', '.join(of)})" for t, of in names.items())


def _of_one_training(result: Result) -> bool:
    # A file of several networks, such as the ends of a line, records the training of the first alone.
    return getattr(result, "path", "random") in ("random", "training")


def _listed(names: Sequence[str], about: Sequence[str]) -> str:
    return "; ".join(f"{name} ({text})" if text else name for name, text in zip(names, about, strict=True))


def _traits(result: Result) -> list[str]:
    origin = result.provenance
    training = _training(origin) if _of_one_training(result) else []
    return [trait for trait in (architecture_of(origin), _neuron_words(origin), *training) if trait]


def _hashes(provenance: Provenance) -> str:
    digests = [digest[:_HASH] for digest in provenance.checkpoint_sha256.split(", ") if digest]
    return f"SHA-256 {', '.join(digests)}" if digests else ""


def _training(provenance: Provenance) -> list[str]:
    training = training_of(provenance)
    if not training.get("loss"):
        return []
    losses = ", then ".join(f"L_{name.upper()}" for name in loss_of(provenance).split(">"))
    switch, stages = str(training.get("switch", "")), training.get("stages", [])
    parts = [
        f"trained with {losses}",
        f"switched after epoch {switch.partition('@')[2]}" if switch else "",
        f"lambda {training['lamb']:g}" if "lamb" in training and takes_lambda(loss_of(provenance)) else "",
        f"regulariser {training['reg']}, weight {training.get('reg_weight', float('nan')):g}"
        if training.get("reg")
        else "",
        "by SAM" if training.get("optimizer") == "sam" else "",
        ", then ".join(map(_stage_words, stages)),
        f"seed {training['seed']}" if "seed" in training else "",
    ]
    return [part for part in parts if part]


def _stage_words(stage: str) -> str:
    timesteps, _, rest = stage.partition(":")
    epochs, _, rate = rest.partition("@")
    return f"{counted(int(epochs), 'epoch')} at T = {timesteps}" + (f" and learning rate {rate}" if rate else "")


def _neuron_words(provenance: Provenance) -> str:
    known = provenance.neurons
    if not known:
        return ""
    if known.get("surrogate") == "sigmoid":
        return f"smooth neurons, k = {1 / known['gamma']:g}"
    surrogate = f"{known.get('surrogate', '')} surrogate"
    if "neuron" not in known:  # each layer of a graph has neurons of its own
        return surrogate
    carry = ", carry detached" if known.get("detach_carry") else ""
    return f"{str(known['neuron']).upper()} neurons, leak {known.get('leak', float('nan')):g}, {surrogate}{carry}"


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    text = _SYMBOL.sub(r"L_\1", text)
    return text if text.endswith((".", "?", "!")) else f"{text}."
