from typing import Any

import pytest
import torch
from foreign_networks import SIDE, TIME_MAJOR, K, T, images
from torch import Tensor, nn

from tetviz.models import Calling, ForeignNetwork, adapt, propose


@pytest.mark.parametrize("kind", ["Leaky", "Synaptic", "Alpha", "RLeaky", "RSynaptic", "Lapicque"])
def test_neurons_of_snntorch_that_keep_their_state(kind: str) -> None:
    snntorch = pytest.importorskip("snntorch")
    constants: dict[str, Any] = {"beta": 0.8, "init_hidden": True, "output": True}
    constants |= {"alpha": 0.9} if kind in ("Synaptic", "Alpha", "RSynaptic") else {}
    constants |= {"linear_features": K} if kind.startswith("R") else {}

    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.fc, self.lif = nn.Linear(2 * SIDE * SIDE, K), getattr(snntorch, kind)(**constants)

        def forward(self, x_B: Tensor) -> Any:
            return self.lif(5 * self.fc(x_B.flatten(1)))

    net, x = Loop(), images()
    assert Calling("step", "step", "mem") in propose(net, x, T)
    found = {item: adapt(net, x, T, takes="step", gives="step", item=item)(x, T) for item in ("spk", "mem")}
    net.lif.reset_mem()
    steps = [net(x) for _ in range(T)]
    for item, at in (("spk", 0), ("mem", -1)):
        assert torch.equal(found[item], torch.stack([step[at] for step in steps]))
    assert found["mem"].std(0).max() > 0  # the steps differ


@pytest.mark.parametrize("mode", ["s", "m"])
def test_neurons_as_spikingjelly_had_them_before_version_2(mode: str) -> None:
    class Memory(nn.Module):
        """Keeps states in a dictionary, and raises where their shape is that of another batch."""

        def __init__(self) -> None:
            super().__init__()
            self._memories: dict[str, Any] = {"v": 0.0}

        def reset(self) -> None:
            self._memories["v"] = 0.0

        def single(self, x: Tensor) -> Tensor:
            v = self._memories["v"]
            if isinstance(v, Tensor) and v.shape != x.shape:
                raise ValueError("a state of another batch")
            v = v + (x - v) / 2
            spikes = (v >= 1).to(x)
            self._memories["v"] = v * (1 - spikes)
            return spikes

        def forward(self, x: Tensor) -> Tensor:
            return self.single(x) if mode == "s" else torch.stack([self.single(x_B) for x_B in x])

    net = nn.Sequential(nn.Flatten(1 if mode == "s" else 2), nn.Linear(2 * SIDE * SIDE, K), Memory())
    nn.init.normal_(net[1].weight, generator=torch.Generator().manual_seed(0))
    calling = Calling("step", "step") if mode == "s" else Calling(**TIME_MAJOR)
    assert propose(net, images(), T) == [calling]
    found, v, steps = ForeignNetwork(net, calling, T)(images(), T), torch.zeros(()), []
    for _ in range(T):
        v = v + (net[1](images().flatten(1)) - v) / 2
        steps.append((v >= 1).to(v))
        v = v * (1 - steps[-1])
    assert torch.equal(found, torch.stack(steps))
    assert 0 < found.mean() < 1
    assert net[2]._memories == {"v": 0.0}


@pytest.mark.parametrize(("averages", "fitting"), [(True, "mean"), (False, "time-major")])
def test_layer_by_layer_containers_of_spikingjelly(averages: bool, fitting: str) -> None:
    layer = pytest.importorskip("spikingjelly.activation_based.layer")
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")

    class LayerByLayer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.T = T
            self.conv = layer.SeqToANNContainer(nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6))
            self.sn, self.fc = neuron.LIFNode(step_mode="m"), nn.Linear(6 * SIDE * SIDE, K)

        def forward(self, x: Tensor) -> Tensor:
            spikes = self.sn(2 * self.conv(x.unsqueeze(0).repeat(self.T, 1, 1, 1, 1))).flatten(2)
            if averages:
                return self.fc(spikes.mean(0))  # type: ignore[no-any-return]
            return torch.stack([self.fc(s) for s in spikes])

    net = LayerByLayer().eval()
    found = propose(net, images(), T)
    assert [each.gives for each in found] == [fitting]
    outputs = ForeignNetwork(net, found[0], T)(images(), T)
    own = net(images())
    torch.testing.assert_close(outputs.mean(0) if averages else outputs, own, rtol=0, atol=1e-5)
    assert outputs.std(0).max() > 1e-3
