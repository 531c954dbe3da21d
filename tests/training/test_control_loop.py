"""The loop for control: that it learns, what it records, and that a killed run ends as if it had not been."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from torch import Tensor

from trueward.batch import Context
from trueward.errors import TrainingError
from trueward.policies.control import ActorCritic, Categorical
from trueward.rewards.control import as_control_reward
from trueward.rewards.intrinsic import (
    Bonus,
    CountNovelty,
    PredictorSettings,
    RandomDistributionDistillation,
    RandomNetworkDistillation,
)
from trueward.tasks.control.arrays import ArrayEnv, CartPole, Pendulum
from trueward.training.control import (
    Collected,
    ControlHook,
    ControlSettings,
    ControlTrained,
    StopRun,
    read_episodes,
    train_policy,
)
from trueward.training.control.action_divergence import ActionDivergence

SETTINGS = ControlSettings(
    steps=6, horizon=16, epochs=2, minibatches=2, learning_rate=1e-3, evaluate_every=3, evaluation_episodes=4,
    checkpoint_every=2,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def cart_pole() -> CartPole:
    return CartPole(4, horizon=30)


def centred(next_observation: np.ndarray) -> np.ndarray:
    return -np.abs(next_observation[..., 0])


def run(directory: Path | None = None, settings: ControlSettings = SETTINGS, **given: Any) -> ControlTrained:
    env = given.pop("env", cart_pole)
    policy = given.pop("policy", None) or ActorCritic.for_spaces(CartPole(1), (16,), value_heads=1 + ("bonus" in given))
    return train_policy(env, given.pop("reward", None), policy=policy, settings=settings, directory=directory, **given)


def weights(found: ControlTrained) -> str:
    digest = hashlib.sha256()
    for value in found.policy.state_dict().values():
        digest.update(value.detach().numpy().tobytes())
    return digest.hexdigest()


def test_a_policy_learns_to_balance() -> None:
    longer = ControlSettings(
        steps=25,
        horizon=32,
        minibatches=2,
        learning_rate=4e-3,
        evaluate_every=25,
        evaluation_episodes=16,
        evaluate_greedily=True,
    )
    found = run(None, longer, env=lambda: CartPole(16, horizon=100), policy=ActorCritic.for_spaces(CartPole(1), (32,)))
    assert found.metrics[0]["environment"] < 60
    assert found.metrics[-1]["environment"] > 80
    assert found.metrics[-1]["proxy"] == found.metrics[-1]["environment"]


def test_continuous_actions_learn_what_is_rewarded_and_stay_within_bounds() -> None:
    seen: list[np.ndarray] = []

    def push(action: np.ndarray) -> np.ndarray:
        seen.append(action)
        return np.asarray(action[..., 0])

    longer = ControlSettings(
        steps=20, horizon=16, minibatches=2, learning_rate=2e-2, evaluate_every=20, evaluation_episodes=8
    )
    policy = ActorCritic.for_spaces(Pendulum(1), (16,), scale_observations=True)
    found = run(None, longer, env=lambda: Pendulum(8, horizon=20), reward=push, policy=policy)
    assert abs(found.metrics[0]["proxy"]) < 10
    assert found.metrics[-1]["proxy"] > 20  # at most 2 · 20
    assert max(np.abs(one).max() for one in seen) <= 2.0
    assert policy.scale is not None and float(policy.scale.count) == 20 * 16 * 8


def test_the_scale_of_observations_stands_still_after_some_updates() -> None:
    policy = ActorCritic.for_spaces(CartPole(1), (16,), scale_observations=True)
    run(None, dataclasses.replace(SETTINGS, observation_updates=2), policy=policy)
    assert policy.scale is not None and float(policy.scale.count) == 2 * 16 * 4


@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
def test_any_way_of_resetting(mode: str) -> None:
    kwargs = {"autoreset_mode": gymnasium.vector.AutoresetMode(mode)}

    def made() -> Any:
        return gymnasium.make_vec("CartPole-v1", 3, vectorization_mode="sync", vector_kwargs=kwargs)

    found = run(None, dataclasses.replace(SETTINGS, horizon=40), env=made)
    assert len(found.metrics) == 7
    whole = found.episodes["end"] != "cut"
    assert whole.sum() > 5
    # One per step, and nothing for resets.
    np.testing.assert_array_equal(found.episodes["proxy"], found.episodes["length"])
    kept = [line["update/optimizer_steps"] for line in found.metrics[1:]]
    assert kept == [4.0] * 6


def test_the_record_of_a_run(tmp_path: Path) -> None:
    found = run(tmp_path, reward=centred, gold=lambda reward: 2 * reward)
    assert [line["step"] for line in found.metrics] == list(range(7))
    assert {"proxy", "gold", "optimised", "environment", "length", "terminated"} <= found.metrics[3].keys()
    assert "gold" not in found.metrics[2]
    assert {"train/proxy", "train/gold", "per_step/gold", "part/centred", "update/entropy"} <= found.metrics[2].keys()
    assert found.metrics[3]["gold"] == 2 * found.metrics[3]["length"]
    assert found.metrics[3]["proxy"] < 0
    episodes = read_episodes(tmp_path)
    assert set(episodes["end"]) == {"terminated", "truncated", "cut"} or set(episodes["end"]) == {"terminated", "cut"}
    assert int(episodes["length"].sum()) == 6 * 16 * 4  # no step is lost: those at a checkpoint are cut
    np.testing.assert_allclose(episodes["gold"], 2.0 * episodes["length"])
    np.testing.assert_allclose(episodes["proxy"], episodes["part/centred"])
    assert sorted(set(episodes["step"])) == [1, 2, 3, 4, 5, 6]
    assert (np.diff(episodes["step"]) >= 0).all()
    in_memory = run(None, reward=centred, gold=lambda reward: 2 * reward)
    for name in episodes:
        np.testing.assert_array_equal(episodes[name], in_memory.episodes[name])
    assert in_memory.metrics == found.metrics


def test_gold_changes_nothing_but_what_is_written() -> None:
    plain = run(gold=centred)
    other = run(gold=lambda next_observation: -centred(next_observation))
    assert weights(plain) == weights(other) == weights(run())
    assert plain.metrics[-1]["gold"] == -other.metrics[-1]["gold"] != 0


class Killed(Exception):
    """The run is gone."""


class KilledAt(ControlHook):
    """Ends the run hard, in the middle of an update."""

    def __init__(self, step: int | None) -> None:
        self.step = step

    def after_update(self, collected: Collected, context: Context) -> Mapping[str, float]:
        if context.step == self.step:
            raise Killed
        return {}


class Adapting(ControlHook):
    """Pays less and less, and keeps how much in a network and a number."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.network = torch.nn.Linear(1, 1)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=0.1)
        self.factor = 1.0

    def modules(self) -> Mapping[str, torch.nn.Module]:
        return {"network": self.network}

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        return {"network": self.optimizer}

    def state_dict(self) -> Mapping[str, Any]:
        return {"factor": self.factor}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.factor = state["factor"]

    def after_collecting(self, collected: Collected, context: Context) -> Collected:
        self.factor *= 0.9
        loss = (self.network(torch.full((1, 1), float(collected.reward.mean()))) - 1).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        paid = self.factor * collected.reward + float(self.network.weight.detach())
        return dataclasses.replace(collected, reward=np.where(collected.exists, paid, 0.0))


