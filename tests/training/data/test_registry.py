import pytest
from data_sets import load, refused

from tetviz.training.data import DATASETS


def test_names() -> None:
    refused("did you mean 'cifar10'. known: digits, mnist", "cifar-10")
    refused("unknown data set 'qqq'; known: digits", "qqq")
    with pytest.raises(ValueError, match="train or test"):
        load("digits", split="val")
    for name in DATASETS:
        if name not in ("digits", "cifar10-dvs"):
            refused("give --data-root", name, frames=1)
            refused("which does not exist", name, root="/no/such/folder", frames=1)
