"""Published systems, one file each: arms, the claim as code, and the one function that does a run.

- `beds`: settings, scales and further arms of single recipes.
- `real`: their configurations for TRL with public models.
"""
