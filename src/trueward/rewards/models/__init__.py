"""Reward models: learned scorers.

- `sequence_classifier`: Hugging Face sequence classifiers by path (`hf:PATH`).
- `files`: where a model's files lie, whether they may be loaded, how much memory they want.

Nothing is imported here, and torch only with the first row to score.
"""