def everything(killed_at: int | None = None) -> dict[str, Any]:
    policy = ActorCritic.for_spaces(CartPole(1), (16,), value_heads=2, scale_observations=True)
    reference = ActorCritic.for_spaces(CartPole(1), (16,), seed=9)
    return {
        "policy": policy,
        "bonus": CountNovelty(key=lambda observation: np.round(observation, 1)),
        "penalty": ActionDivergence(reference.distribution, weight=1e-3, kind="chi2", discount=0.9),
        "hooks": [Adapting(), KilledAt(killed_at)],
        "drivers": {range(3, 4): reference.distribution},
        "gold": centred,
    }


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*given: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("trueward.training.checkpoint.save", gone)
        with pytest.raises(Killed):
            run(tmp_path)
    assert [line["step"] for line in run(tmp_path).metrics] == list(range(7))


@pytest.mark.parametrize("killed_at", [1, 3, 4, 6])
def test_a_run_that_was_killed_ends_as_if_it_had_not_been(killed_at: int, tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, target_kl=0.05, anneal=True)
    through = run(tmp_path / "through", settings, **everything())
    with pytest.raises(Killed):
        run(tmp_path / "killed", settings, **everything(killed_at))
    resumed = run(tmp_path / "killed", settings, **everything())
    assert weights(resumed) == weights(through)
    assert resumed.metrics == through.metrics
    for name, values in through.episodes.items():
        np.testing.assert_array_equal(resumed.episodes[name], values)
    again = run(tmp_path / "killed", settings, **everything())
    assert weights(again) == weights(through) and again.metrics == through.metrics


def test_networks_of_a_bonus_go_on_where_they_were(tmp_path: Path) -> None:
    """With a value head of its own, and as a part of the reward."""

    def parts(killed_at: int | None = None) -> dict[str, Any]:
        inside = Bonus(RandomNetworkDistillation(4, PredictorSettings(hidden=(8,))), 0.1, every=SETTINGS.horizon)
        return {
            "reward": as_control_reward(None) + inside,
            "bonus": RandomDistributionDistillation(4, PredictorSettings(hidden=(8,))),
            "hooks": [KilledAt(killed_at)],
        }

    through = run(tmp_path / "through", **parts())
    with pytest.raises(Killed):
        run(tmp_path / "killed", **parts(5))
    resumed = run(tmp_path / "killed", **parts())
    assert weights(resumed) == weights(through) and resumed.metrics == through.metrics
    assert through.metrics[-1]["part/RND bonus"] < 0.5 * through.metrics[1]["part/RND bonus"]


