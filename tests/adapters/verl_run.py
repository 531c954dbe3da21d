"""Runs in an environment of verl, with Ray and verl's queue: what needs more than one process.

python verl_run.py FOLDER: FOLDER holds what `same_rollouts.fixture` wrote; prints one JSON object per case, and writes
FOLDER/verl.npz.
"""

from __future__ import annotations

import os
import types
from collections.abc import Callable

import ray
from verl_configuration import FOLDER, configuration, say
from verl_loop import refused, sessions, stopping, turns
from verl_same import same_rollouts
from verl_workers import actor_workers, reward_loop, reward_workers


def raised(function: object, *arguments: object) -> str:
    """As `caught`, for actors of Ray: what they use must come with them."""
    try:
        function(*arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


class Process:
    """An actor of Ray that imports verl as its workers do."""

    def check(self) -> str:
        from trueward.adapters.verl import check_registered

        return raised(check_registered, "a worker")

    def loss(self, name: str) -> str:
        from verl.trainer.ppo.core_algos import get_policy_loss_fn

        return raised(get_policy_loss_fn, name)

    def worker(self, name: str) -> str:
        from trueward.adapters.verl.worker import TruewardWorker

        return raised(TruewardWorker.check_trueward, types.SimpleNamespace(rank=3), name)


def broken_process() -> Callable[[], None]:
    broken = ray.remote(Process).options(runtime_env={"env_vars": {"PYTHONPATH": str(FOLDER / "broken")}}).remote()
    asked = [broken.check.remote(), broken.loss.remote("trueward_clip"), broken.worker.remote("trueward_clip")]
    return lambda: say("process with a broken plugin", answers=ray.get(asked))


def break_plugin() -> None:
    """A package of the same name that raises where verl loads it."""
    import trueward

    adapter = FOLDER / "broken" / "sitecustomize.py"
    adapter.parent.mkdir()
    adapter.write_text(
        "import sys\n"
        "class Broken:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'trueward.adapters.verl.plugin':\n"
        "            raise RuntimeError('broken on purpose')\n"
        "sys.meta_path.insert(0, Broken())\n"
    )
    assert trueward.__file__


def main() -> None:
    import transfer_queue as tq

    from trueward.adapters.verl import missing_names

    os.environ["RAY_AUTH_MODE"] = "disabled"
    break_plugin()
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="error")
    queue = configuration().transfer_queue
    queue.backend.SimpleStorage.num_data_storage_units = 1
    tq.init(queue)
    started = [broken_process(), reward_workers()]  # while they import, this process goes on
    say("process", lacks=missing_names(trainers=True))
    reward_loop()
    actor_workers()
    for told in started:
        told()
    same_rollouts()
    sessions()
    turns()
    stopping()
    refused()
    tq.close()
    ray.shutdown()


if __name__ == "__main__":
    main()
