"""LIF against the loop of the reference, and what streaming() keeps and forgets."""

import copy
import io
import itertools
import math
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from torch import nn
from wording import refuses

import reference
from tetviz.models import IF, LIF, NEURONS, PLIF, RESETS, SURROGATES, CubaLIF, build, streaming

NAMES = sorted(SURROGATES)
HARD = [name for name in NAMES if name != "sigmoid"]
CURRENTS = npst.arrays(
    np.float64,
    st.tuples(st.integers(1, 6), st.integers(1, 4)),
    elements=st.floats(-2, 3).map(lambda v: round(v, 3)),
)
CONSTANTS = {
    "leak": st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0]),
    "threshold": st.sampled_from([0.2, 0.5, 1.0, 1.7]),
    "gamma": st.sampled_from([0.4, 1.0, 2.0]),
}


def tensor(values: Any) -> torch.Tensor:
    return torch.tensor(np.asarray(values, dtype=np.float64))


# without a graph the neuron may take another path through the same numbers
MODES = {"grad": torch.enable_grad, "no_grad": torch.no_grad, "inference": torch.inference_mode}
every_mode = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)


# --- spikes and gradients -----------------------------------------------------------------------------------


@every_mode
@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("surrogate", NAMES)
@given(current=CURRENTS, **CONSTANTS)
@settings(deadline=None, max_examples=15)
def test_spikes_are_those_of_the_loop(
    surrogate: str, reset: str, mode: Any, current: reference.Array, leak: float, threshold: float, gamma: float
) -> None:
    with mode():
        spikes = LIF(leak, threshold, surrogate, gamma, reset=reset)(tensor(current))
    _, expected = reference.lif_forward(current, leak, threshold, surrogate, gamma, reset)
    if surrogate == "sigmoid":
        np.testing.assert_allclose(spikes.numpy(), expected, rtol=1e-12)
    else:
        np.testing.assert_array_equal(spikes.numpy(), expected)


