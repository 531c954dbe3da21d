"""Losses of flow policies, as pure functions of tensors.

The clipped surrogate of `objectives.policy_gradient` takes denoising steps as decisions as it is. Here stands what is
particular to flows: errors of velocities (`matching`), and what is built on them:
`ranking` (GDRO), `preference` (Diffusion-DPO, SePPO), `distillation` (Euphonium).
"""

from trueward.objectives.flow.matching import denoising_error, flow_matching, kernel_divergence, velocity_divergence

__all__ = ["denoising_error", "flow_matching", "kernel_divergence", "velocity_divergence"]
