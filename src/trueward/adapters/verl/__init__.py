"""verl keeps its trainer, and gets Trueward's estimators, losses and rewards under their names.

Enters: the tensors, configurations and batches of verl 0.9. Leaves: what verl's registries ask for. Nothing is copied
out of verl and nothing in it is replaced: estimators, losses, the reward manager and the trainers are registered under
names that begin with "trueward", in every process that imports verl, through its entry points for plugins.

    algorithm.adv_estimator=trueward_leave_one_out
    actor_rollout_ref.actor.policy_loss.loss_mode=trueward_sequence
    reward.reward_manager.name=trueward                    # parts and statuses, limits, a self-test where rewards run
    trainer.v1.trainer_mode=trueward                       # parts, hidden states, the monitor

- `plugin`: the entry point: registers as soon as verl's modules are there; `after_import` waits for them.
- `registered`: which names there are, and the check that a process has them.
- `estimators`: advantages from token rewards, mask and prompt ids; `settings` reads what the user set.
- `losses`: policy losses, averaged as verl averages.
- `reward_loop`: the reward manager; `rows` is what a reward gets to see of a batch of verl, `recorded` how parts
  travel to the trainer, `self_test` asks the reward in the very process that will score.
- `trainer`: verl's trainers with parts, hidden states and a monitor; `shown` hands what they see to the estimators.
- `worker`: verl's actor worker, which can also tell hidden states and prediction errors; `model_pass` computes them.
- `configured`, `monitoring`: the reward and the monitor that verl's configuration names; `batches` reads its queue.

verl is imported when it is used and never before. The guide: docs/verl.md.
"""

from trueward.adapters.verl.registered import check_registered, missing_names

__all__ = ["check_registered", "missing_names"]
