"""Data sets by name, or a function of someone else's: samples x (x_CHW, or x_TCHW) with integer labels."""

from tetviz.training.data.dataset import FRAMINGS, DataSpec, LabelledDataset, select_balanced, split_validation
from tetviz.training.data.registry import DATASETS, load_data

__all__ = [
    "DATASETS",
    "FRAMINGS",
    "DataSpec",
    "LabelledDataset",
    "load_data",
    "select_balanced",
    "split_validation",
]
