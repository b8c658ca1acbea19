"""Whether the first t steps of a run are a run of t steps, and which module breaks it."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tetviz.models import ForeignNetwork, SpikingNetwork, only_length
from tetviz.models.foreign.check import ROUNDING, other_values, whole_numbers
from tetviz.models.foreign.draws import NOT_TORCHS, QUANTILES, is_stochastic, stilled
from tetviz.models.foreign.state import clone, close, state_kept
from tetviz.training.doctor.runs import CANNOT_RUN, Attempt, listed, logits, watching
from tetviz.training.passes import uses_batch_statistics
from tetviz.training.profile import evaluating

_Run = Callable[[Tensor, int], Tensor]
_Calls = dict[str, list[tuple[list[Tensor], list[Tensor]]]]

_WHY = "every T is read off one run, which a network that is not causal in time forbids"


def causality(model: nn.Module, x: Tensor, timesteps: int) -> tuple[str, str]:
    """Tests the prefix property for every t, and that no output depends on a later frame.

    Networks of tetviz must give the same bits, run step by step and in whole; other modules to 1e-5 of the
    largest output. What float64 mends is rounding, which flips spikes. Of a network that runs for one T alone there are
    no shorter runs, but its outputs may depend on later frames all the same. Where a network that draws random numbers
    draws others for another T, they are held still: its first t steps are a run of t steps in distribution.
    """
    verdict, message = _causality(model, x, timesteps)
    if verdict != "failure" or not is_stochastic(model):
        return verdict, message
    for quantile in QUANTILES:
        with stilled(model, quantile):
            verdict, message = _causality(model, x, timesteps)
        if verdict == "failure":
            return verdict, f"{message}; {NOT_TORCHS}"
    return verdict, f"{message}; in distribution: for another T or frame it draws other random numbers"


def _causality(model: nn.Module, x: Tensor, timesteps: int) -> tuple[str, str]:
    x = x[:, :8] if x.dim() == 5 else x[:8]
    whole = partial(_whole, model)
    reference = whole(x, timesteps)
    if not close(reference, whole(x, timesteps)):
        return "warning", "not tested: two equal runs differ already, see repeatable"
    ours, alone = isinstance(model, SpikingNetwork), only_length(model)
    runs: list[_Run] = [lambda x, t: logits(model, x, t), whole] if ours else [] if alone else [whole]
    rounded = False
    for run in runs:
        t = first_difference(run, x, timesteps, 0.0 if ours else ROUNDING)
        if t is None:
            continue
        exact, x_exact = _in_float64(model, x)
        if exact is not model and first_difference(partial(_whole, exact), x_exact, timesteps, ROUNDING) is None:
            rounded = True
            continue
        module = find_breaking_module(exact, (x_exact, timesteps), (x_exact, t), t)
        found = f"a run of {timesteps} steps does not begin like one of {t}"
        return "failure", f"{found}: {_cause(model, module)}; {_why(model)}"
    sequence, looked = _sequence(model, x, timesteps, reference), False
    if sequence is not None:
        before = whole(sequence, timesteps)
        for step, other in _with_another_frame(sequence, thorough=alone is not None):
            with Attempt() as attempt:  # a frame may lie outside of what the network takes
                after = whole(other, timesteps)
            looked |= not attempt.error
            if not attempt.error and not close(before[:step], after[:step], 0.0 if ours else ROUNDING):
                module = find_breaking_module(model, (sequence, timesteps), (other, timesteps), step)
                return "failure", f"outputs depend on a later frame: {_cause(model, module)}; {_why(model)}"
    return _verdict(timesteps, rounded, looked, alone is not None)


def _with_another_frame(sequence: Tensor, thorough: bool) -> Iterator[tuple[int, Tensor]]:
    # With the number of steps before the frame. Without shorter runs to compare with every frame is tried, brighter,
    # darker and another sample's: attention over time may heed a change to one side alone.
    noise = torch.randn(sequence.shape[1:], generator=torch.Generator().manual_seed(0))
    noise = noise.to(sequence.device, sequence.dtype)
    tokens = other_values(sequence) if whole_numbers(sequence) else []
    for step in range(len(sequence) - 1, 0 if thorough else len(sequence) - 2, -1):
        frame = sequence[step]
        if tokens:
            mirrored, *extremes = tokens
            changed = [mirrored[step], frame.roll(1, 0)]
            changed += [each[step] for each in extremes] if thorough else []
        else:
            changed = [frame + noise, frame.roll(1, 0)]
            changed += [torch.zeros_like(frame), frame + 3 * noise, -frame] if thorough else []
        for another in changed:
            other = sequence.clone()
            other[step] = another
            yield step, other


def _why(model: nn.Module) -> str:
    if alone := only_length(model):
        return f"a run of it is one of T = {alone} alone, its outputs at t < {alone} are none of t steps"
    if isinstance(model, ForeignNetwork):
        return f"{_WHY}; to measure it at its T alone, import it with --timesteps-by fixed"
    return _WHY


def _verdict(timesteps: int, rounded: bool, looked: bool, alone: bool) -> tuple[str, str]:
    if timesteps == 1:
        return "ok", "nothing to test at T = 1; ask for more timesteps"
    frames = (
        "no output depends on a later frame"
        if looked
        else "sequences x_TBCHW are not accepted, so looking ahead in the data was not tested"
    )
    if alone:
        return ("ok" if looked else "warning"), f"it runs for T = {timesteps} alone; {frames}"
    start = f"a run of {timesteps} steps begins like those of 1 to {timesteps - 1}"
    if rounded:
        return "warning", f"{start}, but only up to rounding that flips spikes (float64 mends it); {frames}"
    return "ok", f"{start}; {frames}"


def _whole(model: nn.Module, x: Tensor, timesteps: int) -> Tensor:
    with state_kept(model), evaluating(model):
        result: Tensor = model(_first_frames(x, timesteps).clone(), timesteps)
    return result


def _first_frames(x: Tensor, timesteps: int) -> Tensor:
    return x[:timesteps] if x.dim() == 5 else x


def first_difference(run: _Run, x: Tensor, timesteps: int, tolerance: float) -> int | None:
    """The shortest run that is not the start of the longest one."""
    longest = run(x, timesteps)
    return next((t for t in range(1, timesteps) if not close(longest[:t], run(x, t), tolerance)), None)


def _in_float64(model: nn.Module, x: Tensor) -> tuple[nn.Module, Tensor]:
    exact = clone(model).double()
    try:
        _whole(exact, x.double(), 1)
    except CANNOT_RUN:
        return model, x
    return exact, x.double()


def _sequence(model: nn.Module, x: Tensor, timesteps: int, reference: Tensor) -> Tensor | None:
    # The samples as x_TBCHW, None where the model takes no sequences.
    if x.dim() not in (4, 5) or timesteps == 1:
        return None
    sequence = (x if x.dim() == 5 else x.expand(timesteps, *x.shape))[:timesteps].clone()
    try:
        taken = _whole(model, sequence, timesteps)
    except CANNOT_RUN:
        return None
    return sequence if taken.shape == reference.shape else None


def find_breaking_module(model: nn.Module, long: tuple[Tensor, int], short: tuple[Tensor, int], steps: int) -> str:
    """The innermost module whose inputs agree over the first steps of two runs and whose outputs do not."""
    a, b = (_record(model, *run) for run in (long, short))
    agree = partial(_agree, long=long[1], short=short[1], steps=steps)
    for name in a:
        inputs, results = (agree(_over_time(a[name], part), _over_time(b.get(name, []), part)) for part in (0, 1))
        if inputs and not results:
            return name
    return ""


def _record(model: nn.Module, x: Tensor, timesteps: int) -> _Calls:
    calls: _Calls = {}

    def see(name: str, inputs: list[Tensor], results: list[Tensor]) -> None:
        kept = [tensor.detach().clone() for tensor in inputs], [tensor.detach().clone() for tensor in results]
        calls.setdefault(name, []).append(kept)

    with state_kept(model), evaluating(model), watching(model, see):
        model(_first_frames(x, timesteps).clone(), timesteps)
    return calls


def _over_time(calls: list[tuple[list[Tensor], list[Tensor]]], part: int) -> list[Tensor]:
    # What went in (0) or came out (1), every argument stacked over the calls.
    return [torch.stack(each) for each in zip(*(call[part] for call in calls), strict=False) if _alike(each)]


def _alike(tensors: tuple[Tensor, ...]) -> bool:
    return all(tensor.shape == tensors[0].shape for tensor in tensors)


def _agree(a: list[Tensor], b: list[Tensor], long: int, short: int, steps: int) -> bool:
    return len(a) == len(b) and all(_agrees(p, q, long, short, steps) for p, q in zip(a, b, strict=True))


def _agrees(a: Tensor, b: Tensor, long: int, short: int, steps: int) -> bool:
    # A module may see time alone or merged with the batch, before or behind it, or in one call for each step.
    if close(a, b, ROUNDING):
        return True
    for axis in range(a.dim() if a.dim() == b.dim() else 0):
        share, rest = divmod(a.shape[axis], long)
        if rest or b.shape[axis] != share * short:
            continue
        if close(a.narrow(axis, 0, share * steps), b.narrow(axis, 0, share * steps), ROUNDING):
            return True
        time_last_a, time_last_b = (
            tensor.reshape(*tensor.shape[:axis], share, -1, *tensor.shape[axis + 1 :]).narrow(axis + 1, 0, steps)
            for tensor in (a, b)
        )
        if close(time_last_a, time_last_b, ROUNDING):
            return True
    return False


def _cause(model: nn.Module, where: str) -> str:
    batch_norms = [
        name
        for name, module in model.named_modules()
        if isinstance(module, _BatchNorm) and uses_batch_statistics(module)
    ]
    if where in batch_norms or (not where and batch_norms):
        return (
            f"{listed(model, [where] if where else batch_norms)} normalises by statistics of all timesteps also in "
            "eval mode, it keeps no running ones; set track_running_stats=True and train it so"
        )
    return f"{listed(model, [where])} lets later timesteps into earlier outputs; let step t use steps 1 to t alone"
