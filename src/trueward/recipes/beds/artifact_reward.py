"""What a judge of artefacts is put to the test on: its rivals, what is measured, further arms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trueward.evidence import digits_bed
from trueward.evidence.recipe import Arm, Metric, Settings

if TYPE_CHECKING:
    import numpy as np

    from trueward.audit.images.blind_spots import PairTest
    from trueward.evidence.digits_measured import DigitsBed
    from trueward.evidence.run import Run
    from trueward.rewards.base import Reward
    from trueward.rewards.models.images.artefact import ArtefactJudge

LEVEL = 0.85
"""The proxy at which arms are compared."""
_REWARDS = ("consistency", "aesthetic", "detector", "judge")

# fmt: off
METRICS = (
    *digits_bed.METRICS,
    Metric("peak", "highest corrected score of the run", "higher"),
    Metric("realism_at", f"realism where the proxy first is {LEVEL:g}; at the end where never", "higher", "share"),
    Metric("gold_at", "gold there", "higher", "share"),
    Metric("corrected_at", "corrected score there", "higher"),
    Metric("proxy_gained", "proxy at the end less proxy before training", "higher", "share"),
    Metric("realism_lost", "realism before training less realism at the end", "lower", "share"),
    Metric("corrected_lost", "corrected score before training less that at the end", "lower"),
    Metric("reached", f"1 where the proxy got to {LEVEL:g}", "higher"),
    Metric("judged", "what the judge of the run pays its last samples, 1 − p; of the static one where there is none",
           None, "share"),
    Metric("judge_gap", "that less realism: above what real images have (about .4), the judge itself is hacked",
           "lower", "share"),
    Metric("static_gap", "the same of the judge as it was before the run", "lower", "share"),
    Metric("artefacts", "artefacts in the last samples, by the curator", "lower", "share"),
    *(Metric(f"shift_{name}", f"how far the policy moved the {about}, in deviations of the generator's samples", None)
      for name, about in (("consistency", "consistency reward"), ("aesthetic", "aesthetic reward"),
                          ("detector", "detector's reward"), ("judge", "judge as it was before the run"))),
    *(Metric(f"right_{name}", f"pairs of a real and a spoilt image ranked right by the {name}", "higher", "share")
      for name in _REWARDS),
    *(Metric(f"tied_{name}", f"pairs tied by the {name}", "lower", "share") for name in _REWARDS),
    Metric("right_left_out", "pairs of the kind of artefact that the judge was never shown, ranked right", "higher",
           "share"),
    Metric("log_seconds", "ln of processor seconds of training, refits included", "lower"),
)

SETTINGS: Settings = {
    **digits_bed.SETTINGS,
    "reward.base": ["consistency", "aesthetic", "detector"], "reward.aggregate": None, "reward.scaled": True,
    "reward.consistency": 1.0, "reward.aesthetic": 0.1, "reward.detector": 0.1,
    "judge.mode": "none", "judge.weight": 3.0, "judge.data": "diverse", "judge.images": 240, "judge.steps": 200,
    "judge.every": 20, "judge.samples": 60, "judge.left_out": None, "judge.shuffled": False,
    "curator.quantile": 0.8, "curator.error": 0.05,
    "hacks.steps": 60, "hacks.learning_rate": 4e-4, "hacks.group": 8,
    "train.steps": 130, "train.learning_rate": 1e-4, "train.group": 12, "train.denoising_steps": 10, "train.kl": 0.0,
    "train.separately": False, "train.ema": 0.9, "train.evaluations": 10,
    "pairs.images": 200,
}

SCALES: Mapping[str, Settings] = {
    "smoke": {
        **digits_bed.SMOKE, "judge.images": 16, "judge.steps": 10, "judge.every": 1, "judge.samples": 8,
        "hacks.steps": 3, "hacks.group": 2, "train.steps": 2, "train.group": 3, "train.denoising_steps": 4,
        "train.evaluations": 2, "pairs.images": 12,
    },
    "small": {},
    "full": {},
}
# fmt: on

NOTES = (
    "Built on seeds 2100 and 2101 by base rewards alone and with KL, until the proxy rose by a quarter or more while "
    "realism fell by as much. The curator, who stands in for a person, is a rule with 400 of the generator's images: "
    "an artefact is what lies farther from all of them than four fifths of the 400 others do, and one label in twenty "
    "is wrong. It shares no image and no network with gold. But realism is a distance to real images too, and so the "
    "measure on which the method has the easiest task; gold, fine structure and diversity stand beside it. The judge "
    "is a small network, fitted to 240 clean images (real ones, and samples of the generator that the curator passes) "
    "and 240 others (real ones spoilt in four ways, and samples of policies hacked by each base reward), and fitted "
    "anew whenever it is refreshed; the source has a frozen model of 7 billion parameters whose instruction is "
    "searched, which is harder to hack and which nothing here says anything about. Rewards are added on the scale of "
    "the generator's samples: a raw sum belongs to the margin alone. Contrast and detector count a tenth: at full "
    "weight contrast wipes out the digits. The last refresh is ten updates before the end. The same proxy is 0.85, "
    "and a run that does not reach it counts with its end. Static helping only with KL is read as less than 0.05 "
    "realism gained without. The method was run twice, on seed 2101, in earlier forms of the bed with weight 3: where "
    "each reward was compared by itself it was hacked between refreshes and lost the proxy, and in the raw sum it "
    "gained 0.04 realism; the scale was introduced after that, and in this form nobody saw the method before the "
    "claims were fixed. Of the baselines it was seen that KL 0.04 keeps realism at .51 with a proxy of .95, and that "
    "the ensemble by its minimum keeps none: KL is hard to beat here."
)


def curve_summary(lines: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """What the evaluations of a run come to."""
    from trueward.measures.speed import first_reaching

    measured = [line for line in lines if "proxy" in line]
    first, last = measured[0], measured[-1]
    crossing = first_reaching([line["step"] for line in measured], [line["proxy"] for line in measured], LEVEL)
    return {
        "proxy_gained": last["proxy"] - first["proxy"],
        "realism_lost": first["realism"] - last["realism"],
        "corrected_lost": first["corrected"] - last["corrected"],
        "peak": max(float(line["corrected"]) for line in measured),
        **{f"{name}_at": crossing.at([line[name] for line in measured]) for name in ("realism", "gold", "corrected")},
        "reached": float(crossing.reached),
    }


def judged(
    run: Run, bed: DigitsBed, raw: np.ndarray, rewards: Mapping[str, Reward], static: ArtefactJudge,
    judge: ArtefactJudge,
) -> dict[str, float]:  # fmt: skip
    """The last samples by all rewards, and all rewards by pairs of a clean and a spoilt image.

    Args:
        run: whose settings count.
        bed: of the seed.
        raw: the last samples, by class.
        rewards: the base rewards, by name.
        static: the judge as it was before the run.
        judge: as it is after the run.
    """
    import numpy as np

    from trueward.audit.images.cross_rewards import scored_by
    from trueward.recipes.beds.artifact_reward_parts import curator_of, reference_samples
    from trueward.rewards.images import rollouts_of

    shown = (np.clip(raw, -1.0, 1.0) + 1) / 2
    labels = bed.conditions(len(raw) // 10)
    samples = {"generator": reference_samples(run, bed, 40), "policy": rollouts_of(shown, bed.prompts(labels))}
    matrix = scored_by(samples, {**rewards, "judge": static})
    realism = float(bed.gold.realism(np.clip(raw, -1.0, 1.0)).mean())
    own, before = float(judge.clean(shown).mean()), float(static.clean(shown).mean())
    curator = curator_of(run, bed)
    found = {
        "judged": own,
        "judge_gap": own - realism,
        "static_gap": before - realism,
        "artefacts": float(curator.labels(raw, run.generator("last look")).mean()),
        **{f"shift_{name}": matrix.of("policy", name) for name in matrix.rewards},
    }
    for name, reward in {**rewards, "judge": judge}.items():
        by_kind = pairs_ranked(run, bed, reward)
        found |= {f"{which}_{name}": by_kind["all"].share(which) for which in ("right", "tied")}
    left_out = run.settings["judge.left_out"]
    found["right_left_out"] = by_kind[left_out].share("right") if left_out else math.nan
    return found


def pairs_ranked(run: Run, bed: DigitsBed, reward: Reward) -> dict[str, PairTest]:
    """Pairs of a held-out image and the same image spoilt, ranked by a reward: "all", and each kind of artefact."""
    import numpy as np

    from trueward.audit.images.blind_spots import pair_test, pair_test_by_kind
    from trueward.batch import Context
    from trueward.rewards.images import rollouts_of
    from trueward.tasks.flow.artefacts import KINDS, spoilt

    real = bed.splits.heldout.rows(np.arange(run.settings["pairs.images"]))
    wrong, which = spoilt(real.images, run.generator("pairs"))
    prompts, context = bed.prompts(real.labels), Context()
    clean, other = (
        reward.score(rollouts_of((images + 1) / 2, prompts), context).total() for images in (real.images, wrong)
    )
    kinds = [tuple(KINDS)[place] for place in which]
    return {"all": pair_test(clean, other), **pair_test_by_kind(clean, other, kinds)}


# fmt: off
ADAPTIVE: Settings = {"judge.mode": "adaptive"}
STATIC: Settings = {"judge.mode": "static"}
# Compared by itself a reward needs no scale, and its weight would bring one back.
_APART: Settings = {"train.separately": True, "reward.scaled": False}
_RAW: Settings = {"reward.scaled": False, "reward.aesthetic": 1.0, "reward.detector": 1.0}

FULL_ARMS: tuple[Arm, ...] = (
    *(Arm(f"{kind}_{name}", f"the {name} reward {about}", "reference",
          {**settings, "reward.base": [name], f"reward.{name}": 1.0}, full=True)
      for kind, about, settings in (("only", "alone", {}), ("adaptive", "and the refreshed judge", ADAPTIVE))
      for name in ("consistency", "aesthetic", "detector")),
    Arm("static_one_hack", "a judge of one hacked policy alone", "reference",
        {**STATIC, "judge.data": "one hack"}, full=True),
    Arm("static_gentle_hack", "a judge of one policy that was hacked gently", "reference",
        {**STATIC, "judge.data": "one gentle hack"}, full=True),
    Arm("static_w1", "the judge as it is, weight 1", "reference", {**STATIC, "judge.weight": 1.0}, full=True),
    Arm("static_kl", "the judge as it is, with KL", "reference", {**STATIC, "train.kl": 0.04}, full=True),
    Arm("adaptive_w1", "the refreshed judge, weight 1", "reference", {**ADAPTIVE, "judge.weight": 1.0}, full=True),
    Arm("adaptive_gentle", "the refreshed judge, half the learning rate and twice the updates", "reference",
        {**ADAPTIVE, "train.learning_rate": 5e-5, "train.steps": 260}, full=True),
    Arm("none_gentle", "base rewards alone, half the learning rate and twice the updates", "reference",
        {"train.learning_rate": 5e-5, "train.steps": 260}, full=True),
    Arm("adaptive_often", "refreshed after every 10 updates with 30 samples", "reference",
        {**ADAPTIVE, "judge.every": 10, "judge.samples": 30}, full=True),
    Arm("adaptive_careless", "a curator who errs in three of ten", "reference",
        {**ADAPTIVE, "curator.error": 0.3}, full=True),
    *(Arm(f"{name}_{kind}", f"{about}, {how}", "reference", {**settings, **changed}, full=True)
      for kind, how, changed in (("apart", "each reward compared by itself", _APART),
                                 ("raw", "rewards added as they are", _RAW))
      for name, about, settings in (("none", "base rewards alone", {}), ("adaptive", "the refreshed judge", ADAPTIVE))),
    *(Arm(f"without_{kind.replace(' ', '_')}", f"a judge that was never shown {kind}", "reference",
          {**STATIC, "judge.left_out": kind}, full=True)
      for kind in ("contrast", "speckle", "double outline", "cut strokes")),
)
# fmt: on
