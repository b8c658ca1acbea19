"""Images as Bernoulli spikes: what fires at a step is drawn with the pixel as its probability."""

from dataclasses import replace

import torch
from torch import Tensor

from tetviz.errors import DataError
from tetviz.training.data.dataset import LabelledDataset


class BernoulliSpikes(LabelledDataset):
    """Images in [0, 1] as spikes T x C x H x W, which are the same each time that a sample is read.

    The spikes of a sample follow from its number alone, those of a step from it and the step, so that a shorter run
    sees the beginning of a longer one.

    Args:
        images: the images, not normalised.
        frames: T, the steps that are drawn.

    Attributes:
        images: the images.

    Raises:
        DataError: samples that are sequences already, or no steps.
    """

    sequence = True

    def __init__(self, images: LabelledDataset, frames: int) -> None:
        if images.sequence:
            raise DataError(f"{images.spec.name}: holds sequences, --encode makes spikes of images alone; leave it out")
        if frames < 1:
            raise DataError(f"{images.spec.name}: say with --frames for how many steps spikes are drawn")
        self.images, self.labels, self.classes = images, images.labels, images.classes
        self.in_channels, self.image_size = images.in_channels, images.image_size
        self.states_classes, self.repeatable, self.sources = images.states_classes, images.repeatable, images.sources
        self.spec = replace(images.spec, frames=frames)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """The spikes of one image."""
        x_CHW, label = self.images[index]
        generator = torch.Generator().manual_seed(int(index))
        steps = [torch.rand(x_CHW.shape, generator=generator) < x_CHW for _ in range(self.spec.frames)]
        return torch.stack(steps).float(), label