@pytest.mark.parametrize("detached", [(False, False), (True, False), (False, True)])  # reset, carry
@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("surrogate", NAMES)
@given(current=CURRENTS, seed=st.integers(0, 10**6), **CONSTANTS)
@settings(deadline=None, max_examples=12)
def test_gradients_are_those_of_backpropagation_by_hand(
    surrogate: str,
    reset: str,
    detached: tuple[bool, bool],
    current: reference.Array,
    seed: int,
    leak: float,
    threshold: float,
    gamma: float,
) -> None:
    upstream = np.random.default_rng(seed).normal(size=current.shape)
    x = tensor(current).requires_grad_()
    constants, rule = (leak, threshold, surrogate, gamma), (detached[0], reset, detached[1])
    LIF(*constants, *rule)(x).backward(tensor(upstream))
    expected, _ = reference.lif_backward(current, upstream, *constants, *rule)
    assert x.grad is not None
    if surrogate == "rectangle":  # on the kernel's edge, rounding decides between 0 and the full height
        u, _ = reference.lif_forward(current, leak, threshold, surrogate, gamma, reset)
        assume(not np.any(np.abs(np.abs(u - threshold) - gamma / 2) < 1e-9))
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("detached", [(False, False), (True, False), (False, True)])  # reset, carry
@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("surrogate", NAMES)
@pytest.mark.parametrize("leak", [0.2, 0.5, 0.9])
def test_a_learned_leak_has_the_gradient_by_hand(
    leak: float, surrogate: str, reset: str, detached: tuple[bool, bool]
) -> None:
    generator = np.random.default_rng(5)
    current, upstream = generator.normal(0.6, 0.7, (6, 4)), generator.normal(size=(6, 4))
    rule = (detached[0], reset, detached[1])
    x, neuron = tensor(current).requires_grad_(), PLIF(leak, 0.9, surrogate, 0.8, *rule).double()
    with torch.no_grad():
        neuron.w.add_(0.1)
    leak = neuron.leak.item()
    assert leak == pytest.approx(1 - 1 / (1 + math.exp(-neuron.w.item())), rel=1e-14)
    neuron(x).backward(tensor(upstream))
    currents, leaks = reference.lif_backward(current, upstream, leak, 0.9, surrogate, 0.8, *rule)
    assert x.grad is not None
    assert neuron.w.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), currents, rtol=1e-9, atol=1e-12)
    # d leak / d w = -leak (1 - leak)
    assert neuron.w.grad.item() == pytest.approx(-leak * (1 - leak) * leaks, rel=1e-9)


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("surrogate", NAMES)
def test_detaching_the_reset_changes_the_gradient(surrogate: str, reset: str) -> None:
    # were the two the same on a spiking, leaking case, the tests above would compare one path with itself
    gradients = []
    for detach_reset in (False, True):
        x = tensor([[1.2], [0.6], [0.7]]).requires_grad_()
        LIF(surrogate=surrogate, detach_reset=detach_reset, reset=reset)(x)[2].sum().backward()
        assert x.grad is not None
        gradients.append(x.grad)
    assert not torch.allclose(*gradients)


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("surrogate", NAMES)
def test_without_a_carry_the_gradient_of_a_step_is_its_own_slope(surrogate: str, reset: str) -> None:
    generator = np.random.default_rng(3)
    x, upstream = tensor(generator.normal(0.6, 0.7, (6, 4))).requires_grad_(), tensor(generator.normal(size=(6, 4)))
    neuron = LIF(0.7, 0.9, surrogate, 0.8, reset=reset, detach_carry=True)
    neuron(x).backward(upstream)
    assert x.grad is not None
    torch.testing.assert_close(x.grad, upstream * neuron.trace(x.detach()).slopes, rtol=1e-12, atol=0)
    whole = x.detach().clone().requires_grad_()
    spikes = LIF(0.7, 0.9, surrogate, 0.8, reset=reset)(whole)
    spikes.backward(upstream)
    assert whole.grad is not None
    assert torch.equal(whole.grad[-1], x.grad[-1]) and not torch.allclose(whole.grad[:-1], x.grad[:-1])
    assert torch.equal(spikes, neuron(x.detach()))  # outputs are the same


def test_current_based_neurons_detach_both_states() -> None:
    x = tensor([[1.2], [0.6], [0.7]]).requires_grad_()
    CubaLIF(0.5, 0.5, detach_carry=True)(x)[2].sum().backward()
    assert x.grad is not None
    assert x.grad[:2].abs().max() == 0 and x.grad[2] > 0


@every_mode
def test_worked_example(mode: Any) -> None:
    # u: .8 | .4+.8=1.2 spike, 0 | .5 | .25+.75=1.0 no spike (equal) | .5+.51=1.01 spike
    with mode():
        spikes = LIF()(tensor([[0.8], [0.8], [0.5], [0.75], [0.51]]))
    assert spikes.flatten().tolist() == [0, 1, 0, 0, 1]


def test_worked_example_of_a_soft_reset() -> None:
    # u: 2.6 spike, 1.6 left | .8+.3=1.1 spike, .1 left | .05+.9 | .475+.5 | .4875+.6=1.0875 spike
    for mode in MODES.values():
        with mode():
            spikes = LIF(reset="soft")(tensor([[2.6], [0.3], [0.9], [0.5], [0.6]]))
        assert spikes.flatten().tolist() == [1, 1, 0, 0, 1]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("kind", NEURONS)
