"""How long the commands of a study take, from a timed batch of each of its networks."""

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from tetviz.commands.session import pick_device
from tetviz.commands.study_plan import Job
from tetviz.commands.study_seconds import Speed, measuring
from tetviz.commands.train import prepare
from tetviz.models import build
from tetviz.training import LabelledDataset, TrainingConfig
from tetviz.training.batches import collate
from tetviz.training.data import split_validation
from tetviz.training.losses import make_loss

_TIMED = 32  # samples of a timed batch
_OPENING = 3.0  # seconds that a command takes to read its data and to draw
_OF_PROCESS = ("output", "device", "workers", "keep_every", "log_dir", "resume", "force")


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
    size, passes = len(labels_B) * timesteps, 2 if config.optimizer == "sam" else 1
    return passes * train_seconds / size, clocked(run, device) / size


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
