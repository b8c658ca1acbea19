"""Weights as people save them: found in their file, and their names brought to those of the network.

A training script wraps its network (Lightning, DataParallel, torch.compile, averages of weights), and what it saves has
other names, tensors of other parts beside them, or entries around them. The names of the network decide what comes off.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tetviz.errors import CheckpointError

StateDict = dict[str, Tensor]

# Entries in which scripts save the weights of the network itself.
ENTRIES = (
    *("model", "state_dict", "model_state_dict", "net", "network", "module", "weights", "params", "net_state_dict"),
    *("model_state", "state", "snn"),
)
_AVERAGE = re.compile(r"(?:^|[_.])(?:(?:model|net)?ema\d*|swa|averaged?|avg|shadow)(?=[_.]|$)", re.IGNORECASE)
_OF_TRAINING = re.compile(
    r"optimizer|^optims?$|^opt$|sched|scaler|callback|loops|hyper_param|hparam|args|config|rng", re.IGNORECASE
)
# Parts of a path that a wrapper adds: DataParallel and averages, torch.compile, FSDP, activation checkpoints.
_WRAPPING = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
# What takes part in training alone, and counters that profilers and averages leave behind.
_BESIDE = re.compile(
    r"(?:\w*criterion|\w*loss(?:_\w+)?|\w*metrics?)(?:\.|$)|(?:.*\.)?(?:total_ops|total_params|n_averaged)$"
)
# What libraries keep of a run: snnTorch, SpikingJelly, sinabs, Lava.
_STATES = (
    *("mem", "syn", "syn_exc", "syn_inh", "spk", "v", "v_seq", "spike", "spike_seq", "membrane"),
    *("v_mem", "i_syn", "current_state", "voltage_state"),
)
DEEPEST = 8
SHOWN = 3


def listed(names: Iterable[str], between: str = ", ") -> str:
    """The first names, and how many there are in all."""
    every = list(names)
    more = f" and {len(every) - SHOWN} more, {len(every)} in all" if len(every) > SHOWN else ""
    return f"{between.join(every[:SHOWN])}{more}"


def left_out(beside: Sequence[str]) -> list[str]:
    """The sentence about tensors that belong to other parts than the network; none where there are none."""
    return [f"left out, beside the network: {listed(beside)}"] if beside else []


def find_state_dict(content: Any, key: str = "") -> tuple[StateDict, list[str]]:
    """The state_dict in what somebody saved.

    Args:
        content: what the file holds.
        key: the entry that is one, of nested entries their names with dots between, or a beginning of the names of
            tensors; found where it is empty.

    Returns:
        The state_dict, and what its user should know, in sentences.

    Raises:
        CheckpointError: there is none, or there are several.
    """
    if key:
        content = _entry(content, key)
    if not isinstance(content, Mapping):
        raise CheckpointError(f"expected a state_dict, names and tensors; it is {_described(content)}")
    notes, found = [], dict(_state_dicts(content, "", set()))
    if not found:
        raise CheckpointError(f"expected a state_dict, names and tensors; it is {_described(content)}")
    own = [path for path in found if not _AVERAGE.search(path)] or list(found)
    usual = [path for path in own if not path or any(part in ENTRIES for part in path.split("."))]
    chosen = own if len(own) == 1 else usual
    if len(chosen) != 1:
        raise CheckpointError(f"holds several state_dicts ({listed(own)}); name one with --key")
    if len(found) > 1:
        others = listed(path for path in found if path != chosen[0])
        notes.append(f"the weights are those of the entry {chosen[0]}; others are in {others} (--key)")
    state = {name: tensor for name, tensor in found[chosen[0]].items() if isinstance(tensor, Tensor)}
    plain = [repr(name) for name, value in found[chosen[0]].items() if not isinstance(value, Tensor)]
    if plain:
        notes.append(f"left out, no tensors: {listed(plain)}")
    if not all(isinstance(name, str) and name.isprintable() for name in state):
        raise CheckpointError("is a dictionary whose keys are not all printable strings, expected the names of tensors")
    return state, notes


def _entry(content: Any, key: str) -> Any:
    if isinstance(content, Mapping):
        if key in content:
            return content[key]
        parts = key.split(".")
        for at in range(len(parts) - 1, 0, -1):
            head, tail = ".".join(parts[:at]), ".".join(parts[at:])
            if isinstance(content.get(head), Mapping):
                return _entry(content[head], tail)
        behind = {n.removeprefix(f"{key}."): v for n, v in content.items() if str(n).startswith(f"{key}.")}
        if behind:
            return behind
    raise CheckpointError(f"has no entry {key!r} (--key), it is {_described(content)}")


def _state_dicts(content: Mapping[Any, Any], path: str, seen: set[int]) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    # Where each is; entries of the optimizer and the settings are passed by, and so is what was seen before.
    if id(content) in seen or path.count(".") > DEEPEST:
        return
    seen.add(id(content))
    inner = {
        where: state
        for name, part in content.items()
        if isinstance(name, str) and name.isprintable() and isinstance(part, Mapping) and not _OF_TRAINING.search(name)
        for where, state in _state_dicts(part, f"{path}.{name}".strip("."), seen)
    }
    tensors = _tensors(content)
    if tensors > max(map(_tensors, inner.values()), default=0):
        yield path, content
    else:
        yield from inner.items()


def _tensors(content: Mapping[Any, Any]) -> int:
    return sum(isinstance(value, Tensor) for value in content.values())


def _described(content: Any) -> str:
    if isinstance(content, Mapping):
        return f"a dictionary of {', '.join(map(repr, list(content)[:4])) or 'nothing'}"
    return f"of type {type(content).__name__}"


@dataclass(frozen=True)
class Named:
    """Tensors of a file under the names of a network.

    Attributes:
        state: name in the network -> tensor.
        unknown: names in the file that stand where those of the network do, and are none of them.
        beside: names in the file that stand elsewhere, or take part in training alone.
        notes: what was left out, and what came off, in sentences.
    """

    state: StateDict
    unknown: tuple[str, ...]
    beside: tuple[str, ...]
    notes: tuple[str, ...]


def rename(state: StateDict, expected: Collection[str]) -> Named:
    """Takes off of the names what wrappers put before and into them, as far as the network's own names say so.

    Of several beginnings the one is taken behind which most names are the network's; of equal ones that which is no
    average. Tensors behind another beginning belong to other parts than the network. Where the network is in a wrapper
    itself, and the file has the names inside of it, they get its beginning.

    Raises:
        CheckpointError: two beginnings fit equally well.
    """
    fits = [_fit(state, plain, own) for plain, own in _readings(expected)]
    best = max(fits, key=lambda fit: len(fit.found))
    renamed: StateDict = {}
    unknown, beside = [], []
    for name, tensor in state.items():
        plain = best.plain(name)
        tail = plain.removeprefix(best.head)
        if not plain.startswith(best.head) or (tail not in best.own and _BESIDE.match(tail)):
            beside.append(name)
        elif tail in best.own:
            renamed[best.own[tail]] = tensor
        else:
            unknown.append(name)
    notes = [f"{best.head.removesuffix('.')} came off the names of the tensors"] if best.head else []
    notes += [f"averaged weights are behind {listed(best.averages)} (--key)"] if best.averages else []
    return Named(renamed, tuple(unknown), tuple(beside), tuple(notes))


Plain = Callable[[str], str]


@dataclass(frozen=True)
class _Fit:
    # How names are read, the network's names so read, what stands before them in the file, and which were found there.
    plain: Plain
    own: Mapping[str, str]
    head: str = ""
    found: frozenset[str] = frozenset()
    averages: tuple[str, ...] = ()


def _readings(expected: Collection[str]) -> Iterator[tuple[Plain, Mapping[str, str]]]:
    # Names as they are come first; without the wrappers in their middle; without what all of the network's begin with.
    for plain in (str, _unwrapped):
        own = {plain(name): name for name in expected}
        while len(own) == len(expected):
            yield plain, own
            heads = {name.partition(".")[0] for name in own}
            if len(heads) > 1 or not all("." in name for name in own):
                break
            own = {name.partition(".")[2]: whole for name, whole in own.items()}


def _fit(names: Iterable[str], plain: Plain, own: Mapping[str, str]) -> _Fit:
    found: dict[str, set[str]] = {}
    for name in map(plain, names):
        for at in [0, *(match.end() for match in re.finditer(r"\.", name))]:
            if name[at:] in own:
                found.setdefault(name[:at], set()).add(name[at:])
    if not found:
        return _Fit(plain, own)
    most = max(map(len, found.values()))
    best = [head for head, tails in found.items() if len(tails) == most]
    chosen = [head for head in best if not _AVERAGE.search(head)] or best
    chosen.sort(key=lambda head: (len(head), head))
    whole = all(name in found[chosen[0]] or name.endswith("num_batches_tracked") for name in own)
    if len(chosen) > 1 and whole:
        heads = listed(head.removesuffix(".") or "no beginning" for head in chosen)
        raise CheckpointError(f"holds the network several times, behind {heads}; name one with --key")
    averages = tuple(head.removesuffix(".") for head in best if head != chosen[0])
    return _Fit(plain, own, chosen[0], frozenset(found[chosen[0]]), averages)


def _unwrapped(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPING)


def complete(
    named: Named, network: nn.Module, allow_missing: Sequence[str] = (), ignore: Sequence[str] = ()
) -> tuple[StateDict, list[str]]:
    """Fills in what the network itself knows, and drops what is no weight.

    Filled from the network: the counter of batches of batch norms, which evaluation does not read; the constants of
    neurons of snnTorch, which its releases keep differently; states of neurons; and what ``allow_missing`` names.
    Dropped: states of neurons, and what ``ignore`` names.

    Args:
        allow_missing: names, with ``*`` for any text, or names of modules.
        ignore: likewise, of the file or of the network.

    Returns:
        The state_dict, and what was done, in sentences.
    """
    own, notes = network.state_dict(), list(named.notes)
    ignored = [name for name in (*named.state, *named.unknown, *named.beside) if _matches(name, ignore)]
    odd = [name for name, tensor in named.state.items() if tensor.shape != own[name].shape]
    states = [name for name in (*odd, *named.unknown) if name not in ignored and _is_state(name, network)]
    left = {*ignored, *states}
    state = {name: tensor for name, tensor in named.state.items() if name not in left}
    absent = [name for name in own if name not in state]
    filled = {
        "counters of batch norm": [name for name in absent if _is_counter(name, network)],
        "constants of snnTorch": [name for name in absent if _is_constant(name, network)],
        "states of neurons": [name for name in absent if _is_state(name, network)],
        "allowed to be missing": [name for name in absent if _matches(name, allow_missing)],
    }
    for what, names in filled.items():
        notes += [f"not in the file, taken from the network: {listed(names)} ({what})"] if names else []
    notes += [f"left out, states of neurons: {listed(states)}"] if states else []
    notes += [f"left out, as asked for: {listed(ignored)}"] if ignored else []
    state |= {name: own[name].detach().clone() for names in filled.values() for name in names}
    missing = [name for name in own if name not in state]
    beside = [name for name in named.beside if name not in left]
    unknown = [name for name in (*named.unknown, *(beside if missing else ())) if name not in left]
    notes += left_out(beside)
    if missing or unknown:
        parts = [f"lacks {listed(missing)} (--allow-missing)"] if missing else []
        parts += [f"has unknown {listed(unknown)} (--ignore)"] if unknown else []
        raise CheckpointError(f"the weights do not fit the network: it {' and '.join(parts)}")
    return state, notes


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) or name.startswith(f"{pattern}.") for pattern in patterns)


def _holder(name: str, network: nn.Module) -> nn.Module | None:
    # The module that a tensor of a file belongs to, also where the file's names have more in front.
    path = name.rpartition(".")[0].split(".")
    modules = dict(network.named_modules())
    return next((modules[key] for at in range(len(path)) if (key := ".".join(path[at:])) in modules), None)


def _is_state(name: str, network: nn.Module) -> bool:
    holder, leaf = _holder(name, network), name.rpartition(".")[2]
    if holder is None or leaf not in _STATES or leaf in holder._parameters:
        return False
    return all(parameter.dim() < 2 for parameter in holder.parameters(recurse=False))


def _is_counter(name: str, network: nn.Module) -> bool:
    return name.endswith("num_batches_tracked") and isinstance(_holder(name, network), _BatchNorm)


def _is_constant(name: str, network: nn.Module) -> bool:
    holder = _holder(name, network)
    snntorch = any(kind.__module__.partition(".")[0] == "snntorch" for kind in type(holder).__mro__)
    return holder is not None and snntorch and name.rpartition(".")[2] in holder._buffers
