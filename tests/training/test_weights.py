"""Weights in the wrappings of other people's training scripts, each held against the plain state_dict."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tetviz.errors import CheckpointError
from tetviz.training import load_weights
from tetviz.training.weights import complete, find_state_dict, rename

State = dict[str, Tensor]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Sequential(nn.Linear(3, 2)))


def fitted(content: Any, own: nn.Module | None = None, key: str = "", **patterns: Any) -> tuple[State, list[str]]:
    own = own or network()
    found, notes = find_state_dict(content, key)
    state, done = complete(rename(found, own.state_dict()), own, **patterns)
    return state, notes + done


def plain() -> State:
    return {name: tensor.clone() for name, tensor in network().state_dict().items()}


def behind(head: str, change: float = 0.0) -> State:
    return {head + name: tensor + change if tensor.is_floating_point() else tensor for name, tensor in plain().items()}


def equal(a: State, b: State) -> bool:
    return a.keys() == b.keys() and all(torch.equal(tensor, b[name]) for name, tensor in a.items())


ONE = {"criterion.weight": torch.ones(2)}
OPTIMIZER = {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]}
WRAPPED: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "as it is": (plain, []),
    "DataParallel": (lambda: behind("module."), ["module came off"]),
    "torch.compile in DDP": (lambda: behind("module._orig_mod."), ["module._orig_mod came off"]),
    "Lightning, with a weighted loss": (
        lambda: {"state_dict": behind("net.") | ONE, "optimizer_states": [OPTIMIZER], "callbacks": {"x": dict(ONE)}},
        ["net came off", "left out, beside the network: criterion.weight"],
    ),
    "a compiled network in Lightning, with one key more": (
        lambda: {"state_dict": behind("model._orig_mod.") | {"model.scale": torch.ones(1)}},
        ["model._orig_mod came off", "left out, beside the network: model.scale"],
    ),
    "a loss beside a network without wrapper": (lambda: plain() | ONE, ["left out, beside the network: criterion"]),
    "a part alone in DataParallel": (lambda: {n.replace("2.", "2.module."): t for n, t in plain().items()}, []),
    "a part alone compiled, in Lightning": (
        lambda: (
            {f"model.{n.replace('0.', '0._orig_mod.')}": t for n, t in plain().items() if not n.startswith("2.0")}
            | {f"model.{n}": t for n, t in plain().items() if n.startswith("2.0")}
        ),
        ["model came off"],
    ),
    "averages beside the weights, in Lightning": (
        lambda: {"state_dict": behind("model.") | behind("ema_model.module.", 1.0) | {"n_averaged": torch.tensor(3)}},
        ["model came off", "averaged weights are behind ema_model.module (--key)", "left out, beside the network"],
    ),
    "averages in an entry": (
        lambda: {"model": plain(), "model_ema": behind("", 1.0), "optimizer": OPTIMIZER, "best": torch.tensor(0.9)},
        ["the weights are those of the entry model; others are in model_ema (--key)"],
    ),
    "ema-pytorch": (
        lambda: behind("online_model.") | behind("ema_model.", 1.0) | {"initted": torch.tensor(True)},
        ["online_model came off", "averaged weights are behind ema_model (--key)", "left out, beside"],
    ),
    "Fabric, compiled": (
        lambda: {"optimal_model": behind("_forward_module._orig_mod.")},
        ["_forward_module._orig_mod"],
    ),
    "timm": (
        lambda: {"arch": "net", "state_dict": plain(), "state_dict_ema": behind("", 1.0), "args": {"lr": 0.1}},
        ["others are in state_dict_ema"],
    ),
    "AveragedModel": (lambda: {"n_averaged": torch.tensor(3)} | behind("module."), ["module came off", "n_averaged"]),
    "entries in entries": (lambda: {"ckpt": {"net": behind("module."), "acc": 0.9}, "epoch": 3}, ["module came off"]),
    "an entry of an unusual name": (lambda: {"my weights": plain(), "optimizer": OPTIMIZER}, []),
    "a teacher beside": (lambda: {"net": plain(), "teacher": behind("", 1.0)}, ["others are in teacher"]),
    "numbers beside tensors": (lambda: {**plain(), "epoch": 3, "acc": 0.5}, ["left out, no tensors: 'epoch', 'acc'"]),
    "after a profiler": (
        lambda: plain() | {"total_ops": torch.zeros(1), "2.0.total_params": torch.zeros(1)},
        ["left out, beside the network: total_ops, 2.0.total_params"],
    ),
    "before torch counted batches": (
        lambda: {name: tensor for name, tensor in plain().items() if "num_batches" not in name},
        ["not in the file, taken from the network: 1.num_batches_tracked (counters of batch norm)"],
    ),
}


@pytest.mark.parametrize("case", WRAPPED)
def test_wrappings_come_off_and_are_said(case: str) -> None:
    make, said = WRAPPED[case]
    state, notes = fitted(make())
    assert equal(state, plain())
    assert all(any(word in note for note in notes) for word in said), notes
    assert bool(notes) == bool(said), notes


def test_the_network_may_be_in_the_wrapper_and_the_file_not() -> None:
    wrapper = nn.Module()
    wrapper.net = network()
    for content in (plain(), behind("module."), behind("net."), behind("model.net.")):
        assert equal(fitted(content, wrapper)[0], behind("net."))


def test_a_key_names_an_entry_or_a_beginning() -> None:
    content = {"state_dict": behind("model.") | behind("ema_model.module.", 1.0), "a": {"b": plain()}}
    assert equal(fitted(content, key="state_dict.ema_model.module")[0], behind("", 1.0))
    assert equal(fitted(content, key="state_dict.ema_model")[0], behind("", 1.0))
    assert equal(fitted(content, key="a.b")[0], plain())
    with pytest.raises(CheckpointError, match="has no entry 'c' "):
        fitted(content, key="c")


WRONG = {
    "two networks": (
        lambda: {"gen": plain(), "dis": plain()},
        r"several state_dicts \(gen, dis\); name one with --key",
    ),
    "two usual entries": (lambda: {"model": plain(), "net": plain()}, r"several state_dicts \(model, net\)"),
    "twice in one": (
        lambda: behind("a.") | behind("b."),
        "the network several times, behind a, b; name one with --key",
    ),
    "many keys": (
        lambda: plain() | {f"{at}.weight": torch.ones(1) for at in range(10, 27)},
        r"has unknown 10\.weight, 11\.weight, 12\.weight and 14 more, 17 in all \(--ignore\)$",
    ),
    "a layer less": (
        lambda: {name: tensor for name, tensor in plain().items() if not name.startswith("0.")} | ONE,
        r"it lacks 0\.weight, 0\.bias \(--allow-missing\) and has unknown criterion\.weight",
    ),
    "statistics missing": (
        lambda: {name: tensor for name, tensor in plain().items() if "running" not in name},
        r"lacks 1\.running_mean, 1\.running_var",
    ),
    "an optimizer": (lambda: {"optimizer": OPTIMIZER, "epoch": 3}, "it is a dictionary of 'optimizer', 'epoch'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_told_is_refused(case: str) -> None:
    make, message = WRONG[case]
    with pytest.raises(CheckpointError, match=message):
        fitted(make())


def test_patterns_for_the_rest() -> None:
    content = {name: tensor for name, tensor in plain().items() if not name.startswith("2.")}
    content |= {"9.weight": torch.ones(1), "tail.0.bias": torch.ones(1)}
    with pytest.raises(CheckpointError, match=r"lacks 2\.0\.weight"):
        fitted(content)
    state, notes = fitted(content, allow_missing=["2"], ignore=["9.*", "tail"])
    assert equal(state, plain())
    assert "not in the file, taken from the network: 2.0.weight, 2.0.bias (allowed to be missing)" in notes
    assert "left out, as asked for: 9.weight, tail.0.bias" in notes


def test_dictionaries_in_themselves_end() -> None:
    content: dict[str, Any] = {}
    content["a"] = content["b"] = content
    with pytest.raises(CheckpointError, match="a dictionary of 'a', 'b'"):
        find_state_dict(content)


def snn() -> nn.Module:
    snntorch = pytest.importorskip("snntorch")
    return nn.Sequential(nn.Linear(2, 3), snntorch.Leaky(beta=0.9, init_hidden=True), snntorch.Leaky(beta=0.8))


def test_states_and_constants_of_snntorch() -> None:
    own = snn()
    constants = [name for name in own.state_dict() if name.startswith(("1.", "2."))]
    assert {"1.beta", "2.threshold"} <= set(constants)
    old = {name: tensor for name, tensor in own.state_dict().items() if name not in constants}
    old |= {"1.mem": torch.ones(64, 3), "2.beta": torch.tensor(0.5)}
    state, notes = fitted(old, own)
    assert state.keys() == own.state_dict().keys()
    assert (state["1.beta"], state["2.beta"]) == (own.state_dict()["1.beta"], 0.5)
    assert "left out, states of neurons: 1.mem" in notes
    assert any("1.threshold" in note and "(constants of snnTorch)" in note for note in notes)
    with pytest.raises(CheckpointError, match=r"has unknown 0\.mem"):
        fitted(own.state_dict() | {"0.mem": torch.ones(1)}, own)


def test_learned_constants_are_not_filled_in() -> None:
    snntorch = pytest.importorskip("snntorch")
    own = nn.Sequential(nn.Linear(2, 3), snntorch.Leaky(beta=0.9, learn_beta=True))
    with pytest.raises(CheckpointError, match=r"lacks 1\.beta"):
        fitted({name: tensor for name, tensor in own.state_dict().items() if name != "1.beta"}, own)


def test_numbers_of_numpy_and_settings_beside_weights_are_read(tmp_path: Path) -> None:
    content = {"model": plain(), "best": np.float64(0.9), "epoch": np.int64(3), "ok": np.bool_(True)}
    torch.save(content, tmp_path / "w.pth")
    assert equal(load_weights(tmp_path / "w.pth"), plain())


# --- safetensors: the bytes as its specification says ---------------------------------------------------------


def packed(state: State, table: dict[str, Any] | None = None) -> bytes:
    kinds = {torch.float32: "F32", torch.float16: "F16", torch.int64: "I64", torch.bool: "BOOL"}
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, tensor in state.items():
        content = tensor.contiguous().numpy().tobytes()
        places = [len(data), len(data) + len(content)]
        entries[name] = {"dtype": kinds[tensor.dtype], "shape": list(tensor.shape), "data_offsets": places}
        data += content
    header = json.dumps(entries | (table or {})).encode()
    return struct.pack("<Q", len(header)) + header + data


def test_safetensors(tmp_path: Path) -> None:
    state = plain() | {"half": torch.arange(5).half(), "flag": torch.tensor([True, False, True]), "none": torch.ones(0)}
    for name in ("w.safetensors", "w.bin"):
        (tmp_path / name).write_bytes(packed(state))
        assert equal(load_weights(tmp_path / name), state)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 10**12]},
        {"dtype": "F32", "shape": [-1, -2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]},
        {"dtype": "X9", "shape": [2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": "ab", "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": 8},
        {"dtype": "F32", "shape": [2], "data_offsets": [0.0, 8.0]},
        {"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [0, 2**70], "data_offsets": [0, 0]},
        ["F32", [2], [0, 8]],
        7,
    ],
)
def test_damaged_safetensors_are_one_line(tmp_path: Path, entry: Any) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(packed(plain(), {"odd": entry}))
    with pytest.raises(CheckpointError, match=r"w\.safetensors: damaged or of a newer format, 'odd' has no place"):
        load_weights(path)
    whole = packed(plain())
    for cut in (4, 9, 100, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(CheckpointError, match=r"w\.safetensors: damaged"):
            load_weights(path)
