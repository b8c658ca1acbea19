"""How a result describes itself: array fields with dimensions and units, and its provenance."""

import dataclasses
import hashlib
import json
import math
import platform
import reprlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from importlib.metadata import entry_points, version
from typing import Any, ClassVar, get_origin, get_type_hints

import numpy as np
import numpy.typing as npt
import pandas as pd

import tetviz
from tetviz.results.plain import fits, read_json

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Settings = Mapping[str, Any]


def array(
    dims: tuple[str, ...],
    units: str,
    long_name: str,
    dtype: str = "float64",
    *,
    least: float = -math.inf,
    most: float = math.inf,
    rising: bool = False,
    first: int | None = None,
    optional: bool = False,
) -> Any:
    """Declares an array field of a result; the metadata is the schema of its HDF5 data set.

    Args:
        least: the smallest value that it may hold; NaN is none.
        most: the largest.
        rising: whether its values are finite and rise strictly, as those of an axis do.
        first: what its values count up from, one by one, as those of positions do.
        optional: whether older files lack it; it is None then.
    """
    metadata = {"dims": dims, "units": units, "long_name": long_name, "dtype": dtype, "optional": optional}
    metadata |= {"least": least, "most": most, "rising": rising, "first": first}
    return field(default=None, metadata=metadata) if optional else field(metadata=metadata)


def attribute(
    default: Any,
    *,
    among: tuple[str, ...] = (),
    least: float = -math.inf,
    most: float = math.inf,
    along: str = "",
) -> Any:
    """Declares a plain attribute of a result that may not have any value of its type.

    Args:
        among: the texts that it may be; any by default.
        least: the smallest number that it may be; NaN is none.
        most: the largest.
        along: the dimension that it has an entry for each position of.
    """
    return field(default=default, metadata={"among": among, "least": least, "most": most, "along": along})


# Settings that numbers and words are made of; the others are shown as they are.
_SETTINGS: dict[str, dict[str, Any]] = {
    "training": {
        **dict.fromkeys(("loss", "switch", "optimizer", "precision", "lr_schedule", "reg"), str),
        **dict.fromkeys(("seed", "batch_size"), int),
        **dict.fromkeys(("lamb", "phi", "lr", "weight_decay", "momentum", "val_fraction"), float),
        **dict.fromkeys(("rho", "decay", "delta", "reg_weight"), float),
        **dict.fromkeys(("stages", "augment"), list[str]),
    },
    "network": {"name": str, "width": float, "options": Mapping[str, Any]},
    "neurons": {"surrogate": str, "gamma": float},
}


def check_settings(what: str, settings: Settings) -> None:
    """Checks the types of the settings that numbers and words are made of.

    Args:
        what: ``training``, ``network`` or ``neurons``.

    Raises:
        ValueError: a setting is of another type.
    """
    for name, expected in _SETTINGS.get(what, {}).items():
        if name in settings and not fits(settings[name], expected):
            raise ValueError(f"{what}: {name} is {reprlib.repr(settings[name])}")


@dataclass(frozen=True)
class Provenance:
    """Where a result comes from; the attributes of the file's ``/provenance`` group.

    A field that does not apply is empty. ``request`` is the SHA-256 of everything that decides the numbers (checkpoint,
    data, samples, seed, grid, policies): a resumed run must have the same one. ``doctor`` holds (check, verdict,
    message) of what the network was examined for before the measurement. Settings are as the checkpoint records them;
    in a file they are JSON.
    """

    command: str = ""
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    tetviz_version: str = field(default_factory=lambda: tetviz.__version__)
    torch_version: str = field(default_factory=lambda: version("torch"))
    numpy_version: str = field(default_factory=lambda: np.__version__)
    python_version: str = field(default_factory=lambda: sys.version.split()[0])
    platform: str = field(default_factory=platform.platform)
    device: str = ""
    dtype: str = ""
    seed: str = ""
    checkpoint: str = ""
    checkpoint_sha256: str = ""
    label: str = ""
    dataset: str = ""
    data_settings: Settings = field(default_factory=dict)
    split: str = ""
    sample_order: str = ""
    batch_size: str = ""
    draws: str = ""
    network: Settings = field(default_factory=dict)
    training: Settings = field(default_factory=dict)
    neurons: Settings = field(default_factory=dict)
    doctor: tuple[tuple[str, str, str], ...] = ()
    request: str = ""

    def texts(self) -> dict[str, str]:
        """Each field as text: settings and lists as JSON, what is empty as nothing."""
        return {name: stored(value) if value else "" for name, value in dataclasses.asdict(self).items()}

    @classmethod
    def from_texts(cls, texts: Mapping[str, Any]) -> "Provenance":
        """The inverse of :meth:`texts`; what is missing is empty.

        Raises:
            ValueError: a value is no text, no JSON where it should be, or JSON of something else.
        """
        fields: dict[str, Any] = {}
        for name, kind in get_type_hints(cls).items():
            text = texts.get(name, "")
            empty = {str: "", tuple: "[]"}.get(get_origin(kind) or kind, "{}")
            fields[name] = recovered(text or empty, kind, f"provenance {name}")
            check_settings(name, fields[name])
        return cls(**fields)


