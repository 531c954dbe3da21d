"""Adapters: Trueward's rewards, credit, objectives and monitors inside engines that train.

Enters: an engine's own batch. Leaves: what the engine expects in its place, made by the same functions that the
built-in loop calls. An engine is imported only when its adapter is used.

- `trl`: trainers for TRL (GRPO, RLOO, reward models) and a callback that watches a run.
- `verl`: estimators, losses and a reward manager for verl, found through its plugins.
"""
