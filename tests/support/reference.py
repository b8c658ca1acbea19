"""Slow, obvious re-implementations of what the papers say, to judge the package by. Calls no tetviz.

NumPy float64 and Python loops, one number at a time wherever that is bearable. Axis letters: T timesteps,
B batch, C channels, H height, W width, K classes, N neurons.
"""

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

HARD = ("triangle", "rectangle", "exponential", "arctan")


# --- surrogates ---------------------------------------------------------------------------------------------


def kernel(name: str, x: float, gamma: float) -> float:
    """The derivative that stands in for the Heaviside step's, x = potential minus threshold."""
    if name == "triangle":
        return (gamma - abs(x)) / gamma**2 if abs(x) < gamma else 0.0
    if name == "rectangle":
        return 1 / gamma if -gamma / 2 < x < gamma / 2 else 0.0
    if name == "exponential":
        return math.exp(-abs(x) / gamma) / (2 * gamma)
    if name == "arctan":
        return 1 / gamma / (1 + (math.pi * x / gamma) ** 2)
    if name == "sigmoid":
        value = smooth_step(name, x, gamma)
        return value * (1 - value) / gamma
    raise KeyError(name)


def smooth_step(name: str, x: float, gamma: float) -> float:
    """The antiderivative of :func:`kernel` that rises from 0 to 1, integrated by hand."""
    if name == "triangle":
        if x <= -gamma:
            return 0.0
        if x >= gamma:
            return 1.0
        return (x + gamma) ** 2 / (2 * gamma**2) if x < 0 else 1 - (gamma - x) ** 2 / (2 * gamma**2)
    if name == "rectangle":
        return min(1.0, max(0.0, x / gamma + 0.5))
    if name == "exponential":
        return 0.5 * math.exp(x / gamma) if x < 0 else 1 - 0.5 * math.exp(-x / gamma)
    if name == "arctan":
        return math.atan(math.pi * x / gamma) / math.pi + 0.5
    if name == "sigmoid":
        return 1 / (1 + math.exp(-x / gamma)) if x >= 0 else math.exp(x / gamma) / (1 + math.exp(x / gamma))
    raise KeyError(name)


def spike(name: str, x: float, gamma: float) -> float:
    """A spike for a potential strictly above the threshold; graded with the smooth sigmoid."""
    if name == "sigmoid":
        return smooth_step(name, x, gamma)
    return 1.0 if x > 0 else 0.0


# --- the LIF neuron -----------------------------------------------------------------------------------------


def lif_forward(
    current_TN: Array, leak: float, threshold: float, surrogate: str, gamma: float, reset: str = "hard"
) -> tuple[Array, Array]:
    """Potentials before the reset and spikes, neuron by neuron (Deng et al. 2022, eqs. 1 to 3)."""
    timesteps, neurons = current_TN.shape
    before_reset, spikes = np.empty((timesteps, neurons)), np.empty((timesteps, neurons))
    for n in range(neurons):
        u = 0.0
        for t in range(timesteps):
            u = leak * u + float(current_TN[t, n])
            s = spike(surrogate, u - threshold, gamma)
            before_reset[t, n], spikes[t, n] = u, s
            u = u * (1.0 - s) if reset == "hard" else u - threshold * s
    return before_reset, spikes


