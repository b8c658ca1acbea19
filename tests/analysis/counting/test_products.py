"""Attention blocks of every family against hand counts, under every convention, and SpikingJelly's own counter."""

from typing import Any

import pytest
import torch
from attention_networks import BLOCKS, TokenNetwork, hand_pairs
from counting_networks import StepLoop, dyadic

from tetviz.analysis import count_operations
from tetviz.summaries import estimate_energy, layer_table
from tetviz.summaries.energy_tables import beside_anns, rate_estimate

T, B = 4, 2


def sequence() -> torch.Tensor:
    return dyadic((T, B, 2, 4, 4), 5)


def counted(name: str) -> tuple[TokenNetwork, Any]:
    network = TokenNetwork(BLOCKS[name]())
    return network, count_operations(network, sequence(), T)


def of_products(counts: Any, column: Any) -> list[int]:
    rows = [i for i, kinds in enumerate(counts.inputs) if " x " in kinds]
    return column[rows].sum(0).tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", BLOCKS)
def test_products_of_an_attention_block_are_those_of_a_hand_count(name: str) -> None:
    network, counts = counted(name)
    with torch.no_grad():
        network(sequence(), T)
    added, masked = hand_pairs(name, network.block.seen)  # type: ignore[arg-type]
    assert list(counts.not_counted) == []
    assert of_products(counts, counts.ac) == [a + m for a, m in zip(added, masked, strict=True)]
    assert of_products(counts, counts.mac) == [0] * T
    assert sum(added) + sum(masked) > 20
    ssa, sdsa = (estimate_energy(counts, convention=each) for each in ("ssa", "sdsa"))
    assert of_products(counts, ssa.ac) == of_products(counts, counts.ac)
    assert of_products(counts, sdsa.ac) == added
    assert of_products(counts, sdsa.mac) == [0] * T


@pytest.mark.parametrize("name", BLOCKS)
def test_layers_on_tokens_count_each_step(name: str) -> None:
    network, counts = counted(name)
    seen: dict[str, torch.Tensor] = {}
    for part, layer in network.block.named_children():
        layer.register_forward_hook(lambda m, args, y, part=part: seen.__setitem__(part, args[0]))
    with torch.no_grad():
        network(sequence(), T)
    for part in ("q", "k", "proj"):
        i = counts.names.index(f"block.{part}")
        assert counts.ac[i].tolist() == [8 * int((step != 0).sum()) for step in seen[part]]
        assert counts.dense_mac[i].tolist() == [B * 4 * 64] * T


def test_strict_goes_by_values() -> None:
    _, counts = counted("ssa")
    assert {kinds for kinds in counts.inputs if " x " in kinds} == {"binary x binary", "analog x binary"}
    strict = estimate_energy(counts, convention="strict")
    assert of_products(counts, strict.ac) == of_products(counts, counts.ac)

    def scaled(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        return (q * 0.125) @ (k * 0.25).transpose(-1, -2)

    class Scaled(BLOCKS["ssa"]):  # type: ignore[misc]
        def forward(self, s: torch.Tensor) -> torch.Tensor:
            q, k, v = self.spikes(s)
            return self.proj(self.joined(scaled(q, k) @ v))  # type: ignore[no-any-return]

    counts = count_operations(TokenNetwork(Scaled()), sequence(), T)
    ssa, strict = (estimate_energy(counts, convention=each) for each in ("ssa", "strict"))
    i = counts.inputs.index("scaled x scaled")
    assert ssa.ac[i].tolist() == strict.mac[i].tolist() != [0] * T
    assert ssa.mac[i].tolist() == strict.ac[i].tolist() == [0] * T


@pytest.mark.parametrize("name", BLOCKS)
def test_a_step_at_a_time_counts_as_all_steps_at_once(name: str) -> None:
    together = count_operations(TokenNetwork(BLOCKS[name]()), sequence(), T)

    def rest(step: torch.nn.Module) -> None:
        for module in step.modules():
            if hasattr(module, "axis"):
                module.axis, module.u = None, torch.zeros(())

    class Step(TokenNetwork):
        def forward(self, x: torch.Tensor, timesteps: int = 1) -> torch.Tensor:  # one step, B x C x H x W
            s = self.fire(3 * x.flatten(1).unflatten(1, (-1, 8)))
            return self.head(self.block(s).mean(1))  # type: ignore[no-any-return]

    apart = count_operations(StepLoop(Step(BLOCKS[name]()), rest), sequence(), T)
    for column in ("dense_mac", "ac", "mac", "spikes"):
        assert getattr(apart, column).sum(0).tolist() == getattr(together, column).sum(0).tolist()
    assert together.ac.sum() > 0


@pytest.mark.parametrize("name", ["ssa", "sdsa2"])
def test_spikingjelly_counts_the_same_products(name: str) -> None:
    counter = pytest.importorskip("spikingjelly.activation_based.op_counter")
    network, counts = counted(name)
    synops = counter.SynOpCounter()
    with counter.DispatchCounterMode([synops]), torch.no_grad():
        network(sequence(), T)
    # Its head takes means of spikes, which it leaves out; so do we, as MACs.
    strict = estimate_energy(counts, convention="strict")
    assert synops.get_total() == strict.ac.sum()


def test_the_estimate_of_papers_stands_beside_the_exact_count() -> None:
    _, counts = counted("ssa")
    report = estimate_energy(counts, convention="ssa")
    found = rate_estimate(report, T)
    assert found is not None
    with torch.no_grad():
        rates = counts.active_inputs / counts.input_elements.clip(1)
    spiking = report.mac.sum(1) == 0
    expected = (rates * counts.dense_mac)[spiking].sum() / B
    assert found[1] == pytest.approx(expected)
    assert found[0] == counts.dense_mac[~spiking].sum() / B
    table = beside_anns(report, T)
    assert table.loc["rate x FLOPs x T, an estimate", "energy (nJ)"] == pytest.approx(found[2])
    assert {"ssa, per-step", "sdsa, per-step"} <= set(table.index)
    assert "block: matmul over 4" in layer_table(report, T).index
