"""Result files: what goes in comes out, others can read them, and whatever is wrong is said in one line."""

import dataclasses
import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st
from wording import refuses

from tetviz.errors import OutputError, ResultError, TetvizError
from tetviz.results import KINDS, Provenance, Result, ScalingCurve, Surface, load, open_result, save
from tetviz.results.schema import array_fields, attribute_fields

PROVENANCE = Provenance(
    command="tetviz landscape é.pt --grid 3",
    created="2026-01-02T03:04:05+00:00",
    device="cpu",
    seed="0",
    dataset="digits",
    request="ab" * 32,
)


def make_surface(planes: int = 2, rows: int = 3, columns: int = 4, steps: int = 5, seed: int = 0) -> Surface:
    rng = np.random.default_rng(seed)
    shape = (planes, rows, columns, steps)
    variables = {
        name: rng.random(shape)
        for name in ("sdt_loss", "tet_loss", "accuracy", "step_accuracy", "sdt_loss_se", "tet_loss_se")
    }
    for values in variables.values():
        values[-1, -1, -1] = np.nan
    done = np.ones(shape[:3], dtype=np.int8)
    done[-1, -1, -1] = 0
    return Surface(
        plane=np.arange(planes),
        y=np.linspace(-1, 1, rows),
        x=np.linspace(-0.5, 0.5, columns),
        timestep=np.arange(1, steps + 1),
        sample=np.array([5, 3, 8]),
        calibration=np.array([2, 0, 7]),
        axis=np.array([0, 1]),
        axis_cosine=rng.uniform(-1, 1, planes),
        direction_seed=rng.integers(0, 2**62, (planes, 2)),
        **variables,
        done=done,
        loss="tet",
        bn="recalibrate",
        policy="weights",
        plane_seed=2**40,
        t_train=4,
        provenance=PROVENANCE,
    )


def make_curve(steps: int = 6, seed: int = 0) -> ScalingCurve:
    rng = np.random.default_rng(seed)
    names = ("accuracy", "step_accuracy", "sdt_loss", "tet_loss", "step_loss", "relative_growth")
    return ScalingCurve(
        timestep=np.arange(1, steps + 1),
        sample=np.arange(4),
        output_class=np.arange(3),
        label=rng.integers(0, 3, 4),
        **{name: rng.random(steps) for name in names},
        **{name: rng.integers(-1, 3, (4, steps)) for name in ("prediction", "step_prediction")},
        **{name: rng.random((4, steps), dtype=np.float32) for name in ("margin", "entropy")},
        outputs=rng.random((4, steps, 3), dtype=np.float32),
        length=rng.integers(1, steps + 1, 4),
        calibration=np.array([5, 2]),
        num_classes=3,
        t_train=2,
        temporal_variance=0.125,
        provenance=PROVENANCE,
    )


MAKERS: dict[str, Callable[[], Result]] = {"surface": make_surface, "scaling": make_curve}
KIND_NAMES = sorted(KINDS)


def assert_same(found: Result, expected: Result) -> None:
    assert type(found) is type(expected)
    for name, schema in array_fields(type(expected)).items():
        a, b = getattr(found, name), getattr(expected, name)
        assert a.dtype == b.dtype == np.dtype(schema["dtype"]), name
        np.testing.assert_array_equal(a, b, strict=True, err_msg=name)
    for name in attribute_fields(type(expected)):
        a, b = getattr(found, name), getattr(expected, name)
        assert type(a) is type(b), name
        assert a == b or (a != a and b != b), name
    assert getattr(found, "provenance") == getattr(expected, "provenance")  # noqa: B009


def damage(path: Path, change: Callable[[h5py.File], Any]) -> Path:
    with h5py.File(path, "r+") as file:
        change(file)
    return path


@pytest.fixture
def surface_file(tmp_path: Path) -> Path:
    return save(tmp_path / "a.h5", make_surface())


# --- round trips --------------------------------------------------------------------------------------------


def test_every_kind_is_tested_here() -> None:
    assert set(MAKERS) <= set(KINDS)
    assert {kind.kind for kind in KINDS.values()} == set(KINDS)


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_what_goes_in_comes_out(kind: str, tmp_path: Path) -> None:
    result = MAKERS[kind]()
    path = tmp_path / "a.h5"
    assert save(path, result) == path
    assert_same(load(path), result)
    assert_same(load(str(path), KINDS[kind]), result)
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]


