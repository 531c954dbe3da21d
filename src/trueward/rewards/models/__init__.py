"""Reward models: learned scorers.

- `sequence_classifier`: Hugging Face sequence classifiers by path (`hf:PATH`).
- `learned`, `learned_inputs`: a trained scorer as a reward of rollouts, and what it reads.
- `process`: a trained scorer as a reward of steps.
- `density_ratio`: a network that says how much more often one policy is somewhere than another.
- `images/`: classifiers and judges of images, rewards of noisy states.
- `ensemble`: several rewards as one, with their disagreement.
- `yes_no`: a judge's answer as a probability. `prompt_search`: a better instruction for a frozen judge.

Nothing is imported here, and torch only with the first row to score.
"""
