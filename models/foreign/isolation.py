"""Code of someone else's while it runs: what it raises, prints and changes of torch's settings stays with it."""

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tetviz.errors import ForeignCode, ModelError, TetvizError

_Setting = tuple[Callable[[], Any], Callable[[Any], Any]]


def _attribute(holder: Any, name: str) -> _Setting:
    return partial(getattr, holder, name), partial(setattr, holder, name)


def _precision_flags() -> list[_Setting]:
    backends: Any = torch.backends
    holders = (backends, backends.cuda.matmul, *(getattr(backends.cudnn, name, None) for name in ("conv", "rnn")))
    new = [_attribute(holder, "fp32_precision") for holder in holders if hasattr(holder, "fp32_precision")]  # torch 2.9
    old = (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision)
    return [*new, old, _attribute(backends.cudnn, "allow_tf32")]


def _default_device() -> torch.device:
    return torch.empty(0).device  # torch.get_default_device raises in torch 2.6 once a default was taken back


def _set_device(device: torch.device) -> None:
    torch.set_default_device(None if device.type == "cpu" else device)


# What scripts set for themselves, and what would change what is measured afterwards: how to read and to write it.
_SETTINGS: list[_Setting] = [
    (torch.get_default_dtype, torch.set_default_dtype),
    (_default_device, _set_device),
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    *_precision_flags(),
]


class Isolation(ForeignCode):
    """Runs code of someone else's: see :class:`tetviz.errors.ForeignCode`.

    What it prints goes to stderr, since stdout is the command's own. Default precision and device, gradients,
    determinism and TF32 are afterwards as they were.
    """

    def __init__(self, what: str, kind: type[TetvizError] = ModelError, dtype: torch.dtype | None = None) -> None:
        super().__init__(what, kind)
        self._dtype, self._stack = dtype, ExitStack()

    def __enter__(self) -> None:
        self._stack.enter_context(redirect_stdout(sys.stderr))
        self._stack.enter_context(_settings_kept())
        if self._dtype is not None:
            torch.set_default_dtype(self._dtype)

    def __exit__(self, *raised: Any) -> None:
        """Puts everything back, then says what was raised."""
        self._stack.close()
        super().__exit__(*raised)


@contextmanager
def _settings_kept() -> Iterator[None]:
    before = [_read(read) for read, _ in _SETTINGS]
    try:
        yield
    finally:
        for (read, write), value in zip(_SETTINGS, before, strict=True):
            if value is not None and _read(read) != value:
                write(value)


def _read(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except RuntimeError:  # torch does not say, where its old and its new flags of precision were mixed
        return None


def differentiating(*values: Tensor) -> ForeignCode:
    """Where the backward pass of a network runs, which may be someone else's."""
    if not all(value.requires_grad for value in values):
        raise ModelError(
            "no gradient reaches the network: its forward runs under torch.no_grad(), detaches its outputs, or makes "
            "them in numpy; `tetviz landscape`, `line`, `scale` and `energy` need none"
        )
    return ForeignCode("the network's backward pass raised")


@contextmanager
def generators_kept(device: torch.device) -> Iterator[None]:
    """Puts the random generators of torch, numpy and Python back, so that two such blocks draw the same."""
    numpy_state, python_state = np.random.get_state(), random.getstate()
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)


@contextmanager
def generators_seeded(device: torch.device, *numbers: int) -> Iterator[None]:
    """Draws what some numbers say, and puts the random generators back afterwards."""
    seed = np.random.SeedSequence(numbers)
    with generators_kept(device):
        for generator in _generators(device):
            generator.manual_seed(int(seed.generate_state(1, np.uint64)[0]))
        np.random.seed(seed.generate_state(4))
        random.seed(seed.generate_state(4).tobytes())
        yield


def drawn_from(device: torch.device) -> list[Any]:
    """How far the random generators have got: another list says that numbers were drawn."""
    torch_states = [generator.get_state().tolist() for generator in _generators(device)]
    _, key, *rest = np.random.get_state()
    return [torch_states, np.asarray(key).tolist(), rest, random.getstate()]


def _generators(device: torch.device) -> list[torch.Generator]:
    if device.type != "cuda":
        return [torch.default_generator]
    at = torch.cuda.current_device() if device.index is None else device.index
    return [torch.default_generator, torch.cuda.default_generators[at]]
