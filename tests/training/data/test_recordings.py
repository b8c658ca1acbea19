"""Events, frames and spike trains in the files that other people have, each held against the events written."""

import importlib.util
import os
import struct
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from data_sets import load, recording, refused, some_events, write_shd

from tetviz.errors import DataError
from tetviz.training.data.events import events_to_frames
from tetviz.training.data.recordings import FIELDS, read_events

SENSOR = (5, 7)


def same(events: Any, expected: Any) -> bool:
    return all(np.array_equal(events[field], expected[field]) for field in FIELDS)


def write_nmnist(path: Path, events: Any) -> None:
    """Five bytes an event: x, y, polarity and 23 bits of time, as Orchard et al. 2015 have them."""
    rows = [
        struct.pack(">BBBH", x, y, (p << 7) | (t >> 16), t & 0xFFFF)
        for x, y, t, p in (tuple(int(event[field]) for field in FIELDS) for event in events)
    ]
    path.write_bytes(b"".join(rows))


def write_dat(path: Path, events: Any) -> None:
    """Eight bytes an event behind a header: time, and x, y and polarity in 14, 14 and 4 bits (Prophesee's DAT)."""
    header = b"% Data file containing CD events.\n% Version 2\n" + bytes([0, 8])
    words = [struct.pack("<II", int(e["t"]), int(e["x"]) | int(e["y"]) << 14 | int(e["p"]) << 28) for e in events]
    path.write_bytes(header + b"".join(words))


def write_h5(path: Path, events: Any, group: str = "events", names: str = "xytp") -> None:
    with h5py.File(path, "w") as file:
        for name, field in zip(names.split(",") if "," in names else names, FIELDS, strict=True):
            file.create_dataset(f"{group}/{name}", data=events[field])


def test_events_of_every_kind_of_file(tmp_path: Path) -> None:
    events = some_events(60)
    np.save(tmp_path / "a.npy", events)
    np.savez(tmp_path / "b.npz", **{field: events[field] for field in FIELDS})  # as SpikingJelly
    np.savez(tmp_path / "c.npz", x=events["x"], y=events["y"], ts=events["t"], pol=events["p"].astype(bool))
    write_h5(tmp_path / "d.h5", events)
    write_h5(tmp_path / "e.hdf5", events, "", "x,y,ts,pol")
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["CD/events"] = events
    for path in sorted(tmp_path.iterdir()):
        assert same(read_events(path), events), path


def test_files_that_other_packages_read(tmp_path: Path) -> None:
    events = some_events(60)
    if importlib.util.find_spec("tonic"):
        write_nmnist(tmp_path / "a.bin", events)
        assert same(read_events(tmp_path / "a.bin"), events)
    if importlib.util.find_spec("expelliarmus"):
        write_dat(tmp_path / "a.dat", events)
        assert same(read_events(tmp_path / "a.dat"), events)
    if importlib.util.find_spec("aedat"):
        (tmp_path / "a.aedat4").write_bytes(b"no recording")
        with pytest.raises(DataError, match=r"a\.aedat4: not a recording of events"):
            read_events(tmp_path / "a.aedat4")


@pytest.mark.parametrize("name", ["lz4", "zstd"])
def test_recordings_of_inivation(name: str) -> None:
    """As dv-processing 2.0.4, the library of the cameras' maker, has written them: two packets of 60 events."""
    pytest.importorskip("aedat")
    events = read_events(Path(__file__).parents[2] / "data" / "aedat4" / f"{name}.aedat4")
    n = np.arange(120)
    expected = {"t": 1_000_000 + 37 * n, "x": 7 * n % 34, "y": 5 * n % 26, "p": n % 3 == 0}
    assert all(np.array_equal(events[field], values) for field, values in expected.items())


@pytest.mark.parametrize("encoding", ["evt2", "evt3"])
def test_recordings_of_prophesee(tmp_path: Path, encoding: str) -> None:
    events = some_events(60)
    given = np.zeros(60, [("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1")])
    for field in FIELDS:
        given[field] = events[field]
    pytest.importorskip("expelliarmus").Wizard(encoding=encoding).save(fpath=str(tmp_path / "a.raw"), arr=given)
    assert same(read_events(tmp_path / "a.raw"), events)


def test_a_package_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.aedat4").write_bytes(b"")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"a\.aedat4: is read with the package aedat, which is not there: pip install"):
        read_events(tmp_path / "a.aedat4")


@pytest.mark.parametrize(
    "arrays",
    [
        {"x": np.arange(3), "y": np.arange(3), "t": np.arange(3)},
        {"x": np.arange(3), "y": np.arange(3), "t": np.arange(3), "p": np.arange(2)},
        {"x": np.arange(3.0), "y": np.arange(3), "t": np.arange(3), "p": np.arange(3)},
        {"data": np.arange(3)},
    ],
)
def test_arrays_that_are_no_events(tmp_path: Path, arrays: Any) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=r"a\.npz: not a recording of events"):
        read_events(tmp_path / "a.npz")