def test_a_run_without_a_graph_is_the_run_with_one(kind: str, reset: str, dtype: torch.dtype) -> None:
    # a threshold that binary numbers do not hold, and a leak of 0.3 alike
    neuron = NEURONS[kind](threshold=0.7, reset=reset, **({} if kind == "if" else {"leak": 0.3}))
    x = (torch.randn(40, 200, generator=torch.Generator().manual_seed(2)) * 0.6 + 0.2).to(dtype)
    with_graph = neuron(x)
    membranes = []
    for mode in MODES.values():
        with mode(), streaming(neuron):
            assert torch.equal(neuron(x), with_graph)
            membranes.append(neuron.membrane.clone())
    assert torch.equal(membranes[0], membranes[1])
    assert torch.equal(membranes[0], membranes[2])
    assert 0.1 < with_graph.float().mean() < 0.6


@pytest.mark.parametrize("surrogate", HARD)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("threshold", [0.3, 0.5, 1.0, 2.0])
def test_potential_equal_to_the_threshold_is_silent(surrogate: str, dtype: torch.dtype, threshold: float) -> None:
    at = torch.tensor([[threshold]], dtype=dtype)
    neuron = LIF(threshold=at.item(), surrogate=surrogate)
    assert neuron(at).item() == 0
    assert neuron(at * 1.01).item() == 1


def test_smooth_sigmoid_grades_spike_and_reset() -> None:
    spikes = LIF(surrogate="sigmoid", gamma=0.25)(tensor([[1.0], [1.0]]))
    assert spikes[0].item() == 0.5  # at the threshold
    # the reset takes half of the potential, the leak half of the rest: u(2) = 1/4 + 1
    assert spikes[1].item() == pytest.approx(1 / (1 + math.exp(-1)), rel=1e-12)


def test_smooth_sigmoid_backward_is_its_numerical_gradient() -> None:
    x = tensor(np.random.default_rng(1).normal(0.6, 0.7, (4, 3))).requires_grad_()
    assert torch.autograd.gradcheck(LIF(surrogate="sigmoid", gamma=0.7), (x,))
    assert torch.autograd.gradgradcheck(LIF(surrogate="sigmoid", gamma=0.7), (x,))


# --- what a run shows ---------------------------------------------------------------------------------------


class Adaptive(LIF):
    """Neurons whose threshold rises with every spike of their own: another rule than that of LIF."""

    def steps(self, current_TB, v):
        raised = torch.zeros_like(v)
        for current in current_TB:
            u = self.leak * v + current - raised
            s = SURROGATES[self.surrogate](u, self.threshold, self.gamma)
            raised, v = 0.9 * raised + s, u * (1 - s)
            yield u, s, v


@pytest.mark.parametrize("kind", [*NEURONS.values(), Adaptive])
@pytest.mark.parametrize("surrogate", NAMES)
def test_a_trace_is_what_happens_in_a_run(kind: type[LIF], surrogate: str) -> None:
    torch.manual_seed(0)
    neuron, current = kind(surrogate=surrogate, gamma=0.7), torch.randn(6, 50, 3)
    potentials, slopes, spikes = neuron.trace(current.requires_grad_())
    assert not potentials.requires_grad and not slopes.requires_grad
    run = neuron(current)
    assert torch.equal(spikes, run)
    with torch.no_grad():
        assert torch.equal(spikes, neuron(current))
    (gradient,) = torch.autograd.grad(run[0].sum(), current)  # u(1) is the current itself
    assert torch.equal(slopes[0], gradient[0])
    if surrogate != "sigmoid":
        assert torch.equal(potentials > neuron.threshold, spikes == 1)


@pytest.mark.parametrize("reset", RESETS)
def test_potentials_of_a_trace_are_those_of_the_loop(reset: str) -> None:
    current = np.random.default_rng(0).normal(0.6, 0.6, (7, 40))
    expected, _ = reference.lif_forward(current, 0.8, 0.9, "triangle", 1.0, reset)
    np.testing.assert_allclose(LIF(0.8, 0.9, reset=reset).trace(tensor(current)).potentials, expected, rtol=1e-12)


def test_another_rule_changes_the_spikes() -> None:
    current = torch.full((20, 1), 1.2)
    assert LIF()(current).sum() == 20
    assert 0 < Adaptive()(current).sum() < 20


