"""Runs of a network in eval mode: a step at a time, and compiled once that pays.

Between two convolutions a step only reads and writes memory: normalisation, membrane, spikes, pooling.
``torch.compile`` makes one pass of them. What it gives is held against the network itself, bit by bit, before it is
used.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from os import environ
from typing import Any, cast

import torch
from torch import Tensor, nn

from tetviz.errors import DataError
from tetviz.models import LIF, STFN, SpikingNetwork, streaming
from tetviz.models.kernels import on_its_own
from tetviz.models.norm import ConvNorm, scale_and_shift

Runner = Callable[[nn.Module, Tensor, int], Iterator[Tensor]]

COMPILE = ("auto", "on", "off")
_WHEN: ContextVar[str] = ContextVar("when a step is compiled", default="auto")
_SAY: ContextVar[Callable[[str], None] | None] = ContextVar("who hears of compiling", default=None)

# Measured, benchmarks/pass_time.py: seconds that a convolution takes to compile, and the share of a step that it saves.
_SECONDS_PER_CONVOLUTION, _SAVED = 1.5, 0.3
_COMPARED = 4  # steps
_FEWEST, _MOST = 8, 32  # samples that go through a compiled step together, whose activations stay in a core's cache


@contextmanager
def compiling(when: str, say: Callable[[str], None] | None = None) -> Iterator[None]:
    """Decides when the steps of networks are compiled.

    Args:
        when: ``on``, ``off``, or ``auto``: once runs that are not have taken so long that compiling would have paid.
        say: told what is compiled, and what came of it.
    """
    chosen, heard = _WHEN.set(when), _SAY.set(say)
    try:
        yield
    finally:
        _WHEN.reset(chosen)
        _SAY.reset(heard)


def how_to_compile() -> tuple[str, Callable[[str], None]]:
    """When :func:`compiling` lets compile, and who is told."""
    return _WHEN.get(), _SAY.get() or (lambda _: None)


def has_compiler() -> bool:
    """Whether this machine can compile."""
    return shutil.which(environ.get("CXX", "g++")) is not None


def outputs(model: nn.Module, x: Tensor, timesteps: int) -> Iterator[Tensor]:
    """The outputs of a run, a stretch of time at a time, at flat memory."""
    check_length(x, timesteps)
    if not streams(model):
        yield model(x.clone(), timesteps)  # it may work in place, as the TET code does
        return
    with streaming(model):
        for frame in _frames(x, timesteps):
            yield model(frame[None], 1)


def check_length(x: Tensor, timesteps: int) -> None:
    """Checks that sequences are long enough."""
    if x.dim() == 5 and len(x) < timesteps:
        raise DataError(
            f"the samples have {len(x)} frames, {timesteps} timesteps were asked for; "
            f"ask for at most {len(x)}, or cut the recordings into more frames (--frames)"
        )


def streams(model: nn.Module) -> bool:
    """Whether a network is run step by step."""
    return isinstance(model, SpikingNetwork) and not uses_batch_statistics(model)


def uses_batch_statistics(model: nn.Module) -> bool:
    """Whether a network in eval mode normalises by statistics of the batch at hand, or of all steps of the run."""
    modules = list(model.modules())
    norms = (module for module in modules if isinstance(module, nn.modules.batchnorm._BatchNorm))
    of_runs = (module.statistics == "run" for module in modules if isinstance(module, STFN))
    return any(norm.running_mean is None for norm in norms) or any(of_runs)


def _frames(x: Tensor, timesteps: int) -> Iterator[Tensor]:
    yield from x[:timesteps] if x.dim() == 5 else [x] * timesteps


class Passes:
    """Runs networks as :func:`outputs` does, to the last bit, with steps that are compiled once that pays.

    One of them serves one network, whose weights may change from run to run. A step is compiled for every size of batch
    that has run long enough; where the machine has no compiler, or what it makes rounds otherwise, none is.
    """

    def __init__(self) -> None:
        self._when: str | None = None  # in another process, what was chosen where it comes from
        self._seconds: dict[torch.Size, float] = {}
        self._steps: dict[torch.Size, _Step | None] = {}

    def __call__(self, model: nn.Module, x: Tensor, timesteps: int) -> Iterator[Tensor]:
        """The outputs of a run.

        Args:
            model: a network in eval mode.
            x: x_BCHW, or x_TBCHW for a sequence.
            timesteps: T.

        Yields:
            logits_TBK of one step after the other, or of all at once.
        """
        size = x.shape[-4:]
        if size not in self._steps and self._pays(model, size):
            self._steps[size] = _verified(model, x, timesteps)
        step = self._steps.get(size)
        if step is not None:
            check_length(x, timesteps)
            yield from (logits_TBK for logits_TBK, _ in step.run(model, x, timesteps))
            return
        yield from self._timed(outputs(model, x, timesteps), size)

    def _pays(self, model: nn.Module, size: torch.Size) -> bool:
        when = self._when or _WHEN.get()
        if when == "off" or not (streams(model) and has_compiler() and _has_convolutions(model)):
            return False
        return when == "on" or self._seconds.get(size, 0) * _SAVED > _seconds_to_compile(model)

    def _timed(self, stretches: Iterator[Tensor], size: torch.Size) -> Iterator[Tensor]:
        while True:
            began = time.perf_counter()
            logits_TBK = next(stretches, None)
            self._seconds[size] = self._seconds.get(size, 0) + time.perf_counter() - began
            if logits_TBK is None:
                return
            yield logits_TBK

    def __getstate__(self) -> dict[str, object]:
        return {"_when": self._when or _WHEN.get(), "_seconds": {}, "_steps": {}}


def _has_convolutions(model: nn.Module) -> bool:
    return any(isinstance(module, ConvNorm) for module in model.modules())


def _seconds_to_compile(model: nn.Module) -> float:
    return _SECONDS_PER_CONVOLUTION * sum(isinstance(module, nn.Conv2d) for module in model.modules())


def _together(samples: int) -> int:
    """How many samples of a batch go through a compiled step at a time: parts of one size, or all of them."""
    return next((size for size in range(_MOST, _FEWEST - 1, -1) if samples % size == 0), samples)


class _Step:
    """One step of a network, compiled: from a frame and the membranes to the outputs and the membranes after it."""

    def __init__(self, model: nn.Module, frame: Tensor) -> None:
        self.samples = _together(len(frame))
        frame = frame[: self.samples]
        self.neurons = [module for module in model.modules() if isinstance(module, LIF)]
        self.pairs = [m for m in model.modules() if isinstance(m, ConvNorm) and isinstance(m.norm, nn.BatchNorm2d)]
        self.first: ConvNorm | None = None
        self.rest = self._look(model, frame)
        self.compiled: Any = torch.compile(
            on_its_own(_step), fullgraph=True, dynamic=False, options={"layout_optimization": False}
        )  # convolutions round otherwise with the channels last

    def _look(self, model: nn.Module, frame: Tensor) -> list[Tensor]:
        def seen(pair: nn.Module, given: tuple[Tensor], _: Tensor) -> None:
            if given[0].data_ptr() == frame.data_ptr():
                self.first = cast(ConvNorm, pair)

        hooks = [pair.register_forward_hook(seen) for pair in self.pairs]
        with streaming(model):
            model(frame[None], 1)
            rest = [torch.zeros_like(neuron.membrane) for neuron in self.neurons if neuron.membrane is not None]
        for hook in hooks:
            hook.remove()
        return rest

    def run(self, model: nn.Module, x: Tensor, timesteps: int) -> Iterator[tuple[Tensor, list[Tensor]]]:
        """The outputs of one step after the other, and the membranes after it, those of each part of the batch."""
        constants = [_constants(pair) for pair in self.pairs]
        parts = torch.split(x, self.samples, dim=-4)
        membranes, held = [self.rest] * len(parts), [self._held(part) for part in parts]
        for frames in zip(*(_frames(part, timesteps) for part in parts), strict=True):
            outputs_of_parts = []
            with streaming(model), _clean(self.pairs):
                for at, frame in enumerate(frames):
                    logits_TBK, membranes[at] = self.compiled(model, self, frame, membranes[at], constants, held[at])
                    outputs_of_parts.append(logits_TBK)
            yield torch.cat(outputs_of_parts, 1), [each for part in membranes for each in part]

    def uncompiled(self, model: nn.Module, x: Tensor, timesteps: int) -> Iterator[tuple[Tensor, list[Tensor]]]:
        """The same from the network as it is, on the whole batch."""
        with streaming(model):
            for frame in _frames(x, timesteps):
                logits_TBK = model(frame[None], 1)
                parts = zip(
                    *(torch.split(cast(Tensor, neuron.membrane), self.samples) for neuron in self.neurons), strict=True
                )
                yield logits_TBK, [each.clone() for part in parts for each in part]

    def _held(self, x: Tensor) -> Tensor | None:
        # The first convolution of an image that is shown at every step.
        return self.first(next(_frames(x, 1))[None]) if self.first and x.dim() == 4 else None


def _step(
    model: nn.Module,
    own: _Step,
    frame: Tensor,
    membranes: list[Tensor],
    constants: list[tuple[Tensor, Tensor]],
    held: Tensor | None,
) -> tuple[Tensor, list[Tensor | None]]:
    for neuron, membrane in zip(own.neurons, membranes, strict=True):
        neuron.membrane = membrane
    for pair, own_constants in zip(own.pairs, constants, strict=True):
        pair.constants = own_constants
    if own.first is not None:
        own.first.held = held
    logits_TBK = model(frame[None], 1)
    return logits_TBK, [neuron.membrane for neuron in own.neurons]


def _constants(pair: ConvNorm) -> tuple[Tensor, Tensor]:
    assert isinstance(pair.norm, nn.BatchNorm2d)
    scale, shift = scale_and_shift(pair.norm)
    return scale.double()[:, None, None], shift.double()[:, None, None]


@contextmanager
def _clean(pairs: list[ConvNorm]) -> Iterator[None]:
    try:
        yield
    finally:
        for pair in pairs:
            pair.constants = pair.held = None


def _verified(model: nn.Module, x: Tensor, timesteps: int) -> _Step | None:
    """The compiled step of a network; None where it cannot be compiled or gives other bits."""
    _, say = how_to_compile()
    say(f"compiling a step of the network, about {_seconds_to_compile(model):.0f} s; --compile off goes without")
    began, few = time.perf_counter(), min(timesteps, _COMPARED)
    try:
        step = _Step(model, next(_frames(x, 1)))
        found = list(step.run(model, x, few))
    except RuntimeError as error:  # what torch._dynamo raises, which takes a second to load
        say(f"the step cannot be compiled here ({type(error).__name__}): the network runs as it is")
        return None
    wanted = step.uncompiled(model, x, few)
    if not all(_same_bits([y, *us], [z, *vs]) for (y, us), (z, vs) in zip(found, wanted, strict=True)):
        say("the compiled step rounds otherwise on this machine: the network runs as it is")
        return None
    say(f"compiled in {time.perf_counter() - began:.0f} s; the outputs are the same to the last bit")
    return step


def _same_bits(found: list[Tensor], wanted: list[Tensor]) -> bool:
    # Spikes hide what a potential was rounded to: membranes are held too.
    pairs = zip(found, wanted, strict=True)
    return all(torch.allclose(a, b, rtol=0, atol=0, equal_nan=True) for a, b in pairs)
