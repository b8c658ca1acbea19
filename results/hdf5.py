"""Results in HDF5 files that are also valid netCDF-4 (see docs/file-format.md); the only user of h5py.

Every array is stored contiguously, so it has a fixed place in the file. A long run creates its file once and
then writes points straight into those places: HDF5 metadata never changes, so a run killed at any moment
leaves a file that opens.
"""

import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import h5py
import numpy as np

from tetviz.errors import OutputError, ResultError
from tetviz.results.kinds import KINDS
from tetviz.results.schema import Provenance, Result, array_fields, attribute_fields

FORMAT = "tetviz-result"
FORMAT_VERSION = 1

R = TypeVar("R", bound=Result)


def writable_target(path: str | Path, force: bool) -> Path:
    """Checks, before any work is done, that an output may be written.

    Args:
        path: the file to be written.
        force: whether an existing file may be replaced.

    Returns:
        The path.

    Raises:
        OutputError: the file exists and ``force`` is off, or its folder is missing or not writable.
    """
    path = Path(path)
    if path.is_dir():
        raise OutputError(f"{path}: is a folder, expected a file name to write to")
    if path.exists() and not force:
        raise OutputError(f"{path}: exists already; choose another name with -o, or replace it with --force")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: the folder {path.parent} does not exist; create it first")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"{path}: the folder {path.parent} is not writable; choose another with -o")
    return path


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
    partial = path.with_name(f".{path.name}.partial")
    try:
        with h5py.File(partial, "w") as file:
            _write(file, result)
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        partial.unlink(missing_ok=True)
    return path


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
        return cast(R, _build(path, file, found, {name: file[name][...] for name in _arrays(path, file, found)}))


@contextmanager
def open_result(path: str | Path) -> Iterator[Result]:
    """Opens a result for writing in place: assigning to its arrays changes the file.

    Args:
        path: an HDF5 file written by :func:`save`.

    Yields:
        The result, its arrays mapped onto the file.

    Raises:
        OutputError: the file cannot be opened for writing.
    """
    with _open(path) as file:
        found = _kind(path, file)
        places = {n: (file[n].dtype, file[n].shape, file[n].id.get_offset()) for n in _arrays(path, file, found)}
        try:
            arrays: dict[str, Any] = {
                name: np.memmap(path, dtype, "r+", offset, shape) for name, (dtype, shape, offset) in places.items()
            }
        except OSError as error:
            raise OutputError(f"{path}: cannot be written ({error.strerror})") from error
        result = _build(path, file, found, arrays)
    yield result
    for values in arrays.values():
        values.flush()


def _write(file: h5py.File, result: Result) -> None:
    fields = array_fields(type(result))
    file.attrs.update(format=FORMAT, format_version=FORMAT_VERSION, kind=result.kind, Conventions="CF-1.11")
    for name in attribute_fields(type(result)):
        file.attrs[name] = getattr(result, name)
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
    provenance.attrs.update(dataclasses.asdict(cast(Any, result).provenance))


@contextmanager
def _open(path: str | Path) -> Iterator[h5py.File]:
    if not Path(path).is_file():
        raise ResultError(f"{path}: no such file; expected an HDF5 file written by tetviz")
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except (OSError, RuntimeError) as error:
        raise ResultError(f"{path}: cannot be read as HDF5; is it a tetviz result, and whole?") from error


def _kind(path: str | Path, file: h5py.File) -> type[Result]:
    if file.attrs.get("format") != FORMAT:
        raise ResultError(f"{path}: is an HDF5 file, but not a tetviz result (no attribute format={FORMAT!r})")
    version, kind = file.attrs.get("format_version", 0), file.attrs.get("kind")
    if version > FORMAT_VERSION or kind not in KINDS:
        raise ResultError(
            f"{path}: holds a result of kind {kind!r} in format version {version}; this tetviz reads "
            f"{', '.join(sorted(KINDS))} up to version {FORMAT_VERSION}: update tetviz"
        )
    return KINDS[kind]


def _arrays(path: str | Path, file: h5py.File, kind: type[Result]) -> list[str]:
    present = {*file.keys(), *file.attrs.keys()}
    missing = [n for n in (*array_fields(kind), *attribute_fields(kind), "provenance") if n not in present]
    if missing:
        raise ResultError(f"{path}: damaged, a {kind.kind} file must hold {', '.join(missing)}; measure again")
    return list(array_fields(kind))


def _build(path: str | Path, file: h5py.File, kind: type[Result], arrays: dict[str, Any]) -> Result:
    attributes = {name: _plain(file.attrs[name]) for name in attribute_fields(kind)}
    known = {f.name for f in dataclasses.fields(Provenance)}
    recorded = {name: _plain(value) for name, value in file["provenance"].attrs.items() if name in known}
    try:
        return cast(Any, kind)(**arrays, **attributes, provenance=Provenance(**recorded))  # type: ignore[no-any-return]
    except (TypeError, ValueError) as error:
        raise ResultError(f"{path}: damaged, its arrays do not fit each other ({error}); measure again") from error


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
