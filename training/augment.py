"""Random augmentation of whole batches; static images and sequences alike, one draw per sample.

Batches come normalised, and what an augmentation fills in is black: the 0 of the image before it was normalised, as in
the published loaders, which normalise last.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from tetviz.errors import DataError
from tetviz.training.data.normalise import Normalisation
from tetviz.training.data.torchvision import import_torchvision

Augmentation = Callable[[Tensor, torch.Generator, Normalisation], Tensor]

ROLL = 5
WHITE = 255


def flip(x: Tensor, generator: torch.Generator, normalisation: Normalisation) -> Tensor:
    """Mirrors each sample left to right with probability 1/2.

    Returns:
        A new batch of the same shape.
    """
    mirrored_B = _draw(x, generator, 0, 1).bool()
    return torch.where(mirrored_B[:, None, None, None], x.flip(-1), x)


def crop(x: Tensor, generator: torch.Generator, normalisation: Normalisation) -> Tensor:
    """Pads each side with height // 8 black pixels and cuts the old size out at a random place.

    Returns:
        A new batch of the same shape.
    """
    height, width = x.shape[-2:]
    pad = height // 8
    down_B, right_B = _draw(x, generator, 0, 2 * pad), _draw(x, generator, 0, 2 * pad)
    padded = normalisation.black(x).expand(*x.shape[:-2], height + 2 * pad, width + 2 * pad).clone()
    padded[..., pad : pad + height, pad : pad + width] = x
    return _window(padded, x, down_B, right_B)


def roll(x: Tensor, generator: torch.Generator, normalisation: Normalisation) -> Tensor:
    """Shifts each sample by up to 5 pixels each way; what leaves on one side comes in on the other.

    The augmentation of event data in the code of Deng et al. 2022.

    Returns:
        A new batch of the same shape.
    """
    down_B, right_B = _draw(x, generator, -ROLL, ROLL), _draw(x, generator, -ROLL, ROLL)
    return _window(x, x, -down_B, -right_B)


def cutout(x: Tensor, generator: torch.Generator, normalisation: Normalisation) -> Tensor:
    """Blackens a square of half the height, whose centre is any pixel; what is outside of the image is cut off.

    DeVries and Taylor 2017, with the one hole of 16 pixels for images of 32 that the code of Deng et al. 2022 has.

    Returns:
        A new batch of the same shape.
    """
    height, width = x.shape[-2:]
    reach = height // 4
    middle_B, centre_B = _draw(x, generator, 0, height - 1), _draw(x, generator, 0, width - 1)
    rows_BH = torch.arange(height, device=x.device) - middle_B[:, None]
    columns_BW = torch.arange(width, device=x.device) - centre_B[:, None]
    rows_BH, columns_BW = ((-reach <= away) & (away < reach) for away in (rows_BH, columns_BW))
    hole_B1HW = (rows_BH[:, :, None] & columns_BW[:, None, :])[:, None]
    return torch.where(hole_B1HW, normalisation.black(x), x)


def auto_augment(x: Tensor, generator: torch.Generator, normalisation: Normalisation, policy: str) -> Tensor:
    """AutoAugment (Cubuk et al. 2019) as torchvision has it, of images of 256 levels.

    Args:
        policy: of torchvision's, such as ``CIFAR10``.

    Returns:
        A new batch of the same shape.

    Raises:
        DataError: these are no images between black and white.
    """
    transforms = import_torchvision().transforms
    levels = normalisation.undo(x) * WHITE
    if x.dim() != 4 or x.shape[1] not in (1, 3) or bool(((levels < -0.5) | (levels > WHITE + 0.5)).any()):
        raise DataError(
            "--augment autoaugment: expected images of 1 or 3 channels between 0 and 1 before they are normalised, got "
            f"{' x '.join(map(str, x.shape[1:]))} from {float(levels.min()) / WHITE:.3g} to "
            f"{float(levels.max()) / WHITE:.3g}; leave it out"
        )
    augment = transforms.AutoAugment(transforms.AutoAugmentPolicy[policy])
    images = levels.round().clamp(0, WHITE).to(torch.uint8)
    seeds_B = torch.randint(2**62, (len(x),), generator=generator, device=generator.device).tolist()
    with torch.random.fork_rng([]):
        changed = []
        for image, seed in zip(images, seeds_B, strict=True):
            torch.default_generator.manual_seed(seed)  # which torchvision draws from
            changed.append(augment(image))
    return normalisation(torch.stack(changed).to(x.dtype) / WHITE)


AUGMENTATIONS: dict[str, Augmentation] = {
    "flip": flip,
    "crop": crop,
    "roll": roll,
    "cutout": cutout,
    "autoaugment": partial(auto_augment, policy="CIFAR10"),
    "autoaugment-imagenet": partial(auto_augment, policy="IMAGENET"),
}


def _draw(x: Tensor, generator: torch.Generator, low: int, high: int) -> Tensor:
    # Drawn where the generator lives, so that a seed means the same on every device.
    drawn_B = torch.randint(low, high + 1, (x.shape[-4],), generator=generator, device=generator.device)
    return drawn_B.to(x.device)


def _window(source: Tensor, like: Tensor, top_B: Tensor, left_B: Tensor) -> Tensor:
    """Cuts of every sample a window of its own out, going on at the other side past an edge.

    Args:
        like: a batch of the shape wanted.
    """
    height, width = like.shape[-2:]
    rows_BH = (top_B[:, None] + torch.arange(height, device=like.device)) % source.shape[-2]
    columns_BW = (left_B[:, None] + torch.arange(width, device=like.device)) % source.shape[-1]
    rows = rows_BH[:, None, :, None].expand(*like.shape[:-1], source.shape[-1])
    columns = columns_BW[:, None, None, :].expand(like.shape)
    return source.gather(-2, rows).gather(-1, columns)
