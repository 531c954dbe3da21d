"""Transforms: `(scores, rollouts, context) -> scores`. They may look at the whole batch.

    reward = model.transform(ceiling(5.0), length_penalty(), win_probability())     # in this order
    reward = correct + 0.1 * process.transform(step_clip(), step_delta())

In: scores of a batch. Out: scores with one or all paid parts changed; parts of weight 0, statuses and inputs stay as
they are. Every transform tells its `guarantees`, and keeps `reward(failed) ≤ reward(wrong)`.

- `bounded`: clip, ceiling, sigmoid, tanh, polynomial.
- `references`: against the rewards of reference answers: win probability (PAR), centred shapes, LSC, SgFc.
- `running`: with statistics of all rewards so far: standardise, clip, range. They have a `state_dict`.
- `group`: minus the mean of the group.
- `length`: a price for length. `length_groups`: right answers by their length beside others to the prompt.
- `group_switch`: another reward for the groups that the policy solves best.
- `steps`, `thresholds`: step rewards: clip and its threshold, delta, count, cost, min-form.
- `parts`, `guarantees`: what they are made of. `catalogue`: all by name.
"""

from trueward.rewards.transforms.bounded import ceiling, clip, polynomial, sigmoid, tanh
from trueward.rewards.transforms.group import centre
from trueward.rewards.transforms.group_switch import group_switch, grpo_lambda
from trueward.rewards.transforms.guarantees import Guarantee
from trueward.rewards.transforms.length import length_penalty, lengths, overlong
from trueward.rewards.transforms.length_groups import length_budget, linear_length, sigmoid_length
from trueward.rewards.transforms.parts import Transform, with_raw
from trueward.rewards.transforms.references import centred, log_sigmoid_centred, slow_start, win_probability
from trueward.rewards.transforms.running import running_clip, running_range, standardise
from trueward.rewards.transforms.steps import min_form, per_step_count, step_clip, step_cost, step_delta
from trueward.rewards.transforms.thresholds import BatchQuantile, Frozen, QuestionMean

__all__ = [
    "BatchQuantile",
    "Frozen",
    "Guarantee",
    "QuestionMean",
    "Transform",
    "centre",
    "centred",
    "ceiling",
    "clip",
    "group_switch",
    "grpo_lambda",
    "length_budget",
    "length_penalty",
    "lengths",
    "linear_length",
    "log_sigmoid_centred",
    "min_form",
    "overlong",
    "per_step_count",
    "polynomial",
    "running_clip",
    "running_range",
    "sigmoid",
    "sigmoid_length",
    "slow_start",
    "standardise",
    "step_clip",
    "step_cost",
    "step_delta",
    "tanh",
    "win_probability",
    "with_raw",
]
