"""Checkpoints: a network's weights, how it was trained, on what, and how that went; the only torch.load and torch.save.

A checkpoint is a dictionary of plain values and tensors, so it loads with ``weights_only=True`` and runs no code. That
of a foreign network names a function that builds it, which runs when the network is asked for, and trusted, alone.
"""

import argparse
import dataclasses
import io
import pickle
import re
import reprlib
import sys
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import torch
from torch import Tensor

from tetviz.errors import UNREADABLE, CheckpointError, reason
from tetviz.models import ForeignNetwork, ForeignSpec, GraphSpec, ModelSpec, SpikingNetwork, build
from tetviz.models.graph import GraphNetwork
from tetviz.results import looks_like_result, write_whole
from tetviz.results.contents import digest_of
from tetviz.results.plain import MOST_TIMESTEPS, check_plain, fits
from tetviz.results.schema import check_settings
from tetviz.training.data.dataset import DataSpec
from tetviz.training.factory import build_foreign
from tetviz.training.safetensors import is_safetensors, read_safetensors
from tetviz.training.weights import find_state_dict, listed

FORMAT = "tetviz-checkpoint"
FORMAT_VERSION = 1
_PRECISIONS = (torch.float32, torch.float64)  # of weights that networks run in

# Classes that other people's files may hold beside tensors, and that run no code: settings, and numbers of numpy.
_HARMLESS: list[Any] = [
    argparse.Namespace,
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?")),
    *((np.float64().__reduce__()[0], f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
]


@dataclass(frozen=True)
class Checkpoint:
    """A trained network.

    Attributes:
        spec: what builds the network.
        state: its state_dict.
        timesteps: T that it was trained for last.
        training: settings of the run, plain values.
        data: the data set, as ``DataSpec.to_dict()`` gives it.
        history: one dictionary for each epoch; losses in nats, accuracies as fractions.
        epoch: the epoch, from 1, whose weights these are; 0 before training.
        resume: what a run needs to go on, in checkpoints of the last epoch.
    """

    spec: ModelSpec | GraphSpec | ForeignSpec
    state: dict[str, Tensor]
    timesteps: int
    training: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    epoch: int = 0
    resume: dict[str, Any] = field(default_factory=dict)

    def model(self, *, trust: bool = False) -> SpikingNetwork | ForeignNetwork:
        """The network with these weights, in eval mode, on the CPU.

        Args:
            trust: whether the function that a foreign network names may be imported and run; for networks of tetviz
                nothing is.

        Returns:
            The network; static images are shown for :attr:`timesteps` steps unless the call says otherwise.
        """
        if isinstance(self.spec, ForeignSpec):
            foreign = ForeignNetwork(build_foreign(self.spec, trust=trust), self.spec.calling, self.timesteps)
            check_state(self.spec.factory, foreign.state_dict(), self.state)
            foreign.to(_precision(self.state)).load_state_dict(self.state)
            return foreign.eval()
        # Fresh weights draw random numbers, and the caller's generator must not notice.
        with torch.random.fork_rng([]):
            model = build(self.spec)
        model.to(_precision(self.state)).load_state_dict(self.state)
        model.timesteps = self.timesteps
        return model.eval()

    def save(self, path: str | Path) -> Path:
        """Writes the checkpoint, whole or not at all; an existing file is replaced.

        Args:
            path: the ``.pt`` file.

        Returns:
            The path.

        Raises:
            OutputError: the file cannot be written.
        """
        content = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        content |= {"format": FORMAT, "format_version": FORMAT_VERSION, "spec": self.spec.to_dict()}
        written = io.BytesIO()
        torch.save(_canonical(content), written)
        return write_whole(path, written.getvalue())

    @classmethod
    def load(cls, path: str | Path) -> "Checkpoint":
        """Reads a checkpoint; no code in the file is run.

        Args:
            path: the ``.pt`` file.

        Returns:
            The checkpoint, its tensors on the CPU.

        Raises:
            CheckpointError: the file is missing, damaged, foreign, newer, or its weights do not fit its network.
        """
        content = _read(Path(path))
        _check_header(path, content)
        try:
            values = {f.name: content[f.name] for f in dataclasses.fields(cls)}
            _check_values(values)
            spec = _spec_of(values["spec"])
            checkpoint = cls(**{**values, "spec": spec})
            DataSpec(**{"name": "", **_typed(DataSpec, checkpoint.data)})
            _check_named(path, checkpoint.state)
            _check_sizes(path, checkpoint)
            # What a foreign network expects is known when it is built, see model().
            expected = checkpoint.state if isinstance(spec, ForeignSpec) else _expected(spec)
        except (LookupError, TypeError, ValueError, ArithmeticError, RuntimeError, AttributeError) as error:
            raise CheckpointError(f"{path}: damaged, its description cannot be used ({reason(error)})") from error
        check_state(path, expected, checkpoint.state)
        return checkpoint


def read_weights(path: str | Path) -> Any:
    """Reads what somebody else wrote with torch.save or safetensors; no code in the file is run.

    Beside tensors and plain values it may hold numbers of numpy, and an ``argparse.Namespace``, a bag of values in
    which training scripts keep their settings. Files of torch before 1.6, which are not zip files, are read too.
    """
    path = Path(path)
    if path.is_file() and is_safetensors(path):
        return read_safetensors(path)
    with torch.serialization.safe_globals(_HARMLESS):
        return _read(path, legacy=True)


def load_weights(path: str | Path, key: str = "") -> dict[str, Tensor]:
    """Reads the weights of a network of someone else's; no code in the file is run.

    Args:
        path: a file of ``torch.save(network.state_dict(), path)``, or of safetensors.
        key: the entry that holds the state_dict, where the file is a dictionary of more than that and it has no usual
            name.

    Returns:
        The state_dict, on the CPU.

    Raises:
        CheckpointError: the file is missing or damaged, holds code, or no state_dict.
    """
    return find_weights(path, key)[0]


def find_weights(path: str | Path, key: str = "") -> tuple[dict[str, Tensor], list[str]]:
    """The weights as :func:`load_weights` reads them, and what their user should know, in sentences."""
    content = read_weights(path)
    if isinstance(content, dict) and content.get("format") == FORMAT:
        raise CheckpointError(f"{path}: is a tetviz checkpoint already, there is nothing to import")
    try:
        return find_state_dict(content, key)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _expected(spec: ModelSpec | GraphSpec) -> dict[str, Tensor]:
    with torch.device("meta"), torch.no_grad():
        model = build(spec)
        if isinstance(model, GraphNetwork):
            model.check()
    return model.state_dict()


def _precision(state: dict[str, Tensor]) -> torch.dtype:
    return next((tensor.dtype for tensor in state.values() if tensor.is_floating_point()), torch.float32)


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file.

    Args:
        path: the file.

    Returns:
        64 hexadecimal digits.
    """
    return digest_of(path)


def _read(path: Path, legacy: bool = False) -> Any:
    if path.is_dir():
        raise CheckpointError(f"{path}: is a folder, expected a checkpoint")
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no such file; expected weights, or a checkpoint of `tetviz train` or `tetviz import`"
        )
    try:
        zipped = zipfile.is_zipfile(path)
        if not (_is_whole(path) if zipped else legacy and _is_legacy(path)):
            raise CheckpointError(
                f"{path}: is a result, not a checkpoint; name the checkpoint that was measured"
                if looks_like_result(path)
                else f"{path}: damaged, cut short, or not a checkpoint at all; copy it again, or train anew"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of kinds of tensors that are refused afterwards
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        if not named and not zipped:
            raise CheckpointError(f"{path}: damaged, cut short, or not written by torch.save; copy it again") from error
        raise CheckpointError(
            f"{path}: refused, it holds Python code or objects beside tensors and plain values"
            f"{f' ({named[1]})' if named else ''}; save weights alone, torch.save(network.state_dict(), path), which "
            "torch.load(..., weights_only=True) must read"
        ) from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({reason(error)})") from error
    except CheckpointError:
        raise
    except UNREADABLE as error:
        raise CheckpointError(f"{path}: damaged, or no torch file: no checkpoint can be read from it") from error


def _is_legacy(path: Path) -> bool:
    # What torch before 1.6 wrote: pickles one behind the other, of which the first is a magic number.
    magic = pickle.dumps(torch.serialization.MAGIC_NUMBER, protocol=2)
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def _is_whole(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        # Where the bit for a folder is set, torch reads nothing and leaves the tensor's memory as it was.
        folders = any(member.external_attr & 0x10 for member in members)
        # torch packs nothing, so its members are not larger than the file, and each has its own name.
        packed = any(member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1 for member in members)
        larger = sum(member.file_size for member in members) > path.stat().st_size
        twice = len({member.filename for member in members}) < len(members)
        return not (folders or packed or larger or twice) and archive.testzip() is None


def _check_header(path: str | Path, content: Any) -> None:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        keys = f" with keys {', '.join(map(repr, list(content)[:3]))}" if isinstance(content, dict) else ""
        raise CheckpointError(
            f"{path}: holds {type(content).__name__}{keys}, not a tetviz checkpoint; "
            "make one of your weights with `tetviz import`, or Checkpoint(spec, state, timesteps).save(path)"
        )
    if not isinstance(content.get("format_version"), int) or content["format_version"] > FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: checkpoint format {content.get('format_version')}, this tetviz reads up to {FORMAT_VERSION}; "
            "update tetviz"
        )


def _canonical(value: Any) -> Any:
    # Equal contents give equal bytes: pickle writes an object that it has met before in another way than its equal.
    if isinstance(value, Mapping):
        return {_canonical(name): _canonical(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([_canonical(each) for each in value])
    if isinstance(value, Tensor):
        return value.detach().cpu().clone()
    return sys.intern(value) if type(value) is str else value


def _spec_of(values: dict[str, Any]) -> ModelSpec | GraphSpec | ForeignSpec:
    if "factory" in values:
        return ForeignSpec.from_dict({**_typed(ForeignSpec, values, but=("calling",)), "calling": values["calling"]})
    kind = GraphSpec if "nodes" in values else ModelSpec
    return kind(**_typed(kind, values))


def _typed(kind: type[Any], values: dict[str, Any], but: tuple[str, ...] = ()) -> dict[str, Any]:
    hints = get_type_hints(kind)
    for name, value in values.items():
        if name in hints and name not in but and not fits(value, hints[name]):
            raise ValueError(
                f"its {name} is {reprlib.repr(value)}, expected {getattr(hints[name], '__name__', hints[name])}"
            )
    return values


def _check_values(values: dict[str, Any]) -> None:
    hints = get_type_hints(Checkpoint) | {"spec": dict[str, Any], "state": Any}
    for name, value in values.items():
        if name in ("spec", "training", "data", "history"):
            check_plain(value, f"its {name}")
        if not fits(value, hints[name]):
            raise ValueError(f"its {name} is of type {type(value).__name__}, or holds something else than it should")
    check_settings("training", values["training"])
    for record in values["history"]:
        check_settings("training", record)
    if not 1 <= values["timesteps"] <= MOST_TIMESTEPS or not values["epoch"] >= 0:
        raise ValueError(
            f"timesteps is {values['timesteps']} and epoch {values['epoch']}, expected 1 to {MOST_TIMESTEPS:,} and "
            "0 or more"
        )


def _check_sizes(path: str | Path, checkpoint: Checkpoint) -> None:
    # Before a network of that size is built: each weight takes its place in the file, each layer has one.
    size, declared = Path(path).stat().st_size, 0
    for tensor in checkpoint.state.values():
        declared += tensor.numel() * tensor.element_size()
    if declared > size:
        raise ValueError(f"its weights are said to take {declared:,} bytes, the file has {size:,}")
    options = checkpoint.spec.options if isinstance(checkpoint.spec, ModelSpec) else {}
    depth = options.get("depth", 0)
    if isinstance(depth, int) and depth > len(checkpoint.state):
        raise ValueError(f"its network is said to be {depth:,} layers deep, it has {len(checkpoint.state):,} weights")


def _check_named(path: str | Path, state: Any) -> None:
    named = isinstance(state, dict) and all(isinstance(name, str) for name in state)
    if not named or not all(isinstance(t, Tensor) and t.layout == torch.strided for t in state.values()):
        raise CheckpointError(f"{path}: damaged, its state is not a dictionary of names and dense tensors")


def check_state(path: str | Path, expected: dict[str, Tensor], state: Any) -> None:
    """Checks that weights are those of a network, and finite."""
    _check_named(path, state)
    missing, unknown = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    if missing or unknown:
        lacks = f"lacks {listed(missing)}" if missing else ""
        has = f"has unknown {listed(unknown)}" if unknown else ""
        raise CheckpointError(
            f"{path}: the weights do not fit the network: it {' and '.join(filter(None, (lacks, has)))}"
        )
    for name, tensor in state.items():
        if tensor.device.type != "cpu":
            raise CheckpointError(
                f"{path}: damaged, {name} has no values, it is on the device {tensor.device.type!r}, expected 'cpu'"
            )
        if tensor.is_floating_point() != expected[name].is_floating_point():
            raise CheckpointError(f"{path}: damaged, {name} holds {tensor.dtype}, expected {expected[name].dtype}")
        if tensor.is_floating_point() and tensor.dtype not in _PRECISIONS:
            raise CheckpointError(
                f"{path}: {name} holds {tensor.dtype}, networks run in float32 and float64; convert the weights with "
                ".float()"
            )
        if tensor.shape != expected[name].shape:
            raise CheckpointError(
                f"{path}: {name} has shape {tuple(tensor.shape)}, the network expects {tuple(expected[name].shape)}"
            )
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(
                f"{path}: {name} holds values that are not finite; use a checkpoint from before it diverged"
            )
