"""A small data set that a small network learns within seconds."""

import numpy as np
import torch

from tetviz.training import DataSpec, LabelledDataset


class Stripes(LabelledDataset):
    """Noisy images of three classes: a bright third at the top, in the middle, or at the bottom."""

    def __init__(self, samples, seed):
        generator = np.random.default_rng(seed)
        self.spec = DataSpec("digits", image_size=16)
        self.labels = np.arange(samples) % 3
        self.classes, self.in_channels, self.image_size = ["a", "b", "c"], 1, 16
        self.images = torch.from_numpy(generator.normal(size=(samples, 1, 16, 16))).float()
        for image, label in zip(self.images, self.labels, strict=True):
            image[:, 5 * label : 5 * label + 5] += 3

    def __getitem__(self, index):
        return self.images[index], int(self.labels[index])
