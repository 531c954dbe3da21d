"""Every transform, by name, as it is used without further settings: for tests and tables that run over all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from trueward.rewards.transforms.bounded import ceiling, clip, polynomial, sigmoid, tanh
from trueward.rewards.transforms.group import centre
from trueward.rewards.transforms.group_switch import group_switch, grpo_lambda
from trueward.rewards.transforms.length import length_penalty, overlong
from trueward.rewards.transforms.length_groups import length_budget, linear_length, sigmoid_length
from trueward.rewards.transforms.parts import Transform
from trueward.rewards.transforms.references import centred, log_sigmoid_centred, slow_start, win_probability
from trueward.rewards.transforms.running import running_clip, running_range, standardise
from trueward.rewards.transforms.steps import min_form, per_step_count, step_clip, step_cost, step_delta
from trueward.rewards.transforms.thresholds import BatchQuantile, Frozen, QuestionMean

# Makers and not transforms: those with running statistics must start anew at every use.
ROLLOUT_TRANSFORMS: Mapping[str, Callable[[], Transform]] = {
    "clip": lambda: clip(-1.0, 1.0),
    "ceiling": lambda: ceiling(3.0),
    "sigmoid": sigmoid,
    "tanh": tanh,
    "polynomial": polynomial,
    "centre": centre,
    "win_probability": win_probability,
    "slow_start": slow_start,
    "centred": centred,
    "centred sigmoid": lambda: centred("sigmoid"),
    "centred tanh": lambda: centred("tanh"),
    "centred atan": lambda: centred("atan"),
    "centred polynomial": lambda: centred("polynomial"),
    "log_sigmoid_centred": log_sigmoid_centred,
    "standardise": standardise,
    "running_clip": running_clip,
    "running_range": running_range,
    "length_penalty": lambda: length_penalty(0.01, 3),
    "overlong": lambda: overlong(6, 3),
    "sigmoid_length": sigmoid_length,
    "sigmoid_length all": lambda: sigmoid_length(0.6, "all"),
    "length_budget": lambda: length_budget(6),
    "linear_length": linear_length,
    "grpo_lambda": grpo_lambda,
    "group_switch threshold": lambda: group_switch(sigmoid_length(), select="threshold", threshold=0.5),
}

STEP_TRANSFORMS: Mapping[str, Callable[[], Transform]] = {
    "step_clip": step_clip,
    "step_clip quantile": lambda: step_clip(BatchQuantile(0.2)),
    "step_clip constant": lambda: step_clip(0.5),
    "step_clip frozen": lambda: step_clip(Frozen(QuestionMean())),
    "step_delta": step_delta,
    "per_step_count": per_step_count,
    "step_cost": lambda: step_cost(0.1),
    "min_form": min_form,
}
