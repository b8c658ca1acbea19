"""The one place that imports torchvision, also where its compiled part cannot load.

torchvision's ordinary wheel beside a CPU-only torch (and the other way round) cannot load its compiled
operators, and then fails at ``import torchvision`` with ``operator torchvision::nms does not exist``: it
registers shape functions for two operators that nothing has declared. Data sets and transforms need none of
them, so the two are declared here without an implementation, and only when the import fails in this way.
"""

import importlib
import sys
import warnings
from types import ModuleType
from typing import Any

import torch

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)

# Operators vanish with the library that declared them, so it has to live as long as the process.
_DECLARED: list[Any] = []


def import_torchvision() -> ModuleType:
    """Imports torchvision, without its compiled operators where those cannot load."""
    try:
        return _import()
    except RuntimeError as error:
        if _DECLARED or "operator torchvision::nms does not exist" not in str(error):
            raise
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    declare: Any = torch.library.Library
    library = declare("torchvision", "FRAGMENT")
    for schema in SCHEMAS:
        library.define(schema)
    _DECLARED.append(library)
    return _import()


def _import() -> ModuleType:
    with warnings.catch_warnings():
        # It warns that its own image decoder is missing as well; Pillow decodes here.
        warnings.filterwarnings("ignore", "Failed to load image Python extension", UserWarning)
        return importlib.import_module("torchvision")
