"""How long the commands of a study take, from a timed batch of each of its networks."""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from tetviz.commands.curvature import PRODUCTS_OF_EIGSH
from tetviz.commands.session import pick_device
from tetviz.commands.study_plan import Job
from tetviz.commands.train import prepare
from tetviz.landscape.curvature import REPEATS
from tetviz.models import build
from tetviz.training import LabelledDataset, TrainingConfig
from tetviz.training.batches import collate
from tetviz.training.data import split_validation
from tetviz.training.losses import make_loss

_TIMED = 32  # samples of a timed batch
_OPENING = 3.0  # seconds that a command takes to read its data and to draw
_COUNTING = 4.0  # how much slower a pass is whose operations are counted
_PRODUCT = 3.0  # passes with a gradient that a product of the Hessian with a vector takes
_OF_PROCESS = ("output", "device", "workers", "keep_every", "log_dir", "resume", "force")


@dataclasses.dataclass(frozen=True)
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


class Clock:
    """Times every network once."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], Speed] = {}
        self._timed: dict[tuple[Any, ...], tuple[float, float]] = {}

    def seconds(self, jobs: Sequence[Job]) -> dict[Job, float]:
        """How long each of some commands takes, about."""
        return {job: self._seconds(job) for job in jobs}

    def _seconds(self, job: Job) -> float:
        training = job.needs or job
        key = tuple(word for word in _without(training.words, "--seed", "-o"))
        if key not in self._known:
            self._known[key] = self._speed(training)
        speed = self._known[key]
        if job.needs is None:
            return _OPENING + speed.training()
        with job.context() as context:
            return _OPENING + measuring(job.command, context.params, speed)

    def _speed(self, training: Job) -> Speed:
        with training.context() as context:
            options = {name: value for name, value in context.params.items() if name not in _OF_PROCESS}
            device = pick_device(context.params["device"])
            config, train, test = prepare(**options)
        fitted, held_out = split_validation(train.labels, config.val_fraction, config.seed)
        timesteps = config.stages[-1].timesteps
        same = (str(config.spec), config.optimizer, train.spec.name, timesteps, str(device))
        if same not in self._timed:
            self._timed[same] = timed(config, train, timesteps, device)
        stages = tuple((stage.timesteps, stage.epochs) for stage in config.stages)
        return Speed(*self._timed[same], (len(fitted), len(held_out), len(test)), timesteps, stages)


def _without(words: Sequence[str], *options: str) -> list[str]:
    return [word for before, word in zip(("", *words), words, strict=False) if not {before, word} & set(options)]


def timed(config: TrainingConfig, train: LabelledDataset, timesteps: int, device: torch.device) -> tuple[float, float]:
    """Seconds of a sample and timestep: of a pass with gradient and update, and of a pass alone."""
    from_split = [train[index] for index in range(min(_TIMED, len(train)))]
    x, labels_B = (each.to(device) for each in collate(from_split)[:2])
    model: nn.Module = build(config.spec).to(device)
    optimizer, loss = torch.optim.Adam(model.parameters()), make_loss(config.loss, config.lamb, config.phi)

    def update() -> None:
        optimizer.zero_grad()
        loss(model(x, timesteps), labels_B).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def run() -> None:
        with torch.no_grad():
            model(x, timesteps)

    update()
    train_seconds = clocked(update, device)
    model.eval()
    run()
    size = len(labels_B) * timesteps
    return train_seconds / size, clocked(run, device) / size


def clocked(work: Any, device: torch.device) -> float:
    """Seconds that work takes: the shorter of two."""
    found = []
    for _ in range(2):
        begin = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        found.append(time.perf_counter() - begin)
    return min(found)


def measuring(command: str, options: Mapping[str, Any], speed: Speed) -> float:
    """Seconds that a measurement takes, about."""
    samples = int(options["samples"] or speed.samples[2])
    if command in ("scale", "energy"):
        longest = int(options["tmax"] or {"scale": 64, "energy": speed.timesteps}[command])
        return samples * longest * speed.run * (_COUNTING if command == "energy" else 1)
    steps = int(options["timesteps"] or speed.timesteps)
    if command == "curvature":
        directions = options["directions"]
        products = directions + options["trace_probes"] + REPEATS * options["lanczos_steps"] + PRODUCTS_OF_EIGSH
        moved = directions * len(options["radii"]) * 6
        return float(samples * steps * (moved * speed.run + products * _PRODUCT * speed.train))
    grid, planes, rho = options["grid"], options["planes"], len(options.get("rho", ()))
    points = planes * grid**2 if command == "landscape" else planes * (2 * grid + rho) + rho
    passed = samples + (options["calibration"] if options["bn"] == "recalibrate" else 0)
    return float(points * passed * steps) * speed.run
