"""What a result file holds, found without opening it with libhdf5, which may loop on a damaged file.

A file of tetviz ends in a description of itself, behind the end of its HDF5 part, with a checksum of everything but the
numbers in its arrays. Where the checksum holds, the description is true, and the arrays are read from their places. Any
other file is described by a process of its own, which gets so much time and memory and no more.
"""

import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from tetviz.errors import ResultError
from tetviz.results import hdf5_reader
from tetviz.results.hdf5_process import READER

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MARK = b"tetviz-described"
_TAIL = 32 + 8 + len(MARK)  # SHA-256, length of the description, mark
_MOST_DESCRIPTION = 64 * hdf5_reader.MIB
_NUMBER = re.compile(r"[<>|=][fiub][1248]")

# How long the process may take that describes a file, and how much it may unpack.
SECONDS, SECONDS_PER_MIB = 10.0, 0.1
MOST_UNPACKED, UNPACKED_PER_BYTE = 64 * hdf5_reader.MIB, 100
_BLOCK = 2**20
_LEAST = 96  # bytes of a superblock

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Place:
    """Where an array is stored.

    Attributes:
        dtype: type of its elements.
        shape: its shape.
        offset: its first byte in the file; None where it is not stored in one piece.
        packed: its bytes, where it is not.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int | None
    packed: bytes = b""

    @property
    def size(self) -> int:
        """Bytes."""
        return self.dtype.itemsize * math.prod(self.shape)


@dataclass(frozen=True)
class Contents:
    """What an HDF5 file holds.

    Attributes:
        path: of the file.
        attributes: of the root; None for what is no text and no number.
        provenance: attributes of the group of that name; None without one.
        places: of the arrays of numbers.
        texts: data sets that are one text.
        others: names of what else there is.
    """

    path: Path
    attributes: Mapping[str, Any]
    provenance: Mapping[str, Any] | None
    places: Mapping[str, Place]
    texts: Mapping[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()

    def read(self, names: list[str]) -> dict[str, Array]:
        """Reads arrays, once their sizes are known to be those of the file.

        Raises:
            ResultError: an array is not there, or larger than the file.
        """
        with open_regular(self.path) as file:
            left, arrays = os.fstat(file.fileno()).st_size, {}
            for name in names:
                place = self.places[name]
                left -= 0 if place.packed else place.size
                if left < 0 or (place.offset is None and len(place.packed) != place.size):
                    raise ResultError(
                        f"{self.path}: damaged, its array {name} is said to be of shape {place.shape}, more than the "
                        "file holds; measure again"
                    )
                arrays[name] = _array(file, place)
                if arrays[name].shape != place.shape:
                    raise ResultError(f"{self.path}: damaged, cut short: its array {name} is not whole; measure again")
        return arrays


def _array(file: BinaryIO, place: Place) -> Array:
    if not place.size or place.offset is None:
        return np.frombuffer(place.packed, place.dtype).reshape(place.shape).copy()
    file.seek(place.offset)
    found: Array = np.fromfile(file, place.dtype, math.prod(place.shape))
    return found.reshape(place.shape) if found.nbytes == place.size else found


def open_regular(path: str | Path) -> BinaryIO:
    """Opens a file for reading; neither waits for a pipe nor reads a device, which are no files.

    Raises:
        OSError: it cannot be opened, or is none.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "is no regular file", str(path))
    return open(descriptor, "rb")  # noqa: PTH123 (a descriptor)


def digest_of(path: str | Path) -> str:
    """SHA-256 of a file, as long as it is when it is opened: 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        _hash(file, 0, os.fstat(file.fileno()).st_size, digest)
    return digest.hexdigest()


def looks_like_hdf5(path: str | Path) -> bool:
    """Whether a file is HDF5, by its first bytes, or those behind a block of a user's."""
    try:
        with open_regular(path) as file:
            return _start(file) is not None
    except OSError:
        return False


def _start(file: BinaryIO) -> int | None:
    # Where the HDF5 part begins: at the beginning of the file, or behind 512 bytes, 1024, 2048 ...
    size, start = os.fstat(file.fileno()).st_size, 0
    while start < size:
        file.seek(start)
        if file.read(len(SIGNATURE)) == SIGNATURE:
            return start
        start = max(512, 2 * start)
    return None


def _declared_end(file: BinaryIO, start: int) -> int:
    # HDF5 File Format Specification 3.0, II.A: versions 0 and 1 of the superblock, and 2 and 3.
    file.seek(start)
    head = file.read(64)
    if head[8] < 2:
        at, width = 24 + 4 * head[8], head[13]
        at += 2 * width
    else:
        at, width = 12 + 2 * head[9], head[9]
    return int.from_bytes(head[at : at + width], "little")


