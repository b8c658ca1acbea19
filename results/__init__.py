"""What tetviz measured: result types and the HDF5 files that hold them. Needs no torch."""

from tetviz.results.attack import AttackRun
from tetviz.results.compression import Compression
from tetviz.results.export import EXPORTS, choose_cut, export_result
from tetviz.results.files import known_suffix, writable_target, write_whole
from tetviz.results.hdf5 import load, looks_like_result, open_result, save
from tetviz.results.history import TrainingHistory
from tetviz.results.isometry import BlockIsometry
from tetviz.results.kinds import (
    KINDS,
    MEASURED,
    Curvature,
    Lines,
    Sharpness,
    Surface,
    Trajectory,
    default_timestep,
)
from tetviz.results.locks import holding
from tetviz.results.loss_landscape import load_any
from tetviz.results.operations import OperationCounts
from tetviz.results.scaling import ScalingCurve
from tetviz.results.schema import Provenance, Result
from tetviz.results.smoothness import Smoothness
from tetviz.results.training_operations import TrainingOperations

__all__ = [
    "EXPORTS",
    "KINDS",
    "MEASURED",
    "AttackRun",
    "BlockIsometry",
    "Compression",
    "Curvature",
    "Lines",
    "OperationCounts",
    "Provenance",
    "Result",
    "ScalingCurve",
    "Sharpness",
    "Smoothness",
    "Surface",
    "TrainingHistory",
    "TrainingOperations",
    "Trajectory",
    "choose_cut",
    "default_timestep",
    "export_result",
    "holding",
    "known_suffix",
    "load",
    "load_any",
    "looks_like_result",
    "open_result",
    "save",
    "writable_target",
    "write_whole",
]
