"""Files that are damaged or hostile are read within a limit, or refused in a line; those of tetviz without libhdf5."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from planted_results import planted_curve, planted_surface

from tetviz.errors import DataError, ResultError
from tetviz.results import Surface, load, looks_like_result, open_result, save
from tetviz.results.contents import MARK, check_foreign, described
from tetviz.results.hdf5 import WANTED
from tetviz.results.hdf5_process import READER, Reader
from tetviz.results.hdf5_reader import describe
from tetviz.results.loss_landscape import load_any
from tetviz.results.spike_files import read_columns, read_spike_trains

CLOCK = 30.0  # seconds, for a machine that has much else to do


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return save(tmp_path / "a.h5", planted_surface(size=5))


def told(path: Path, read: Callable[[Path], Any] = load_any) -> str:
    with pytest.raises(ResultError) as error:
        read(path)
    assert "\n" not in str(error.value) and path.name in str(error.value)
    return str(error.value)


def changed(path: Path, change: Callable[[h5py.File], Any]) -> Path:
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def test_a_file_of_tetviz_is_read_without_libhdf5(path: Path) -> None:
    code = (
        "import sys, h5py, tetviz.results\n"
        "h5py.File = None\n"
        f"assert tetviz.results.load({str(path)!r}).x.size == 5\n"
        "assert tetviz.results.hdf5_process.READER._process is None"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_its_description_is_that_of_its_hdf5_part(path: Path) -> None:
    content = path.read_bytes()
    text = content[-56 - int.from_bytes(content[-24:-16], "little") : -56]
    with h5py.File(path) as file:
        found = describe(file)
    assert content.endswith(MARK) and json.loads(text)["arrays"] == json.loads(json.dumps(found["arrays"]))
    assert json.loads(text)["attributes"] == found["attributes"] and found["others"] == []


def test_points_written_in_place_leave_the_description_true(path: Path) -> None:
    started = READER._process
    with open_result(path) as result:
        assert isinstance(result, Surface)
        result.sdt_loss[:] = 3.5
    assert (load(path, Surface).sdt_loss == 3.5).all() and READER._process is started


def loops(path: Path) -> None:
    """Damages a file so that libhdf5 does not come back from it."""
    content = bytearray(path.read_bytes())
    content[4096:6144] = bytes(2048)
    path.write_bytes(content)


def test_a_damaged_file_that_libhdf5_does_not_come_back_from(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tetviz.results.contents.SECONDS", 3.0)
    loops(path)
    begin = time.monotonic()
    told(path)
    assert time.monotonic() - begin < CLOCK
    # and the next file is read as ever
    other = changed(save(path.with_name("c.h5"), planted_curve(tmax=4)), lambda file: file.attrs.create("more", 1))
    assert load(other).kind == "scaling"


def test_a_reader_that_never_answers_is_given_up() -> None:
    reader = Reader()
    try:
        found, packed = reader.ask({"path": "/dev/null", "wanted": [], "most": 1, "seconds": 1}, CLOCK)
        assert "error" in found and not packed
        process = reader._running()
        process.send_signal(19)  # stopped: it answers nothing
        begin = time.monotonic()
        found, packed = reader.ask({"path": "/dev/null", "wanted": [], "most": 1, "seconds": 1}, 0.5)
        assert found == {"error": "it came to no end within 0 s"} and time.monotonic() - begin < CLOCK
    finally:
        reader.close()


@pytest.mark.parametrize("start", range(2048, 12000, 1024))
def test_a_hole_anywhere_in_the_metadata_is_noticed(start: int, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tetviz.results.contents.SECONDS", 2.0)
    content, expected = bytearray(path.read_bytes()), load(path, Surface)
    content[start : start + 512] = bytes(512)
    path.write_bytes(content)
    try:
        found = load(path, Surface)
    except ResultError as error:
        assert "a.h5" in str(error)
        return
    assert found.provenance == expected.provenance and found.loss == expected.loss


def test_a_description_that_lies_is_not_believed_or_does_no_harm(path: Path) -> None:
    with h5py.File(path) as file:
        found = describe(file)
    image = path.read_bytes()
    for name, value in (
        ("offset", 2**61),
        ("offset", -1),
        ("shape", [10**6, 10**6]),
        ("shape", [2**70]),
        ("dtype", "|O"),
        ("dtype", "<U99999999"),
        ("offset", None),
    ):
        lie = json.loads(json.dumps(found))
        lie["arrays"]["sdt_loss"][name] = value
        try:
            path.write_bytes(described(image, lie))
        except ValueError:
            continue  # cannot even be written
        said = told(path)
        assert "sdt_loss" in said or "Invalid argument" in said


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_pipes_devices_and_folders_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.h5")
    (tmp_path / "zero.h5").symlink_to("/dev/zero")
    (tmp_path / "folder.h5").mkdir()
    (tmp_path / "empty.h5").touch()
    for name in ("pipe.h5", "zero.h5", "folder.h5", "empty.h5", "nothing.h5"):
        told(tmp_path / name)
        told(tmp_path / name, load)
    assert not looks_like_result(tmp_path / "empty.h5")


def external_link(file: h5py.File) -> None:
    del file["sdt_loss"]
    file["sdt_loss"] = h5py.ExternalLink("other.h5", "/sdt_loss")


def soft_link(file: h5py.File) -> None:
    del file["sdt_loss"]
    file["sdt_loss"] = h5py.SoftLink("/tet_loss")


def external_storage(file: h5py.File) -> None:
    shape = file["sdt_loss"].shape
    del file["sdt_loss"]
    file.create_dataset("sdt_loss", shape, "f8", external=[("secret", 0, h5py.h5f.UNLIMITED)])


def virtual(file: h5py.File) -> None:
    shape = file["sdt_loss"].shape
    del file["sdt_loss"]
    layout = h5py.VirtualLayout(shape, "f8")
    layout[...] = h5py.VirtualSource("other.h5", "sdt_loss", shape)
    file.create_virtual_dataset("sdt_loss", layout)


@pytest.mark.parametrize("lead", [external_link, soft_link, external_storage, virtual])
def test_what_lies_outside_of_a_file_is_not_fetched(lead: Any, path: Path) -> None:
    save(path.with_name("other.h5"), planted_surface(size=5))
    path.with_name("secret").write_bytes(bytes(10**5))
    assert "must hold sdt_loss" in told(changed(path, lead))


def declared(shape: tuple[int, ...], **how: Any) -> Callable[[h5py.File], None]:
    def declare(file: h5py.File) -> None:
        del file["sdt_loss"]
        file.create_dataset("sdt_loss", shape, "f8", **how)

    return declare


@pytest.mark.parametrize(
    "change",
    [
        declared((10**4, 10**4, 10**4, 4)),
        declared((10**4, 10**4, 10**4, 4), chunks=(1, 100, 100, 4), compression="gzip"),
        declared((2**40,), chunks=(2**20,)),
        declared((1, 2, 2, 2)),
    ],
)
def test_a_size_that_is_declared_is_held_against_the_file(change: Any, path: Path) -> None:
    begin = time.monotonic()
    told(changed(path, change))
    assert time.monotonic() - begin < CLOCK


def test_an_array_that_another_program_has_packed_is_read(path: Path) -> None:
    expected = load(path, Surface)

    def pack(file: h5py.File) -> None:
        values = file["sdt_loss"][...]
        del file["sdt_loss"]
        file.create_dataset("sdt_loss", data=values, chunks=True, compression="gzip", dtype=">f8")

    changed(path, pack)
    np.testing.assert_array_equal(load(path, Surface).sdt_loss, expected.sdt_loss)
    with pytest.raises(ResultError, match="sdt_loss cannot be written in place"), open_result(path):
        pass


def test_a_long_attribute_is_refused(path: Path) -> None:
    latest = path.with_name("latest.h5")
    with h5py.File(latest, "w", libver="latest") as file, h5py.File(path) as old:
        for name in old:
            old.copy(name, file)
        file.attrs.update(old.attrs)
        file.attrs.create("label", np.zeros(3 * 10**6))
    path = latest
    assert "attribute label takes" in told(path)


# --- files of another layout -----------------------------------------------------------------------------------


def packed(file: h5py.File) -> None:
    rows = file.create_dataset("spikes/times", (3,), h5py.vlen_dtype(np.float32))
    rows[0] = np.arange(4, dtype=np.float32)
    file.create_dataset("events", data=np.arange(99), chunks=(9,), compression="gzip")
    file["spikes/again"] = file["spikes"]  # a circle
    file["soft"] = h5py.SoftLink("/nowhere")


def outside(file: h5py.File) -> None:
    file["spikes/other"] = h5py.ExternalLink("other.h5", "/")


def beside(file: h5py.File) -> None:
    file.create_dataset("times", (100,), "f4", external=[("secret", 0, 400)])


def larger(file: h5py.File) -> None:
    file.create_dataset("times", (2**40,), "f4", chunks=(2**20,))


def made(path: Path, fill: Callable[[h5py.File], Any]) -> Path:
    with h5py.File(path, "w") as file:
        fill(file)
    return path


def test_another_layout_is_read_once_in_a_process_of_its_own(tmp_path: Path) -> None:
    check_foreign(made(tmp_path / "a.h5", packed))


@pytest.mark.parametrize(
    ("fill", "said"), [(outside, "leads to another file"), (beside, "kept elsewhere"), (larger, "larger than the file")]
)
def test_another_layout_that_leads_out_or_lies_is_refused(fill: Any, said: str, tmp_path: Path) -> None:
    path = made(tmp_path / "a.h5", fill)
    with pytest.raises(ValueError, match=said):
        check_foreign(path)
    with pytest.raises(DataError, match=rf"a\.h5: cannot be read as HDF5 \(.*{said}"):
        read_columns(path)


def test_another_layout_that_libhdf5_does_not_come_back_from(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tetviz.results.contents.SECONDS", 2.0)
    loops(path)
    begin = time.monotonic()
    with pytest.raises(DataError, match=r"a\.h5: cannot be read as HDF5"):
        read_spike_trains(path)
    assert time.monotonic() - begin < CLOCK


def test_every_array_of_every_kind_is_wanted() -> None:
    assert {"sdt_loss", "phi", "outputs", "mac"} <= WANTED


def test_another_file_costs_little_once_the_reader_runs(path: Path) -> None:
    own = load(path)
    other = changed(path, lambda file: file.attrs.create("more", 1))
    assert load(other).kind == own.kind
    begin = time.process_time()
    load(other)
    assert time.process_time() - begin < 0.2  # of this process; no interpreter is started
