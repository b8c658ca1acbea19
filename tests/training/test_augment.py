from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_data import shifted

from tetviz.training.augment import AUGMENTATIONS, ROLL


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=generator(1)) + 2


def candidates(name: str, image: npt.NDArray[Any]) -> dict[Any, npt.NDArray[Any]]:
    """Every outcome that an augmentation may have for one image (C, H, W)."""
    if name == "flip":
        return {0: image, 1: image[..., ::-1]}
    reach = ROLL if name == "roll" else image.shape[-2] // 8
    steps = range(-reach, reach + 1)
    return {
        (down, right): np.stack([shifted(plane, down, right, wrap=name == "roll") for plane in image])
        for down in steps
        for right in steps
    }


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_each_sample_becomes_one_of_the_outcomes_and_all_occur(name: str) -> None:
    x_BCHW = batch(1, 2, 16, 12).expand(400, -1, -1, -1)
    expected = candidates(name, x_BCHW[0].numpy())
    seen = []
    for image in AUGMENTATIONS[name](x_BCHW, generator()).numpy():
        matches = [key for key, outcome in expected.items() if np.array_equal(outcome, image)]
        assert len(matches) == 1
        seen += matches
    if name == "flip":
        assert 150 < sum(seen) < 250
    else:
        assert {down for down, _ in seen} == {right for _, right in seen} == {down for down, _ in expected}
        assert len(set(seen)) > 0.9 * len(expected)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_sequence_is_treated_as_its_first_step(name: str) -> None:
    x_TBCHW = batch(3, 8, 2, 16, 16)
    y_TBCHW = AUGMENTATIONS[name](x_TBCHW, generator(5))
    for x_BCHW, y_BCHW in zip(x_TBCHW, y_TBCHW, strict=True):
        assert torch.equal(AUGMENTATIONS[name](x_BCHW, generator(5)), y_BCHW)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_caller_and_the_global_state_are_left_alone(name: str) -> None:
    x = batch(4, 1, 16, 16)
    before, state = x.clone(), torch.get_rng_state()
    y = AUGMENTATIONS[name](x, generator())
    y.zero_()
    assert torch.equal(x, before)
    assert torch.equal(torch.get_rng_state(), state)


@settings(deadline=None)
@given(
    name=st.sampled_from(list(AUGMENTATIONS)),
    shape=st.tuples(*[st.integers(1, n) for n in (4, 3, 20, 20)]),
    seed=st.integers(0, 100),
)
def test_shape_type_and_repeatability(name: str, shape: tuple[int, ...], seed: int) -> None:
    x = batch(*shape).double()
    first, second = (AUGMENTATIONS[name](x, generator(seed)) for _ in range(2))
    assert first.shape == x.shape and first.dtype == x.dtype
    assert torch.equal(first, second)
    if name != "crop":
        assert torch.allclose(first.sum((1, 2, 3)), x.sum((1, 2, 3)))
