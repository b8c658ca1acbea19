"""Surfaces as VTK XML structured grids (.vts), which ParaView and the programs built on VTK open.

Layout: VTK File Formats, "XML File Formats", https://docs.vtk.org/en/latest/vtk_file_formats/.
"""

import base64
import struct
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from tetviz.results.files import write_whole
from tetviz.results.kinds import MEASURED, Surface

HIDDEN_POINT = 2

_TYPES = {np.dtype("<f8"): "Float64", np.dtype("<i8"): "Int64", np.dtype("u1"): "UInt8"}


def write_vtk(path: str | Path, surface: Surface, loss: str, timestep: int, plane: int = 0) -> None:
    """Writes one plane at one T as a relief (x, y, loss), whole or not at all.

    All that is measured at a point goes along as point data: both losses, both accuracies, both standard errors
    and ``done``. They are NaN where a point is not done. A point without a finite height is marked as hidden in
    ``vtkGhostType``, so that the cells around it are not drawn, and stands at the lowest finite height, because
    no program can place one at NaN. Numbers are binary: VTK reads no ``nan`` in text.
    """
    step = surface.timestep.tolist().index(timestep)
    done = surface.done[plane] == 1
    measured = {name: np.where(done, getattr(surface, name)[plane, :, :, step], np.nan) for name in MEASURED}
    height = measured[f"{loss}_loss"]
    finite = np.isfinite(height)
    floor = height[finite].min() if finite.any() else 0.0
    x, y = np.meshgrid(surface.x, surface.y)
    points = np.stack([x, y, np.where(finite, height, floor)], axis=-1)

    # x changes fastest, as in the rows of (y, x).
    extent = f"0 {len(surface.x) - 1} 0 {len(surface.y) - 1} 0 0"
    root = ElementTree.Element(
        "VTKFile", type="StructuredGrid", version="1.0", byte_order="LittleEndian", header_type="UInt64"
    )
    grid = ElementTree.SubElement(root, "StructuredGrid", WholeExtent=extent)
    field = ElementTree.SubElement(grid, "FieldData")
    for name, number in (("timestep", timestep), ("plane", plane), ("plane_seed", surface.plane_seed)):
        _array(field, name, np.array([number], dtype="<i8"), NumberOfTuples="1")
    provenance = surface.provenance
    texts = {"height": f"{loss}_loss", "norm": surface.norm, "bn": surface.bn, "policy": surface.policy}
    texts |= {"label": provenance.label, "split": provenance.split, "checkpoint_sha256": provenance.checkpoint_sha256}
    for name, text in texts.items():
        _string(field, name, text)
    piece = ElementTree.SubElement(grid, "Piece", Extent=extent)
    data = ElementTree.SubElement(piece, "PointData", Scalars=f"{loss}_loss")
    for name, values in measured.items():
        _array(data, name, values.astype("<f8"))
    _array(data, "done", done.astype("u1"))
    _array(data, "vtkGhostType", np.where(finite, 0, HIDDEN_POINT).astype("u1"))
    _array(ElementTree.SubElement(piece, "Points"), "Points", points.astype("<f8"), NumberOfComponents="3")
    ElementTree.indent(root)
    write_whole(path, ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _array(parent: ElementTree.Element, name: str, values: Any, **attributes: str) -> None:
    raw = values.tobytes()
    attributes |= {"type": _TYPES[values.dtype], "Name": name, "format": "binary"}
    element = ElementTree.SubElement(parent, "DataArray", attributes)
    element.text = base64.b64encode(struct.pack("<Q", len(raw)) + raw).decode()


def _string(parent: ElementTree.Element, name: str, text: str) -> None:
    # A string array is the code of each byte, with a zero after each string.
    element = ElementTree.SubElement(parent, "DataArray", type="String", Name=name, format="ascii", NumberOfTuples="1")
    codes = text.encode("utf-8", "backslashreplace").replace(b"\0", b"\\0")
    element.text = " ".join(str(code) for code in [*codes, 0])
