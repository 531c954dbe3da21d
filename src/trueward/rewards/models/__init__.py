"""Reward models: learned scorers.

- `sequence_classifier`: Hugging Face sequence classifiers by path (`hf:PATH`).
"""