def test_a_trace_starts_from_rest_and_leaves_a_stream_alone() -> None:
    neuron, current = LIF(), torch.rand(4, 3)
    alone = neuron.trace(current)
    with streaming(neuron):
        neuron(current)
        before = neuron.membrane
        assert all(map(torch.equal, neuron.trace(current), alone))
        assert neuron.membrane is before


@pytest.mark.parametrize("surrogate", NAMES)
def test_second_backward_is_finite(surrogate: str) -> None:
    x = tensor(np.random.default_rng(0).normal(0.8, 0.6, (5, 7))).requires_grad_()
    (first,) = torch.autograd.grad((LIF(surrogate=surrogate)(x) ** 2).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad((first**2).sum(), x)
    assert torch.isfinite(second).all()
    assert second.abs().max() > 0


def test_if_is_lif_without_leak() -> None:
    x = tensor(np.random.default_rng(0).normal(0.3, 0.5, (8, 5)))
    assert torch.equal(IF(0.7, "arctan", 2.0, True)(x), LIF(1.0, 0.7, "arctan", 2.0, True)(x))
    assert IF()(tensor([[0.5], [0.5], [0.1]])).flatten().tolist() == [0, 0, 1]


@pytest.mark.parametrize("reset", RESETS)
def test_a_leak_that_has_learned_nothing_is_that_of_lif(reset: str) -> None:
    x = tensor(np.random.default_rng(0).normal(0.4, 0.6, (8, 50)))
    assert torch.equal(PLIF(0.5, reset=reset).double()(x), LIF(0.5, reset=reset)(x))
    assert torch.equal(PLIF(0.3, reset=reset).double()(x), LIF(0.3, reset=reset)(x))


def test_a_layer_learns_one_leak() -> None:
    neuron = PLIF(0.25)
    assert [(name, p.shape) for name, p in neuron.named_parameters()] == [("w", ())]
    assert neuron.w.item() == pytest.approx(math.log(3))
    assert neuron.leak.item() == pytest.approx(0.25)
    assert neuron.double().leak.item() == pytest.approx(0.25)
    optimiser = torch.optim.SGD(neuron.parameters(), 1.0)
    x = tensor(np.random.default_rng(0).normal(0.4, 0.3, (6, 50)))
    before = neuron(x).sum()
    for _ in range(20):
        optimiser.zero_grad()
        (-neuron(x).mean()).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert 0.3 < neuron.leak.item() < 1
    assert neuron(x).sum() > before


@pytest.mark.parametrize("leak", [0, 1, -0.5, 1.5, float("nan")])
def test_a_learned_leak_starts_between_0_and_1(leak: float) -> None:
    with refuses(ValueError, "0 1 excluded"):
        PLIF(leak)


def test_an_unknown_reset_lists_the_known() -> None:
    with refuses(ValueError, "'zero'"):
        LIF(reset="zero")


@pytest.mark.parametrize("shape", [(3, 2), (3, 2, 4), (3, 2, 4, 5, 6), (1, 1, 1)])
def test_any_shape(shape: tuple[int, ...]) -> None:
    x = torch.linspace(-1, 3, math.prod(shape)).reshape(shape)
    spikes = LIF()(x)
    assert spikes.shape == shape
    assert torch.equal(spikes.flatten(1), LIF()(x.flatten(1)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtype_of_the_input_is_kept(dtype: torch.dtype) -> None:
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).to(dtype).requires_grad_()
    spikes = LIF()(x)
    spikes.sum().backward()
    assert x.grad is not None
    assert (spikes.dtype, x.grad.dtype) == (dtype, dtype)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision_integrates_in_float32(dtype: torch.dtype) -> None:
    # 2^-9 a step: a sum kept in bfloat16 would stall at 1/4, one kept in float16 fires at another step
    x = torch.full((1500, 1), 2**-9, dtype=dtype)
    assert torch.equal(IF()(x), IF()(x.float()).to(dtype))
    assert IF()(x).sum() == 2


def test_input_is_left_as_it_is() -> None:
    x = tensor(np.random.default_rng(0).normal(1, 1, (4, 3)))
    before = x.clone()
    with streaming(neuron := LIF()):
        neuron(x)
        neuron(x)
    assert torch.equal(x, before)
    assert not x.requires_grad


def test_a_neuron_has_no_state_to_store() -> None:
    assert list(LIF().parameters()) == []
    assert dict(LIF().state_dict()) == {}


@every_mode
def test_an_empty_sequence_is_refused(mode: Any) -> None:
    with mode(), refuses(ValueError, "timestep"):
        LIF()(torch.zeros(0, 2))
    with mode(), refuses(ValueError, "timestep"):
        LIF().trace(torch.zeros(0, 2))


def test_repr_shows_the_constants() -> None:
    text = repr(LIF(0.25, 0.5, "arctan", 2.0, True, detach_carry=True))
    for part in ("leak=0.25", "threshold=0.5", "arctan", "gamma=2.0", "reset=hard", "detach_reset", "detach_carry"):
        assert part in text
    assert "learned leak=0.25" in repr(PLIF(0.25, reset="soft"))
    assert "reset=soft" in repr(PLIF(0.25, reset="soft"))


# --- states -------------------------------------------------------------------------------------------------


@given(current=CURRENTS)
@settings(deadline=None, max_examples=20)
def test_every_call_starts_from_rest(current: reference.Array) -> None:
    neuron, x = LIF(), tensor(current)
    first = neuron(x)
    neuron(x * 2 + 1)
    assert torch.equal(neuron(x), first)
    assert neuron(tensor(np.zeros((1, 17)))).shape == (1, 17)  # nor does a shape stick


@every_mode
@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("kind", NEURONS)
@pytest.mark.parametrize("surrogate", ["triangle", "sigmoid"])
@given(data=st.data(), current=CURRENTS)
@settings(deadline=None, max_examples=8)
def test_chunks_equal_one_run(
    surrogate: str, kind: str, reset: str, mode: Any, data: st.DataObject, current: reference.Array
) -> None:
    neuron, x = NEURONS[kind](surrogate=surrogate, reset=reset).double(), tensor(current)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(x)), max_size=4)) | {0, len(x)})
    with mode(), streaming(neuron):
        chunks = [neuron(x[a:b]) for a, b in itertools.pairwise(cuts)]
    assert torch.equal(torch.cat(chunks), neuron(x))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_chunks_equal_one_run_in_low_precision(dtype: torch.dtype) -> None:
    neuron = LIF()
    x = torch.randn(40, 50, generator=torch.Generator().manual_seed(0)).to(dtype)
    with streaming(neuron):
        chunks = [neuron(part) for part in x.split(7)]
    assert torch.equal(torch.cat(chunks), neuron(x))


