"""verl's loop under Trueward's trainer: sessions, an alarm, a run that goes on, and what is refused."""

from __future__ import annotations

import json
import types

from verl_batches import fetched, put, trainer_of
from verl_configuration import FOLDER, caught, configuration, say


def sessions() -> None:
    """Outputs of one session share its reward, and count once; another reward manager than ours."""
    import torch

    trainer = trainer_of("trueward_centre", reward__reward_manager__name="naive")
    rows, keys = [], []
    for uid, session, output, reward in (("x", 0, 0, 3.0), ("x", 0, 1, 3.0), ("x", 1, 0, 1.0), ("x", 2, 0, 2.0)):
        tokens = torch.arange(3 + output)
        rows.append({"uid": uid, "prompts": torch.tensor([5, 6]), "responses": tokens, "num_turns": 1,
                     "response_mask": torch.ones_like(tokens), "extra_fields": {},
                     "rm_scores": torch.eye(len(tokens))[-1] * reward})  # fmt: skip
        keys.append(f"{uid}_{session}_{output}")
    trainer._compute_advantage(put(rows, keys), {})
    say("sessions", advantages=fetched(keys, "advantages", 4).tolist())


def turns() -> None:
    """Steps that only the mask tells, where another reward manager scored; settings that would do nothing."""
    import torch

    rows, keys = [], []
    for session, reward in ((0, 1.0), (1, 3.0)):
        tokens = torch.arange(5)
        rows.append({"uid": "t", "prompts": torch.tensor([5, 6]), "responses": tokens, "num_turns": 1,
                     "response_mask": torch.tensor([1, 1, 0, 1, 1]), "extra_fields": {},
                     "rm_scores": torch.eye(5)[-1] * reward})  # fmt: skip
        keys.append(f"t_{session}_0")
    name, other = "trueward_segment_returns", {"reward__reward_manager__name": "naive"}
    batch = put(rows, keys)
    trainer = trainer_of(name, algorithm__trueward__segments="turns", algorithm__trueward__discount=0.5, **other)
    trainer._compute_advantage(batch, {})
    found = fetched(keys, "advantages", 5).tolist()
    blind = trainer_of(name, algorithm__trueward__response_length=9, **other)
    say("turns", advantages=found, useless=caught(blind._compute_advantage, batch, {}))


def stopping() -> None:
    """verl's own loop, ended by the monitor after the step of the alarm."""
    import torch

    from trueward.training.hooks import StopRun

    (FOLDER / "gold.py").write_text("def strict(completion):\n    return 0.5\n")
    settings = {
        "reward__reward_manager__name": "naive", "trainer__logger": ["console"], "trainer__val_before_train": False,
        "trainer__save_freq": 5, "trainer__total_epochs": 1, "trueward__monitor__gold": f"{FOLDER}/gold.py:strict",
        "trueward__monitor__budget": 4,
    }  # fmt: skip
    trainer = trainer_of("trueward_z_score", **settings)
    logged, steps = [], []
    watched = trainer._monitor.after_rollouts

    def alarmed(rollouts: object, scores: object, context: object) -> dict[str, float]:
        found = watched(rollouts, scores, context)
        if context.step == 2:
            raise StopRun("the probe alarms")
        return found

    def step(metrics: dict[str, object], timing: object) -> object:
        rows, keys = [], []
        for number in range(4):
            tokens = torch.arange(3 + number % 2)
            rows.append({"uid": f"u{number // 2}", "prompts": torch.tensor([5, 6]), "responses": tokens,
                         "response_mask": torch.ones_like(tokens), "extra_fields": {}, "num_turns": 1,
                         "rm_scores": torch.eye(len(tokens))[-1] * (number % 2)})  # fmt: skip
            keys.append(f"s{len(steps)}u{number // 2}_{number % 2}_0")
        steps.append(trainer.global_steps)
        batch = trainer._compute_advantage(put(rows, keys), metrics)
        logged.append({key: value for key, value in metrics.items() if key.startswith("monitor/")})
        batch.tags = [{} for _ in batch.keys]
        return batch

    trainer._monitor.after_rollouts, trainer.step = alarmed, step
    trainer.global_steps = 0
    trainer.checkpoint_manager = types.SimpleNamespace(update_weights=lambda steps: None)
    trainer.train_dataloader = types.SimpleNamespace(state_dict=lambda: {})
    trainer._compute_metrics = lambda *arguments, **named: None
    trainer._init_dump_executor()
    trainer.fit(None)
    state = json.loads((FOLDER / "run" / "global_step_2" / "trueward.json").read_text())
    lines = (FOLDER / "run" / "monitor.jsonl").read_text().splitlines()
    say("stopped", steps=steps, why=trainer.stopped, saved=trainer.actor_rollout_wg.saved, lines=len(lines),
        monitor=sorted(logged[0]), state=sorted(state), step=state["monitor"]["step"],
        **resumed(settings))  # fmt: skip


def resumed(settings: dict[str, object]) -> dict[str, object]:
    """Another trainer goes on from what that one saved; without its file it refuses to."""
    trainer = trainer_of("trueward_z_score", **settings)
    fresh = trainer._monitor.state_dict()["step"]
    trainer.actor_rollout_wg.load_checkpoint = lambda **named: None
    trainer.train_dataloader = types.SimpleNamespace(load_state_dict=lambda state: None)
    trainer._load_checkpoint()
    file = FOLDER / "run" / "global_step_2" / "trueward.json"
    file.unlink()
    return {"fresh": fresh, "from": trainer.global_steps, "resumed": trainer._monitor.state_dict()["step"],
            "without": caught(trainer._load_checkpoint)}  # fmt: skip


def refused() -> None:
    from verl.trainer.ppo.v1 import get_trainer_cls

    from trueward.adapters.verl.worker import refuse_engine

    fused = configuration(actor_rollout_ref__model__use_fused_kernels=True)
    say("refused", what="fused kernels", message=caught(refuse_engine, fused.actor_rollout_ref))
    other = configuration(trainer__v1__trainer_mode="trueward_separate_async", algorithm__adv_estimator="trueward_thr")
    say("refused", what="another policy", message=caught(get_trainer_cls("trueward_separate_async"), other))
    wrong = configuration(trainer__v1__trainer_mode="trueward", trueward__monitor__bugdet=3)
    say("refused", what="unknown monitor setting", message=caught(get_trainer_cls("trueward"), wrong))