@given(sizes=st.tuples(*[st.integers(1, 4)] * 4), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=10)
def test_surfaces_of_any_size(sizes: tuple[int, ...], seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    result = make_surface(*sizes, seed=seed)
    assert_same(load(save(tmp_path_factory.mktemp("sizes") / "a.h5", result)), result)


def test_values_that_are_not_finite_survive(tmp_path: Path) -> None:
    odd = np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324, 1.7e308])
    result = dataclasses.replace(make_curve(), sdt_loss=odd, temporal_variance=float("nan"))
    found = load(save(tmp_path / "a.h5", result), ScalingCurve)
    assert found.sdt_loss.tobytes() == odd.tobytes()
    assert np.isnan(found.temporal_variance)


def test_text_of_any_language_survives(tmp_path: Path) -> None:
    text = "дом 実験 'quoted' \"x\" \n \\ %"
    result = dataclasses.replace(make_curve(), provenance=dataclasses.replace(PROVENANCE, command=text * 1000))
    assert load(save(tmp_path / "a.h5", result), ScalingCurve).provenance.command == text * 1000


def test_a_file_name_that_is_not_text_is_no_traceback(tmp_path: Path) -> None:
    # argv of a file whose name is not UTF-8 holds lone surrogates
    odd = dataclasses.replace(PROVENANCE, command="tetviz scale \udcff.pt")
    try:
        path = save(tmp_path / "a.h5", dataclasses.replace(make_curve(), provenance=odd))
        assert "tetviz scale" in load(path, ScalingCurve).provenance.command
    except OutputError:
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_rewriting_gives_the_same_bytes(kind: str, tmp_path: Path) -> None:
    first = save(tmp_path / "a.h5", MAKERS[kind]())
    expected = first.read_bytes()
    assert save(tmp_path / "other name.h5", MAKERS[kind]()).read_bytes() == expected
    assert save(tmp_path / "c.h5", load(first)).read_bytes() == expected
    assert save(first, load(first)).read_bytes() == expected


def test_another_process_writes_the_same_bytes(surface_file: Path) -> None:
    other = surface_file.with_name("b.h5")
    code = (
        "import sys; from tetviz.results import load, save; junk = [bytes([i]) * 9999 for i in range(99)]; "
        "save(sys.argv[2], load(sys.argv[1]))"
    )
    run = [sys.executable, "-c", code, str(surface_file), str(other)]
    subprocess.run(run, check=True, cwd=surface_file.parent)
    assert other.read_bytes() == surface_file.read_bytes()


def test_the_order_of_an_input_in_memory_does_not_show(tmp_path: Path) -> None:
    result = make_surface()
    turned = dataclasses.replace(result, sdt_loss=np.asfortranarray(result.sdt_loss))
    a, b = save(tmp_path / "a.h5", result), save(tmp_path / "b.h5", turned)
    assert a.read_bytes() == b.read_bytes()


# --- what others see ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_xarray_opens_it_with_dimensions_and_coordinates(kind: str, tmp_path: Path) -> None:
    result = MAKERS[kind]()
    path = save(tmp_path / "a.h5", result)
    with xarray.open_dataset(path, engine="h5netcdf") as data:
        assert dict(data.sizes) == result.sizes()
        for name, schema in array_fields(type(result)).items():
            assert data[name].dims == schema["dims"], name
            assert (name in data.coords) == (schema["dims"] == (name,)), name
            np.testing.assert_array_equal(data[name].values, getattr(result, name), err_msg=name)
            assert data[name].attrs["units"] == schema["units"]
            assert data[name].attrs["long_name"] == schema["long_name"]
        for name in attribute_fields(type(result)):
            np.testing.assert_equal(data.attrs[name], getattr(result, name))
        assert (data.attrs["format"], data.attrs["kind"]) == ("tetviz-result", kind)
        assert data.attrs["format_version"] == 1
    with xarray.open_dataset(path, engine="h5netcdf", group="provenance") as group:
        assert group.attrs["command"] == PROVENANCE.command
        assert group.attrs["created"] == PROVENANCE.created


