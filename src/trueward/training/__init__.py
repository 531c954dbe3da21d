"""Training: the loops that join the stages. Needs `trueward[train]`.

In: a policy, prompts, a reward, a credit and an objective. Out: a trained policy, and a directory with everything that
happened. Gold is measured along the way and never read.

- `language`: the loop for language models: sample, score, credit, update; resumable to the bit.
- `control/`: the loop for control: PPO on any Gymnasium vector environment, resumable likewise.
- `flow/`: the loop for flow policies: flow matching, online, from pools and pairs, self-sampled; resumable likewise.
- `hooks`: what may go along with a run: co-train a reward (`co_training`), watch, stop.
- `rollouts`: rollouts as loops gather them; log-probabilities under other policies, values of critics.
- `update`: what policy and critic learn from one batch.
- `record`: what a run writes down; `metric_lines`: the part of it that all loops write alike. `checkpoint`: what a run
  needs to go on; `ended`: why it does not. `seeds`: random streams by seed and step.
- `warm_start`: supervised fine-tuning on demonstrations.
- `reward_model`: trains reward models on preferences, labels, two heads; `reward_model_loop` is its loop.
- `pairs`: builds preferences: selector × generator × validator; `pairs_labelled` from annotated samples.
- `step_labels`: labels steps by Monte-Carlo completion.
- `reference_rewards`: what reference rollouts earn, stored with their prompts.
- `best_of_n`: puts a reward under pressure without training anything.
"""

from trueward.training.hooks import Hook, StopRun
from trueward.training.language import Trained, TrainSettings, train
from trueward.training.warm_start import warm_start

__all__ = ["train", "TrainSettings", "Trained", "Hook", "StopRun", "warm_start"]
