"""What a run that is counted is of: its samples, and what its network is shown."""

from collections.abc import Collection

from torch import Tensor, nn

from tetviz.errors import TetvizError, unknown
from tetviz.models import ForeignNetwork, NodeClassifier


def spiking_modules(model: nn.Module, spiking: Collection[str]) -> list[str]:
    """The modules whose outputs are spikes because a user says so, by their names or types in the network."""
    # Modules of a network of someone else's may be named as they are called in it.
    names = {name for name, _ in model.named_modules(remove_duplicate=False) if name}
    types = {type(module).__name__ for module in model.modules()}
    inner = {name.removeprefix("network."): name for name in names}
    for name in spiking:
        if name not in names | types and name not in inner:
            raise TetvizError(unknown("module or type in spiking", name, sorted({*inner, *types})))
    return [name if name in names | types else inner[name] for name in spiking]


def shown(model: nn.Module, x: Tensor) -> Tensor:
    """What the first layer gets where a network is given x."""
    # The first layer of a graph network gets the features of nodes, x is their numbers.
    return model.values_M if isinstance(model, NodeClassifier) else x


def by_steps(model: nn.Module) -> bool:
    """Whether a network of someone else's is called once for each step."""
    return isinstance(model, ForeignNetwork) and model.calling.takes == "step"


def samples_in(x: Tensor) -> int:
    """The number of samples of a batch."""
    return x.shape[1] if x.dim() == 5 else len(x)


def pick(x: Tensor, at: list[int]) -> Tensor:
    """Some samples of a batch."""
    return x[:, at] if x.dim() == 5 else x[at]
