"""Compression of trained networks: fewer weights, fewer values of them, fewer spikes."""

from tetviz.training.compression.admm import Admm
from tetviz.training.compression.held import Held
from tetviz.training.compression.projections import magnitude_mask, project, quantise
from tetviz.training.compression.run import CompressionPlan, compress

__all__ = ["Admm", "CompressionPlan", "Held", "compress", "magnitude_mask", "project", "quantise"]
