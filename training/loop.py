"""Training with surrogate gradients through time, resumable at every epoch.

All randomness of an epoch follows from (seed, epoch), so a run that was killed and resumed goes through the
same numbers as one that was not.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from tetviz.errors import DataError, TrainingError, reading
from tetviz.models import build
from tetviz.results.schema import IntArray
from tetviz.training import parallel
from tetviz.training.augment import AUGMENTATIONS
from tetviz.training.batches import Batch, collate, to_batches
from tetviz.training.checkpoint import Checkpoint
from tetviz.training.config import TrainingConfig
from tetviz.training.constraint import Constraint
from tetviz.training.data import LabelledDataset, split_validation
from tetviz.training.data.normalise import Normalisation
from tetviz.training.fingerprint import Fingerprint
from tetviz.training.history import is_better
from tetviz.training.losses import make_loss
from tetviz.training.monitor import Monitor
from tetviz.training.optimizer import make_optimizer, restore_optimizer
from tetviz.training.padding import find_lengths
from tetviz.training.profile import check_labels, exact_kernels, measure
from tetviz.training.regularisers import Regulariser, decay_over_time, decayed
from tetviz.training.sam import uphill
from tetviz.training.schedule import EpochPlan
from tetviz.training.settings import differing_settings, recorded
from tetviz.training.steps import LeanSteps, spikes_as_bytes
from tetviz.training.tally import Tally

_INIT, _ORDER, _AUGMENT, _NOISE = range(4)
_RECORDED = ("sdt_loss", "tet_loss", "accuracy")


def fit(
    config: TrainingConfig,
    train: LabelledDataset,
    test: LabelledDataset,
    *,
    best_path: str | Path,
    last_path: str | Path,
    device: str | torch.device = "cpu",
    resume: bool = False,
    workers: int = 0,
    keep_every: int = 0,
    monitors: Sequence[Monitor] = (),
    start: Mapping[str, Tensor] | None = None,
    constraint: Constraint | None = None,
) -> Checkpoint:
    """Trains a network.

    Every epoch ends with a measurement on the held-out samples and on the test split, and with a saved
    ``last_path``. ``best_path`` holds the epoch of highest held-out accuracy (ties: lower held-out L_SDT) of
    the last stage; without held-out samples, the last epoch.

    In a process that :func:`tetviz.training.parallel.joined` has joined to others, all of them train one network, each
    on a share of every batch, and the first one alone writes and is watched.

    Args:
        config: the settings.
        train: the train split.
        test: the test split; it is recorded, and chooses nothing.
        best_path: file of the chosen checkpoint.
        last_path: file of the last epoch, from which a run resumes.
        device: where to train.
        resume: go on from ``last_path`` if it exists.
        workers: processes that load data.
        keep_every: keep the untrained network and every so manieth epoch in :func:`kept_folder`; 0 keeps none.
        monitors: what watches the run.
        start: weights to start from; by default random ones.
        constraint: what holds the weights while they are trained.

    Returns:
        The chosen checkpoint.

    Raises:
        DataError: a label out of range, or samples that end before the longest run.
        TrainingError: the loss is not finite, samples are not those of the epochs before, or ``last_path`` is damaged
            or belongs to other settings.
    """
    for name, data in (("train", train), ("test", test)):
        if len(data) == 0:
            raise DataError(f"the {name} split is empty")
        check_labels(data.labels, config.spec.num_classes)
        _refuse_padding(name, data, max(stage.timesteps for stage in config.stages))
    paths, constraint = (Path(best_path), Path(last_path)), constraint or Constraint({})
    run = _Run(config, torch.device(device), *paths, (train, test), start, constraint)
    if resume and Path(last_path).exists():
        run.restore(Checkpoint.load(last_path))
    if len(set(parallel.gathered(run.epoch))) > 1:
        raise TrainingError(f"{last_path}: not every process sees this file; put it where all machines can read it")
    train_indices, validation = _parts(train, config)
    plan = config.plan()
    try:
        for monitor in monitors:
            monitor.on_start(run.epoch, len(plan))
        with exact_kernels(), parallel.held_together():
            run.save_last()
            run.keep(keep_every)
            for epoch in range(run.epoch, len(plan)):
                train_loss = run.train_epoch(plan[epoch], train, train_indices, workers, monitors)
                splits = {"val": validation, "test": test}
                record = run.finish_epoch(plan[epoch], train_loss, splits, workers)
                run.keep(keep_every)
                for monitor in monitors:
                    monitor.on_epoch(record)
            parallel.wait_for_all()  # the first one may still write
    finally:
        for monitor in monitors:
            monitor.on_end()
    return Checkpoint.load(best_path)


def _parts(train: LabelledDataset, config: TrainingConfig) -> tuple[IntArray, Any]:
    """What is trained on, and what chooses the epoch: samples that the data have for that, or some held out."""
    if train.validation is not None:
        return np.arange(len(train)), train.validation
    indices, held_out = split_validation(train.labels, config.val_fraction, config.seed)
    return indices, Subset(train, held_out.tolist())


def _refuse_padding(name: str, data: LabelledDataset, timesteps: int) -> None:
    # Batch normalisation in train mode would take the statistics of the padding.
    lengths = find_lengths(data)
    if lengths is not None and min(lengths) < timesteps:
        raise DataError(
            f"the {name} samples have {min(lengths)} frames and more, T is {timesteps}: training would take the "
            f"padding between for input; train on runs of at most {min(lengths)} steps, or on samples of one length"
        )


def kept_folder(best_path: str | Path) -> Path:
    """Where the checkpoints that a run keeps are."""
    path = Path(best_path)
    return path.with_name(f"{path.stem}.kept")


def derived_seed(*keys: int) -> int:
    """A seed that follows from several integers."""
    return int(np.random.SeedSequence(keys).generate_state(1)[0])


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Runs a block on its own random state and restores the caller's."""
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