@dataclass(frozen=True, eq=False)
class Result:
    """Base of every result: a frozen dataclass of NumPy arrays, a few plain attributes and a provenance."""

    kind: ClassVar[str]
    provenance: Provenance = field(default_factory=Provenance, kw_only=True)

    def __post_init__(self) -> None:
        """Checks that every array has the shape that its dimensions say, and every value the type and its limits."""
        fields, title = self.held(), type(self).__name__
        for name, schema in fields.items():
            object.__setattr__(self, name, _checked_array(f"{title}.{name}", getattr(self, name), schema))
        sizes = self.sizes()
        for name, schema in fields.items():
            shape, expected_shape = getattr(self, name).shape, tuple(sizes[dim] for dim in schema["dims"])
            if shape != expected_shape:
                raise ValueError(f"{title}.{name}: expected {expected_shape} over {schema['dims']}, got {shape}")
        types = get_type_hints(type(self))
        for each in dataclasses.fields(self):
            if "dims" not in each.metadata and each.name != "provenance":
                value = _checked_attribute(f"{title}.{each.name}", getattr(self, each.name), types[each.name], each)
                object.__setattr__(self, each.name, value)
                along = each.metadata.get("along")
                if along and len(value) != sizes[along]:
                    raise ValueError(f"{title}.{each.name}: expected {sizes[along]} entries, got {len(value)}")

    def held(self) -> dict[str, dict[str, Any]]:
        """The schema of the arrays that it has: all but those that an older file lacks."""
        fields = array_fields(type(self))
        return {name: schema for name, schema in fields.items() if getattr(self, name) is not None}

    def sizes(self) -> dict[str, int]:
        """Length of every dimension, read off the coordinates.

        Returns:
            Dimension name to length.
        """
        return {name: len(getattr(self, name)) for name, schema in self.held().items() if schema["dims"] == (name,)}

    @property
    def view(self) -> str:
        """The name of what shows it: its kind, unless results of the kind are shown in several ways."""
        return self.kind

    @property
    def of_training(self) -> bool:
        """Whether it is about a whole training, not about one checkpoint of it."""
        return False

    def begins(self, other: "Result") -> bool:
        """Whether another result holds all of this one, and perhaps more."""
        return False

    def digest(self) -> str:
        """SHA-256 of all that it holds, but for when it was made and by which command line.

        Returns:
            64 hexadecimal digits.
        """
        origin = {**self.provenance.texts(), "created": "", "command": ""}
        attributes = {name: stored(getattr(self, name)) for name in attribute_fields(type(self))}
        digest = hashlib.sha256(json.dumps([self.kind, origin, attributes], sort_keys=True).encode())
        for name in self.held():
            array = np.ascontiguousarray(getattr(self, name))
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()

    def progress(self) -> tuple[int, int]:
        """How much of it is measured.

        Returns:
            Points done, and points in all; 0 and 0 for a result that is measured in one go.
        """
        flags = [getattr(self, name) for name in array_fields(type(self)) if name.endswith("done")]
        return sum(int(flag.sum()) for flag in flags), sum(flag.size for flag in flags)

    @property
    def whole(self) -> bool:
        """Whether nothing is left to be measured."""
        done, total = self.progress()
        return done == total

    def _repr_html_(self) -> str:
        # What a notebook asks for. Whoever can draw results is an entry point, loaded then and no sooner.
        for entry in entry_points(group="tetviz.display"):
            return str(entry.load()(self))
        return self._listed_html()

    def _listed_html(self) -> str:
        arrays = [
            f"<li>{escape(name)} ({escape(', '.join(schema['dims']))}): {escape(schema['long_name'])} "
            f"[{escape(schema['units'])}]</li>"
            for name, schema in array_fields(type(self)).items()
        ]
        sizes = ", ".join(f"{name} {size}" for name, size in self.sizes().items())
        return f"<div>{escape(self.kind)}: {escape(sizes)}</div><ul>{''.join(arrays)}</ul>"

    def to_frame(self) -> pd.DataFrame:
        """The result as a table: one row for each element of the largest variable.

        Returns:
            A frame indexed by the coordinates of that variable, with a column for every variable that varies
            along some of them.
        """
        fields = self.held()
        dims = max((schema["dims"] for schema in fields.values()), key=len)
        shape = tuple(self.sizes()[dim] for dim in dims)
        index = pd.MultiIndex.from_product([getattr(self, dim) for dim in dims], names=dims)
        columns = {}
        for name, schema in fields.items():
            if name in dims or not set(schema["dims"]) <= set(dims):
                continue
            values = getattr(self, name)
            expanded = values.reshape([len(getattr(self, d)) if d in schema["dims"] else 1 for d in dims])
            columns[name] = np.broadcast_to(expanded, shape).ravel()
        frame = pd.DataFrame(columns, index=index)
        return frame if len(dims) > 1 else frame.set_axis(pd.Index(getattr(self, dims[0]), name=dims[0]))


