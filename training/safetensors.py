"""Files of safetensors: a length, a JSON table of names, types, shapes and places, then bytes; no code is in them."""

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tetviz.errors import CheckpointError, reading
from tetviz.results.plain import fits

LONGEST_HEADER = 100_000_000  # as in the format's own library
_KINDS = {
    **{"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "BOOL": torch.bool},
    **{"I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8},
}


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as the format does, whatever it is called."""
    with path.open("rb") as file:
        start = file.read(9)
    return start[8:] == b"{" and int.from_bytes(start[:8], "little") <= min(LONGEST_HEADER, path.stat().st_size - 8)


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Reads the tensors of a file.

    Raises:
        CheckpointError: the file is cut short, or its table is not one of tensors.
    """
    with reading(path, CheckpointError, "damaged, its table of tensors cannot be read", "copy it again"):
        content = path.read_bytes()
        length = int.from_bytes(content[:8], "little")
        table = json.loads(content[8 : 8 + length])
    data = bytearray(content[8 + length :])
    return {name: _tensor(path, name, entry, data) for name, entry in table.items() if name != "__metadata__"}


def _tensor(path: Path, name: str, entry: Any, data: bytearray) -> Tensor:
    with reading(path, CheckpointError, f"damaged or of a newer format, {name!r} has no place in it", "copy it again"):
        kind, shape, (start, end) = _KINDS[entry["dtype"]], entry["shape"], entry["data_offsets"]
        whole = fits(shape, list[int]) and min(shape, default=0) >= 0 and fits([start, end], list[int])
        if not whole or not 0 <= start <= end <= len(data) or end - start != math.prod(shape) * kind.itemsize:
            raise ValueError("its bytes are not all there")
        if start == end:
            return torch.zeros(shape, dtype=kind)
        held = torch.frombuffer(data, dtype=torch.uint8, count=end - start, offset=start)
        return held.clone().view(kind).reshape(shape)
