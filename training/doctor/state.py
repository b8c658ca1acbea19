"""Why two evaluations of a network differ: experiments on copies that name what changes."""

from collections.abc import Callable, Iterable
from itertools import zip_longest
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from tetviz.models.foreign.isolation import generators_kept
from tetviz.models.foreign.state import clone, close, held, same
from tetviz.training.batches import Batch
from tetviz.training.doctor.runs import listed, logits
from tetviz.training.profile import a_parameter, evaluating

_MEANT = ", or, if it is stochastic by design, import it with --draws N (in Python adapt(..., draws=N))"


def find_causes(model: nn.Module, batches: Iterable[Batch], x: Tensor, timesteps: int) -> list[str]:
    """What makes two evaluations differ, each shown by an experiment.

    Data: two passes differ. Randomness: two fresh copies differ, and agree once they draw the same random
    numbers. State: a copy that draws the same numbers twice differs from itself, while two fresh copies agree.
    """
    found = []
    if not _same_passes(batches):
        found.append(
            "the data change from one pass to the next: give them in a fixed order, without shuffling or random "
            "augmentation (shuffle=False)"
        )
    device = a_parameter(model).device

    def run(subject: nn.Module, again: bool = False) -> Tensor:
        if not again:
            return logits(subject, x, timesteps)
        with generators_kept(device):
            return logits(subject, x, timesteps)

    if not close(run(clone(model), again=True), run(clone(model), again=True)):
        found.append(
            "two fresh copies differ although they draw the same random numbers: forward uses state or a random "
            "generator outside its modules, or kernels that are not deterministic"
        )
        return found
    if not close(run(clone(model)), run(clone(model))):
        found.append(_randomness(model, x, timesteps))
    one = clone(model)
    if not close(run(one, again=True), run(one, again=True)):
        leaking = _leaking(model, run, x, timesteps)
        where = ", ".join(f"{listed(model, [name])}: {', '.join(keys)}" for name, keys in list(leaking.items())[:4])
        found.append(
            f"state leaks from one run into the next, in {where or 'something that is no tensor'}; reset it at the "
            "start of forward (SpikingJelly: functional.reset_net(model))"
        )
    return found


def _same_passes(batches: Iterable[Batch]) -> bool:
    return all(
        a is not None and b is not None and all(close(p, q) for p, q in zip(a, b, strict=True))
        for a, b in zip_longest(batches, batches)
    )


def _leaking(model: nn.Module, run: Callable[..., Tensor], x: Tensor, timesteps: int) -> dict[str, list[str]]:
    """Of the modules that a run changes those that reach the next run: all the others are put back before it."""
    changed = changes(clone(model), x, timesteps)
    guilty = {}
    for name, keys in changed.items():
        used, fresh = clone(model), clone(model)
        before = run(used, again=True)
        for other in changed.keys() - {name}:
            kept = {key: value for key, value in vars(fresh.get_submodule(other)).items() if key != "_modules"}
            vars(used.get_submodule(other)).update(kept)
        if not close(before, run(used, again=True)):
            guilty[name] = keys
    return guilty or changed


def _randomness(model: nn.Module, x: Tensor, timesteps: int) -> str:
    active = [
        name
        for name in still_training(model)
        if isinstance(module := model.get_submodule(name), _DropoutNd) and module.p > 0
    ]
    still = []
    for _ in range(2):
        quiet = clone(model)
        for name, module in quiet.named_modules():
            if name in active and isinstance(module, _DropoutNd):
                module.p = 0.0
        still.append(logits(quiet, x, timesteps))
    function = "a random function in forward, such as a Poisson encoder or F.dropout without training=self.training"
    if not active:
        return f"{function}: leave it out in eval mode{_MEANT}"
    besides = "" if close(still[0], still[1]) else f"; besides, {function}"
    return f"dropout stays active after eval() in {listed(model, active)}: let eval() reach it{_MEANT}{besides}"


def changes(model: nn.Module, x: Tensor, timesteps: int) -> dict[str, list[str]]:
    """What a run changes in the modules."""
    with evaluating(model):
        before = _snapshot(model)
        logits(model, x, timesteps)
        after = _snapshot(model)
    changed: dict[str, list[str]] = {}
    for name, key in dict.fromkeys([*before, *after]):
        old, new = before.get((name, key), []), after.get((name, key), [])
        if len(old) != len(new) or not all(map(same, old, new)):
            changed.setdefault(name, []).append(key)
    return changed


def _snapshot(model: nn.Module) -> dict[tuple[str, str], list[Any]]:
    values: dict[tuple[str, str], list[Any]] = {}
    for name, key, value in held(model):
        values.setdefault((name, key), []).append(value.detach().clone() if isinstance(value, Tensor) else value)
    return values


def still_training(model: nn.Module) -> list[str]:
    """The modules that eval() does not reach."""
    with evaluating(clone(model)) as copied:
        return [name for name, module in copied.named_modules() if module.training]


def find_train_mode(model: nn.Module, x: Tensor, timesteps: int) -> list[str]:
    """Whether normalisations, or other modules that follow their input, go on doing so after eval()."""
    stuck = still_training(model)
    if not stuck:
        return []
    # What the state_dict holds is learnt; membranes may change.
    learnt = set(model.state_dict())
    changed = {
        name: [key for key in keys if f"{name}.{key}".lstrip(".") in learnt]
        for name, keys in changes(clone(model), x, timesteps).items()
    }
    guilty = [name for name in stuck if changed.get(name) or isinstance(model.get_submodule(name), _BatchNorm)]
    if not guilty:
        return []
    keys = dict.fromkeys(key for name in guilty for key in changed.get(name, ()))
    moved = f" and change their {', '.join(keys)} in every run" if keys else ""
    return [f"{listed(model, guilty)} stay in train mode after eval(){moved}: let eval() reach them"]


def find_graph(model: nn.Module) -> list[str]:
    """Whether modules keep tensors of an autograd graph, which copy.deepcopy refuses."""
    attached = [name for name, _, value in held(model) if isinstance(value, Tensor) and not value.is_leaf]
    if not attached:
        return []
    return [f"{listed(model, attached)} keep tensors of an autograd graph, no copy can be made: reset or detach them"]