class _Run:
    """A run in progress: network, optimiser, history, and the files it is kept in."""

    def __init__(
        self,
        config: TrainingConfig,
        device: torch.device,
        best_path: Path,
        last_path: Path,
        splits: Sequence[LabelledDataset],
        start: Mapping[str, Tensor] | None,
        constraint: Constraint,
    ) -> None:
        self.config, self.device = config, device
        self.splits, self.fingerprint = splits, Fingerprint.of(*splits)
        self.best_path, self.last_path = best_path, last_path
        self.dtype = torch.float64 if config.precision == "float64" else torch.float32
        with seeded(derived_seed(config.seed, _INIT)):
            self.model: nn.Module = parallel.of_all(build(config.spec).to(device, self.dtype))
        splits[0].attach(self.model)
        if start is not None:
            self.model.load_state_dict(start)
        self.constraint = constraint
        constraint.start(self.model)
        if config.reg and parallel.size() > 1:
            raise TrainingError(
                f"the regulariser {config.reg!r} is of the whole batch, a process has a share: train in one process"
            )
        self.regulariser = Regulariser(self.model, config.reg, config.reg_weight)
        self.averaging = parallel.averaging(self.model)
        self.optimizer = make_optimizer(self.config, self.model)
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "float16")
        self.epoch, self.timesteps = 0, config.stages[0].timesteps
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Any] = {}
        self.seen: dict[str, str] = {}  # the samples of the last epoch
        self.tally, self.steps = Tally(), LeanSteps()

    def checkpoint(self, resume: dict[str, Any] | None = None) -> Checkpoint:
        return Checkpoint(
            spec=self.config.spec,
            state=self.model.state_dict(),
            timesteps=self.timesteps,
            training=recorded(self.config, self.constraint.settings),
            data=self.config.data.to_dict(),
            history=self.history,
            epoch=self.epoch,
            resume=resume or {},
        )

    def save_last(self) -> None:
        if parallel.rank():
            return
        resume = {
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "best": self.best,
            "constraint": self.constraint.state_dict(),
            **self.fingerprint.to_dict(),
            "seen": self.seen,
        }
        self.checkpoint(resume).save(self.last_path)

    def keep(self, every: int) -> None:
        if every and self.epoch % every == 0 and not parallel.rank():
            folder = kept_folder(self.best_path)
            folder.mkdir(exist_ok=True)
            self.checkpoint().save(folder / f"epoch-{self.epoch:04d}.pt")

    def restore(self, last: Checkpoint) -> None:
        differ = differing_settings(last, self.config, self.constraint.settings)
        if not differ and not self.fingerprint.fits(last.resume):
            differ = ["the samples of the data set"]
        if differ or not last.resume:
            why = f"other settings: {', '.join(differ)}" if last.resume else "it holds no state to go on from"
            raise TrainingError(f"{self.last_path}: cannot resume, {why}; repeat the first command with --resume")
        if last.resume.get("best") and not self.best_path.exists():
            raise TrainingError(
                f"{self.best_path}: no such file, the best epoch so far is lost; train anew with --force"
            )
        self.model.load_state_dict(last.state)
        with reading(self.last_path, TrainingError, "cannot resume, its state is damaged", "train anew with --force"):
            restore_optimizer(self.optimizer, last.resume["optimizer"])
            if last.resume["scaler"].keys() != self.scaler.state_dict().keys():
                raise ValueError("its gradient scaler is another")
            self.scaler.load_state_dict(last.resume["scaler"])
            self.constraint.load_state_dict(last.resume.get("constraint", {}))
            self.best, self.seen = dict(last.resume["best"]), dict(last.resume.get("seen", {}))
            if self.best and self.best not in last.history:
                raise ValueError("the best epoch is none of its history")
        self.epoch, self.timesteps, self.history = last.epoch, last.timesteps, last.history

    def train_epoch(
        self,
        plan: EpochPlan,
        train: LabelledDataset,
        indices: IntArray,
        workers: int,
        monitors: Sequence[Monitor],
    ) -> float:
        if plan.starts_stage:
            self.optimizer, self.best = make_optimizer(self.config, self.model), {}
        for group in self.optimizer.param_groups:
            group["lr"] = plan.lr
        seed, number = self.config.seed, self.epoch + 1
        order = np.random.default_rng(derived_seed(seed, _ORDER, number)).permutation(indices)
        generator = torch.Generator().manual_seed(derived_seed(seed, _AUGMENT, number))
        loader = DataLoader(
            Subset(train, order.tolist()),
            len(order) if train.together else self.config.batch_size,
            collate_fn=collate,
            num_workers=workers,
            generator=torch.Generator().manual_seed(derived_seed(seed, _NOISE, number)),
        )
        total, self.tally = 0.0, Tally()
        with seeded(derived_seed(seed, _NOISE, number, *([parallel.rank()] if parallel.rank() else []))):
            self.model.train()
            for batch, (x, labels_B) in enumerate(self._watched("train", train, loader), 1):
                for name in self.config.augment:
                    x = AUGMENTATIONS[name](x, generator, train.normalisation or Normalisation())
                loss = self._step(plan, (x, labels_B))
                if not math.isfinite(loss):
                    raise TrainingError(
                        f"the loss is {loss} in epoch {number}, batch {batch}; lower the learning rate (--lr). "
                        f"The last good checkpoint is {self.last_path} (epoch {self.epoch})"
                    )
                total += loss * len(labels_B)
                for monitor in monitors:
                    monitor.on_batch(batch, len(loader), loss)
        return total / len(indices)

    def _watched(self, split: str, data: Any, batches: Iterable[Batch]) -> Iterable[Batch]:
        whole: Any = data.dataset if isinstance(data, Subset) else data
        return self.tally.watched(split, batches) if whole.repeatable else batches

    def _check_samples(self) -> None:
        for data in self.splits if not self.seen else ():  # later epochs are held against the first
            if file := data.sources.changed():
                raise TrainingError(
                    f"{file}, in its first epoch, which is not kept; go on with --resume once the data are complete, "
                    "or train anew with --force"
                )
        seen = self.tally.digests()
        changed = [split for split, digest in seen.items() if self.seen.get(split, digest) != digest]
        if changed:
            raise TrainingError(
                f"the {' and '.join(changed)} samples of epoch {self.epoch + 1} are not those of the epochs before it: "
                "the data set was changed; put it back as it was and go on with --resume, or train anew with --force. "
                f"The last good checkpoint is {self.last_path} (epoch {self.epoch})"
            )
        self.seen = seen

    def _step(self, plan: EpochPlan, batch: Batch) -> float:
        x, labels_B, weight = parallel.own_share(batch)
        x, labels_B = x.to(self.device, self.dtype), labels_B.to(self.device)
        loss = self._backward(plan, x, labels_B, weight)
        if self.config.optimizer == "sam":
            with uphill(self.model, self.config.rho):
                self._backward(plan, x, labels_B, weight)
        self.constraint.before_step()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.constraint.after_step()
        (mean,) = parallel.mean_over_all([loss], weight, self.device)
        return mean

    def _backward(self, plan: EpochPlan, x: Tensor, labels_B: Tensor, weight: float) -> float:
        loss_function = make_loss(plan.loss, self.config.lamb, self.config.phi)
        mixed = self.config.precision in ("bfloat16", "float16")
        autocast = torch.autocast(self.device.type, getattr(torch, self.config.precision), enabled=mixed)
        with self.regulariser.watching(), self.steps.step(self.model, plan.timesteps):
            with autocast, spikes_as_bytes():
                logits_TBK = self.averaging(x, plan.timesteps)
            logits_TBK = logits_TBK.to(self.dtype)
            loss = loss_function(logits_TBK, labels_B) if len(labels_B) else logits_TBK.sum()
            penalty = self.constraint.penalty() + self.regulariser.penalty()
            if plan.loss == "trt":
                decay, delta = self.config.decay, self.config.delta
                penalty = penalty + decay_over_time(decayed(self.model), plan.timesteps, decay, delta)
            self.optimizer.zero_grad()
            self.scaler.scale(loss * weight + penalty).backward()
        return loss.item()

    def _measured(self, name: str, data: Any, timesteps: int, workers: int) -> list[float]:
        own = parallel.own_batches(len(data), self.config.batch_size)
        values, samples = [0.0] * len(_RECORDED), 0
        if own is None or len(own):
            batches = to_batches(data, self.config.batch_size, own, workers)
            profile = measure(self.model, self._watched(name, data, batches), timesteps)
            values, samples = [float(getattr(profile, quantity)[-1]) for quantity in _RECORDED], profile.samples
        self.tally.merge(name, parallel.gathered(self.tally.sum_of(name)))
        return parallel.mean_over_all(values, samples, self.device)

    def finish_epoch(self, plan: EpochPlan, train_loss: float, splits: dict[str, Any], workers: int) -> dict[str, Any]:
        record: dict[str, Any] = {
            "epoch": self.epoch + 1,
            "timesteps": plan.timesteps,
            "loss": plan.loss,
            "lr": plan.lr,
            "train_loss": train_loss,
        }
        record |= self.constraint.after_epoch()
        for name, data in splits.items():
            if len(data) == 0:
                continue
            found = self._measured(name, data, plan.timesteps, workers)
            record |= {f"{name}_{quantity}": value for quantity, value in zip(_RECORDED, found, strict=True)}
        finite = all(bool(torch.isfinite(tensor).all()) for tensor in self.model.state_dict().values())
        if not finite or not all(math.isfinite(value) for value in record.values() if isinstance(value, float)):
            raise TrainingError(
                f"the network holds or gives values that are not finite after epoch {self.epoch + 1}; lower the "
                f"learning rate (--lr). The last good checkpoint is {self.last_path} (epoch {self.epoch})"
            )
        self._check_samples()
        self.epoch, self.timesteps = self.epoch + 1, plan.timesteps
        self.history = [*self.history, record]
        if is_better(record, self.best):
            self.best = record
            if not parallel.rank():
                self.checkpoint().save(self.best_path)
        self.save_last()
        return record
