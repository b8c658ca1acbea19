"""How long trainings and measurements of a study take, from what a network takes for a sample and a timestep."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tetviz.commands.curvature import PRODUCTS_OF_EIGSH
from tetviz.landscape.curvature import REPEATS

_COUNTING = 4.0  # how much slower a pass is whose operations are counted
_PRODUCT = 3.0  # passes with a gradient that a product of the Hessian with a vector takes

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Speed:
    """What a network takes, in seconds for each sample and timestep.

    Attributes:
        train: of a pass with its gradient and the update.
        run: of a pass alone.
        samples: of the train split that is trained on, of the held-out and of the test split.
        timesteps: T that it is trained with at last.
        stages: (T, epochs) of each stage.
    """

    train: float
    run: float
    samples: tuple[int, int, int]
    timesteps: int
    stages: tuple[tuple[int, int], ...]

    def training(self) -> float:
        """Seconds of the whole training."""
        fitted, held_out, test = self.samples
        epoch = fitted * self.train + (held_out + test) * self.run
        return sum(timesteps * epochs * epoch for timesteps, epochs in self.stages)


def _scale(options: Options, speed: Speed) -> float:
    steps = float(options["tmax"] or 64)
    if options["bn"] != "recalibrate":
        return steps * speed.run
    # Each T is a run of its own, on the samples that statistics are re-estimated on too.
    again = float(options["calibration"] / _samples(options, speed))
    return (1 + again) * steps * (steps + 1) / 2 * speed.run


def _energy(options: Options, speed: Speed) -> float:
    return _COUNTING * float(options["tmax"] or speed.timesteps) * speed.run


def _landscape(options: Options, speed: Speed) -> float:
    return float(options["planes"] * options["grid"] ** 2) * _moved(options, speed)


def _sharpness(options: Options, speed: Speed) -> float:
    rho = len(options["rho"])
    return float(options["planes"] * (2 * options["grid"] + rho) + rho) * _moved(options, speed)


def _moved(options: Options, speed: Speed) -> float:
    # Of a point; the samples that statistics are re-estimated on take a pass too.
    again = options["calibration"] / _samples(options, speed) if options["bn"] == "recalibrate" else 0
    return float(1 + again) * _steps(options, speed) * speed.run


def _curvature(options: Options, speed: Speed) -> float:
    directions, probes, steps = (options[name] for name in ("directions", "trace_probes", "lanczos_steps"))
    products = directions + probes + REPEATS * steps + PRODUCTS_OF_EIGSH
    points = directions * len(options["radii"]) * 6
    return float(_steps(options, speed) * (points * speed.run + products * _PRODUCT * speed.train))


def _samples(options: Options, speed: Speed) -> int:
    return int(options["samples"] or speed.samples[2])


def _steps(options: Options, speed: Speed) -> int:
    return int(options["timesteps"] or speed.timesteps)


# The commands that measure, to what they take for each sample.
MEASURING: dict[str, Callable[[Options, Speed], float]] = {
    "scale": _scale,
    "energy": _energy,
    "landscape": _landscape,
    "sharpness": _sharpness,
    "curvature": _curvature,
}


def measuring(command: str, options: Options, speed: Speed) -> float:
    """Seconds that a measurement takes, about.

    Args:
        command: a key of :data:`MEASURING`.
        options: of the command, as it reads them.
        speed: of its network.
    """
    return float(_samples(options, speed) * MEASURING[command](options, speed))
