"""Random augmentation of whole batches; static images and sequences alike, one draw per sample."""

from collections.abc import Callable

import torch
from torch import Tensor

Augmentation = Callable[[Tensor, torch.Generator], Tensor]

ROLL = 5


def flip(x: Tensor, generator: torch.Generator) -> Tensor:
    """Mirrors each sample left to right with probability 1/2.

    Returns:
        A new batch of the same shape.
    """
    mirrored_B = _draw(x, generator, 0, 1).bool()
    return torch.where(mirrored_B[:, None, None, None], x.flip(-1), x)


def crop(x: Tensor, generator: torch.Generator) -> Tensor:
    """Pads each side with height // 8 zeros and cuts the old size out at a random place.

    Returns:
        A new batch of the same shape.
    """
    pad = x.shape[-2] // 8
    down_B, right_B = _draw(x, generator, 0, 2 * pad), _draw(x, generator, 0, 2 * pad)
    return _window(torch.nn.functional.pad(x, (pad, pad, pad, pad)), x, down_B, right_B)


def roll(x: Tensor, generator: torch.Generator) -> Tensor:
    """Shifts each sample by up to 5 pixels each way; what leaves on one side comes in on the other.

    The augmentation of event data in the code of Deng et al. 2022.

    Returns:
        A new batch of the same shape.
    """
    down_B, right_B = _draw(x, generator, -ROLL, ROLL), _draw(x, generator, -ROLL, ROLL)
    return _window(x, x, -down_B, -right_B)


AUGMENTATIONS: dict[str, Augmentation] = {"flip": flip, "crop": crop, "roll": roll}


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
