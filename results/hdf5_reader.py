"""What an HDF5 file holds, in plain words: names, types, places in the file. Run as a process of its own.

libhdf5 may loop for ever on a damaged file, and takes all the memory that a hostile one asks for. So no file is opened
with it in the process that wants to know; this one may be given up (see :mod:`tetviz.results.contents`). It follows no
link, opens no other file, and loads no filter that does not come with libhdf5. Needs nothing but h5py and NumPy.
"""

import json
import os
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

import h5py
import numpy as np

if sys.platform != "win32":
    import resource

MIB = 2**20
MOST_MEMBERS = 10_000
MOST_ATTRIBUTE = 16 * MIB  # bytes
_PARSED = 256 * MIB  # memory beside the arrays
_NUMBERS = "fiub"

# What h5py raises of damaged files.
DAMAGED = (OSError, RuntimeError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError, MemoryError)


def describe(file: h5py.File) -> dict[str, Any]:
    """What a file holds.

    Returns:
        ``attributes`` of the root, ``provenance``: those of that group or None, ``arrays``: of each data set its
        ``dtype``, ``shape``, and ``offset`` in the file, None where it is not stored in one piece, ``texts``: the data
        sets that are one text, and ``others``: the names of all else.
    """
    if len(file) > MOST_MEMBERS:
        raise ValueError(f"it has {len(file)} members")
    found: dict[str, Any] = {"attributes": _attributes(file), "provenance": None, "arrays": {}, "texts": {}}
    others = []
    for name in file:
        node = file[name] if isinstance(file.get(name, getlink=True), h5py.HardLink) else None
        if isinstance(node, h5py.Group) and name == "provenance":
            found["provenance"] = _attributes(node)
        elif isinstance(node, h5py.Dataset) and node.shape == () and h5py.check_string_dtype(node.dtype):
            found["texts"][name] = _plain(node[()])
        elif isinstance(node, h5py.Dataset) and node.dtype.kind in _NUMBERS and _is_inside(node):
            found["arrays"][name] = {"dtype": node.dtype.str, "shape": node.shape, "offset": node.id.get_offset()}
        else:
            others.append(name)
    return {**found, "others": others}


def _is_inside(data: h5py.Dataset) -> bool:
    # Neither in files beside it, nor put together of other data sets.
    return data.shape is not None and not data.external and not data.is_virtual


def _attributes(node: Any) -> dict[str, Any]:
    if len(node.attrs) > MOST_MEMBERS:
        raise ValueError(f"it has {len(node.attrs)} attributes")
    return {name: _plain(node.attrs[name]) for name in node.attrs if _is_small(node.attrs.get_id(name), name)}


def _is_small(attribute: Any, name: str) -> bool:
    if attribute.get_storage_size() > MOST_ATTRIBUTE:
        raise ValueError(f"its attribute {name} takes {attribute.get_storage_size()} bytes")
    return True


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, np.generic | np.ndarray) and value.dtype.kind in _NUMBERS:
        return value.tolist()
    return None if not isinstance(value, np.ndarray) else []  # nothing that a tetviz file holds


def allow_memory(more: int) -> None:
    """Lets this process take so many bytes more than it has."""
    if sys.platform == "linux":
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 (a script)
            size = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + more, size + more))


def _blocks(file: h5py.File, arrays: dict[str, Any], wanted: set[str], most: int) -> Iterator[Any]:
    for name, array in arrays.items():
        if array["offset"] is None and name in wanted:
            data = file[name]
            declared, most = data.nbytes, most - data.nbytes
            if most < 0:
                raise ValueError(f"its array {name} of shape {data.shape} is larger than the file can hold")
            array["size"] = declared
            yield np.ascontiguousarray(data[...]).data


def read_all(file: h5py.File, most: int) -> None:
    """Reads all that a file holds, piece by piece, so that whoever reads it after that comes to an end.

    Args:
        file: of any layout, without links to other files.
        most: bytes that a data set may take.
    """
    waiting: list[Any] = [file]
    met = {_address(file)}
    while waiting:
        node = waiting.pop()
        _attributes(node)
        if isinstance(node, h5py.Group):
            inside = [each for each in _members(node) if _address(each) not in met]
            met.update(map(_address, inside))
            waiting += inside
        elif isinstance(node, h5py.Dataset):
            if node.shape is not None and (not _is_inside(node) or node.nbytes > most):
                raise ValueError(f"its {node.name} of shape {node.shape} is kept elsewhere or larger than the file")
            node[()]


def _members(group: h5py.Group) -> list[Any]:
    if len(group) > MOST_MEMBERS:
        raise ValueError(f"its {group.name} has {len(group)} members")
    links = {name: group.get(name, getlink=True) for name in group}
    leading_out = [name for name, link in links.items() if isinstance(link, h5py.ExternalLink)]
    if leading_out:
        raise ValueError(f"its {leading_out[0]} leads to another file")
    return [group[name] for name, link in links.items() if isinstance(link, h5py.HardLink)]


def _address(node: Any) -> int:
    return int(h5py.h5o.get_info(node.id).addr)


def answer(path: str, wanted: set[str] | None, most: int) -> list[Any]:
    """A description as a line of JSON, and behind it the arrays that are not stored in one piece.

    Args:
        path: the file.
        wanted: names of arrays; None reads all there is and says nothing of it.
        most: bytes that these may take.
    """
    blocks: list[Any] = []
    try:
        with h5py.File(path, "r", locking=False) as file:
            if wanted is None:
                read_all(file, most)
                found: dict[str, Any] = {"arrays": {}}
            else:
                found = describe(file)
                blocks += _blocks(file, found["arrays"], wanted, most)
    except DAMAGED as error:
        found, blocks = {"error": next(iter(str(error).splitlines()), "") or type(error).__name__}, []
    return [json.dumps(found).encode() + b"\n", *blocks]


def _answer_within(request: dict[str, Any], out: BinaryIO) -> int:
    # In a process of its own, so that what one file does to libhdf5 does nothing to the next; how it ended.
    wanted = None if request["wanted"] is None else set(request["wanted"])
    if not hasattr(os, "fork"):
        out.writelines(answer(request["path"], wanted, request["most"]))
        return 0
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (request["seconds"], request["seconds"]))
    allow_memory(_PARSED + 2 * request["most"])
    out.writelines(answer(request["path"], wanted, request["most"]))
    out.flush()
    os._exit(0)  # what libhdf5 has not given back is no concern of anybody


def serve(requests: BinaryIO, out: BinaryIO) -> None:
    """Answers a request a line, each followed by a line that says how the process ended that answered it."""
    for line in requests:
        ended = _answer_within(json.loads(line), out)
        out.write(f"{ended}\n".encode())
        out.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
