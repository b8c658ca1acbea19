"""What an attack changes: spikes of an image, spikes of events, or pixels."""

from dataclasses import dataclass

import torch
from torch import Tensor

from tetviz.analysis.attack.flips import convert_gradient, flip_exactly, flip_spikes, uniform
from tetviz.results.attack import NOISES

PULL = 0.1  # towards the clean image, in each iteration
FLIP = 0.05  # probability of a flip where the gradient is all zero


@dataclass(frozen=True)
class Step:
    """An input, and how much of it one iteration changed (B,): spikes in number, for pixels NaN."""

    given: "Input"
    changed: Tensor


@dataclass(frozen=True)
class Spikes:
    """Spikes x_TBCHW; of an image they are drawn again after each change of it, of events they are what is changed."""

    spikes: Tensor
    first: Tensor
    image: Tensor | None = None

    @classmethod
    def of_image(cls, image_BCHW: Tensor, timesteps: int, generator: torch.Generator) -> "Spikes":
        """Bernoulli spikes whose probability is the pixel."""
        return cls(_draw(image_BCHW, timesteps, generator), image_BCHW, image_BCHW)

    @property
    def leaf(self) -> Tensor:
        """What the network sees."""
        return self.spikes

    def along(self, direction: Tensor, generator: torch.Generator) -> Step:
        """Follows a direction by the converter, or flips at random where it is all zero."""
        flat, spikes = _by_sample(direction), _by_sample(self.spikes)
        trapped = (flat == 0).all(1, keepdim=True)
        converted, flipped = convert_gradient(flat, spikes, generator), flip_spikes(spikes, FLIP, generator)
        return self._changed(torch.where(trapped, flipped, converted), generator)

    def at_random(self, step: Step, generator: torch.Generator) -> Step:
        """Flips as many spikes as a step did, at random."""
        return self._changed(flip_exactly(_by_sample(self.spikes), step.changed, generator), generator)

    def distance(self) -> Tensor:
        """Mean squared change of the image, or of the spikes, by sample."""
        if self.image is None:
            return _by_sample(self.spikes - self.first).square().mean(1)
        return (self.image - self.first).square().flatten(1).mean(1)

    def _changed(self, flat: Tensor, generator: torch.Generator) -> Step:
        new = flat.view_as(self.spikes.transpose(0, 1)).transpose(0, 1)
        count = (new != self.spikes).sum((0, *range(2, new.dim())))
        if self.image is None:
            return Step(Spikes(new, self.first), count)
        image = self.image + (new - self.spikes).mean(0)
        image = (image - PULL * (image - self.first)).clamp(0, 1)
        return Step(Spikes(_draw(image, len(new), generator), self.first, image), count)


@dataclass(frozen=True)
class Pixels:
    """Pixels in [0, 1] that may change by epsilon at most, by ``size`` in an iteration."""

    leaf: Tensor
    first: Tensor
    epsilon: float
    size: float

    def along(self, direction: Tensor, generator: torch.Generator) -> Step:
        """Follows the sign of a direction."""
        return self._moved(direction.sign())

    def at_random(self, step: Step, generator: torch.Generator) -> Step:
        """Moves each pixel by as much, up or down at random."""
        return self._moved((uniform(self.leaf, generator) - 0.5).sign())

    def distance(self) -> Tensor:
        """Mean squared change by sample."""
        return (self.leaf - self.first).square().flatten(1).mean(1)

    def _moved(self, sign: Tensor) -> Step:
        moved = self.leaf + self.size * sign
        moved = torch.max(torch.min(moved, self.first + self.epsilon), self.first - self.epsilon).clamp(0, 1)
        changed = torch.full((len(moved),), float("nan"), device=moved.device)
        return Step(Pixels(moved, self.first, self.epsilon, self.size), changed)


@dataclass(frozen=True)
class Noisy:
    """Pixels in [0, 1], or events, to which noise is added once, whatever the gradient."""

    leaf: Tensor
    first: Tensor
    epsilon: float
    noise: str

    def along(self, direction: Tensor, generator: torch.Generator) -> Step:
        """Adds the noise."""
        return self._drawn(generator)

    def at_random(self, step: Step, generator: torch.Generator) -> Step:
        """Adds it from another draw."""
        return self._drawn(generator)

    def distance(self) -> Tensor:
        """Mean squared change by sample."""
        change = (self.leaf - self.first).square()
        return _by_sample(change).mean(1) if change.dim() == 5 else change.flatten(1).mean(1)

    def _drawn(self, generator: torch.Generator) -> Step:
        x = self.first
        drawn = uniform(x, generator)
        if self.noise == "gaussian":
            normal = torch.randn(x.shape, generator=generator).to(x)
            x = (x + self.epsilon * normal).clamp(0, 1)
        elif self.noise == "salt-and-pepper":  # half of the values that change become 0, half 1
            x = torch.where(drawn < self.epsilon, (drawn < self.epsilon / 2).to(x), x)
        else:
            x = torch.where(drawn < self.epsilon, torch.zeros_like(x), x)
        samples = x.shape[1] if x.dim() == 5 else len(x)
        changed = torch.full((samples,), float("nan"), device=x.device)
        return Step(Noisy(x, self.first, self.epsilon, self.noise), changed)


Input = Spikes | Pixels | Noisy


def started(
    method: str, x: Tensor, timesteps: int, epsilon: float, iterations: int, generator: torch.Generator
) -> Input:
    """The input that a method begins with."""
    if method in NOISES:
        x = x[:timesteps] if x.dim() == 5 else x
        return Noisy(x, x, epsilon, method)
    if method == "g2s-image":
        return Spikes.of_image(x, timesteps, generator)
    if method == "g2s-spike":
        spikes = (x[:timesteps] > 0).to(x.dtype)
        return Spikes(spikes, spikes)
    size = epsilon if method == "fgsm" else 2.5 * epsilon / iterations  # Madry et al. 2018
    if method != "pgd":
        return Pixels(x, x, epsilon, size)
    noise = epsilon * (2 * uniform(x, generator) - 1)
    return Pixels((x + noise).clamp(0, 1), x, epsilon, size)


def _draw(image: Tensor, timesteps: int, generator: torch.Generator) -> Tensor:
    image_TBCHW = image.expand(timesteps, *image.shape)
    return (uniform(image_TBCHW, generator) < image_TBCHW).to(image.dtype)


def _by_sample(x_TBCHW: Tensor) -> Tensor:
    return x_TBCHW.transpose(0, 1).flatten(1)