def test_a_folder_of_npz(tmp_path: Path) -> None:
    """The issue's case: own events as .npz of t, x, y, p."""
    for at in range(6):
        folder = tmp_path / ("train" if at < 4 else "test") / "ab"[at % 2]
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(folder / f"{at}.npz", **{field: some_events(50, at)[field] for field in FIELDS})
    data = load("events", split="test", root=str(tmp_path), frames=3, sensor=SENSOR, image_size=5)
    assert data.labels.tolist() == [0, 1] and data.spec.sensor == SENSOR
    whole = load("events", split="test", root=str(tmp_path), frames=3, sensor=(7, 7))
    assert np.array_equal(whole[1][0].numpy(), events_to_frames(some_events(50, 5), (7, 7), 3))


def test_a_folder_of_frames(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 9, (6, 4, 2, 8, 8)).astype(np.uint8)
    for at, each in enumerate(frames):
        folder = tmp_path / ("train" if at < 4 else "test") / "ab"[at % 2]
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(folder / f"{at}.npz", frames=each)  # frames_number_4_split_by_number of SpikingJelly
    data = load("events", split="test", root=str(tmp_path), frames=10)
    assert (data.spec.frames, data.in_channels, data.image_size, data.sequence) == (4, 2, 8, True)
    assert data.labels.tolist() == [0, 1]
    assert torch.equal(data[1][0], torch.from_numpy(frames[5]).float())
    assert load("events", split="train", root=str(tmp_path), image_size=4)[0][0].shape == (4, 2, 4, 4)
    np.savez(tmp_path / "test/b/5.npz", frames=frames[5][:3])
    with pytest.raises(DataError, match="integrate all into as many frames"):
        data[1]


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5", ".bin", ".dat", ".aedat4"])
def test_a_pipe_is_no_recording(suffix: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / f"a{suffix}")
    with pytest.raises(DataError, match="is no regular file"):
        read_events(tmp_path / f"a{suffix}")


# --- spike trains ---------------------------------------------------------------------------------------------


def counted(times: Any, units: Any, frames: int, duration: float, group: int, inputs: int) -> Any:
    """A plain loop."""
    counts = np.zeros((frames, inputs), np.float32)
    for t, unit in zip(times.astype(float), units, strict=True):
        if t <= duration:
            counts[min(int(t * frames / duration), frames - 1), int(unit) // group] += 1
    return counts


def test_spike_trains(tmp_path: Path) -> None:
    written = write_shd(tmp_path)
    times, units, labels = written["test"]
    longest = max(float(t.max()) for part in written.values() for t in part[0])
    data = load("hdf5-spikes", split="test", root=str(tmp_path), frames=10)
    assert (data.in_channels, data.image_size, data.sample_axes, data.sequence) == (12, 1, 1, True)
    assert data.spec.duration == longest and data.spec.units == 12
    assert data.classes == ["null", "eins", "zwei"] and data.labels.tolist() == labels.tolist()
    for at in range(4):
        x, label = data[at]
        assert x.shape == (10, 12, 1, 1) and label == labels[at]
        assert np.array_equal(x[..., 0, 0].numpy(), counted(times[at], units[at], 10, longest, 1, 12))
        assert x.sum() == len(times[at])
    again = load(data.spec, split="train")
    assert again.spec == data.spec


def test_spike_trains_by_duration_and_groups_of_units(tmp_path: Path) -> None:
    times, units, _ = write_shd(tmp_path, classes=False)["train"]
    data = load("hdf5-spikes", split="train", root=str(tmp_path), frames=7, duration=0.5, units=4)
    assert data.classes == ["0", "1", "2"]
    for at in range(6):
        assert np.array_equal(data[at][0][..., 0, 0].numpy(), counted(times[at], units[at], 7, 0.5, 3, 4))
    shares = load("hdf5-spikes", split="train", root=str(tmp_path), frames=5, framing="count")
    sums = shares[0][0].sum((1, 2, 3))
    assert sums.max() - sums.min() <= 1 and sums.sum() == len(times[0])
    refused("has 12 units, which cannot be added up to 5", "hdf5-spikes", root=str(tmp_path), frames=5, units=5)


def test_spike_trains_that_are_none(tmp_path: Path) -> None:
    refused("*train*.h5 0", "hdf5-spikes", root=str(tmp_path), frames=5)
    (tmp_path / "shd_train.h5.gz").write_bytes(b"")
    refused("found 0: unpack it with gunzip", "hdf5-spikes", root=str(tmp_path), frames=5)
    write_shd(tmp_path)
    refused("say with --frames", "hdf5-spikes", root=str(tmp_path))
    with h5py.File(tmp_path / "shd_test.h5", "a") as file:
        file["spikes/units"][0] = np.arange(2, dtype=np.uint16)
    refused(
        "as many recordings, with a time >= 0 and a unit for each spike", "hdf5-spikes", root=str(tmp_path), frames=5
    )
    with h5py.File(tmp_path / "shd_test.h5", "w") as file:
        file["x"] = 1
    refused("expected datasets spikes/times", "hdf5-spikes", root=str(tmp_path), frames=5)
    (tmp_path / "shd_test.h5").write_bytes(b"no HDF5")
    refused("cannot be read as HDF5", "hdf5-spikes", root=str(tmp_path), frames=5)


def test_recordings_without_events_are_frames_of_zeros(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{field: recording([])[field] for field in FIELDS})
    assert events_to_frames(read_events(tmp_path / "a.npz"), SENSOR, 3).sum() == 0