def test_xarray_selects_by_coordinate(surface_file: Path) -> None:
    with xarray.open_dataset(surface_file, engine="h5netcdf") as data:
        picked = data["tet_loss"].sel(plane=1, y=0.0, x=-0.5, timestep=3)
        assert float(picked) == make_surface().tet_loss[1, 1, 0, 2]


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_every_dataset_says_what_it_is(kind: str, tmp_path: Path) -> None:
    path = save(tmp_path / "a.h5", MAKERS[kind]())
    with h5py.File(path) as file:
        datasets = {name: item for name, item in file.items() if isinstance(item, h5py.Dataset)}
        assert set(datasets) == set(array_fields(KINDS[kind]))
        for name, data in datasets.items():
            assert isinstance(data.attrs["units"], str), name
            assert data.attrs["units"], name
            assert len(data.attrs["long_name"]) > 5, name
            assert data.chunks is None, name
        assert set(file["provenance"].attrs) == {f.name for f in dataclasses.fields(Provenance)}


# --- writing in place ---------------------------------------------------------------------------------------


def test_a_point_is_visible_while_the_writer_still_holds_the_file(surface_file: Path) -> None:
    size = surface_file.stat().st_size
    with open_result(surface_file) as writer:
        assert isinstance(writer, Surface)
        for column in range(4):
            writer.sdt_loss[0, 1, column] = column + np.arange(5)
            writer.done[0, 1, column] = 7
            reader = load(surface_file, Surface)
            assert reader.sdt_loss[0, 1, column].tolist() == (column + np.arange(5)).tolist()
            assert reader.done[0, 1, column] == 7
    after, before = load(surface_file, Surface), make_surface()
    np.testing.assert_array_equal(after.tet_loss, before.tet_loss)
    np.testing.assert_array_equal(after.sdt_loss[1], before.sdt_loss[1])
    assert after.provenance == before.provenance
    assert surface_file.stat().st_size == size


def test_writing_in_place_gives_the_bytes_of_writing_at_once(tmp_path: Path) -> None:
    whole = make_surface()
    empty = dataclasses.replace(
        whole,
        sdt_loss=np.full_like(whole.sdt_loss, np.nan),
        tet_loss=np.full_like(whole.tet_loss, np.nan),
        done=np.zeros_like(whole.done),
    )
    once, pieces = save(tmp_path / "a.h5", whole), save(tmp_path / "b.h5", empty)
    for plane in range(2):  # interrupted and resumed
        with open_result(pieces) as writer:
            assert isinstance(writer, Surface)
            writer.sdt_loss[plane], writer.tet_loss[plane] = whole.sdt_loss[plane], whole.tet_loss[plane]
            writer.done[plane] = whole.done[plane]
    assert pieces.read_bytes() == once.read_bytes()


def test_a_writer_that_fails_leaves_what_it_wrote(surface_file: Path) -> None:
    with pytest.raises(KeyError), open_result(surface_file) as writer:
        assert isinstance(writer, Surface)
        writer.accuracy[0, 0, 0] = 0.5
        raise KeyError
    assert load(surface_file, Surface).accuracy[0, 0, 0].tolist() == [0.5] * 5


def test_a_killed_writer_leaves_a_file_that_opens(surface_file: Path) -> None:
    code = (
        "import os, sys; from tetviz.results import open_result\n"
        "with open_result(sys.argv[1]) as w:\n"
        "    w.accuracy[0, 0, 0] = 0.25\n"
        "    os._exit(9)\n"
    )
    run = [sys.executable, "-c", code, str(surface_file)]
    assert subprocess.run(run, check=False, cwd=surface_file.parent).returncode == 9
    assert load(surface_file, Surface).accuracy[0, 0, 0].tolist() == [0.25] * 5


def test_a_file_written_anew_by_other_tools_is_read_and_refused_in_place(surface_file: Path) -> None:
    # h5repack, nccopy and xarray may compress: the arrays then have no fixed place
    def compress(file: h5py.File) -> None:
        values, attributes = file["accuracy"][...], dict(file["accuracy"].attrs)
        del file["accuracy"]
        data = file.create_dataset("accuracy", data=values, compression="gzip")
        data.attrs.update({k: attributes[k] for k in ("units", "long_name")})

    damage(surface_file, compress)
    np.testing.assert_array_equal(load(surface_file, Surface).accuracy, make_surface().accuracy)
    with pytest.raises((OutputError, ResultError), match=r"a\.h5: .*accuracy"), open_result(surface_file):
        pass


def test_another_type_in_the_file_is_read_and_refused_in_place(surface_file: Path) -> None:
    # converted into float64 it would be a copy, and what is written to a copy is lost
    def narrow(file: h5py.File) -> None:
        values = file["accuracy"][...].astype("float32")
        del file["accuracy"]
        file["accuracy"] = values

    damage(surface_file, narrow)
    assert load(surface_file, Surface).accuracy.dtype == np.float64
    with pytest.raises((OutputError, ResultError), match=r"a\.h5: .*accuracy"), open_result(surface_file):
        pass


