"""What makes and measures a checkpoint: data, losses, the training loop, the temporal profile."""

from tetviz.training.batches import to_batches
from tetviz.training.checkpoint import Checkpoint, file_sha256, load_weights
from tetviz.training.compression import CompressionPlan, compress
from tetviz.training.config import TrainingConfig
from tetviz.training.data import DATASETS, DataSpec, LabelledDataset, load_data, select_balanced
from tetviz.training.doctor import examine
from tetviz.training.from_nir import read_nir
from tetviz.training.history import training_history
from tetviz.training.importing import import_foreign
from tetviz.training.layouts import LAYOUTS
from tetviz.training.loop import fit
from tetviz.training.losses import (
    LOSSES,
    mse_loss,
    mse_regulariser,
    sdt_loss,
    step_cross_entropy,
    tet_loss,
    total_loss,
    trt_loss,
)
from tetviz.training.monitor import Monitor, TensorBoardMonitor
from tetviz.training.padding import mask_labels
from tetviz.training.profile import TemporalProfile, evaluating, measure
from tetviz.training.published import read_published
from tetviz.training.regularisers import decay_over_time, im_regulariser, rmp_regulariser
from tetviz.training.schedule import Stage, Switch
from tetviz.training.to_nir import write_nir

__all__ = [
    "DATASETS",
    "LAYOUTS",
    "LOSSES",
    "Checkpoint",
    "CompressionPlan",
    "DataSpec",
    "LabelledDataset",
    "Monitor",
    "Stage",
    "Switch",
    "TemporalProfile",
    "TensorBoardMonitor",
    "TrainingConfig",
    "compress",
    "decay_over_time",
    "evaluating",
    "examine",
    "file_sha256",
    "fit",
    "im_regulariser",
    "import_foreign",
    "load_data",
    "load_weights",
    "mask_labels",
    "measure",
    "mse_loss",
    "mse_regulariser",
    "read_nir",
    "read_published",
    "rmp_regulariser",
    "sdt_loss",
    "select_balanced",
    "step_cross_entropy",
    "tet_loss",
    "to_batches",
    "total_loss",
    "training_history",
    "trt_loss",
    "write_nir",
]
