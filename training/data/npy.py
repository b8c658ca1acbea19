"""Arrays of .npy and .npz files, without pickles, and none larger than the file can hold."""

import math
import os
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from tetviz.errors import DataError, reading
from tetviz.results.contents import open_regular

Array = npt.NDArray[Any]

# What a packed array may be at most, beside so many times its packed size.
MOST_UNPACKED, UNPACKED_PER_BYTE = 64 * 2**20, 200


def read_npy(path: str | Path, trouble: str, cure: str) -> Array:
    """Reads the array of an .npy file.

    Args:
        trouble: what is the matter with a file that cannot be read, for the message.
        cure: what to do about it.

    Raises:
        DataError: the file is missing, damaged, holds pickles, or is smaller than it says.
    """
    with reading(path, DataError, trouble, cure), open_regular(path) as file:
        _check_declared(file, os.fstat(file.fileno()).st_size)
        file.seek(0)
        return np.lib.format.read_array(file, allow_pickle=False)


def read_npz(path: str | Path, names: Collection[str], trouble: str, cure: str) -> dict[str, Array]:
    """Reads arrays of an .npz file by name; those that are not there are left out.

    Args:
        trouble: what is the matter with a file that cannot be read, for the message.
        cure: what to do about it.

    Raises:
        DataError: as of :func:`read_npy`.
    """
    with reading(path, DataError, trouble, cure), open_regular(path) as file, zipfile.ZipFile(file) as archive:
        members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        return {name: _unpacked(archive, members[name]) for name in names if name in members}


def names_in(path: str | Path, trouble: str, cure: str) -> list[str]:
    """The names of the arrays of an .npz file; arguments and errors as of :func:`read_npz`."""
    with reading(path, DataError, trouble, cure), open_regular(path) as file, zipfile.ZipFile(file) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def is_single(path: str | Path, trouble: str, cure: str) -> bool:
    """Whether a file holds a single array, as .npy files do; arguments and errors as of :func:`read_npz`."""
    with reading(path, DataError, trouble, cure), open_regular(path) as file:
        return file.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    most = MOST_UNPACKED + UNPACKED_PER_BYTE * member.compress_size
    if member.file_size > most:
        raise ValueError(f"{member.filename} is said to unpack {member.compress_size} to {member.file_size} bytes")
    with archive.open(member) as stream:
        _check_declared(cast(BinaryIO, stream), member.file_size)
    with archive.open(member) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _check_declared(stream: BinaryIO, size: int) -> None:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    if math.prod(shape) * dtype.itemsize > size:
        raise ValueError(f"it is said to hold an array {shape} of {dtype}, and has {size} bytes")
