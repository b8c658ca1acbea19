"""Results in HDF5 files that are also valid netCDF-4 (see docs/file-format.md).

Every array is stored contiguously, so it has a fixed place in the file. A long run creates its file once and
then writes points straight into those places: HDF5 metadata never changes, so a run killed at any moment
leaves a file that opens.
"""

import reprlib
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast, get_type_hints

import h5py
import numpy as np

from tetviz.errors import OutputError, ResultError
from tetviz.results.contents import Contents, described, looks_like_hdf5, read_contents
from tetviz.results.files import writable_target, write_whole
from tetviz.results.hdf5_reader import describe
from tetviz.results.kinds import KINDS
from tetviz.results.schema import Provenance, Result, array_fields, attribute_fields, recovered, stored

FORMAT = "tetviz-result"
FORMAT_VERSION = 1

R = TypeVar("R", bound=Result)


def save(path: str | Path, result: Result, *, force: bool = True) -> Path:
    """Writes a result to a file, whole or not at all.

    Args:
        path: the HDF5 file.
        result: any result.
        force: whether an existing file may be replaced.

    Returns:
        The path.

    Raises:
        OutputError: the file cannot be written, or exists and ``force`` is off.
    """
    return write_whole(writable_target(path, force), hdf5_image(lambda file: _write(file, result)))


def hdf5_image(fill: Callable[[h5py.File], None]) -> bytes:
    """The bytes of an HDF5 file, with a description of it at their end (see :mod:`tetviz.results.contents`).

    They are made in memory, so that a disk that is full is no concern of libhdf5, which cannot give up a file.
    """
    with h5py.File("in memory", "w", driver="core", backing_store=False) as file:
        fill(file)
        file.flush()
        return described(file.id.get_file_image(), describe(file))


def looks_like_result(path: str | Path) -> bool:
    """Whether a file is HDF5, by its content, or by its name if there is no such file.

    Args:
        path: any path.

    Returns:
        True for HDF5.
    """
    return looks_like_hdf5(path) if Path(path).is_file() else Path(path).suffix in (".h5", ".hdf5", ".nc")


def load(path: str | Path, kind: type[R] = Result) -> R:  # type: ignore[assignment]
    """Reads a result.

    Args:
        path: an HDF5 file written by :func:`save`.
        kind: the result class that is wanted; any by default.

    Returns:
        The result.

    Raises:
        ResultError: the file is missing, not a tetviz result, damaged, newer than this tetviz, or of another kind.
    """
    return result_of(contents_of(path), kind)


@contextmanager
def open_result(path: str | Path) -> Iterator[Result]:
    """Opens a result for writing in place: assigning to its arrays changes the file.

    Args:
        path: an HDF5 file written by :func:`save`.

    Yields:
        The result, its arrays mapped onto the file.

    Raises:
        OutputError: the file cannot be opened for writing.
        ResultError: another program has changed the layout of an array.
    """
    contents = contents_of(path)
    found = _kind(contents)
    names = _arrays(contents, found)
    places = {name: contents.places[name] for name in names}
    fields = array_fields(found)
    # An empty array has no place, and nothing to write.
    kept = {name for name, place in places.items() if not place.size or place.offset is not None}
    moved = [name for name in names if name not in kept or places[name].dtype != fields[name]["dtype"]]
    if moved:
        raise ResultError(
            f"{path}: {', '.join(moved)} cannot be written in place, another program has changed their layout; "
            "start a new file with -o"
        )
    _build(contents, found, contents.read(names))  # what cannot be read is not written to
    try:
        mapped: dict[str, Any] = {
            name: np.memmap(path, place.dtype, "r+", cast(int, place.offset), place.shape)
            for name, place in places.items()
            if place.size
        }
    except (OSError, ValueError) as error:  # ValueError: cut short meanwhile
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{path}: cannot be written ({reason})") from error
    empty = {name: np.empty(place.shape, place.dtype) for name, place in places.items() if not place.size}
    yield _build(contents, found, mapped | empty)
    for values in mapped.values():
        values.flush()


