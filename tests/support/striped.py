"""A training of seconds: noisy stripes of three classes, and a monitor that stops it."""

import numpy as np
import torch
from torch import Tensor

from tetviz.models import ModelSpec
from tetviz.training import DataSpec, LabelledDataset, Stage, TrainingConfig
from tetviz.training.monitor import Monitor

SPEC = ModelSpec("snn5", num_classes=3, in_channels=1, image_size=16, width=0.125)


class Stripes(LabelledDataset):
    """Noisy images of three classes: a bright third at the top, in the middle, or at the bottom."""

    def __init__(self, samples: int, seed: int) -> None:
        generator = np.random.default_rng(seed)
        self.spec = DataSpec("digits", image_size=16)
        self.labels = np.arange(samples) % 3
        self.classes, self.in_channels, self.image_size = ["a", "b", "c"], 1, 16
        self.images = torch.from_numpy(generator.normal(size=(samples, 1, 16, 16))).float()
        for image, label in zip(self.images, self.labels, strict=True):
            image[:, 5 * label : 5 * label + 5] += 3

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index], int(self.labels[index])


TRAIN, TEST = Stripes(90, 0), Stripes(30, 1)
CONFIG = TrainingConfig(SPEC, TRAIN.spec, (Stage(2, 3), Stage(3, 2, 5e-4)), batch_size=16, lr=5e-3, val_fraction=0.2)


class StopAfter(Monitor):
    """Interrupts a run in the middle of an epoch."""

    def __init__(self, batches: int) -> None:
        self.left = batches

    def on_batch(self, batch: int, batches: int, loss: float) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