def lif_backward(
    current_TN: Array,
    gradient_TN: Array,
    leak: float,
    threshold: float,
    surrogate: str,
    gamma: float,
    detach_reset: bool,
    reset: str = "hard",
    detach_carry: bool = False,
) -> tuple[Array, float]:
    """Gradients with respect to the current and to the leak, given the gradient with respect to the spikes.

    Backpropagation through time by hand. With m(t) = leak v(t-1) + I(t), s(t) = step(m(t) - V_th) and
    v(t) = m(t) (1 - s(t)), or m(t) - V_th s(t) where the reset is soft, from the last step to the first::

        ds = dL/ds(t) - m(t) dv        the second term only if the reset is not detached; V_th for m(t) if it is soft
        dm = ds kernel(m(t) - V_th) + dv (1 - s(t))                              the last factor 1 if it is soft
        dL/dI(t) = dm                  dv for the step before = leak dm          dL/dleak = sum of dm v(t-1)

    Where the carried potential is detached, dv = 0.
    """
    m, s = lif_forward(current_TN, leak, threshold, surrogate, gamma, reset)
    timesteps, neurons = m.shape
    gradient, leak_gradient = np.empty((timesteps, neurons)), 0.0
    for n in range(neurons):
        dv = 0.0
        for t in reversed(range(timesteps)):
            ds = float(gradient_TN[t, n])
            if not detach_reset:
                ds -= (float(m[t, n]) if reset == "hard" else threshold) * dv
            left = 1.0 - float(s[t, n]) if reset == "hard" else 1.0
            dm = ds * kernel(surrogate, float(m[t, n]) - threshold, gamma) + dv * left
            gradient[t, n] = dm
            dv = 0.0 if detach_carry else leak * dm
            if t > 0:
                before, fired = float(m[t - 1, n]), float(s[t - 1, n])
                leak_gradient += dm * (before * (1.0 - fired) if reset == "hard" else before - threshold * fired)
    return gradient, leak_gradient


# --- normalisation ------------------------------------------------------------------------------------------


def tdbn(
    x_TBCHW: Array, weight: Array, bias: Array, alpha: float, threshold: float, eps: float
) -> tuple[Array, Array, Array]:
    """Output, mean and biased variance of tdBN in training mode (Zheng et al. 2021), channel by channel."""
    y = np.empty_like(x_TBCHW)
    channels = x_TBCHW.shape[2]
    means, variances = np.empty(channels), np.empty(channels)
    for c in range(channels):
        values = [float(v) for v in x_TBCHW[:, :, c].ravel()]
        mean = math.fsum(values) / len(values)
        variance = math.fsum((v - mean) ** 2 for v in values) / len(values)
        normalised = alpha * threshold * (x_TBCHW[:, :, c] - mean) / math.sqrt(variance + eps)
        y[:, :, c] = weight[c] * normalised + bias[c]
        means[c], variances[c] = mean, variance
    return y, means, variances


def running(old: Array, mean_or_variance: Array, momentum: float) -> Array:
    """The exponential running average that batch normalisation keeps."""
    return (1 - momentum) * old + momentum * mean_or_variance


def fold(
    kernel_OIHW: Array,
    conv_bias: Array | None,
    weight: Array,
    bias: Array,
    mean: Array,
    variance: Array,
    eps: float,
    factor: float = 1.0,
) -> tuple[Array, Array]:
    """Kernel and bias of a convolution that holds its normalisation (Deng et al. 2022, eq. 6).

    ``factor`` is alpha * V_th of tdBN.
    """
    folded, folded_bias = np.empty_like(kernel_OIHW), np.empty(len(kernel_OIHW))
    for o in range(len(kernel_OIHW)):
        sigma = math.sqrt(variance[o] + eps)
        folded[o] = kernel_OIHW[o] * factor * weight[o] / sigma
        before = 0.0 if conv_bias is None else conv_bias[o]
        folded_bias[o] = (before - mean[o]) * factor * weight[o] / sigma + bias[o]
    return folded, folded_bias


# --- losses -------------------------------------------------------------------------------------------------


def softmax(logits_K: Array) -> list[float]:
    """Softmax of one output vector."""
    peak = max(float(v) for v in logits_K)
    powers = [math.exp(float(v) - peak) for v in logits_K]
    return [p / math.fsum(powers) for p in powers]


def cross_entropy(logits_K: Array, label: int) -> float:
    """-log softmax(logits)[label] of one output vector, in nats."""
    peak = max(float(v) for v in logits_K)
    return peak + math.log(math.fsum(math.exp(float(v) - peak) for v in logits_K)) - float(logits_K[label])


def mean_output(logits_TBK: Array) -> Array:
    """The mean of O(t) over time, B x K."""
    total = np.zeros(logits_TBK.shape[1:])
    for step in logits_TBK:
        total = total + step
    return total / len(logits_TBK)