def _write(file: h5py.File, result: Result) -> None:
    fields = result.held()
    file.attrs.update(format=FORMAT, format_version=FORMAT_VERSION, kind=result.kind, Conventions="CF-1.11")
    for name in attribute_fields(type(result)):
        file.attrs[name] = stored(getattr(result, name))
    for name, schema in fields.items():
        data = file.create_dataset(name, data=getattr(result, name))
        data.attrs.update(units=schema["units"], long_name=schema["long_name"])
        if schema["dims"] == (name,):
            data.make_scale(name)
    for name, schema in fields.items():
        if schema["dims"] != (name,):
            for axis, dim in enumerate(schema["dims"]):
                file[name].dims[axis].attach_scale(file[dim])
                file[name].dims[axis].label = dim
    provenance = file.create_group("provenance")
    for name, text in result.provenance.texts().items():
        # A command line may hold file names that are not UTF-8.
        provenance.attrs[name] = text.encode("utf-8", "backslashreplace").replace(b"\0", b"\\0").decode()


WANTED = frozenset(name for kind in KINDS.values() for name in array_fields(kind))


def contents_of(path: str | Path, wanted: frozenset[str] = WANTED) -> Contents:
    """What a file holds that is to be a result.

    Args:
        wanted: names of arrays.

    Raises:
        ResultError: there is no such file, or it is no whole HDF5 file.
    """
    if Path(path).is_dir():
        raise ResultError(f"{path}: is a folder, expected an HDF5 file written by tetviz")
    if not Path(path).exists():
        raise ResultError(f"{path}: no such file; expected an HDF5 file written by tetviz")
    if Path(path).is_file() and not looks_like_hdf5(path) and zipfile.is_zipfile(path):
        raise ResultError(
            f"{path}: cannot be read as HDF5, expected a tetviz result; it looks like a checkpoint, measure it first"
        )
    return read_contents(path, wanted)


def result_of(contents: Contents, kind: type[R] = Result) -> R:  # type: ignore[assignment]
    """The result that a file holds; arguments and errors as of :func:`load`."""
    found = _kind(contents)
    if not issubclass(found, kind):
        raise ResultError(f"{contents.path}: holds a result of kind {found.kind!r}, expected {kind.kind!r}")
    return cast(R, _build(contents, found, contents.read(_arrays(contents, found))))


def _kind(contents: Contents) -> type[Result]:
    path, head = contents.path, contents.attributes
    if head.get("format") != FORMAT:
        raise ResultError(f"{path}: is an HDF5 file, but not a tetviz result (no attribute format={FORMAT!r})")
    version, kind = head.get("format_version"), head.get("kind")
    if type(version) is not int or version < 1 or not isinstance(kind, str):
        found = f"{reprlib.repr(version)} and {reprlib.repr(kind)}"
        raise ResultError(f"{path}: damaged, its attributes format_version and kind are {found}")
    if version > FORMAT_VERSION or kind not in KINDS:
        raise ResultError(
            f"{path}: holds a result of kind {reprlib.repr(kind)} in format version {version}; this tetviz reads "
            f"{', '.join(sorted(KINDS))} up to version {FORMAT_VERSION}: update tetviz"
        )
    return KINDS[kind]


def _arrays(contents: Contents, kind: type[Result]) -> list[str]:
    there = {*contents.places, *contents.texts, *contents.others}
    names = [name for name, schema in array_fields(kind).items() if not schema["optional"] or name in there]
    missing = [name for name in names if name not in contents.places]
    missing += [name for name in attribute_fields(kind) if name not in contents.attributes]
    missing += [] if contents.provenance is not None else ["provenance"]
    if missing:
        raise ResultError(
            f"{contents.path}: damaged, a file of kind {kind.kind} must hold {', '.join(missing)}; measure again"
        )
    return names


def _build(contents: Contents, kind: type[Result], arrays: dict[str, Any]) -> Result:
    types = get_type_hints(kind)
    try:
        attributes = {name: recovered(contents.attributes[name], types[name], name) for name in attribute_fields(kind)}
        origin = Provenance.from_texts(contents.provenance or {})
        return cast(Any, kind)(**arrays, **attributes, provenance=origin)  # type: ignore[no-any-return]
    except ValueError as error:
        raise ResultError(f"{contents.path}: damaged, it cannot be read ({error}); measure again") from error
