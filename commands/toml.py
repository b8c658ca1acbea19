"""TOML files of users: options of commands, plans of studies."""

import tomllib
from pathlib import Path
from typing import Any

from tetviz.errors import TetvizError, reading


def read_toml(path: Path, kind: type[TetvizError]) -> dict[str, Any]:
    """What a file says.

    Raises:
        kind: it cannot be read, or is no TOML.
    """
    with reading(path, kind, "cannot be read as TOML", "mend it"):
        if path.exists() and not path.is_file():
            raise kind(f"{path}: is no file of TOML")  # a pipe would keep a command waiting, a device has no end
        return tomllib.loads(path.read_text(encoding="utf-8"))