@pytest.mark.parametrize("first", MODES.values(), ids=MODES)
@pytest.mark.parametrize("second", MODES.values(), ids=MODES)
def test_chunks_may_differ_in_their_gradient_mode(first: Any, second: Any) -> None:
    neuron, x = LIF(leak=0.9), tensor(np.random.default_rng(0).normal(0.6, 0.5, (9, 5)))
    whole = neuron(x)
    with streaming(neuron):
        with first():
            a = neuron(x[:4])
        with second():
            b = neuron(x[4:7])
        c = neuron(x[7:])
    assert [p.tolist() for p in (a, b, c)] == [p.tolist() for p in (whole[:4], whole[4:7], whole[7:])]


def test_a_later_chunk_without_gradients_keeps_the_graph_of_the_first() -> None:
    neuron, x = LIF(leak=0.9), tensor(np.random.default_rng(0).normal(0.6, 0.5, (9, 5))).requires_grad_()
    (expected,) = torch.autograd.grad(neuron(x[:4]).sum(), x)
    with streaming(neuron):
        first = neuron(x[:4])
        with torch.no_grad():
            neuron(x[4:])
        (found,) = torch.autograd.grad(first.sum(), x)
    assert torch.equal(found, expected)


def test_the_membrane_carries_over_only_inside() -> None:
    neuron, half = LIF(leak=1.0), tensor([[0.6]])
    with streaming(neuron) as same:
        assert same is neuron
        assert [neuron(half).item() for _ in range(4)] == [0, 1, 0, 1]
    assert neuron(half).item() == 0
    assert neuron(half).item() == 0
    with streaming(neuron):
        assert neuron(half).item() == 0