def sdt_loss(logits_TBK: Array, labels_B: Labels) -> float:
    """Cross-entropy of the mean output, averaged over the batch (eq. 7)."""
    means = mean_output(logits_TBK)
    return math.fsum(cross_entropy(means[b], int(y)) for b, y in enumerate(labels_B)) / len(labels_B)


def tet_loss(logits_TBK: Array, labels_B: Labels) -> float:
    """Mean over time of the cross-entropy of every step's output, averaged over the batch (eq. 9)."""
    total = 0.0
    for step in logits_TBK:
        for b, y in enumerate(labels_B):
            total += cross_entropy(step[b], int(y))
    return total / (len(logits_TBK) * len(labels_B))


def mse_regulariser(logits_TBK: Array, phi: float) -> float:
    """Mean over time, batch and classes of the squared distance of O(t) from phi (eq. 12)."""
    total = 0.0
    for step in logits_TBK:
        for row in step:
            for value in row:
                total += (float(value) - phi) ** 2
    return total / logits_TBK.size


def total_loss(logits_TBK: Array, labels_B: Labels, lamb: float, phi: float) -> float:
    """(1 - lambda) L_TET + lambda L_MSE (eq. 13)."""
    return (1 - lamb) * tet_loss(logits_TBK, labels_B) + lamb * mse_regulariser(logits_TBK, phi)


def sdt_gradient(logits_TBK: Array, labels_B: Labels) -> Array:
    """dL_SDT / dO(t) = (softmax(mean O) - y) / T, over the batch size: the same at every step (eq. 8)."""
    timesteps, batch, classes = logits_TBK.shape
    gradient = np.empty_like(logits_TBK)
    for b, y in enumerate(labels_B):
        probabilities = softmax(mean_output(logits_TBK)[b])
        for t in range(timesteps):
            for k in range(classes):
                gradient[t, b, k] = (probabilities[k] - (1.0 if k == y else 0.0)) / timesteps / batch
    return gradient


def tet_gradient(logits_TBK: Array, labels_B: Labels) -> Array:
    """dL_TET / dO(t) = (softmax(O(t)) - y) / T, over the batch size (eq. 10)."""
    timesteps, batch, classes = logits_TBK.shape
    gradient = np.empty_like(logits_TBK)
    for t in range(timesteps):
        for b, y in enumerate(labels_B):
            probabilities = softmax(logits_TBK[t, b])
            for k in range(classes):
                gradient[t, b, k] = (probabilities[k] - (1.0 if k == y else 0.0)) / timesteps / batch
    return gradient


def mse_gradient(logits_TBK: Array, phi: float) -> Array:
    """dL_MSE / dO(t) = 2 (O(t) - phi) / (T B K)."""
    return 2 * (logits_TBK - phi) / logits_TBK.size


def total_gradient(logits_TBK: Array, labels_B: Labels, lamb: float, phi: float) -> Array:
    """The gradient of eq. 13."""
    return (1 - lamb) * tet_gradient(logits_TBK, labels_B) + lamb * mse_gradient(logits_TBK, phi)


# --- directions ---------------------------------------------------------------------------------------------


def filter_normalise(direction: Array, weight: Array) -> Array:
    """d_f ||w_f|| / ||d_f|| for every filter f, the first axis (Li et al. 2018, section 4).

    For arrays of two axes and more: what becomes of biases and norm parameters is a policy, not a formula.
    """
    result = np.empty_like(direction)
    for f in range(len(direction)):
        d_norm = math.sqrt(math.fsum(float(v) ** 2 for v in direction[f].ravel()))
        w_norm = math.sqrt(math.fsum(float(v) ** 2 for v in weight[f].ravel()))
        result[f] = direction[f] * (w_norm / d_norm)
    return result


def filter_normalise_by_masks(direction: Array, weight: Array, masks: list[npt.NDArray[np.bool_]]) -> Array:
    """d_f ||w_f|| / ||d_f|| where each filter f is given as the set of its entries."""
    result = np.zeros_like(direction)
    for mask in masks:
        d_norm = math.sqrt(math.fsum(float(v) ** 2 for v in direction[mask]))
        w_norm = math.sqrt(math.fsum(float(v) ** 2 for v in weight[mask]))
        result[mask] = direction[mask] * (w_norm / d_norm)
    return result


