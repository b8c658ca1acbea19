"""``tetviz export``: every kind in every format."""

from pathlib import Path

import h5py
import numpy as np
from cli_runs import bytes_in, tetviz
from click.testing import Result
from moved_run import (
    COMMANDS,
    NAMES,
    last_line,
    result_of,
    same_datasets,
)


def test_export_to_every_format(tet: Path, measured: dict[str, Result], tmp_path: Path) -> None:
    surface, source = result_of("landscape", tet), tmp_path / "tet.landscape.h5"
    source.write_bytes(tet.with_name("tet.landscape.h5").read_bytes())
    said = {to: tetviz("export", source, "--to", to) for to in ("loss-landscape", "vtk", "csv", "netcdf")}
    assert all(result.stdout == "" and "wrote" in result.stderr for result in said.values())
    assert "L_SDT at T = 2, plane 1 of 2" in said["vtk"].stderr
    names = {f"tet.landscape{end}" for end in (".h5", ".loss-landscape.h5", ".vts", ".csv", ".nc")}
    assert {path.name for path in tmp_path.iterdir()} == names
    same_datasets(tmp_path / "tet.landscape.nc", source)
    with h5py.File(tmp_path / "tet.landscape.loss-landscape.h5") as file:
        np.testing.assert_allclose(np.sort(file["test_loss"][...], None), np.sort(surface.sdt_loss[0, ..., -1], None))
    header, *rows = (tmp_path / "tet.landscape.csv").read_text().splitlines()
    assert len(rows) == surface.sdt_loss.size and "sdt_loss" in header.split(",")
    assert "StructuredGrid" in (tmp_path / "tet.landscape.vts").read_bytes()[:300].decode(errors="replace")
    exported = tmp_path / "tet.landscape.loss-landscape.h5"
    tetviz("plot", exported, "-o", tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert "surface" in tetviz("info", exported).stdout
    cut = tetviz("export", source, "--to", "vtk", "--loss", "tet", "--t", 1, "--plane", 2, "-o", tmp_path / "cut.vts")
    assert "L_TET at T = 1, plane 2 of 2" in cut.stderr
    before = bytes_in(tmp_path)
    for to in said:
        assert "--force" in last_line(tetviz("export", source, "--to", to, code=1))
    assert bytes_in(tmp_path) == before
    tetviz("export", source, "--to", "vtk", "--loss", "tet", "--force")
    assert (tmp_path / "tet.landscape.vts").read_bytes() != before["tet.landscape.vts"]


def test_every_kind_is_exported(tet: Path, measured: dict[str, Result], tmp_path: Path) -> None:
    for name in COMMANDS:
        for to in ("csv", "netcdf"):
            end = "csv" if to == "csv" else "nc"
            tetviz("export", tet.with_name(NAMES[name]), "--to", to, "-o", tmp_path / f"{name}.{end}")
        same_datasets(tmp_path / f"{name}.nc", tet.with_name(NAMES[name]))
        assert len((tmp_path / f"{name}.csv").read_text().splitlines()) > 5
