"""What a block isometry says: a row for each block, and gradients beside what the product over depth predicts."""

import numpy as np
import pandas as pd

from tetviz.results import BlockIsometry
from tetviz.results.schema import FloatArray
from tetviz.summaries.intervals import student


def running_product(result: BlockIsometry) -> FloatArray:
    """The product of run_phi over a block and all behind it.

    If the gradient at the output of the last block is like a random vector to the blocks, its squared norm grows by
    this factor on the way back to the block's input (Zheng et al. 2021; Z. Chen et al. 2020).
    """
    product: FloatArray = np.cumprod(result.run_phi[::-1]).astype(np.float64)
    return product[::-1]


def phi_reach(result: BlockIsometry) -> FloatArray:
    """How far the 95 % t interval of phi within a step reaches to either side: over samples, of a single one probes."""
    draws = len(result.sample) if len(result.sample) > 1 else result.probes
    return np.asarray(student(draws) * result.step_phi_se)


def gradient_norm(by_step: FloatArray) -> FloatArray:
    """Norms over all steps of a run."""
    norms: FloatArray = np.sqrt((by_step**2).sum(-1))
    return norms


def gradient_growth(result: BlockIsometry) -> FloatArray:
    """How much the squared gradient grows from the output of the last block back to the input of each.

    Returns:
        The measured counterpart of :func:`running_product`; NaN where none reaches the output, or both overflowed.
    """
    entering, leaving = gradient_norm(result.input_gradient), gradient_norm(result.output_gradient)
    with np.errstate(invalid="ignore"):  # gradients that overflowed have no growth
        growth: FloatArray = (entering / (leaving[-1] or np.nan)) ** 2
    return growth


def isometry_table(result: BlockIsometry) -> pd.DataFrame:
    """A row for each block.

    Returns:
        Indexed by the name of the block: ``type``; ``phi`` within a step, its standard error ``se`` and its
        ``closed form``; ``phi run``, of the whole run, with ``se run``; ``product``, see :func:`running_product`,
        beside ``growth``, see :func:`gradient_growth`; ``gradient`` at the block's input, in nat; ``bypass``.
    """
    columns = {
        "type": result.modules,
        "phi": result.step_phi,
        "se": result.step_phi_se,
        "closed form": result.closed_form.mean(1),
        "phi run": result.run_phi,
        "se run": result.run_phi_se,
        "product": running_product(result),
        "growth": gradient_growth(result),
        "gradient": gradient_norm(result.input_gradient),
        "bypass": result.bypass,
    }
    return pd.DataFrame(columns, index=pd.Index(result.names, name="block"))


def depth_summary(result: BlockIsometry) -> dict[str, float]:
    """What all blocks of a network together do.

    Returns:
        ``blocks``, how many; ``least`` and ``most``, of phi within a step; ``closed form error``, see
        :func:`closed_form_error`; ``growth``, how many times the norm of the gradient grows from the output of the last
        block to the input of the first, and ``product``, what the blocks' phi say of it; ``rate``, the mean firing
        rate over layers of neurons and steps, NaN where there are none.
    """
    return {
        "blocks": len(result.block),
        "least": float(result.step_phi.min()),
        "most": float(result.step_phi.max()),
        "closed form error": closed_form_error(result),
        "growth": float(gradient_growth(result)[0]) ** 0.5,
        "product": float(running_product(result)[0]) ** 0.5,
        "rate": float(result.rate.mean()) if result.rate.size else float("nan"),
    }


def closed_form_error(result: BlockIsometry) -> float:
    """How far the closed form is off, on average over blocks.

    Returns:
        Mean of |closed form / phi - 1|; NaN where there is no closed form.
    """
    expected = result.closed_form.mean(1)
    known = np.isfinite(expected) & (result.step_phi > 0)
    return float(np.abs(expected[known] / result.step_phi[known] - 1).mean()) if known.any() else float("nan")