def samples_at(timestep: IntArray, sample: IntArray, length: IntArray | None) -> IntArray:
    """How many samples have each step, where a sample has so many steps as its length says, else all."""
    ends = np.full(len(sample), len(timestep)) if length is None else length
    return np.asarray((ends >= timestep[:, None]).sum(1))


def named(
    frame: pd.DataFrame, level: str, columns: Mapping[str, Sequence[str]], samples: int | None = None
) -> pd.DataFrame:
    """A table of a result with the names of its layers or blocks, and how many samples it is of.

    Args:
        samples: how many samples the values are of; None where they are of none.
    """
    places = frame.index.get_level_values(level).to_numpy()
    front = {name: np.array(texts, dtype=object)[places] for name, texts in columns.items()}
    head = pd.DataFrame({**front, **({} if samples is None else {"samples": samples})}, index=frame.index)
    return pd.concat([head, frame], axis=1)


def _checked_array(name: str, given: Any, schema: Mapping[str, Any]) -> npt.NDArray[Any]:
    given = np.asarray(given)
    if given.dtype.kind not in "biuf":
        raise ValueError(f"{name}: expected numbers, got {given.dtype}")
    with np.errstate(invalid="ignore", over="ignore"):
        values: npt.NDArray[Any] = given.astype(schema["dtype"], copy=False)
    same = np.array_equal(values, given, equal_nan=values.dtype.kind == "f")
    if not same or values.ndim != len(schema["dims"]):
        expected = f"{schema['dtype']} over {schema['dims']}"
        raise ValueError(f"{name}: expected {expected}, got {given.shape} of {given.dtype}")
    outside = values[(values < schema["least"]) | (values > schema["most"])]
    if len(outside):
        raise ValueError(f"{name}: expected values from {schema['least']} to {schema['most']}, got {outside[0]}")
    if schema["rising"] and not (np.isfinite(values).all() and (np.diff(values) > 0).all()):
        raise ValueError(f"{name}: expected values that are finite and rise")
    first = schema["first"]
    if first is not None and not np.array_equal(values, np.arange(first, first + len(values))):
        raise ValueError(f"{name}: expected {first}, {first + 1}, {first + 2} and so on")
    return values


def _checked_attribute(name: str, value: Any, kind: Any, declared: "dataclasses.Field[Any]") -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    limits = declared.metadata
    if not fits(value, kind):
        raise ValueError(f"{name}: expected {getattr(kind, '__name__', kind)}, got {reprlib.repr(value)}")
    if limits.get("among") and value not in limits["among"]:
        raise ValueError(f"{name}: expected one of {', '.join(limits['among'])}, got {reprlib.repr(value)}")
    if limits and isinstance(value, int | float) and (value < limits["least"] or value > limits["most"]):
        raise ValueError(f"{name}: expected a number from {limits['least']} to {limits['most']}, got {value}")
    return float(value) if kind is float else value


def array_fields(kind: type[Result]) -> dict[str, dict[str, Any]]:
    """The schema of a result type."""
    return {f.name: dict(f.metadata) for f in dataclasses.fields(kind) if "dims" in f.metadata}


def stored(value: Any) -> Any:
    """A plain attribute as a file holds it: lists and settings as JSON, text and numbers as they are."""
    return json.dumps(value, default=str) if isinstance(value, tuple | Mapping) else value


def recovered(value: Any, kind: Any, name: str) -> Any:
    """The inverse of :func:`stored`.

    Args:
        value: of a file.
        kind: type of the field.
        name: of the field, for messages.

    Raises:
        ValueError: it is of another type, or no JSON of a list or of settings where these are expected.
    """
    if get_origin(kind) is not None and isinstance(value, str):
        value = _tuples(read_json(value, name)) if get_origin(kind) is tuple else read_json(value, name)
    if not fits(value, kind):
        raise ValueError(f"{name} is {reprlib.repr(value)}, expected {getattr(kind, '__name__', kind)}")
    return value


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def attribute_fields(kind: type[Result]) -> list[str]:
    """The plain attributes of a result type."""
    return [f.name for f in dataclasses.fields(kind) if "dims" not in f.metadata and f.name != "provenance"]