# --- surfaces -----------------------------------------------------------------------------------------------


def profile(logits_TBK: Array, labels_B: Labels) -> dict[str, Array]:
    """Both losses and both accuracies of every run of t = 1..T steps, each from the first t outputs alone."""
    rows: dict[str, list[float]] = {name: [] for name in ("sdt_loss", "tet_loss", "accuracy", "step_accuracy")}
    for t in range(1, len(logits_TBK) + 1):
        run = logits_TBK[:t]
        rows["sdt_loss"].append(sdt_loss(run, labels_B))
        rows["tet_loss"].append(tet_loss(run, labels_B))
        for name, outputs in (("accuracy", mean_output(run)), ("step_accuracy", run[-1])):
            hits = [int(max(range(len(o)), key=lambda k: o[k])) == y for o, y in zip(outputs, labels_B, strict=True)]
            rows[name].append(sum(hits) / len(hits))
    return {name: np.array(values) for name, values in rows.items()}


def wilson(right: int, samples: int, z: float) -> tuple[float, float]:
    """The shares p at which right / samples is just z standard errors of p away: roots of a quadratic equation."""
    share = right / samples
    a, b, c = 1 + z * z / samples, -2 * share - z * z / samples, share * share
    root = math.sqrt(max(b * b - 4 * a * c, 0.0))
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


def early_exit(logits_TBK: Array, labels_B: Labels, rule: str, threshold: float) -> tuple[list[int], list[bool]]:
    """When each sample stops, and whether it is right there: a run that looks at its mean output after every step."""
    stops, hits = [], []
    for b, y in enumerate(labels_B):
        for t in range(1, len(logits_TBK) + 1):
            mean = mean_output(logits_TBK[:t])[b]
            p = softmax(mean)
            if rule == "margin":
                *_, second, first = sorted(p)
                sure = np.float32(first - second) >= threshold
            else:
                entropy = -math.fsum(q * math.log(q) for q in p if q > 0) / math.log(len(p))
                sure = np.float32(entropy) <= threshold
            if sure:
                break
        stops.append(t)
        hits.append(max(range(len(p)), key=lambda k: mean[k]) == int(y))
    return stops, hits


