"""Flow policies: from noise to samples along x_t = (1 − t) x₀ + t ε. Needs `trueward[flow]`.

In: a network (x, t, condition) → velocity. Out: samples with every state on their way, and the log-probability of every
step, for credit and objectives.

- `base`: what a flow policy is; the algebra of the path; conditions of any form.
- `network`: a small network for small samples. `guidance`: classifier-free guidance, a policy of its own.
- `kernels`: one stochastic step: mean, noise, density; Flow-GRPO, DanceGRPO, Euler.
- `sampling`: `sample`. `guided`: the gradient of a reward in every step. `trajectories`: what comes out.
- `likelihood`: log-probabilities of steps under any policy.
"""

from trueward.policies.flow.base import (
    Condition,
    Velocity,
    clean_estimate,
    condition_length,
    condition_repeat,
    condition_rows,
    draw_times,
    noised,
    score_of,
    velocity_target,
)
from trueward.policies.flow.guidance import ClassifierFree, null_class
from trueward.policies.flow.guided import Guidance, spsa_gradient
from trueward.policies.flow.kernels import Kernel, dance_grpo, flow_grpo, ode, time_grid
from trueward.policies.flow.likelihood import StepLikelihoods, trajectory_logprobs
from trueward.policies.flow.network import FlowMLP
from trueward.policies.flow.sampling import sample, starting_noise
from trueward.policies.flow.trajectories import Trajectories

__all__ = [
    "ClassifierFree",
    "Condition",
    "FlowMLP",
    "Guidance",
    "Kernel",
    "StepLikelihoods",
    "Trajectories",
    "Velocity",
    "clean_estimate",
    "condition_length",
    "condition_repeat",
    "condition_rows",
    "dance_grpo",
    "draw_times",
    "flow_grpo",
    "noised",
    "null_class",
    "ode",
    "sample",
    "score_of",
    "spsa_gradient",
    "starting_noise",
    "time_grid",
    "trajectory_logprobs",
    "velocity_target",
]
