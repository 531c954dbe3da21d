"""Learning online: sample, score, compare within groups, clipped surrogate over the noisy steps.

Flow-GRPO, DanceGRPO and Euphonium are settings of it. The log-probabilities of all chosen steps come from one pass
through the policy, with the steps folded into the batch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from trueward.batch import Context, Part, Rollouts, Scores
from trueward.credit.denoising import process_advantages
from trueward.credit.scores import score_advantages
from trueward.errors import TrainingError
from trueward.policies.flow.base import (
    Condition,
    Velocity,
    condition_device,
    condition_length,
    condition_repeat,
    condition_rows,
)
from trueward.policies.flow.kernels import time_grid
from trueward.policies.flow.sampling import Guidance, Trajectories, sample, starting_noise
from trueward.rewards.base import Reward
from trueward.training import checkpoint
from trueward.training.flow.online_loss import Credit, Learnt, learn
from trueward.training.flow.online_settings import OnlineSettings
from trueward.training.flow.settings import FlowSettings
from trueward.training.flow.update import FlowUpdate, Losses, frozen_copy

__all__ = ["OnlineSettings", "OnlineUpdate"]


@dataclass
class OnlineUpdate(FlowUpdate):
    """One update of a flow policy on its own rollouts.

    Attributes:
        reward: what is optimised; it sees finished samples as images.
        prompts: what is asked for, one name per row of the conditions.
        conditions: of each prompt.
        settings: everything else.
        shape: of one sample.
        decode: from samples to images [N, C, H, W] in [−1, 1]; None where samples are images.
        reference: flow policy for `settings.kl`; by default the policy as it comes in.
        guidance: what moves the means of the rollouts; never of samples at test time.
        process: reward of every state on the way: its parts are of level "token", one value per step.
        columns: of each prompt, what the reward may read.

    Raises:
        TrainingError: prompts, conditions and columns differ in length, or something is missing that the settings need.
    """

    reward: Reward
    prompts: Sequence[str]
    conditions: Condition
    settings: OnlineSettings = field(default_factory=OnlineSettings)
    shape: Sequence[int] = field(default=(1, 8, 8), kw_only=True)
    decode: Callable[[Tensor], Tensor] | None = field(default=None, kw_only=True)
    reference: Velocity | None = field(default=None, kw_only=True)
    guidance: Guidance | None = field(default=None, kw_only=True)
    process: Reward | None = field(default=None, kw_only=True)
    columns: Sequence[Mapping[str, Any]] = field(default=(), kw_only=True)
    _seen: tuple[Rollouts, Scores] | None = field(default=None, init=False, repr=False)
    _total_steps: int | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        """Checks what is there."""
        lengths = {"prompts": len(self.prompts), "conditions": condition_length(self.conditions)}
        if self.columns:
            lengths["columns"] = len(self.columns)
        if len(set(lengths.values())) > 1 or not len(self.prompts):
            raise TrainingError(f"prompts, conditions and columns need the same number of rows, at least 1: {lengths}")
        if self.settings.distill != "none" and self.guidance is None:
            raise TrainingError(f"distill={self.settings.distill!r} needs a guidance: there is nothing to distill")
        if self.settings.process_weight > 0 and self.process is None:
            raise TrainingError(f"process_weight={self.settings.process_weight!r} needs a process reward")
        if not len(self._learnable()):
            raise TrainingError(
                f"of {self.settings.steps} steps none is left to learn from: take more steps, or drop_last_step=False"
            )

    def begin(self, policy: nn.Module, settings: FlowSettings) -> None:
        """Keeps the first weights as reference where one is needed and none was given."""
        self._total_steps = settings.steps
        if self.settings.kl > 0 and self.reference is None:
            self.reference = frozen_copy(policy)

    @property
    def seen(self) -> tuple[Rollouts, Scores] | None:
        """Rollouts and scores of the last update."""
        return self._seen

    def losses(self, policy: nn.Module, step: int, generator: torch.Generator) -> Losses:
        """One loss per epoch and minibatch."""
        settings = self.settings
        trajectories, credit, told = self._gathered(policy, step, generator)
        for _ in range(settings.epochs):
            steps = self._steps(len(trajectories), generator)
            for rows in torch.randperm(len(trajectories), generator=generator).tensor_split(settings.minibatches):
                if len(rows):
                    learnt = Learnt(rows, steps[rows], self._guided()[steps[rows]])
                    loss, metrics = learn(policy, self.reference, trajectories, credit, learnt, settings)
                    yield loss, {**told, **metrics}

    def state_dict(self) -> Mapping[str, Any]:
        """What the rewards keep."""
        process = {} if self.process is None else self.process.state_dict()
        return {"reward": self.reward.state_dict(), "process": process}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take that back."""
        self.reward.load_state_dict(state["reward"])
        if self.process is not None:
            self.process.load_state_dict(state["process"])

    def identity(self) -> Mapping[str, Any]:
        """Settings, names and numbers of the parts, and the weights of a reference that is a network."""
        guidance = None
        if self.guidance is not None:
            names = [named.name for named in dataclasses.fields(Guidance) if named.name != "gradient"]
            guidance = {name: getattr(self.guidance, name) for name in names}
        network = isinstance(self.reference, nn.Module)
        return {
            "settings": dataclasses.asdict(self.settings),
            "prompts": list(self.prompts),
            "reward": self.reward.name,
            "process": None if self.process is None else self.process.name,
            "guidance": guidance,
            "reference": checkpoint.fingerprint(self.reference) if network else self.reference is not None,  # type: ignore[arg-type]
        }

    def _times(self) -> Float[Tensor, " T1"]:
        return time_grid(self.settings.steps, self.settings.shift)

    def _learnable(self) -> Int[Tensor, " k"]:
        """Steps that have noise and are not left out."""
        noisy = self.settings.kernel.sigma(self._times()) > 0
        if self.settings.drop_last_step:
            noisy[-1] = False
        return torch.nonzero(noisy).flatten()

    def _guided(self) -> Bool[Tensor, " T"]:
        sigma = self.settings.kernel.sigma(self._times()).tolist()
        return torch.tensor([self.guidance is not None and self.guidance.acts(*each) for each in enumerate(sigma)])

    def _steps(self, rows: int, generator: torch.Generator) -> Int[Tensor, "n k"]:
        """For each row the steps that it is learnt from, in the order of sampling."""
        learnable = self._learnable()
        count = max(1, round(self.settings.step_share * len(learnable)))
        chosen = torch.rand(rows, len(learnable), generator=generator).argsort(dim=1)[:, :count]
        return learnable[chosen.sort(dim=1).values]

    def _gathered(
        self, policy: nn.Module, step: int, generator: torch.Generator
    ) -> tuple[Trajectories, Credit, dict[str, float]]:
        """Rollouts of an update, what they are worth, and numbers to log."""
        trajectories, rollouts = self._rollouts(policy, generator)
        seed = int(torch.randint(2**62, (1,), generator=generator))
        context = Context(step, self._total_steps, True, policy, self.reference, np.random.default_rng(seed))
        scores = self.reward.score(rollouts, context)
        self._seen = rollouts, scores
        settings, group = self.settings, np.asarray(rollouts.group)
        compared = score_advantages(
            scores, group, statistic=settings.statistic, separately=settings.separately, epsilon=settings.epsilon
        )
        told = described(scores)
        told["informative_share"] = float(compared.informative.mean())
        process = process_valid = None
        if self.process is not None and settings.process_weight > 0:
            process, process_valid = self._process(rollouts, context, told)
        credit = Credit.of(compared.values, compared.valid, process, process_valid, settings.advantage_bound)
        return trajectories, credit, told

    def _rollouts(self, policy: nn.Module, generator: torch.Generator) -> tuple[Trajectories, Rollouts]:
        settings, count = self.settings, len(self.prompts)
        asked = torch.arange(count)
        if settings.prompts < count:
            asked = torch.randperm(count, generator=generator)[: settings.prompts]
        condition = condition_repeat(condition_rows(self.conditions, asked), settings.group)
        device = condition_device(condition)
        draws, repeat = (len(asked), settings.group) if settings.share_noise else (len(asked) * settings.group, 1)
        trajectories = sample(
            policy,
            condition,
            shape=self.shape,
            times=self._times(),
            kernel=settings.kernel,
            guidance=self.guidance,
            generator=generator,
            noise=starting_noise(draws, self.shape, generator, device=device, repeat=repeat),
            reduction=settings.reduction,
        )
        rows = [place for place in asked.tolist() for _ in range(settings.group)]
        with torch.no_grad():
            decoded = None if self.decode is None else self.decode(trajectories.final).float().cpu()
        rollouts = trajectories.rollouts(
            [self.prompts[row] for row in rows],
            np.repeat(np.arange(len(asked)), settings.group),
            decoded,
            [self.columns[row] for row in rows] if self.columns else (),
        )
        return trajectories, rollouts

    def _process(
        self, rollouts: Rollouts, context: Context, told: dict[str, float]
    ) -> tuple[Float[np.ndarray, "n t"], Bool[np.ndarray, "n t"]]:
        assert self.process is not None
        scores = self.process.score(rollouts, context)
        values = scores.total("token")
        part = next(part for part in scores.paid.values() if part.level == "token")
        settings = self.settings
        compared = process_advantages(
            values,
            np.asarray(rollouts.group),
            recorded=part.exists,
            statistic=settings.statistic,
            bound=settings.advantage_bound,
            epsilon=settings.epsilon,
        )
        told |= {f"process/{name}": value for name, value in described(scores).items()}
        return compared.values, compared.valid


def described(scores: Scores) -> dict[str, float]:
    """Scores as numbers to log: the reward's mean and deviation, the mean of each part, rows that failed."""
    total = scores.total()
    known = total[~np.isnan(total)]
    told = {
        "reward": float(known.mean()) if len(known) else float("nan"),
        "reward_deviation": float(known.std()) if len(known) else float("nan"),
    }
    told |= {f"part/{name}": _mean(part) for name, part in scores.parts.items()}
    for status in scores.status:
        if not status.ok:
            told[f"status/{status.value}"] = told.get(f"status/{status.value}", 0.0) + 1.0
    return told


def _mean(part: Part) -> float:
    values = part.values[part.present]
    return float(values.mean()) if values.size else float("nan")
