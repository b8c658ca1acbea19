from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_data import shifted

from tetviz.errors import DataError
from tetviz.training.augment import AUGMENTATIONS, ROLL
from tetviz.training.data.normalise import Normalisation
from tetviz.training.data.torchvision import import_torchvision

PLAIN = Normalisation()
SHIFTING = [name for name in AUGMENTATIONS if not name.startswith("autoaugment")]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=generator(1)) + 2


def blackened(image: npt.NDArray[Any], y: int, x: int, black: float = 0.0) -> npt.NDArray[Any]:
    """Cutout as DeVries and Taylor write it: a hole of half the height, cut off at the edges."""
    image, half = image.copy(), image.shape[1] // 4
    top, bottom = np.clip([y - half, y + half], 0, image.shape[1])
    left, right = np.clip([x - half, x + half], 0, image.shape[2])
    image[:, top:bottom, left:right] = black
    return image


def candidates(name: str, image: npt.NDArray[Any]) -> dict[Any, npt.NDArray[Any]]:
    """Every outcome that an augmentation may have for one image (C, H, W)."""
    if name == "flip":
        return {0: image, 1: image[..., ::-1]}
    if name == "cutout":
        return {(y, x): blackened(image, y, x) for y in range(image.shape[1]) for x in range(image.shape[2])}
    reach = ROLL if name == "roll" else image.shape[-2] // 8
    steps = range(-reach, reach + 1)
    return {
        (down, right): np.stack([shifted(plane, down, right, wrap=name == "roll") for plane in image])
        for down in steps
        for right in steps
    }


@pytest.mark.parametrize("name", SHIFTING)
def test_each_sample_becomes_one_of_the_outcomes_and_all_occur(name: str) -> None:
    x_BCHW = batch(1, 2, 16, 12).expand(400, -1, -1, -1)
    expected = candidates(name, x_BCHW[0].numpy())
    seen = []
    for image in AUGMENTATIONS[name](x_BCHW, generator(), PLAIN).numpy():
        matches = [key for key, outcome in expected.items() if np.array_equal(outcome, image)]
        assert len(matches) == 1
        seen += matches
    if name == "cutout":
        assert {y for y, _ in seen} == set(range(16)) and {x for _, x in seen} == set(range(12))
    elif name == "flip":
        assert 150 < sum(seen) < 250
    else:
        assert {down for down, _ in seen} == {right for _, right in seen} == {down for down, _ in expected}
        assert len(set(seen)) > 0.9 * len(expected)


@pytest.mark.parametrize("name", SHIFTING)
def test_a_sequence_is_treated_as_its_first_step(name: str) -> None:
    x_TBCHW = batch(3, 8, 2, 16, 16)
    y_TBCHW = AUGMENTATIONS[name](x_TBCHW, generator(5), PLAIN)
    for x_BCHW, y_BCHW in zip(x_TBCHW, y_TBCHW, strict=True):
        assert torch.equal(AUGMENTATIONS[name](x_BCHW, generator(5), PLAIN), y_BCHW)


@pytest.mark.parametrize("name", SHIFTING)
def test_the_caller_and_the_global_state_are_left_alone(name: str) -> None:
    x = batch(4, 1, 16, 16)
    before, state = x.clone(), torch.get_rng_state()
    y = AUGMENTATIONS[name](x, generator(), PLAIN)
    y.zero_()
    assert torch.equal(x, before)
    assert torch.equal(torch.get_rng_state(), state)


@settings(deadline=None)
@given(
    name=st.sampled_from(SHIFTING),
    shape=st.tuples(*[st.integers(1, n) for n in (4, 3, 20, 20)]),
    seed=st.integers(0, 100),
)
def test_shape_type_and_repeatability(name: str, shape: tuple[int, ...], seed: int) -> None:
    x = batch(*shape).double()
    first, second = (AUGMENTATIONS[name](x, generator(seed), PLAIN) for _ in range(2))
    assert first.shape == x.shape and first.dtype == x.dtype
    assert torch.equal(first, second)
    if name not in ("crop", "cutout"):
        assert torch.allclose(first.sum((1, 2, 3)), x.sum((1, 2, 3)))


@pytest.mark.parametrize("name", ["crop", "cutout"])
def test_what_is_filled_in_is_black_before_normalising(name: str) -> None:
    """As published: the augmentation on images in [0, 1], normalised last."""
    normalisation = Normalisation((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
    images = torch.rand(64, 3, 16, 16, generator=generator(2))
    expected = normalisation(AUGMENTATIONS[name](images, generator(3), PLAIN))
    got = AUGMENTATIONS[name](normalisation(images), generator(3), normalisation)
    assert torch.equal(got, expected)
    assert (got - normalisation(images)).abs().max() > 1
    black = -torch.tensor(normalisation.mean) / torch.tensor(normalisation.std)
    assert torch.isclose(got.amin((0, 2, 3)), black).all()
    sequence = AUGMENTATIONS[name](normalisation(images).repeat(2, 1, 1, 1, 1), generator(3), normalisation)
    assert torch.equal(sequence, expected.repeat(2, 1, 1, 1, 1))


@pytest.mark.parametrize(("name", "policy"), [("autoaugment", "CIFAR10"), ("autoaugment-imagenet", "IMAGENET")])
def test_autoaugment_is_torchvisions(name: str, policy: str) -> None:
    transforms = import_torchvision().transforms
    normalisation = Normalisation((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
    images = torch.randint(256, (12, 3, 16, 16), generator=generator(2), dtype=torch.uint8)
    state = torch.get_rng_state()
    got = AUGMENTATIONS[name](normalisation(images / 255), generator(3), normalisation)
    assert torch.equal(torch.get_rng_state(), state)
    seeds = torch.randint(2**62, (12,), generator=generator(3)).tolist()
    theirs = transforms.AutoAugment(transforms.AutoAugmentPolicy[policy])
    with torch.random.fork_rng():
        for image, seed, x in zip(images, seeds, got, strict=True):
            torch.manual_seed(seed)
            assert torch.equal(x, normalisation(theirs(image) / 255))
    assert len({tuple(x.flatten().tolist()) for x in got}) == 12
    assert (got - normalisation(images / 255)).abs().amax((1, 2, 3)).gt(0.01).sum() > 6


@pytest.mark.parametrize("x", [torch.rand(3, 2, 3, 8, 8), torch.rand(2, 2, 8, 8), torch.rand(2, 3, 8, 8) * 3 - 1])
def test_autoaugment_takes_images_alone(x: torch.Tensor) -> None:
    with pytest.raises(DataError, match="--augment autoaugment: expected images of 1 or 3 channels between 0 and 1"):
        AUGMENTATIONS["autoaugment"](x, generator(), PLAIN)
