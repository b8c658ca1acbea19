from collections.abc import Callable
from typing import Any

import pytest
from foreign_networks import Net, T, images
from torch import Tensor, nn
from torch.nn import functional as F
from wording import refuses

from tetviz.errors import ModelError
from tetviz.models import Calling, adapt, propose
from tetviz.models.foreign.network import NetworkError


def test_a_whole_run_is_not_proposed_as_a_step() -> None:
    def mean(net: Net, x: Tensor) -> Tensor:
        return net.steps([x] * net.T).mean(0)

    adapt(Net(mean, T=T), images(), T, takes="step", gives="step")  # no run can tell, so who states it is believed
    found = propose(Net(mean, T=T), images(), T)
    assert {each.takes for each in found} == {"static"}
    assert {each.recover for each in found} == {"reduction"}


def test_a_t_inside_is_found() -> None:
    net = Net(lambda net, x: net.steps([x] * net.encoder.T), encoder=nn.Identity())
    net.encoder.T = T
    (found,) = propose(net, images(), T)
    assert found == Calling("static", "time-major", timesteps_by="attribute:*.T")
    assert found.options().endswith("--timesteps-by 'attribute:*.T'")  # a shell leaves it alone


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda net, x: net.steps(x[..., :1]), "mat1 mat2"),
        (lambda net, x: F.dropout(net.steps(x)), "--takes --gives"),
        (lambda net, x: "text", "type str"),
        (lambda net, x: {}, "output dictionary"),
    ],
)
def test_where_nothing_fits_the_furthest_reason_is_told(function: Callable[..., Any], message: str) -> None:
    with refuses(ModelError, message) as caught:
        propose(Net(function), images(), T)
    assert isinstance(caught.value, NetworkError) == ("mat1" in message)
