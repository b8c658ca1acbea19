"""What tetviz measured: result types and the HDF5 files that hold them. Needs no torch."""

from tetviz.results.hdf5 import load, open_result, save, writable_target
from tetviz.results.kinds import KINDS, ScalingCurve, Surface
from tetviz.results.schema import Provenance, Result

__all__ = [
    "KINDS",
    "Provenance",
    "Result",
    "ScalingCurve",
    "Surface",
    "load",
    "open_result",
    "save",
    "writable_target",
]
