"""Parameters that are not their own: tied under several names, or overlapping in memory."""

from collections.abc import Iterable
from itertools import combinations
from typing import TypeVar

import torch
from torch import Tensor, nn

from tetviz.training.doctor.runs import listed

T = TypeVar("T")


def tied_tensors(model: nn.Module) -> list[tuple[str, str]]:
    """Finds parameters and modules under several names, and parameters that share memory."""
    found = []
    modules = [names for names in _aliases(model.named_modules(remove_duplicate=False)) if _holds(model, names[0])]
    # What is inside an alias is shared with it and needs no line of its own.
    inside = tuple(f"{name}." for names in modules for name in names[1:])
    shared = [
        " = ".join(names)
        for names in [*modules, *_aliases(model.named_parameters(remove_duplicate=False))]
        if not all(name.startswith(inside) for name in names[1:])
    ]
    if shared:
        cure = "it is moved once, along the direction of its first name; copy it if that is not meant"
        found.append(("warning", f"{'; '.join(shared[:4])}: one tensor under several names; {cure}"))
    pairs = [(a, b) for sharing in _by_storage(model) for (a, p), (b, q) in combinations(sharing, 2) if _overlap(p, q)]
    if pairs:
        owners = listed(model, [name.rpartition(".")[0] for pair in pairs for name in pair])
        cure = "moving one moves the other; let each own its memory (clone), or register one parameter"
        names = "; ".join(f"{a} and {b}" for a, b in pairs[:4])
        found.append(("failure", f"{names} overlap in memory, in {owners}: {cure}"))
    return found or [("ok", f"{len(list(model.parameters()))} parameters, each with one name and its own memory")]


def _aliases(named: Iterable[tuple[str, T]]) -> list[list[str]]:
    names: dict[int, list[str]] = {}
    for name, thing in named:
        names.setdefault(id(thing), []).append(name)
    return [each for each in names.values() if len(each) > 1]


def _holds(model: nn.Module, name: str) -> bool:
    return bool(model.get_submodule(name).state_dict())


def _by_storage(model: nn.Module) -> list[list[tuple[str, Tensor]]]:
    found: dict[tuple[torch.device, int], list[tuple[str, Tensor]]] = {}
    for name, tensor in model.named_parameters():
        if tensor.numel():
            found.setdefault((tensor.device, tensor.untyped_storage().data_ptr()), []).append((name, tensor))
    return list(found.values())


def _overlap(p: Tensor, q: Tensor) -> bool:
    # Parts of one flat storage, as recurrent layers keep them, share it without sharing an element.
    if p.dtype != q.dtype:
        return True
    marks = torch.zeros(p.untyped_storage().nbytes() // p.element_size(), dtype=torch.bool)
    marks[_positions(p)] = True
    return bool(marks[_positions(q)].any())


def _positions(p: Tensor) -> Tensor:
    where = torch.tensor(p.storage_offset())
    for size, stride in zip(p.shape, p.stride(), strict=True):
        where = where[..., None] + torch.arange(size) * stride
    return where.flatten()