def test_streaming_clears_after_an_exception() -> None:
    neuron, half = LIF(leak=1.0), tensor([[0.6]])
    with pytest.raises(KeyError), streaming(neuron):
        neuron(half)
        raise KeyError
    assert neuron(half).item() == 0
    with streaming(neuron):
        assert neuron(half).item() == 0


def test_the_gradient_stops_at_the_border_of_a_chunk() -> None:
    neuron = LIF(leak=1.0)
    first, second = tensor([[0.4]]).requires_grad_(), tensor([[0.4]]).requires_grad_()
    with streaming(neuron):
        neuron(first)
        neuron(second).sum().backward()
    assert first.grad is None
    assert second.grad is not None
    assert second.grad.item() == pytest.approx(0.8)  # triangle, width 1, at u = 0.8


def test_streaming_refuses_another_batch_and_stays_usable() -> None:
    neuron = LIF()
    with refuses(ValueError, "changed 2 3 5"), streaming(neuron):
        neuron(torch.ones(1, 2, 3))
        neuron(torch.ones(1, 5, 3))
    assert neuron(torch.ones(1, 5, 3)).shape == (1, 5, 3)


def test_streaming_refuses_another_dtype() -> None:
    # silently going on in the first chunk's precision would not equal one run of either
    neuron = LIF()
    x = torch.rand(4, 3, dtype=torch.float64)
    with streaming(neuron):
        neuron(x[:2].float())
        with refuses(ValueError, "float32 float64"):
            neuron(x[2:])


def test_streaming_refuses_nesting_and_keeps_the_outer_state() -> None:
    model = nn.Sequential(LIF(leak=1.0))
    half = tensor([[0.6]])
    with streaming(model):
        model(half)
        with refuses(ValueError, "inside streaming"), streaming(model):
            pass
        with refuses(ValueError, "inside streaming"), streaming(model[0]):
            pass
        assert model(half).item() == 1  # the outer membrane survived both refusals


def test_streaming_does_not_show_in_the_state_dict() -> None:
    model = build("snn5", image_size=16, width=0.05).eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with streaming(model), torch.no_grad():
        model(torch.randn(2, 3, 16, 16), 2)
        inside = model.state_dict()
        assert inside.keys() == before.keys()
        assert all(torch.equal(inside[k], v) for k, v in before.items())
        torch.save(inside, io.BytesIO())


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_a_copy_made_inside_streaming_is_at_rest(clone: Any) -> None:
    neuron, half = LIF(leak=1.0), tensor([[0.6]])
    with streaming(neuron):
        neuron(half)
        twin = clone(neuron)
        assert neuron(half).item() == 1
    assert [twin(half).item() for _ in range(2)] == [0, 0]
    with streaming(twin):
        assert twin(half).item() == 0


def test_using_a_copy_does_not_disturb_the_original() -> None:
    neuron, half = LIF(leak=1.0), tensor([[0.6]])
    with streaming(neuron):
        neuron(half)
        copy.deepcopy(neuron)(half * 0)
        assert neuron(half).item() == 1


