"""Whether neurons carry their potentials from step to step."""

from collections import Counter

from torch import Tensor, nn

from tetviz.models.foreign.state import clone
from tetviz.training.doctor.runs import listed, logits, watching
from tetviz.training.doctor.spikes import is_neuron, spiking_layers


def carried_over(model: nn.Module, x: Tensor, timesteps: int) -> tuple[str, str]:
    """Shows one frame T times: neurons that take a whole run for one step are named, and O(t) has to change."""
    if timesteps == 1:
        return "ok", "nothing to test at T = 1; ask for more timesteps"
    still = x[:1].expand(timesteps, *x.shape[1:]) if x.dim() == 5 else x
    calls: Counter[str] = Counter()

    def see(name: str, inputs: list[Tensor], results: list[Tensor]) -> None:
        calls[name] += 1

    copied = clone(model)
    with watching(copied, see):
        outputs = logits(copied, still, timesteps)
    single = [
        name
        for name, module in model.named_modules()
        if is_neuron(module) and getattr(module, "step_mode", "") == "s" and calls[name] % timesteps
    ]
    if single:
        return "warning", (
            f"{listed(model, single)} take one call for one step, and get all {timesteps} steps in one: no potential "
            "is carried over; set their step mode to 'm' (SpikingJelly: functional.set_step_mode(network, 'm'))"
        )
    layers = spiking_layers(model, still, timesteps).values()
    if (outputs == outputs[:1]).all() and any(0 < layer.spikes < layer.values for layer in layers):
        return "warning", (
            f"O(t) of one frame shown {timesteps} times is the same at every t: no potential is carried from step to "
            "step; let the neurons keep it, for as long as a run lasts"
        )
    return "ok", f"O(t) of one frame shown {timesteps} times changes with t"
