import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from foreign_networks import TIME_MAJOR, Net, T, images
from torch import Tensor
from wording import refuses

from tetviz.errors import DataError, ModelError
from tetviz.models import Calling, ForeignNetwork, adapt
from tetviz.models.foreign.isolation import Isolation, differentiating, generators_kept


def settings() -> list[Any]:
    flags = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32, torch.get_float32_matmul_precision()
    return [torch.get_default_dtype(), torch.empty(0).device, torch.is_grad_enabled(), *flags]


CHANGES: dict[str, Callable[[], Any]] = {
    "precision": lambda: torch.set_default_dtype(torch.float64),
    "device": lambda: torch.set_default_device("meta"),
    "gradients": lambda: torch.set_grad_enabled(False),
    "determinism": lambda: torch.use_deterministic_algorithms(True),
    "tf32": lambda: torch.set_float32_matmul_precision("high"),
    "tf32 of cudnn": lambda: setattr(torch.backends.cudnn, "allow_tf32", False),
    "tf32, the new way": lambda: setattr(torch.backends, "fp32_precision", "tf32"),
    "tf32 of products, the new way": lambda: setattr(torch.backends.cuda.matmul, "fp32_precision", "tf32"),
}


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_settings_of_torch_are_put_back(name: str) -> None:
    if "new way" in name and not hasattr(torch.backends, "fp32_precision"):
        pytest.skip("before torch 2.9 there is one way")
    before = settings()
    with Isolation("code"):
        CHANGES[name]()
    assert settings() == before
    with refuses(DataError, "code ValueError"), Isolation("code", DataError):
        CHANGES[name]()
        raise ValueError("no\nfurther lines")
    assert settings() == before
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # torch refuses where flags were mixed
        pass


def test_what_is_printed_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    adapt(Net(lambda net, x: print("seen") or net.steps(x)), images(), T, **TIME_MAJOR)
    captured = capsys.readouterr()
    assert not captured.out
    assert "seen" in captured.err


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tensors_without_a_dtype_are_in_the_precision_of_the_network(dtype: torch.dtype) -> None:
    seen: list[torch.dtype] = []

    def makes_zeros(net: Net, x: Tensor) -> Tensor:
        seen.append(torch.zeros(3).dtype)
        return net.steps(x)

    model = ForeignNetwork(Net(makes_zeros), Calling(**TIME_MAJOR), T).to(dtype)
    assert model(images().to(dtype), T).dtype == dtype
    assert seen == [dtype]
    assert torch.get_default_dtype() == torch.float32


def test_all_generators_are_kept() -> None:
    def draws() -> list[float]:
        return [float(torch.rand(())), random.random(), float(np.random.rand())]

    with generators_kept(torch.device("cpu")):
        first = draws()
    assert draws() == first


def test_a_backward_pass_is_one_line() -> None:
    class Bad(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Any:
            raise ValueError("none here\nat all")

    value = Bad.apply(torch.ones((), requires_grad=True))  # type: ignore[no-untyped-call]
    with refuses(ModelError, "backward ValueError"), differentiating(value):
        value.backward()
    with refuses(ModelError, "gradient reaches"):
        differentiating(value.detach())
