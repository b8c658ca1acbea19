"""How the networks of results were trained, and what their accuracy is at the T of training: rows of a run table."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tetviz.errors import ResultError
from tetviz.results import Provenance, ScalingCurve
from tetviz.summaries.names import network_name, samples_of


@dataclass(frozen=True)
class Run:
    """A trained network, as a row of a table.

    Attributes:
        name: what it is called.
        network: its architecture, such as ``"resnet19"`` or ``"snn5, width 0.25"``.
        dataset: what it was measured on.
        loss: ``"sdt"``, ``"tet"``, ``"total"``, ``"mse"``, ``"trt"`` or, where the loss was switched, ``"sdt>tet"``.
        lamb: weight lambda of the regulariser of L_TOTAL, eta of L_TRT, also where the loss was switched to or from it;
            0 for L_TET alone; NaN where the loss has none.
        k: sharpness of smooth neurons, sigmoid(k (u - V_th)); NaN where they spike.
        seed: seed of training.
        t_train: T of training.
        accuracy: of the mean output of steps 1..t_train, a fraction.
        samples: how many it was measured on.
        settings: all else that decides a run, as text: runs of one setting differ in their seed alone.
    """

    name: str
    network: str
    dataset: str
    loss: str
    lamb: float
    k: float
    seed: int
    t_train: int
    accuracy: float
    samples: int
    settings: str


def training_of(provenance: Provenance) -> Mapping[str, Any]:
    """How the network of a result was trained."""
    return provenance.training


def architecture_of(provenance: Provenance) -> str:
    """The architecture of the network of a result, in a few words."""
    spec = provenance.network
    width = spec.get("width", 1.0)
    options = [f"{name} {value}" for name, value in (spec.get("options") or {}).items()]
    words = [str(spec.get("name", "")), f"width {width:g}" * (width != 1), *options]
    return ", ".join(word for word in words if word)


def loss_of(provenance: Provenance) -> str:
    """The loss that a network was trained with."""
    training = training_of(provenance)
    second = str(training.get("switch", "")).partition("@")[0]
    return ">".join(name for name in (str(training.get("loss", "")), second) if name)


def takes_lambda(loss: str) -> bool:
    """Whether lambda weighs a part of a loss, or of one of two that a run switches between."""
    return "total" in loss or "trt" in loss


def sharpness_of(provenance: Provenance) -> float:
    """The sharpness k of smooth neurons, sigmoid(k (u - V_th)).

    Returns:
        k; NaN where neurons spike, or where it is not known.
    """
    neurons = provenance.neurons
    return 1 / float(neurons["gamma"]) if neurons.get("surrogate") == "sigmoid" else float("nan")


def run_of(curve: ScalingCurve) -> Run:
    """A scaling curve as a row of a run table."""
    origin = curve.provenance
    name = network_name(origin)
    training = training_of(origin)
    if "loss" not in training or "seed" not in training or "between" in training:
        raise ResultError(
            f"the scaling curve of {name} does not say how the network was trained: it is of weights that tetviz did "
            "not train, or of an older tetviz; measure a network of tetviz train again with tetviz scale"
        )
    at = np.flatnonzero(curve.timestep == curve.t_train)
    if not len(at) or not np.isfinite(curve.accuracy[at[0]]):
        raise ResultError(
            f"the scaling curve of {name} has no accuracy at its training T = {curve.t_train}; measure it with a "
            "larger --tmax"
        )
    loss = loss_of(origin)
    lamb = float(training.get("lamb", np.nan)) if takes_lambda(loss) else 0.0 if loss == "tet" else float("nan")
    others = {key: value for key, value in training.items() if key not in ("seed", "loss", "lamb")}
    return Run(
        name=name,
        network=architecture_of(origin),
        dataset=f"{origin.dataset} {origin.split}".strip(),
        loss=loss,
        lamb=lamb,
        k=sharpness_of(origin),
        seed=int(training["seed"]),
        t_train=curve.t_train,
        accuracy=float(curve.accuracy[at[0]]),
        samples=len(samples_of(curve)),
        settings=json.dumps([others, origin.neurons], sort_keys=True),
    )


def runs_of(curves: Sequence[ScalingCurve]) -> list[Run]:
    """Several scaling curves as rows of a run table, each network once."""
    runs = [run_of(curve) for curve in curves]
    require_once(curves)
    return runs


def require_once(curves: Sequence[ScalingCurve]) -> None:
    """Checks that no network is counted twice."""
    seen: dict[tuple[str, ...], str] = {}
    for curve in curves:
        origin = curve.provenance
        measured = (origin.dataset, origin.split)
        recorded = origin.texts()
        trained = recorded["training"] if "seed" in origin.training else ""
        name = network_name(origin)
        for what, known in (
            ("checkpoint", (origin.checkpoint_sha256,)),
            ("run of training", (trained, recorded["network"], recorded["neurons"], str(curve.t_train))),
        ):
            key = (*known, *measured)
            if known[0] and key in seen:
                raise ResultError(f"{seen[key]} and {name} are of the same {what}; give each network once")
            seen[key] = name


def unlike(run: Run, peers: Sequence[Run]) -> list[str]:
    """The settings of a run that are not those of all its peers, such as ``["lr 0.01"]``."""
    known, others = settings_of(run), [settings_of(peer) for peer in peers]
    return [_words(name, value) for name, value in known.items() if any(each.get(name) != value for each in others)]


def settings_of(run: Run) -> dict[str, Any]:
    """All that decides a run besides its network, loss and seed."""
    training, neurons = json.loads(run.settings)
    return {**training, **neurons}


def mean_and_deviation(values: Iterable[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (n - 1) over runs.

    Returns:
        Both; the deviation of a single run is NaN.
    """
    found = np.array(list(values))
    return float(found.mean()), float(found.std(ddof=1)) if len(found) > 1 else float("nan")


def _words(name: str, value: object) -> str:
    if name == "switch":
        return f"switched after epoch {str(value).partition('@')[2]}"
    return f"{name} {' '.join(map(str, value)) if isinstance(value, list) else value}".strip()
