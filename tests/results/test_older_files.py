"""Result files of version 0.1, one of each kind: they open, are drawn, and come out of ``save`` as they went in."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tetviz.figures import draw
from tetviz.results import KINDS, load, save

FOLDER = Path(__file__).parents[1] / "data" / "results-v0.1"
FILES = sorted(FOLDER.glob("*.h5"))
LATER = ("draws",)  # what was recorded of later results alone
EMPTY = "<U1 ''"
REFERENCES = {"DIMENSION_LIST", "REFERENCE_LIST"}  # addresses inside the file; the labels of the axes tell as much


def attributes(node: Any) -> dict[str, str]:
    # as text, in which not-a-number equals itself
    values = {name: np.asarray(value) for name, value in node.attrs.items() if name not in REFERENCES}
    return {name: f"{value.dtype} {value.tolist()!r}" for name, value in values.items()}


def contents(path: Path) -> dict[str, Any]:
    """Everything in a file by the name of its place."""
    with h5py.File(path) as file:
        found: dict[str, Any] = {"/": attributes(file)}

        def visit(name: str, node: Any) -> None:
            found[f"{name} attributes"] = attributes(node)
            if isinstance(node, h5py.Dataset):
                axes = [[scale.name for scale in dim.values()] for dim in node.dims]
                found[name] = (node.dtype.str, node.shape, axes, node[()].tobytes())

        file.visititems(visit)
    return found


def test_no_kind_of_that_version_is_gone() -> None:
    assert len(FILES) == 10
    assert {path.stem for path in FILES} <= set(KINDS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
class TestOlderFile:
    def test_opens_as_its_kind(self, path: Path) -> None:
        result = load(path)
        assert type(result) is KINDS[path.stem]
        assert result.provenance.tetviz_version == "0.1.0"

    def test_is_drawn(self, path: Path) -> None:
        figure = draw([load(path)])
        assert figure.axes and figure.caption

    def test_saved_again_it_is_the_same(self, path: Path, tmp_path: Path) -> None:
        again, before = contents(save(tmp_path / path.name, load(path))), contents(path)
        for name in LATER:
            assert before["provenance attributes"].setdefault(name, EMPTY) == EMPTY
        assert again == before