def channel_statistics(x_NCHW: Array) -> tuple[Array, Array]:
    """Mean and unbiased variance of every channel, which running statistics are made of."""
    means, variances = [], []
    for c in range(x_NCHW.shape[1]):
        values = [float(v) for v in x_NCHW[:, c].ravel()]
        mean = math.fsum(values) / len(values)
        means.append(mean)
        variances.append(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
    return np.array(means), np.array(variances)


def bowl(w: Array, minimum: Array, hessian: Array, floor: float) -> float:
    """floor + (w - minimum)' H (w - minimum) / 2, entry by entry."""
    total = floor
    for i in range(len(w)):
        for k in range(len(w)):
            total += 0.5 * float(w[i] - minimum[i]) * float(hessian[i, k]) * float(w[k] - minimum[k])
    return total


def growing_losses(loss: float, timesteps: int) -> tuple[Array, Array]:
    """L_SDT and L_TET of runs of 1..T steps when step t has the cross-entropy t * loss against class 0 of two.

    Its outputs are (z, 0) with log(1 + exp(-z)) = t * loss.
    """
    z = [-math.log(math.expm1(t * loss)) for t in range(1, timesteps + 1)]
    sdt = [math.log1p(math.exp(-math.fsum(z[:t]) / t)) for t in range(1, timesteps + 1)]
    return np.array(sdt), np.array([loss * (t + 1) / 2 for t in range(1, timesteps + 1)])


# --- synapses -----------------------------------------------------------------------------------------------

Place = tuple[int, ...]
Synapses = list[tuple[Place | None, Place]]


def _wrapped(index: int, size: int, mode: str) -> int | None:
    """Which element of an axis a place stands for that may lie in the padding; none in padding by zeros."""
    if 0 <= index < size:
        return index
    if mode == "zeros":
        return None
    if mode == "circular":
        return index % size
    if mode == "replicate":
        return 0 if index < 0 else size - 1
    if mode == "reflect":
        return -index if index < 0 else 2 * (size - 1) - index
    raise KeyError(mode)


def conv_synapses(
    image: tuple[int, int, int],
    kernel: tuple[int, int, int, int],
    stride: tuple[int, int],
    padding: tuple[int, int] | str,
    dilation: tuple[int, int],
    groups: int,
    mode: str,
) -> Synapses:
    """Every tap of a convolution of one image: the input element (c, y, x) and the weight (o, i, j, k).

    The input element is None where the tap lies in padding by zeros. ``image`` is C, H, W and ``kernel`` O, C / groups,
    kh, kw; 'same' padding puts the odd row or column behind.
    """
    channels, sizes = image[0], image[1:]
    if padding == "same":
        whole = [dilation[a] * (kernel[2 + a] - 1) for a in (0, 1)]
        before, after = [w // 2 for w in whole], [w - w // 2 for w in whole]
    else:
        before = after = [int(p) for p in padding]
    reach = [dilation[a] * (kernel[2 + a] - 1) + 1 for a in (0, 1)]
    outputs = [(sizes[a] + before[a] + after[a] - reach[a]) // stride[a] + 1 for a in (0, 1)]
    found: Synapses = []
    for o in range(kernel[0]):
        group = o // (kernel[0] // groups)
        for row in range(outputs[0]):
            for column in range(outputs[1]):
                for i in range(kernel[1]):
                    c = group * (channels // groups) + i
                    for j in range(kernel[2]):
                        y = _wrapped(row * stride[0] + j * dilation[0] - before[0], sizes[0], mode)
                        for k in range(kernel[3]):
                            x = _wrapped(column * stride[1] + k * dilation[1] - before[1], sizes[1], mode)
                            found.append((None if y is None or x is None else (c, y, x), (o, i, j, k)))
    return found


def transposed_synapses(
    image: tuple[int, int, int],
    kernel: tuple[int, int, int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    output_padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
) -> Synapses:
    """Every tap of a transposed convolution of one image, as in :func:`conv_synapses`.

    The input element is None where the output would lie in what ``padding`` cuts off. ``kernel`` is C, O / groups,
    kh, kw; a weight is an entry of it.
    """
    channels, sizes = image[0], image[1:]
    outputs = [
        (sizes[a] - 1) * stride[a] - 2 * padding[a] + dilation[a] * (kernel[2 + a] - 1) + output_padding[a] + 1
        for a in (0, 1)
    ]
    assert channels == kernel[0] and channels % groups == 0
    found: Synapses = []
    for c in range(channels):
        for y in range(sizes[0]):
            for x in range(sizes[1]):
                for o in range(kernel[1]):
                    for j in range(kernel[2]):
                        row = y * stride[0] - padding[0] + j * dilation[0]
                        for k in range(kernel[3]):
                            column = x * stride[1] - padding[1] + k * dilation[1]
                            inside = 0 <= row < outputs[0] and 0 <= column < outputs[1]
                            found.append(((c, y, x) if inside else None, (c, o, j, k)))
    return found


def linear_synapses(features: int, outputs: int) -> Synapses:
    """Every synapse of a linear layer: the input element (i,) and the weight (o, i)."""
    return [((i,), (o, i)) for o in range(outputs) for i in range(features)]


def count_pairs(synapses: Synapses, x_N: Array, weight: Array | None = None) -> dict[str, int]:
    """Pairs of all samples on the first axis: all taps, those within the input, and those of an input that is not 0.

    ``units`` sums the values of the inputs over the pairs. With ``weight``, ``nonzero`` and ``units`` leave out the
    synapses whose weight is 0.
    """
    counts = {"dense": 0, "inbounds": 0, "nonzero": 0}
    units = 0.0
    for x in x_N:
        for source, entry in synapses:
            counts["dense"] += 1
            if source is None:
                continue
            counts["inbounds"] += 1
            if x[source] != 0 and (weight is None or weight[entry] != 0):
                counts["nonzero"] += 1
                units += float(x[source])
    return {**counts, "units": round(units)}