# --- errors of load -----------------------------------------------------------------------------------------

READERS: list[Callable[[Path], Any]] = [load, lambda path: open_result(path).__enter__()]
both_readers = pytest.mark.parametrize("read", READERS, ids=["load", "open_result"])


@both_readers
def test_a_missing_file(read: Callable[[Path], Any], tmp_path: Path) -> None:
    with refuses(ResultError, "nothing.h5"):
        read(tmp_path / "nothing.h5")


@both_readers
def test_a_folder(read: Callable[[Path], Any], tmp_path: Path) -> None:
    with refuses(ResultError) as error:
        read(tmp_path)
    assert str(tmp_path) in str(error.value)


@both_readers
@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x89HDF\r\n\x1a\n", b"PK\x03\x04" + bytes(500)], ids=itertools.count()
)
def test_not_hdf5(read: Callable[[Path], Any], content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    with refuses(ResultError, "a.h5 HDF5"):
        read(path)


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_truncated_anywhere(kind: str, tmp_path: Path) -> None:
    path = save(tmp_path / "a.h5", MAKERS[kind]())
    described, cut = path.read_bytes(), tmp_path / "cut.h5"
    with h5py.File(path, "r+") as file:  # another program, which drops what stands behind the HDF5 part
        file.attrs["format"] = file.attrs["format"]
    whole = path.read_bytes()
    assert described.startswith(whole[:8]) and len(whole) < len(described)
    for length in (len(whole), len(whole) + 1, len(described) - 1):  # the description is a help, no need
        cut.write_bytes(described[:length])
        assert_same(load(cut), MAKERS[kind]())
    lengths = {*range(0, 200, 20), *range(200, len(whole), 997), len(whole) - 8, len(whole) - 1}
    for length in sorted(lengths):
        cut.write_bytes(whole[:length])
        with refuses(ResultError, "cut.h5"):
            load(cut)
        with refuses(TetvizError, "cut.h5"), open_result(cut):
            pass
        assert cut.read_bytes() == whole[:length]  # nor is it grown to the size it should have


@pytest.mark.parametrize("kind", sorted(MAKERS))
@pytest.mark.parametrize("signature", [b"TREE", b"SNOD", b"HEAP", b"GCOL"])
def test_damage_inside_is_a_result_error_or_does_not_matter(kind: str, signature: bytes, tmp_path: Path) -> None:
    path = save(tmp_path / "a.h5", MAKERS[kind]())
    whole, bad = path.read_bytes(), tmp_path / "bad.h5"
    start, places = 0, []
    while (found := whole.find(signature, start)) >= 0:
        places.append(found)
        start = found + 1
    assert places
    for place in places:
        bad.write_bytes(whole[:place] + b"XXXX" + whole[place + 4 :])
        for read in READERS:
            try:
                read(bad)
            except ResultError as error:
                assert "bad.h5" in str(error)


@both_readers
@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_an_object_that_points_nowhere(read: Callable[[Path], Any], kind: str, tmp_path: Path) -> None:
    # a symbol table node: 8 bytes of header, then entries of a name's offset and an object's address
    path = save(tmp_path / "a.h5", MAKERS[kind]())
    whole = path.read_bytes()
    address = whole.index(b"SNOD") + 16
    path.write_bytes(whole[:address] + (2**40).to_bytes(8, "little") + whole[address + 8 :])
    with refuses(ResultError, "a.h5"):
        read(path)


@both_readers
def test_a_file_of_someone_else(read: Callable[[Path], Any], tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["train_loss"] = np.zeros((3, 3))
    with refuses(ResultError, "tetviz result"):
        read(path)


@both_readers
@pytest.mark.parametrize("value", [3, np.array([1, 2]), "other", np.array(["tetviz-result"] * 2, dtype="S")])
def test_a_file_of_someone_else_that_also_has_a_format(read: Callable[[Path], Any], value: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.attrs["format"] = value
    with refuses(ResultError, "tetviz result"):
        read(path)


@pytest.mark.parametrize(("have", "want"), [("surface", ScalingCurve), ("scaling", Surface)])
def test_the_wrong_kind(have: str, want: type[Result], tmp_path: Path) -> None:
    path = save(tmp_path / "a.h5", MAKERS[have]())
    with refuses(ResultError, f"{have} {want.kind} a.h5"):
        load(path, want)


@both_readers
def test_a_newer_version(read: Callable[[Path], Any], surface_file: Path) -> None:
    damage(surface_file, lambda file: file.attrs.modify("format_version", 2))
    with refuses(ResultError, "version 2 1"):
        read(surface_file)


@both_readers
@pytest.mark.parametrize("value", ["one", np.array([1, 2])])
def test_a_version_that_is_no_number(read: Callable[[Path], Any], value: Any, surface_file: Path) -> None:
    damage(surface_file, lambda file: file.attrs.create("format_version", value))
    with refuses(ResultError, "a.h5 format_version"):
        read(surface_file)


@both_readers
@pytest.mark.parametrize("value", ["hologram", 3, np.array([1, 2])])
def test_an_unknown_kind(read: Callable[[Path], Any], value: Any, surface_file: Path) -> None:
    damage(surface_file, lambda file: file.attrs.create("kind", value))
    with refuses(ResultError, "a.h5 kind"):
        read(surface_file)


@both_readers
@pytest.mark.parametrize("name", ["format_version", "kind", *attribute_fields(Surface)])
def test_a_missing_attribute(read: Callable[[Path], Any], name: str, surface_file: Path) -> None:
    damage(surface_file, lambda file: file.attrs.__delitem__(name))
    with refuses(ResultError, f"{name} a.h5"):
        read(surface_file)


@both_readers
@pytest.mark.parametrize("name", array_fields(Surface))
def test_a_missing_dataset(read: Callable[[Path], Any], name: str, surface_file: Path) -> None:
    damage(surface_file, lambda file: file.__delitem__(name))
    with refuses(ResultError, f"{name} a.h5"):
        read(surface_file)


@both_readers
def test_an_attribute_does_not_stand_in_for_a_dataset(read: Callable[[Path], Any], surface_file: Path) -> None:
    def swap(file: h5py.File) -> None:
        del file["sdt_loss"]
        file.attrs["sdt_loss"] = 1.0

    damage(surface_file, swap)
    with refuses(ResultError, "sdt_loss"):
        read(surface_file)


@both_readers
def test_a_dataset_does_not_stand_in_for_an_attribute(read: Callable[[Path], Any], surface_file: Path) -> None:
    def swap(file: h5py.File) -> None:
        del file.attrs["bn"]
        file["bn"] = 1.0

    damage(surface_file, swap)
    with refuses(ResultError, "bn"):
        read(surface_file)


@both_readers
def test_a_missing_provenance(read: Callable[[Path], Any], surface_file: Path) -> None:
    damage(surface_file, lambda file: file.__delitem__("provenance"))
    with refuses(ResultError, "a.h5 provenance"):
        read(surface_file)


@pytest.mark.parametrize("name", ["created", "tetviz_version", "torch_version", "platform"])
def test_a_missing_provenance_entry_is_not_invented(name: str, surface_file: Path) -> None:
    # the defaults are those of this machine now: reading must not claim them for an old file
    damage(surface_file, lambda file: file["provenance"].attrs.__delitem__(name))
    try:
        assert getattr(load(surface_file, Surface).provenance, name) == ""
    except ResultError as error:
        assert name in str(error)


@both_readers
@pytest.mark.parametrize("name", ["sdt_loss", "x", "direction_seed"])
@pytest.mark.parametrize(
    "value",
    [np.zeros(7), np.zeros((1, 1)), np.float64(3), np.array([b"text"] * 3)],
    ids=["another size", "another rank", "a scalar", "text"],
)
def test_an_array_of_another_shape_or_type(
    read: Callable[[Path], Any], name: str, value: Any, surface_file: Path
) -> None:
    def replace(file: h5py.File) -> None:
        del file[name]
        file[name] = value

    damage(surface_file, replace)
    with refuses(ResultError, "a.h5"):
        read(surface_file)


@both_readers
def test_a_group_in_place_of_a_dataset(read: Callable[[Path], Any], surface_file: Path) -> None:
    def replace(file: h5py.File) -> None:
        del file["done"]
        file.create_group("done")

    damage(surface_file, replace)
    with refuses(ResultError, "a.h5 done"):
        read(surface_file)


def test_what_a_later_version_adds_is_ignored(surface_file: Path) -> None:
    def add(file: h5py.File) -> None:
        file["extra"] = np.zeros(3)
        file.attrs["extra_setting"] = "x"
        file["provenance"].attrs["extra"] = "x"

    assert_same(load(damage(surface_file, add)), make_surface())


# --- errors of save -----------------------------------------------------------------------------------------


def test_save_into_a_missing_folder(tmp_path: Path) -> None:
    with refuses(OutputError, "folder create"):
        save(tmp_path / "no" / "a.h5", make_curve())
    assert list(tmp_path.iterdir()) == []


def test_save_onto_a_folder(tmp_path: Path) -> None:
    with refuses(OutputError, "folder file"):
        save(tmp_path, make_curve())


def test_save_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with refuses(OutputError, "a.h5"):
        save(tmp_path / "file" / "a.h5", make_curve())


@pytest.mark.parametrize("length", [240, 255, 300])
def test_save_under_a_long_name(length: int, tmp_path: Path) -> None:
    path = tmp_path / ("x" * (length - 3) + ".h5")
    try:
        save(path, make_curve())
    except OutputError:
        assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_kept_without_force(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    path.write_text("precious")
    with refuses(OutputError, "--force"):
        save(path, make_curve(), force=False)
    assert path.read_text() == "precious"
    save(path, make_curve(), force=True)
    assert_same(load(path), make_curve())
    assert_same(load(save(tmp_path / "new.h5", make_curve(), force=False)), make_curve())


def test_a_failed_save_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.h5", make_curve())
    before = path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with refuses(OutputError, "a.h5 written"):
        save(path, make_surface())
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]


# --- the dataclasses ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n, s in array_fields(Surface).items() if s["dims"] != (n,)])
def test_an_array_that_disagrees_with_its_coordinates(name: str) -> None:
    with refuses(ValueError, f"{name} 7"):
        dataclasses.replace(make_surface(), **{name: np.zeros(7)})


def test_a_coordinate_that_is_no_list_is_a_value_error() -> None:
    with refuses(ValueError, "timestep"):
        dataclasses.replace(make_curve(), timestep=3)
    with refuses(ValueError, "timestep"):
        dataclasses.replace(make_curve(), timestep=np.ones((6, 1)))


def test_fractions_are_not_cut_to_integers() -> None:
    with pytest.raises((ValueError, TypeError), match="timestep"):
        dataclasses.replace(make_curve(), timestep=np.arange(6) + 0.5)


def test_lists_become_arrays_of_the_declared_type() -> None:
    curve = dataclasses.replace(make_curve(), accuracy=[0, 1, 0, 1, 0, 1], timestep=[1, 2, 3, 4, 5, 6])
    assert (curve.accuracy.dtype, curve.timestep.dtype) == (np.float64, np.int64)


def test_results_compare_without_a_traceback() -> None:
    assert make_curve() != make_surface()
    assert isinstance(make_curve() == make_curve(), bool)


def test_surface_to_frame() -> None:
    surface = make_surface()
    frame = surface.to_frame()
    assert frame.index.names == ["plane", "y", "x", "timestep"]
    assert len(frame) == 2 * 3 * 4 * 5
    assert set(frame.columns) == {
        *("sdt_loss", "tet_loss", "accuracy", "step_accuracy", "sdt_loss_se", "tet_loss_se", "done", "axis_cosine")
    }
    for p, y, x, t in [(0, 0, 0, 0), (1, 2, 0, 4), (0, 1, 3, 2), (1, 0, 2, 1)]:
        row = frame.loc[(p, surface.y[y], surface.x[x], t + 1)]
        assert row["sdt_loss"] == surface.sdt_loss[p, y, x, t]
        assert row["tet_loss_se"] == surface.tet_loss_se[p, y, x, t]
        assert row["done"] == surface.done[p, y, x]
    last = frame.iloc[-5:]
    assert last["sdt_loss"].isna().all()
    assert (last["done"] == 0).all()
    assert int(frame["done"].sum()) == 23 * 5


def test_scaling_to_frame() -> None:
    curve = make_curve()
    frame = curve.to_frame()
    assert frame.index.name == "timestep"
    assert frame.index.tolist() == [1, 2, 3, 4, 5, 6]
    over_time = {name for name, schema in array_fields(ScalingCurve).items() if schema["dims"] == ("timestep",)}
    assert set(frame.columns) == over_time - {"timestep"}
    for name in frame.columns:
        np.testing.assert_array_equal(frame[name], getattr(curve, name))


def test_a_frame_made_of_a_file_is_the_same(surface_file: Path) -> None:
    assert load(surface_file, Surface).to_frame().equals(make_surface().to_frame())
