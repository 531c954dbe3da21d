"""A bonus that is learnt by regression on what a visit draws: when what is drawn, stored, and trained on.

A visit draws its target once. What is trained on again is the same draw: drawing anew at every gradient step would
count gradient steps.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from trueward.errors import RewardError
from trueward.rewards.intrinsic.normalisers import ObservationNormaliser, flat
from trueward.rewards.intrinsic.novelty import Novelty
from trueward.rewards.intrinsic.predictor import Network, Predictor, PredictorSettings, perceptron, seeded


class RegressionNovelty(Novelty):
    """A novelty whose predictor f is trained on targets that visits draw.

    A leaf says which targets (`_targets`) and what the bonus is (`_bonus`).
    """

    def __init__(
        self,
        shape: int | tuple[int, ...],
        settings: PredictorSettings,
        *,
        seed: int = 0,
        network: Network | None = None,
        redraw: bool = False,
    ) -> None:
        """A predictor that knows nothing.

        Args:
            shape: of one observation.
            settings: see there.
            seed: of weights and draws.
            network: makes a network of its own (for pixels, say), from observations [n, *shape], normalised, to
                [n, outputs]; None for a perceptron on the flat observation.
            redraw: draw targets anew at each gradient step, which counts gradient steps instead of visits.
        """
        self.shape = (shape,) if isinstance(shape, int) else tuple(shape)
        self.settings, self.seed, self.redraw = settings, seed, redraw
        self._network = network
        self.predictor = Predictor(self._built(0, zero=settings.start == "zero"), settings)
        self.normaliser = ObservationNormaliser(settings.warm_up)
        self._pending: list[np.ndarray] = []
        self._rounds = 0

    def _built(self, place: int, *, zero: bool = False) -> nn.Module:
        """The predictor (place 0) or one of the networks beside it, from the same seed always the same."""
        inputs = int(np.prod(self.shape))
        build = self._network or (lambda: perceptron(inputs, self.settings, zero=zero))
        return seeded(int(np.random.SeedSequence([self.seed, place]).generate_state(1)[0]), build)

    @abc.abstractmethod
    def _targets(self, inputs: Float[Tensor, "n ..."], generator: np.random.Generator) -> Float[Tensor, "n d"]:
        """What each visit draws."""

    @abc.abstractmethod
    def _bonus(self, inputs: Float[Tensor, "n ..."]) -> Float[Tensor, " n"]:
        """The bonus of normalised observations."""

    def bonus(self, observation: Shaped[np.ndarray, "n *observation"]) -> Float[np.ndarray, " n"]:
        """The bonus of each observation."""
        with torch.inference_mode():
            return self._bonus(self._inputs(flat(observation))).numpy().astype(np.float64)

    def observe(self, observation: Shaped[np.ndarray, "n *observation"]) -> None:
        """Keep visits until the next `learn`.

        Raises:
            RewardError: observations of another shape.
        """
        if tuple(np.shape(observation)[1:]) != self.shape:
            raise RewardError(
                f"{self.name} was made for observations of shape {self.shape}; it got {np.shape(observation)[1:]}"
            )
        rows = flat(observation)
        self.normaliser.update(rows)
        self._pending.append(np.array(rows, copy=True))

    def learn(self) -> dict[str, float]:
        """Draw once for each visit, and train the predictor on the draws."""
        if not self._pending:
            return {}
        chosen, visits = self.settings, np.concatenate(self._pending)
        self._pending = []
        order, draws = (np.random.default_rng([self.seed, 1 + place, self._rounds]) for place in range(2))
        self._rounds += 1
        with torch.no_grad():
            inputs = self._inputs(visits)
            raw = float(self._bonus(inputs).mean())
            targets = self._targets(inputs, draws)
        used = order.permutation(len(visits))[: max(1, round(chosen.proportion * len(visits)))]
        losses = []
        for _ in range(chosen.epochs):
            used = order.permutation(used)
            for batch in np.array_split(used, max(1, round(len(used) / chosen.minibatch))):
                rows = torch.from_numpy(batch)
                if self.redraw:
                    with torch.no_grad():
                        targets[rows] = self._targets(inputs[rows], draws)
                losses.append(self.predictor.step(inputs[rows], targets[rows]))
        return {"raw_bonus": raw, "loss": float(np.mean(losses)), "steps": float(self.predictor.steps)}

    def _inputs(self, rows: Float[np.ndarray, "n d"]) -> Tensor:
        inputs = torch.from_numpy(np.asarray(self.normaliser(rows), dtype=np.float32))
        return inputs if self._network is None else inputs.reshape(len(rows), *self.shape)

    def modules(self) -> Mapping[str, nn.Module]:
        """Predictor, its average, and everything frozen: nothing of a saved run depends on how torch draws weights."""
        return self.predictor.modules()

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """That of the predictor."""
        return {"predictor": self.predictor.optimizer}

    def state_dict(self) -> dict[str, Any]:
        """How much was learnt, and the statistics of observations.

        Raises:
            RewardError: there are visits that were not learnt from.
        """
        if self._pending:
            raise RewardError(f"{self.name} has visits that it has not learnt from: call learn before state_dict")
        return {"rounds": self._rounds, "steps": self.predictor.steps, "normaliser": self.normaliser.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Raises:
            RewardError: it is the state of something else.
        """
        try:
            self._rounds, self.predictor.steps = int(state["rounds"]), int(state["steps"])
            self.normaliser.load_state_dict(state["normaliser"])
        except (KeyError, TypeError, ValueError) as error:
            raise RewardError(f"{self.name}: the saved state is not that of a predictor: {state!r:.100}") from error
