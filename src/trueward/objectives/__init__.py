"""Objectives: pure functions from tensors to a loss and what to log about it.

In: log-probabilities, advantages, values, scores or targets, as torch tensors with the rows first, and a mask or
weight that says which entries count. Out: `(loss, metrics)`. The loss is one number with a gradient; the metrics are
detached numbers on the same device, so that nothing waits for an accelerator. No objective knows a trainer, a model or
an optimiser.

- `aggregation`: how much each row's decisions count (by token, sequence, group or fixed length); masked sums and means.
- `ratios`: log-probability ratios that stay finite.
- `policy_gradient`: the clipped surrogate of PPO, GRPO, Dr. GRPO, DAPO, GSPO; REINFORCE.
- `policy_loss`: these joined with a divergence and an entropy bonus, as a training loop takes them.
- `divergence`: the estimators k1, k2, k3 of a KL divergence, for the reward or for the loss; the entropy bonus.
- `sequence_divergence`: χ² and KL of whole answers, and a policy loss with them.
- `density_ratio`: a network that tells the steps of two policies apart.
- `covariance`: the divergence of KL-Cov, on the few decisions that take most of the entropy away.
- `value`: the critic's loss with clipping; explained variance.
- `preference`: Bradley–Terry; the logistic loss with soft labels on log-probability differences (DPO, DNO, POWER-DL…).
- `flow/`: errors of velocities, divergences of denoising steps, ranking of groups, preference, distilled guidance.
- `two_heads`: a reward model whose second head takes what is due to length (ODIN).
- `supervised`: binary cross-entropy, squared error, cross-entropy of tokens.

What holds for all of them, and is tested for each: what is masked or weighs nothing changes neither loss nor gradient,
even if it is NaN; a batch in which nothing counts has loss 0 and zero gradients; half precision is computed in single.
"""
