"""The claims of the TET paper, and what networks trained from several seeds say of each."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tetviz.results import Curvature, OperationCounts, ScalingCurve, Sharpness, TrainingHistory
from tetviz.results.schema import FloatArray
from tetviz.summaries.curvature import finite_curvature, slope_agreement
from tetviz.summaries.energy import estimate_energy
from tetviz.summaries.evidence import INHERITED, SDT, SWITCHED, TET, Evidence
from tetviz.summaries.flatness import plane_values
from tetviz.summaries.names import LOSSES
from tetviz.summaries.printed import PRINTED, printed_size
from tetviz.summaries.seeds import difference, mean_over_seeds
from tetviz.summaries.training import schedule_cost
from tetviz.summaries.verdicts import Claim, Finding, judged

AS_GOOD = 1.0  # points of accuracy that count as none
RADIUS = 0.5
_STEPS = 8
_ENERGIES = 64


def judge(evidence: Evidence) -> list[Claim]:
    """All claims about the networks of one setting, with verdicts that hold together at 5 %."""
    claims = []
    for name, find in CLAIMS.items():
        found = tuple(find(evidence))
        note = cost_note(evidence) if name == "inheritance" and found else ""
        claims.append(Claim(name, *PRINTED[name], found, note=note))
    return judged(claims)


def _compared(
    evidence: Evidence,
    what: str,
    kind: str,
    read: Callable[..., float],
    unit: str,
    claimed: int,
    *,
    first: str = SDT,
    second: str = TET,
    printed: float = math.nan,
    null: float = 0.0,
) -> list[Finding]:
    # The second group minus the first; nothing where one of them is not there.
    before, after = (evidence.values(method, kind, read) for method in (first, second))
    if not (before and after):
        return []
    return [Finding(what, difference(before, after, null), unit, claimed, null, printed)]


def accuracy(evidence: Evidence) -> list[Finding]:
    """TET is more accurate at the T of training (Table 1)."""
    size = printed_size("accuracy", evidence.setting.timesteps)
    return _compared(evidence, "accuracy, TET minus SDT", "scaling", accuracy_of, "points", 1, printed=size)


def steps(evidence: Evidence) -> list[Finding]:
    """TET is more accurate at every single step (Table 4)."""
    found = []
    for t in range(1, _last_step(evidence) + 1):
        what = f"accuracy of step {t} alone, TET minus SDT"
        found += _compared(evidence, what, "scaling", lambda curve, t=t: step_accuracy(curve, t), "points", 1)
    return found


def variance(evidence: Evidence) -> list[Finding]:
    """The accuracy of single steps beyond training varies less with TET (Table 4)."""
    first, last = evidence.setting.timesteps + 1, _last_step(evidence)
    if last <= first:
        return []

    def read(curve: ScalingCurve) -> float:
        spread = float(np.var([step_accuracy(curve, t) for t in range(first, last + 1)], ddof=1))
        return math.log10(spread) if spread > 0 else -math.inf

    what = f"log10 of the variance over steps {first} to {last}, TET over SDT"
    size = printed_size("variance", evidence.setting.timesteps)
    return _compared(evidence, what, "scaling", read, "", -1, printed=size)


def growth(evidence: Evidence) -> list[Finding]:
    """The accuracy of TET networks grows more when they run for longer than they were trained (Figure 8)."""
    last = _longest(evidence)
    if last <= evidence.setting.timesteps:
        return []

    def read(curve: ScalingCurve) -> float:
        return 100 * float(curve.relative_growth[last - 1])

    what = f"relative growth from T = {evidence.setting.timesteps} to {last}, TET minus SDT"
    return _compared(evidence, what, "scaling", read, "%", 1)


def inheritance(evidence: Evidence) -> list[Finding]:
    """Time inheritance training is as good as training from scratch (Figure 4A, section 4.3)."""
    what = f"accuracy, in stages minus from scratch (above -{AS_GOOD:g})"
    return _compared(evidence, what, "scaling", accuracy_of, "points", 1, first=TET, second=INHERITED, null=-AS_GOOD)


def cost_note(evidence: Evidence) -> str:
    """What training in stages costs beside training from scratch."""
    costs = []
    for method in (INHERITED, TET):
        result = next(iter(evidence.results(method, "scaling").values()))
        stages = [str(stage).partition("@")[0].split(":") for stage in result.provenance.training["stages"]]
        costs.append(schedule_cost([(int(timesteps), int(epochs)) for timesteps, epochs in stages]))
    return f"it costs {costs[0]} timestep-epochs, training from scratch {costs[1]}: {costs[0] / costs[1]:.2f} of it"


def _rises(column: Callable[[Sharpness], str], kind: str, what: str, evidence: Evidence) -> list[Finding]:
    found = []
    for loss in LOSSES:

        def read(result: Sharpness, loss: str = loss) -> float:
            planes = plane_values(result, loss, evidence.setting.timesteps)
            name = column(result)
            return float(planes[name].mean(skipna=False)) if name in planes else math.nan

        found += _compared(evidence, f"L_{loss.upper()}, {what}, TET minus SDT", kind, read, "nat", -1)
    return [] if all(finding.mean.seeds == 0 for finding in found) else found


def flat_planes(evidence: Evidence) -> list[Finding]:
    """The loss rises less around TET networks on random planes, under both losses (Figure 2)."""
    return _rises(lambda _: f"rise at r = {RADIUS:g}", "sharpness", f"rise at r = {RADIUS:g}", evidence)


def flat_recalibrated(evidence: Evidence) -> list[Finding]:
    """The same with batch-norm statistics re-estimated at every point."""
    kind = "sharpness, recalibrate"
    return _rises(lambda _: f"rise at r = {RADIUS:g}", kind, f"rise at r = {RADIUS:g}", evidence)


def flat_sam(evidence: Evidence) -> list[Finding]:
    """The loss rises less after a step up its surrogate gradient (SAM), under both losses."""
    return _rises(lambda result: f"SAM at rho = {result.rho[-1]:g}", "sharpness", "rise after a SAM step", evidence)


def flat_curvature(evidence: Evidence) -> list[Finding]:
    """The measured loss bends less at a finite radius, under both losses."""
    found = []
    for loss in LOSSES:

        def read(result: Curvature, loss: str = loss) -> float:
            bent = finite_curvature(replace(result, loss=loss), evidence.setting.timesteps)
            return float(bent[:, -1].mean()) * result.weight_norm**2

        what = f"L_{loss.upper()}, second difference at the largest radius, TET minus SDT"
        found += _compared(evidence, what, "curvature", read, "nat", -1)
    return found


def tet_loss(evidence: Evidence) -> list[Finding]:
    """L_TET of SDT networks is higher than that of TET networks (Figure 2, B and D)."""

    def read(curve: ScalingCurve) -> float:
        return float(curve.tet_loss[curve.t_train - 1])

    return _compared(evidence, "L_TET, SDT minus TET", "scaling", read, "nat", 1, first=TET, second=SDT)


def switch(evidence: Evidence) -> list[Finding]:
    """A change from L_SDT to L_TET after two thirds of the epochs lowers both losses (Figure 3)."""
    found = []
    for loss in LOSSES:

        def read(history: TrainingHistory, loss: str = loss) -> float:
            return float(getattr(history, f"test_{loss}_loss")[-1])

        what = f"L_{loss.upper()} on the test split after the last epoch, switched minus SDT"
        found += _compared(evidence, what, "history", read, "nat", -1, second=SWITCHED)
    return found


def regulariser(evidence: Evidence) -> list[Finding]:
    """The regulariser, lambda > 0, makes TET networks more accurate (Figure 6)."""
    named = sorted(name for name in evidence.methods if name.startswith("TOTAL, lambda ") and "k =" not in name)
    return [
        finding
        for name in named
        for finding in _compared(
            evidence,
            f"accuracy, {name.removeprefix('TOTAL, ')} minus TET",
            "scaling",
            accuracy_of,
            "points",
            1 if len(named) == 1 or name.endswith(" 0.05") else 0,
            first=TET,
            second=name,
        )
    ]


def smooth(evidence: Evidence) -> list[Finding]:
    """Smooth neurons, whose gradient is that of the loss, close the gap between both losses (Table 2)."""
    spiking = _gap(evidence, "")
    found = []
    for k in sorted({name.partition("k = ")[2] for name in evidence.methods if "k = " in name}, key=float):
        gap = _gap(evidence, f", k = {k}")
        if spiking and gap:
            what = f"accuracy, TET minus SDT: of spikes minus of k = {k}"
            found.append(Finding(what, difference(gap, spiking), "points"))
            found.append(Finding(f"accuracy at k = {k}, TET minus SDT", mean_over_seeds(gap, paired=True), "points", 0))
    return found


def _gap(evidence: Evidence, neurons: str) -> dict[int, float]:
    first, second = (evidence.values(f"{loss}{neurons}", "scaling", accuracy_of) for loss in (SDT, TET))
    return {seed: second[seed] - first[seed] for seed in sorted(first.keys() & second.keys())}


def mean_of_steps(evidence: Evidence) -> list[Finding]:
    """The mean accuracy of single steps, on which that of a run rests, is higher with TET (Figure 7)."""

    def mean(curve: ScalingCurve) -> float:
        return 100 * float(curve.step_accuracy[: curve.t_train].mean())

    def gain(curve: ScalingCurve) -> float:
        return accuracy_of(curve) - mean(curve)

    last = evidence.setting.timesteps
    what, more = (
        f"mean accuracy of steps 1 to {last}, TET minus SDT",
        "what a run has more than its steps, TET minus SDT",
    )
    return [
        *_compared(evidence, what, "scaling", mean, "points", 1),
        *_compared(evidence, more, "scaling", gain, "points", 0),
    ]


def efficiency(evidence: Evidence) -> list[Finding]:
    """At the same energy TET networks are more accurate (Figure 4B)."""
    plain, tet = (evidence.results(method, "energy") for method in (SDT, TET))
    gains = {seed: energy_gain(plain[seed], tet[seed]) for seed in sorted(plain.keys() & tet.keys())}
    what = "accuracy at the same energy, mean over the energies of both, TET minus SDT"
    return [Finding(what, mean_over_seeds(gains, paired=True), "points")] if gains else []


def mismatch(evidence: Evidence) -> list[Finding]:
    """The surrogate gradient of SDT networks is not that of the loss (section 4.2)."""
    agreements = {
        method: {seed: slope_agreement(each)["cosine"] for seed, each in evidence.results(method, "curvature").items()}
        for method in (SDT, TET)
    }
    if not agreements[SDT]:
        return []
    known = np.isfinite(list(agreements[SDT].values())).sum(0)
    at = int(known.argmax())
    radius = float(next(iter(evidence.results(SDT, "curvature").values())).radius[at])
    plain, tet = ({seed: float(cosine[at]) for seed, cosine in agreements[m].items()} for m in (SDT, TET))
    where = f"cosine of surrogate and smoothed gradient at {radius:g} of the weights' norm"
    found = [Finding(f"1 minus the {where}, SDT", mean_over_seeds({s: 1 - c for s, c in plain.items()}), "")]
    return found + ([Finding(f"{where}, TET minus SDT", difference(plain, tet), "", 0)] if tet else [])


def accuracy_of(curve: ScalingCurve) -> float:
    """Accuracy of a run at the T of training, in percent."""
    return 100 * float(curve.accuracy[curve.t_train - 1])


def step_accuracy(curve: ScalingCurve, t: int) -> float:
    """Accuracy of the output of one step alone, in percent."""
    return 100 * float(curve.step_accuracy[t - 1])


def energy_gain(first: OperationCounts, second: OperationCounts) -> float:
    """How much more accurate a second network is at the same energy, in points.

    The mean, over energies that both spend at some T, of the difference of their accuracies, each interpolated between
    its T; NaN where they share no energy, or not everything was counted.
    """
    curves: list[tuple[FloatArray, FloatArray]] = []
    for counts in (first, second):
        report = estimate_energy(counts)
        if not report.complete:
            return math.nan
        curves.append((report.total_pj, 100 * counts.accuracy))
    low, high = max(pj[0] for pj, _ in curves), min(pj[-1] for pj, _ in curves)
    if low >= high:
        return math.nan
    energies = np.linspace(low, high, _ENERGIES)
    one, other = (np.interp(energies, pj, accuracy) for pj, accuracy in curves)
    return float((other - one).mean())


def _longest(evidence: Evidence) -> int:
    curves = [curve for method in (SDT, TET) for curve in evidence.results(method, "scaling").values()]
    return min((int(curve.timestep[-1]) for curve in curves), default=0)


def _last_step(evidence: Evidence) -> int:
    return min(_longest(evidence), max(_STEPS, 2 * evidence.setting.timesteps))


CLAIMS: dict[str, Callable[[Evidence], list[Finding]]] = {
    "accuracy": accuracy,
    "steps": steps,
    "variance": variance,
    "growth": growth,
    "inheritance": inheritance,
    "flat planes": flat_planes,
    "flat planes, statistics re-estimated": flat_recalibrated,
    "flat after a SAM step": flat_sam,
    "flat at a finite radius": flat_curvature,
    "L_TET": tet_loss,
    "switch": switch,
    "regulariser": regulariser,
    "smooth neurons": smooth,
    "mean of steps": mean_of_steps,
    "efficiency": efficiency,
    "gradient mismatch": mismatch,
}