def test_streaming_a_network_equals_one_run() -> None:
    torch.manual_seed(0)
    model = build("resnet19", image_size=8, width=0.05).double().train()
    model(torch.randn(2, 4, 3, 8, 8, dtype=torch.float64) * 3)
    model.eval()
    x = torch.randn(7, 2, 3, 8, 8, dtype=torch.float64) * 3
    with torch.no_grad():
        whole = model(x)
        with streaming(model):
            chunks = [model(part) for part in (x[:1], x[1:4], x[4:])]
    torch.testing.assert_close(torch.cat(chunks), whole, rtol=0, atol=1e-12)


# --- constants by neuron, and currents that leak ----------------------------------------------------------------


@every_mode
@pytest.mark.parametrize("reset", RESETS)
def test_constants_by_neuron_are_those_of_a_layer_for_each(mode: Any, reset: str) -> None:
    draw = torch.Generator().manual_seed(0)
    current_TBN = torch.randn(9, 4, 6, generator=draw, dtype=torch.float64) + 0.5
    leak, threshold, gamma = (torch.rand(6, generator=draw, dtype=torch.float64) + low for low in (0.0, 0.3, 0.2))
    together, upstream = LIF(leak, threshold, gamma=gamma, reset=reset), torch.randn(9, 4, 6, generator=draw)
    with mode():
        spikes = together(current_TBN)
    x = current_TBN.clone().requires_grad_()
    (together(x) * upstream).sum().backward()
    assert 0.1 < float(spikes.mean()) < 0.9
    for n in range(6):
        own = current_TBN[..., n].clone().requires_grad_()
        alone = LIF(float(leak[n]), float(threshold[n]), gamma=float(gamma[n]), reset=reset)(own)
        (alone * upstream[..., n]).sum().backward()
        assert torch.equal(spikes[..., n], alone)
        torch.testing.assert_close(x.grad[..., n], own.grad)
    assert set(together.state_dict()) == {"_leak", "threshold", "gamma"}
    assert "by neuron" in repr(together)


def cubalif_by_hand(current_TN: reference.Array, synaptic: float, leak: float, threshold: float) -> reference.Array:
    """Spikes, neuron by neuron."""
    spikes = np.zeros_like(current_TN)
    for n in range(current_TN.shape[1]):
        i = v = 0.0
        for t in range(len(current_TN)):
            i = synaptic * i + float(current_TN[t, n])
            v = leak * v + i
            if v > threshold:
                spikes[t, n], v = 1, 0.0
    return spikes


@every_mode
@given(current=CURRENTS, synaptic=st.sampled_from([0.0, 0.3, 0.9]), **CONSTANTS)
@settings(deadline=None, max_examples=15)
def test_currents_leak_as_by_hand(
    mode: Any, current: reference.Array, synaptic: float, leak: float, threshold: float, gamma: float
) -> None:
    with mode():
        spikes = CubaLIF(synaptic, leak, threshold=threshold, gamma=gamma)(tensor(current))
    np.testing.assert_array_equal(spikes.numpy(), cubalif_by_hand(current, synaptic, leak, threshold))


def test_currents_are_carried_in_streams_and_traced() -> None:
    current_TBN = torch.randn(8, 3, 5, generator=torch.Generator().manual_seed(0))
    neurons = CubaLIF(0.6, 0.8)
    whole = neurons(current_TBN)
    with streaming(neurons):
        parts = torch.cat([neurons(current_TBN[:3]), neurons(current_TBN[3:])])
    assert torch.equal(parts, whole)
    assert torch.equal(neurons(current_TBN), whole)
    traced = neurons.trace(current_TBN)
    assert torch.equal(traced.spikes, whole)
    assert torch.equal(traced.potentials > 1, whole == 1)


def test_smooth_currents_have_the_gradient_of_their_differences() -> None:
    neurons = CubaLIF(0.6, 0.8, surrogate="sigmoid", gamma=0.5)
    x = torch.randn(4, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(neurons, x)
    assert torch.autograd.gradgradcheck(neurons, x)
