"""Results in HDF5 files that are also valid netCDF-4 (see docs/file-format.md); the only user of h5py.

Every array is stored contiguously, so it has a fixed place in the file. A long run creates its file once and
then writes points straight into those places: HDF5 metadata never changes, so a run killed at any moment
leaves a file that opens.
"""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast, get_type_hints

import h5py
import numpy as np

from tetviz.errors import OutputError, ResultError
from tetviz.results.files import replacing, writable_target
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
    path = writable_target(path, force)
    with replacing(path) as partial, h5py.File(partial, "w") as file:
        _write(file, result)
    return path


def looks_like_result(path: str | Path) -> bool:
    """Whether a file is HDF5, by its content, or by its name if there is no such file.

    Args:
        path: any path.

    Returns:
        True for HDF5.
    """
    return h5py.is_hdf5(path) if Path(path).is_file() else Path(path).suffix in (".h5", ".hdf5", ".nc")


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
    with _open(path) as file:
        found = _kind(path, file)
        if not issubclass(found, kind):
            raise ResultError(f"{path}: holds a result of kind {found.kind!r}, expected {kind.kind!r}")
        arrays = {name: file[name][...] for name in _arrays(path, file, found)}
        return cast(R, _build(file, found, arrays))


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
    with _open(path) as file:
        found = _kind(path, file)
        names = _arrays(path, file, found)
        places = {name: (file[name].dtype, file[name].shape, file[name].id.get_offset()) for name in names}
        # An empty array has no place, and nothing to write.
        empty = {name: np.empty(shape, dtype) for name, (dtype, shape, _) in places.items() if 0 in shape}
        places = {name: place for name, place in places.items() if name not in empty}
        moved = [n for n, (dtype, _, at) in places.items() if at is None or dtype != array_fields(found)[n]["dtype"]]
        if moved:
            raise ResultError(
                f"{path}: {', '.join(moved)} cannot be written in place, another program has changed their layout; "
                "start a new file with -o"
            )
        try:
            mapped: dict[str, Any] = {n: np.memmap(path, d, "r+", at, shape) for n, (d, shape, at) in places.items()}
        except OSError as error:
            raise OutputError(f"{path}: cannot be written ({error.strerror})") from error
        result = _build(file, found, mapped | empty)
    yield result
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


@contextmanager
def _open(path: str | Path) -> Iterator[h5py.File]:
    if not Path(path).is_file():
        raise ResultError(f"{path}: no such file; expected an HDF5 file written by tetviz")
    try:
        file = h5py.File(path, "r", locking=False)
    except OSError as error:
        hint = "it looks like a checkpoint, measure it first" if zipfile.is_zipfile(path) else "is it whole?"
        raise ResultError(f"{path}: cannot be read as HDF5, expected a tetviz result; {hint}") from error
    try:
        with file:
            yield file
    except (OSError, RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise ResultError(f"{path}: damaged, it cannot be read ({error}); measure again") from error


def _kind(path: str | Path, file: h5py.File) -> type[Result]:
    head = {name: _plain(file.attrs.get(name)) for name in ("format", "format_version", "kind")}
    if not isinstance(head["format"], str) or head["format"] != FORMAT:
        raise ResultError(f"{path}: is an HDF5 file, but not a tetviz result (no attribute format={FORMAT!r})")
    version, kind = head["format_version"], head["kind"]
    if not isinstance(version, int) or version < 1 or not isinstance(kind, str):
        raise ResultError(f"{path}: damaged, its attributes format_version and kind are {version!r} and {kind!r}")
    if version > FORMAT_VERSION or kind not in KINDS:
        raise ResultError(
            f"{path}: holds a result of kind {kind!r} in format version {version}; this tetviz reads "
            f"{', '.join(sorted(KINDS))} up to version {FORMAT_VERSION}: update tetviz"
        )
    return KINDS[kind]


def _arrays(path: str | Path, file: h5py.File, kind: type[Result]) -> list[str]:
    fields = array_fields(kind)
    names = [name for name, schema in fields.items() if not schema["optional"] or name in file]
    missing = [name for name in names if not isinstance(file.get(name), h5py.Dataset)]
    missing += [name for name in attribute_fields(kind) if name not in file.attrs]
    missing += [] if isinstance(file.get("provenance"), h5py.Group) else ["provenance"]
    if missing:
        raise ResultError(f"{path}: damaged, a file of kind {kind.kind} must hold {', '.join(missing)}; measure again")
    return names


def _build(file: h5py.File, kind: type[Result], arrays: dict[str, Any]) -> Result:
    types = get_type_hints(kind)
    attributes = {name: recovered(_plain(file.attrs[name]), types[name]) for name in attribute_fields(kind)}
    recorded = {name: _plain(text) for name, text in file["provenance"].attrs.items()}
    return cast(Any, kind)(**arrays, **attributes, provenance=Provenance.from_texts(recorded))  # type: ignore[no-any-return]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
