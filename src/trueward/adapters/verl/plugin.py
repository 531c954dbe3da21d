"""The entry point for verl: imported by `import verl` in every process, it registers Trueward's names.

verl imports plugins while it is itself half imported, and what a plugin raises there is written to the debug log only.
So nothing of verl is touched here. Each registry is filled right after verl has made it; an error in that is raised by
the import of the registry and stops whoever needs it.
"""

from __future__ import annotations

from trueward.adapters.verl.after_import import after_import


def _register_core() -> None:
    from trueward.adapters.verl.estimators import register_estimators
    from trueward.adapters.verl.losses import register_losses

    register_estimators()
    register_losses()


def _register_reward_manager() -> None:
    import trueward.adapters.verl.reward_loop  # noqa: F401 - registers where it is defined


def _register_trainers() -> None:
    import trueward.adapters.verl.trainer  # noqa: F401 - registers where they are defined


after_import("verl.trainer.ppo.core_algos", _register_core)
after_import("verl.experimental.reward_loop.reward_manager", _register_reward_manager)
after_import("verl.trainer.ppo.v1", _register_trainers)
