"""ArtifactReward: a judge of artefacts beside the rewards of a generator, refreshed with what the policy does now.

Rewards of consistency, taste and detection tie on structural artefacts, so that optimisation makes them. A judge p of
artefacts, fitted to few labelled images, is added: R = Σ r_i + w (1 − p). Left as it is it gets hacked itself; so every
20 updates it is shown 60 samples of the policy with a curator's labels, and fitted again.

Here: Flow-GRPO on digits, rewards added on the scale of the generator's samples. The judge is a small classifier; the
search for instructions of a served judge has its own tests.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trueward.evidence.recipe import Arm, Falsifier, Recipe, above, greater, less
from trueward.recipes.beds.artifact_reward import ADAPTIVE, FULL_ARMS, METRICS, NOTES, SCALES, SETTINGS, STATIC

if TYPE_CHECKING:
    from trueward.evidence.run import Run


def run(run: Run) -> dict[str, float]:
    """Train from the generator on base rewards and, where the arm has one, a judge; then ask all of them."""
    from trueward.errors import EvidenceError
    from trueward.evidence.digits_bed import bed
    from trueward.evidence.flow_cost import TrainingCost
    from trueward.recipes.beds.artifact_reward import curve_summary, judged
    from trueward.recipes.beds.artifact_reward_parts import base_rewards, curator_of, judge_of, online, optimised
    from trueward.training.flow import FlowHook, FlowSettings, train_flow
    from trueward.training.flow.refreshing import RefreshJudge

    chosen, made, cost = run.settings, bed(run), TrainingCost()
    if chosen["judge.mode"] not in ("none", "static", "adaptive"):
        raise EvidenceError(f"judge.mode={chosen['judge.mode']!r}; expected none, static or adaptive")
    rewards, static = base_rewards(run, made), judge_of(run, made)
    judge = None if chosen["judge.mode"] == "none" else judge_of(run, made, shuffled=chosen["judge.shuffled"])
    hooks: list[FlowHook] = [cost]
    if judge is not None and chosen["judge.mode"] == "adaptive":
        curator = curator_of(run, made)
        hooks.append(
            RefreshJudge(
                judge,
                lambda images, generator: curator.labels(2 * images - 1, generator),
                every=chosen["judge.every"],
                samples=chosen["judge.samples"],
            )
        )
    update = online(run, made, optimised(run, made, rewards, judge), group=chosen["train.group"], kl=chosen["train.kl"])
    cost.start()
    trained = train_flow(
        made.policy(),
        update,
        settings=FlowSettings(
            steps=chosen["train.steps"],
            learning_rate=chosen["train.learning_rate"],
            ema=chosen["train.ema"],
            seed=run.seed_for("training") % 2**31,
            evaluate_every=max(1, chosen["train.steps"] // chosen["train.evaluations"]),
            checkpoint_every=max(1, chosen["train.steps"] // 2),
        ),
        directory=run.directory,
        evaluate=cost.evaluating(made.evaluate, "proxy"),
        hooks=hooks,
    )
    with cost.stopped():
        final = made.finish(run, trained.average)
        found = judged(run, made, made.samples(trained.average), rewards, static, judge or static)
        return {
            **final,
            **curve_summary(trained.metrics),
            **found,
            "log_seconds": math.log(max(cost.spent.seconds, 1e-9)),
        }


# fmt: off
ARMS = (
    Arm("adaptive", "base rewards and a judge of artefacts that is refreshed", "method", ADAPTIVE,
        {"judge.weight": (1.0, 3.0)}),
    Arm("adaptive_kl", "the same with KL", "method", ADAPTIVE, {"train.kl": (0.01, 0.04)}),
    Arm("kl", "base rewards with KL to the generator", "baseline", {}, {"train.kl": (0.01, 0.04)}),
    Arm("ensemble", "base rewards as an ensemble on the generator's scale", "baseline", {},
        {"reward.aggregate": ("min", "mean_minus_std")}),
    Arm("static", "the judge stays as it is", "ablation", STATIC),
    Arm("shuffled", "the judge learns exchanged labels", "control", {**ADAPTIVE, "judge.shuffled": True}),
    Arm("none", "base rewards alone, no KL", "reference"),
    *FULL_ARMS,
)

RECIPE = Recipe(
    name="artifact-reward",
    title="ArtifactReward",
    paper=(
        "Hong, Kao, Zhou, Hsieh, Understanding reward hacking in text-to-image reinforcement learning, 2026, "
        "arXiv 2601.03468"
    ),
    claim=(
        "A judge of artefacts that is refreshed with the policy's own samples keeps images more real than base rewards "
        "alone, their ensemble, a judge that stands still, or a KL penalty at the same proxy."
    ),
    arms=ARMS,
    metrics=METRICS,
    claims=(
        greater("adaptive", "none", "realism", 0.1),
        greater("adaptive", "none", "corrected", 0.3),
        greater("adaptive", "none", "gold", -0.03),
        greater("adaptive", "ensemble", "realism", 0.05),
        greater("adaptive", "static", "realism"),
        less("static", "none", "realism", -0.05),
        less("adaptive", "static", "judge_gap"),
        greater("adaptive", "shuffled", "realism"),
        greater("adaptive", "kl", "realism_at"),
        greater("adaptive_kl", "kl", "realism_at"),
    ),
    preconditions=(
        above("none", "proxy_gained", 0.1),
        above("none", "realism_lost", 0.15),
    ),
    falsifiers=(
        Falsifier("no gain in realism over a KL penalty at the same proxy: surely less than 0.02",
                  (less("adaptive", "kl", "realism_at", -0.02),)),
        Falsifier("an ensemble of the base rewards matches it: surely less than 0.02 behind in realism",
                  (greater("ensemble", "adaptive", "realism", -0.02),)),
    ),
    tuned_on="corrected",
    settings=SETTINGS,
    scales=SCALES,
    run=run,
    notes=NOTES,
    at_scale=(
        "Serve a vision-language model with vLLM and put it beside the rewards that you have: "
        "`judge = ArtefactJudge(Prompted(model.judge, WrittenCritic(model.written)))` with "
        '`model = ServedModel("http://127.0.0.1:8000/v1", "Qwen/Qwen2.5-VL-7B-Instruct")`; `judge.fit(images, labels)` '
        "with 100 to 200 labelled samples of your own policy's failures, then `reward = yours + 1.0 * judge`. "
        "Call `judge.refresh`, or let `RefreshJudge` do it, once what it pays and what you see part ways. Keep KL on, "
        "compare each reward by itself, and look at `judge.abstained`."
    ),
    parts=(
        "trueward.rewards.models.images.artefact.ArtefactJudge", "trueward.rewards.models.prompt_search.prompt_search",
        "trueward.rewards.models.yes_no.YesNo", "trueward.training.flow.refreshing.RefreshJudge",
        "trueward.audit.images.cross_rewards.cross_rewards", "trueward.audit.images.blind_spots.pair_test",
        "trueward.training.flow.online.OnlineUpdate", "trueward.rewards.models.ensemble.Ensemble",
    ),
)
# fmt: on