def described(image: bytes, description: Mapping[str, Any]) -> bytes:
    """An HDF5 file with its description behind it."""
    kept = {name: description[name] for name in ("attributes", "provenance", "arrays")}
    text = json.dumps(kept).encode()
    digest = hashlib.sha256()
    for start, stop in _between(kept["arrays"], len(image)):
        digest.update(image[start:stop])
    digest.update(text)
    return b"".join([image, text, digest.digest(), len(text).to_bytes(8, "little"), MARK])


def read_contents(path: str | Path, wanted: frozenset[str]) -> Contents:
    """Finds out what an HDF5 file holds.

    Args:
        path: the file.
        wanted: names of arrays that are read where they are not stored in one piece.

    Raises:
        ResultError: the file is none, not HDF5, damaged, or takes too long.
    """
    path = Path(path)
    try:
        with open_regular(path) as file:
            start, size = _start(file), os.fstat(file.fileno()).st_size
            if start is None or size < start + _LEAST or _declared_end(file, start) > size:
                raise ResultError(f"{path}: cannot be read as HDF5, expected a tetviz result; is it whole?")
            found = _own_description(file)
        packed = b""
        if found is None:
            found, packed = _foreign_description(path, size, wanted)
    except OSError as error:
        raise ResultError(f"{path}: cannot be read ({error.strerror or error})") from error
    try:
        return Contents(
            path,
            dict(found["attributes"]),
            found["provenance"] if found["provenance"] is None else dict(found["provenance"]),
            dict(_places(found["arrays"], packed)),
            found.get("texts", {}),
            tuple(found.get("others", ())),
        )
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ResultError(f"{path}: damaged, its description cannot be used ({error}); measure again") from error


def _own_description(file: BinaryIO) -> Any:
    # None where there is none that is true.
    size = os.fstat(file.fileno()).st_size
    file.seek(max(0, size - _TAIL))
    tail = file.read(_TAIL)
    length = int.from_bytes(tail[32:40], "little")
    end = size - _TAIL - length
    if len(tail) < _TAIL or not tail.endswith(MARK) or length > _MOST_DESCRIPTION or end < 0:
        return None
    file.seek(end)
    text = file.read(length)
    try:
        found = json.loads(text)
        pieces = list(_between(found["arrays"], end))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    digest = hashlib.sha256()
    for start, stop in pieces:
        _hash(file, start, stop, digest)
    digest.update(text)
    return found if digest.digest() == tail[:32] else None


def _hash(file: BinaryIO, start: int, end: int, digest: Any) -> None:
    file.seek(start)
    while start < end and (block := file.read(min(_BLOCK, end - start))):
        digest.update(block)
        start += len(block)


def _between(arrays: Mapping[str, Any], end: int) -> Iterator[tuple[int, int]]:
    # All but the numbers of the arrays, which change while points are measured.
    places, at = [place for _, place in _places(arrays, b"")], 0
    for start, stop in sorted((each.offset, each.offset + each.size) for each in places if each.offset is not None):
        yield at, min(start, end)
        at = max(at, stop)
    yield at, end


def _places(arrays: Mapping[str, Any], packed: bytes) -> Iterator[tuple[str, Place]]:
    at = 0
    for name, array in arrays.items():
        dtype, shape, offset = array["dtype"], tuple(array["shape"]), array["offset"]
        whole = [*shape, *([] if offset is None else [offset])]
        if not _NUMBER.fullmatch(dtype) or not all(type(each) is int and 0 <= each < 2**62 for each in whole):
            raise ValueError(f"array {name} is {dtype} of shape {shape} at {offset}")
        size = array.get("size", 0)
        yield name, Place(np.dtype(dtype), shape, offset, packed[at : at + size])
        at += size


def check_foreign(path: str | Path) -> None:
    """Checks that all of an HDF5 file of another layout can be read, in a process of its own, which reads all of it.

    Raises:
        OSError: there is no such file, or it is no regular one.
        ValueError: it cannot be read, leads out of itself, or takes too long or too much memory.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
    found, _ = _ask(Path(path), size, None)
    if "error" in found:
        raise ValueError(found["error"])


def _ask(path: Path, size: int, wanted: frozenset[str] | None) -> tuple[Any, bytes]:
    seconds = SECONDS + SECONDS_PER_MIB * size / hdf5_reader.MIB
    most = MOST_UNPACKED + UNPACKED_PER_BYTE * size
    names = None if wanted is None else sorted(wanted)
    request = {"path": str(path.absolute()), "wanted": names, "most": most, "seconds": math.ceil(seconds)}
    return READER.ask(request, seconds)


def _foreign_description(path: Path, size: int, wanted: frozenset[str]) -> tuple[Any, bytes]:
    found, packed = _ask(path, size, wanted)
    if "error" in found:
        raise ResultError(f"{path}: cannot be read as HDF5, cut short or damaged ({found['error']}); measure again")
    return found, packed
