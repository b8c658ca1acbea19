"""The normalisation of images: read, written, recorded, and the same after all of that."""

from pathlib import Path

import numpy as np
import pytest
import torch
from data_sets import load, pixels, refused
from hypothesis import given
from hypothesis import strategies as st

from tetviz.training.data.normalise import Normalisation

NUMBERS = st.floats(2**-10, 4, width=32)


@given(mean=st.lists(NUMBERS, min_size=1, max_size=3), std=st.lists(NUMBERS, min_size=3, max_size=3))
def test_it_is_read_as_it_is_written(mean: list[float], std: list[float]) -> None:
    one = Normalisation.of(mean, std[: len(mean)])
    assert Normalisation.parse(str(one)) == one
    assert np.array_equal(np.float32(one.mean), np.float32(mean))


def test_values() -> None:
    x = torch.rand(2, 3, 4, 4)
    one = Normalisation.parse("0.4914,0.4822,0.4465:0.2023,0.1994,0.2010")
    for channel, (mean, std) in enumerate(zip(one.mean, one.std, strict=True)):
        assert torch.equal(one(x)[:, channel], (x[:, channel] - mean) / std)
    assert torch.allclose(one.undo(one(x)), x, atol=1e-6)
    assert torch.equal(Normalisation.parse("none")(x), x)
    assert torch.equal(Normalisation.parse("0.5:0.25")(x), (x - 0.5) / 0.25)
    assert Normalisation.of([0.5], [0.0]).std == (1.0,)


@pytest.mark.parametrize("text", ["", "0.5", "a:b", "0.5:0", "0.5:-1", "0.5:nan", "inf:1", "1,2:3", ":", "1:2:3"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Normalisation.parse(text)


def test_images_take_it_and_record_it(tmp_path: Path) -> None:
    arrays = {"x_train": pixels(12, 6, 6, 3), "y_train": np.arange(12) % 4}
    arrays |= {"x_test": pixels(5, 6, 6, 3, seed=1), "y_test": np.arange(5)}
    np.savez(tmp_path / "a.npz", **arrays)
    root = str(tmp_path / "a.npz")
    own = load("npz", split="test", root=root)
    assert Normalisation.parse(own.spec.normalise) == own.normalisation
    again = load(own.spec, split="test")
    assert torch.equal(again[0][0], own[0][0])
    plain = load("npz", split="test", root=root, normalise="none")
    assert torch.equal(plain[0][0], torch.from_numpy(arrays["x_test"][0]).permute(2, 0, 1) / 255)
    stated = load("npz", split="test", root=root, normalise="0.5,0.25,0.125:1,2,4")
    assert stated.spec.normalise == "0.5,0.25,0.125:1.0,2.0,4.0"
    for channel, (mean, std) in enumerate(((0.5, 1), (0.25, 2), (0.125, 4))):
        assert torch.equal(stated[0][0][channel], (plain[0][0][channel] - mean) / std)
    refused("its images have 3 channels, --normalise has 2 means", "npz", root=root, normalise="0.5,0.5:1,1")
