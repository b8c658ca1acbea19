from importlib.util import find_spec

from data_sets import load, refused
from wording import refuses

from tetviz.training.data import DATASETS


def test_names() -> None:
    refused("'cifar10'", "cifar-10")
    refused("'qqq'", "qqq")
    with refuses(ValueError, "train test"):
        load("digits", split="val")
    unread = () if find_spec("tonic") else ("nmnist", "dvs-gesture")
    for name in DATASETS:
        if name not in ("digits", "cifar10-dvs", *unread):
            refused("--data-root", name, frames=1)
            refused("does exist", name, root="/no/such/folder", frames=1)