def test_a_run_depends_on_its_seed_and_not_on_being_written(tmp_path: Path) -> None:
    assert weights(run(tmp_path)) == weights(run())
    assert weights(run(None, dataclasses.replace(SETTINGS, seed=1))) != weights(run())


def test_another_run_in_the_directory_is_refused(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(TrainingError, match="learning_rate"):
        run(tmp_path, dataclasses.replace(SETTINGS, learning_rate=1.0))
    with pytest.raises(TrainingError, match="first weights"):
        run(tmp_path, policy=ActorCritic.for_spaces(CartPole(1), (16,), seed=5))
    with pytest.raises(TrainingError, match="penalty was None and is 'kl 0"):
        run(tmp_path, penalty=ActionDivergence(lambda o: Categorical(o), 0.1))
    with pytest.raises(TrainingError, match="reward was 'environment'"):
        run(tmp_path, reward=centred)
    longer = run(tmp_path, dataclasses.replace(SETTINGS, steps=8))
    assert [line["step"] for line in longer.metrics] == list(range(9))


def test_a_hook_may_end_the_run_and_it_stays_ended(tmp_path: Path) -> None:
    class Enough(ControlHook):
        def after_update(self, collected: Collected, context: Context) -> Mapping[str, float]:
            if context.step == 3:
                raise StopRun("enough")
            return {"step": context.step}

    found = run(tmp_path, hooks=[Enough()])
    assert found.stopped == "enough"
    assert found.metrics[-1]["step"] == 3 and "proxy" in found.metrics[-1]
    assert found.metrics[2]["hook/step"] == 2
    assert len(run(tmp_path, hooks=[Enough()]).metrics) == 4


def test_hooks_change_the_reward_and_never_see_gold_before_the_update() -> None:
    before: list[bool] = []
    after: list[bool] = []

    class Doubles(ControlHook):
        def after_collecting(self, collected: Collected, context: Context) -> Collected:
            before.append(collected.gold is None)
            return dataclasses.replace(collected, reward=2 * collected.reward)

        def after_update(self, collected: Collected, context: Context) -> Mapping[str, float]:
            after.append(collected.gold is not None)
            return {}

    found = run(hooks=[Doubles()], gold=centred)
    np.testing.assert_allclose(found.episodes["optimised"], 2 * found.episodes["proxy"])
    assert before == after == [True] * 6


def test_drivers_act_in_their_environments_and_teach_nothing() -> None:
    always = torch.tensor([[-math.inf, 0.0]])
    seen: list[Collected] = []

    class Watches(ControlHook):
        def after_collecting(self, collected: Collected, context: Context) -> Collected:
            seen.append(collected)
            return collected

    def driver(observation: Tensor) -> Categorical:
        return Categorical(always.expand(len(observation), 2))

    found = run(drivers={range(0, 4, 2): driver}, hooks=[Watches()])
    for collected in seen:
        assert collected.source.tolist() == [1, 0, 1, 0]
        assert (collected.action[:, [0, 2]] == 1).all() and (collected.logprobs[:, [0, 2]] == 0).all()
        assert collected.learns.sum() == 16 * 2
    assert set(found.episodes["source"]) == {0, 1}

    def also(observation: Tensor) -> Categorical:
        return Categorical(torch.tensor([[0.0, -math.inf]]).expand(len(observation), 2))

    # The environments draw from one generator, so only the first collection, without any reset, is the same in both.
    short = dataclasses.replace(SETTINGS, steps=1, horizon=5)
    one = run(None, short, drivers={range(2, 4): driver})
    other = run(None, short, drivers={range(2, 4): also})
    assert weights(one) == weights(other) != weights(run(None, short))


@pytest.mark.parametrize(
    ("rows", "told"),
    [([range(0, 4)], "leaves none"), ([range(3, 5)], "environment 4"), ([range(0, 2), range(1, 3)], "two drivers")],
)
def test_impossible_drivers_are_refused(rows: list[range], told: str) -> None:
    def driver(observation: Tensor) -> Categorical:
        return Categorical(torch.zeros(len(observation), 2))

    with pytest.raises(TrainingError, match=told):
        run(drivers=dict.fromkeys(rows, driver))


def test_a_bonus_has_a_value_head_of_its_own() -> None:
    with pytest.raises(TrainingError, match="value_heads=2"):
        run(bonus=CountNovelty(), policy=ActorCritic.for_spaces(CartPole(1), (16,)))
    with pytest.raises(TrainingError, match="value_heads=1"):
        run(policy=ActorCritic.for_spaces(CartPole(1), (16,), value_heads=2))
    novelty = CountNovelty(key=lambda observation: np.round(observation, 1))
    found = run(bonus=novelty)
    assert found.metrics[-1]["bonus/raw"] < found.metrics[1]["bonus/raw"] <= 1.0
    assert "bonus" in found.episodes
    plain, ignored = run(), run(
        None, dataclasses.replace(SETTINGS, bonus_weight=0.0), bonus=CountNovelty(),
    )  # fmt: skip
    assert ignored.metrics[1]["per_step/proxy"] == plain.metrics[1]["per_step/proxy"]


class Corridor(ArrayEnv):
    """Thirty cells in a row; the last one pays and ends the episode, and a random walk does not reach it."""

    def __init__(self, count: int) -> None:
        box = gymnasium.spaces.Box(0.0, 1.0, (1,))
        super().__init__(count, box, gymnasium.spaces.Discrete(2), horizon=40)

    def begin(self, generator: np.random.Generator, count: int) -> np.ndarray:
        return np.zeros((count, 1))

    def advance(self, state: np.ndarray, action: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        after = np.maximum(state + np.where(action == 1, 1, -1)[:, None], 0)
        return after, 1.0 * (after[:, 0] == 30), after[:, 0] == 30

    def observe(self, state: np.ndarray) -> np.ndarray:
        return (state / 30).astype(np.float32)


def test_a_bonus_finds_what_is_never_paid_on_the_way() -> None:
    settings = ControlSettings(steps=20, horizon=40, minibatches=1, learning_rate=5e-3, entropy=0.01)

    def arrivals(**given: Any) -> int:
        policy = ActorCritic.for_spaces(Corridor(1), (16,), value_heads=1 + ("bonus" in given))
        found = train_policy(Corridor(8), policy=policy, settings=settings, **given)
        return int((found.episodes["end"] == "terminated").sum())

    assert arrivals() < 20
    assert arrivals(bonus=CountNovelty()) > 60


def test_a_penalty_keeps_the_policy_at_the_reference() -> None:
    longer = dataclasses.replace(SETTINGS, steps=15, learning_rate=5e-3, discount=0.0)
    probe = torch.randn(64, 4, generator=torch.Generator().manual_seed(0)) * 0.1

    def moved(penalty: Callable[..., Tensor] | None) -> float:
        policy = run(None, longer, penalty=penalty, reward=lambda action: 1.0 * action).policy
        return float(policy.distribution(probe).log_prob(torch.ones(64)).exp().mean().detach())

    uniform = ActionDivergence(lambda o: Categorical(torch.full((len(o), 2), math.log(0.5))), 1.0, "kl", discount=0.9)
    assert moved(None) > 0.9
    assert moved(uniform) < 0.65
    told = run(None, SETTINGS, penalty=uniform).metrics[1]
    assert 0 <= told["update/penalty"] < 1e-2


def test_passes_end_where_the_policy_has_moved_too_far() -> None:
    wild = dataclasses.replace(SETTINGS, learning_rate=0.05, epochs=8, gradient_clip=100.0)
    free = run(None, wild).metrics
    held = run(None, dataclasses.replace(wild, target_kl=0.01)).metrics
    assert free[2]["update/optimizer_steps"] == 16
    assert 1 <= held[2]["update/optimizer_steps"] < 16


def test_the_rate_falls_to_nothing() -> None:
    policy = ActorCritic.for_spaces(CartPole(1), (16,))
    steps: list[float] = []

    class Watches(ControlHook):
        def __init__(self) -> None:
            self.last = torch.cat([p.detach().flatten().clone() for p in policy.parameters()])

        def after_update(self, collected: Collected, context: Context) -> Mapping[str, float]:
            now = torch.cat([p.detach().flatten().clone() for p in policy.parameters()])
            steps.append(float((now - self.last).abs().max()))
            self.last = now
            return {}

    run(None, dataclasses.replace(SETTINGS, anneal=True, epochs=1, minibatches=1), policy=policy, hooks=[Watches()])
    # Adam's first step is the rate itself.
    assert steps[0] == pytest.approx(1e-3, rel=1e-2)
    assert steps[-1] < 1e-3 / 3


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(TrainingError, match="horizon=0"):
        ControlSettings(horizon=0)
    with pytest.raises(TrainingError, match=r"discount=1\.5"):
        ControlSettings(discount=1.5)
    with pytest.raises(TrainingError, match="advantage_scale"):
        ControlSettings(advantage_scale="row")  # type: ignore[arg-type]
    with pytest.raises(TrainingError, match="discount in"):
        ActionDivergence(lambda o: Categorical(o), 1.0, discount=1.0)
