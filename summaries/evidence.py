"""Trained networks of a study, and what was measured of them, sorted by how they were trained."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tetviz.errors import ResultError
from tetviz.results import Result
from tetviz.summaries.names import network_name, samples_of
from tetviz.summaries.runs import architecture_of, loss_of, sharpness_of, takes_lambda, training_of

SDT, TET = "SDT", "TET"
SWITCHED, INHERITED = "SDT, then TET", "TET, in stages"
_OF_THE_LOSS = ("seed", "loss", "lamb", "phi", "switch")

Networks = dict[int, dict[str, Result]]  # by seed, what was measured of it


@dataclass(frozen=True)
class Setting:
    """What networks that are compared have in common.

    Attributes:
        network: the architecture, in a few words.
        dataset: the data set.
        timesteps: T of training; of the last stage where there are several.
    """

    network: str
    dataset: str
    timesteps: int

    @property
    def family(self) -> tuple[str, str]:
        """Network and data, whose claims are judged together."""
        return self.network, self.dataset

    def __str__(self) -> str:
        return f"{self.network}, {self.dataset}, T = {self.timesteps}"


@dataclass(frozen=True)
class Evidence:
    """The networks of one setting.

    Attributes:
        setting: what they have in common.
        methods: how they were trained, such as ``TET`` or ``SDT, k = 10``, to the networks of each.
    """

    setting: Setting
    methods: dict[str, Networks] = field(default_factory=dict)

    def results(self, method: str, what: str) -> dict[int, Any]:
        """Results of one method, by seed."""
        return {seed: found[what] for seed, found in self.methods.get(method, {}).items() if what in found}

    def values(self, method: str, what: str, read: Callable[[Any], float]) -> dict[int, float]:
        """A number for each network of a method, by seed."""
        return {seed: read(result) for seed, result in self.results(method, what).items()}

    @property
    def seeds(self) -> list[int]:
        """Seeds of training, of any method."""
        return sorted({seed for networks in self.methods.values() for seed in networks})


def evidence_of(results: Iterable[Result]) -> list[Evidence]:
    """Sorts results by network, data, T, method and seed; the longest T of a network and its data comes first.

    Args:
        results: of networks of ``tetviz train``; what is of anything else is left out.

    Raises:
        ResultError: two results are of the same network and kind, or networks of one method differ in more than
            their seed, or were measured on different samples.
    """
    found: dict[Setting, Evidence] = {}
    for result in results:
        training = training_of(result.provenance)
        if "seed" not in training or not training.get("stages"):
            continue
        setting = Setting(architecture_of(result.provenance), result.provenance.dataset, _last_timesteps(training))
        methods = found.setdefault(setting, Evidence(setting)).methods
        network = methods.setdefault(method_of(result), {}).setdefault(int(training["seed"]), {})
        what = what_of(result)
        if what in network:
            names = " and ".join(network_name(each.provenance) for each in (network[what], result))
            raise ResultError(f"{names} are of the same network and kind ({what}): a study takes each once")
        network[what] = result
    for evidence in found.values():
        _check_alike(evidence)
    return sorted(
        found.values(), key=lambda each: (each.setting.network, each.setting.dataset, -each.setting.timesteps)
    )


def _last_timesteps(training: Mapping[str, Any]) -> int:
    return int(str(training["stages"][-1]).partition(":")[0])


def method_of(result: Result) -> str:
    """How the network of a result was trained, in a few words."""
    training, loss = training_of(result.provenance), loss_of(result.provenance)
    words = [loss.upper().replace(">", ", then ")]
    if takes_lambda(loss):
        words.append(f"lambda {float(training.get('lamb', math.nan)):g}")
    if len(training["stages"]) > 1:
        words.append("in stages")
    k = sharpness_of(result.provenance)
    return ", ".join([*words, *([f"k = {k:g}"] if math.isfinite(k) else [])])


def what_of(result: Result) -> str:
    """The kind of a result, with the batch-norm policy of one that moves weights."""
    policy = getattr(result, "bn", "frozen")
    return result.kind if policy == "frozen" else f"{result.kind}, {policy}"


def _check_alike(evidence: Evidence) -> None:
    for method, networks in evidence.methods.items():
        _check_same(evidence.setting, method, [_settings(each, ("seed",)) for each in networks.values()])
    plain = [name for name in evidence.methods if "in stages" not in name and "k = " not in name]
    trained = [_settings(each, _OF_THE_LOSS) for name in plain for each in evidence.methods[name].values()]
    _check_same(evidence.setting, " and ".join(plain), trained)
    kinds = sorted({what for networks in evidence.methods.values() for each in networks.values() for what in each})
    for what in kinds:
        measured = [result for name in evidence.methods for result in evidence.results(name, what).values()]
        if any(not np.array_equal(samples_of(measured[0]), samples_of(other)) for other in measured[1:]):
            raise ResultError(
                f"{evidence.setting}: networks were measured ({what}) on different samples; measure all of them with "
                "the same --samples"
            )


def _settings(network: Mapping[str, Result], but: Sequence[str]) -> dict[str, Any]:
    origin = next(iter(network.values())).provenance
    settings = {**training_of(origin), **origin.neurons}
    return {name: value for name, value in settings.items() if name not in but}


def _check_same(setting: Setting, what: str, settings: Sequence[Mapping[str, Any]]) -> None:
    differing = sorted(
        name for name in set().union(*settings) if any(each.get(name) != settings[0].get(name) for each in settings)
    )
    if differing:
        raise ResultError(
            f"{setting}: networks trained with {what} differ in more than loss and seed: {', '.join(differing)}; "
            "a study compares networks that are trained alike"
        )
