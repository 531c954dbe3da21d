"""A finite Markov decision process whose rewards are kept apart from it.

Rewards are arguments and never fields, because what is compared is always two rewards in one world. Transitions are
dense [S, A, S] or, where that would not fit into memory, sparse [S·A, S] with row s·A + a; every function of this
package takes both.

A terminal state is absorbing, pays nothing and is worth nothing, whatever a reward says about it: nothing can be earned
after an episode.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

_SUM_TOLERANCE = 1e-8
"""How far probabilities may be from summing to 1: rounding of a few thousand terms, and no modelling error."""


@dataclass(frozen=True)
class TabularMDP:
    """States, actions, what follows what, where it begins, and how the future is discounted.

    Attributes:
        transitions: probability of each next state; an array [S, A, S], or a scipy.sparse matrix [S·A, S].
        start: probability of each first state, [S].
        discount: γ in [0, 1). 1 is allowed where every policy comes to an end from everywhere.
        terminal: True where an episode is over; None for nowhere. The rows of such states must lead to themselves.

    Raises:
        ValueError: shapes do not fit, probabilities do not sum to 1, a terminal state is left again, or γ is 1 and a
            policy could go on for ever.
    """

    transitions: Any
    start: Any
    discount: float
    terminal: Any = None

    def __post_init__(self) -> None:
        """Brings the arrays into one form and checks them."""
        start = np.asarray(self.start, dtype=np.float64)
        if start.ndim != 1 or len(start) == 0:
            raise ValueError(f"start has shape {start.shape}; expected one probability per state")
        states = len(start)
        object.__setattr__(self, "start", start)
        object.__setattr__(self, "transitions", _as_transitions(self.transitions, states))
        terminal = np.zeros(states, dtype=bool) if self.terminal is None else np.asarray(self.terminal)
        if terminal.shape != (states,) or terminal.dtype != np.bool_:
            raise ValueError(
                f"terminal has shape {terminal.shape} and type {terminal.dtype}; expected one bool for each of "
                f"{states} states"
            )
        object.__setattr__(self, "terminal", terminal)
        self._check()

    def _check(self) -> None:
        flat = self.flat
        _check_probabilities("transitions", flat, self.actions)
        _check_probabilities("start", self.start[None, :], None)
        self._check_absorbing()
        if not 0.0 <= self.discount <= 1.0:
            raise ValueError(f"the discount is {self.discount}; expected a number in [0, 1]")
        if self.discount == 1.0 and (endless := self._endless()).any():
            raise ValueError(
                f"the discount is 1, but a policy could go on for ever from state {int(np.argmax(endless))}, where "
                "returns have no value; use a discount below 1, or let every policy reach a terminal state"
            )

    def _check_absorbing(self) -> None:
        ends = np.repeat(np.flatnonzero(self.terminal), self.actions)
        rows = ends * self.actions + np.tile(np.arange(self.actions), int(self.terminal.sum()))
        stays = entries_of(self.flat, rows, ends)
        if (left := np.flatnonzero(np.abs(stays - 1.0) > _SUM_TOLERANCE)).size:
            state, action = ends[left[0]], rows[left[0]] % self.actions
            raise ValueError(
                f"state {state} is terminal but action {action} leaves it; terminal states must be absorbing: set "
                f"transitions[{state}, :, {state}] to 1"
            )

    def _endless(self) -> Bool[np.ndarray, " s"]:
        """States from which some policy never reaches a terminal state: the largest set that can keep to itself."""
        within = ~self.terminal
        while True:
            stays = self.backup(within.astype(np.float64)) >= 1.0 - _SUM_TOLERANCE
            kept: np.ndarray = stays.any(axis=1) & within
            if kept.sum() == within.sum():
                return kept
            within = kept

    @property
    def is_sparse(self) -> bool:
        """Whether the transitions are sparse."""
        return not isinstance(self.transitions, np.ndarray)

    @property
    def states(self) -> int:
        """Number of states."""
        return len(self.start)

    @property
    def actions(self) -> int:
        """Number of actions."""
        return int(self.transitions.shape[0]) // self.states if self.is_sparse else int(self.transitions.shape[1])

    @property
    def flat(self) -> Any:
        """Transitions as [S·A, S], dense or sparse; row s·A + a. A view, not a copy."""
        return self.transitions if self.is_sparse else self.transitions.reshape(-1, self.states)

    def backup(self, values: Float[np.ndarray, "s *k"]) -> Float[np.ndarray, "s a *k"]:
        """Expectation of a quantity of the next state: Σ_s' τ(s'|s, a) v(s').

        What a reward for entering states is in [S, A] form: `mdp.backup(earned_on_entering)`.

        Args:
            values: one or more numbers per state.
        """
        following: np.ndarray = np.asarray(self.flat @ values).reshape(self.states, self.actions, *values.shape[1:])
        return following

    def expected(self, reward: Shaped[Any, "..."]) -> Float[np.ndarray, "s a"]:
        """What an action earns on average: E_{s'~τ(s,a)} R(s, a, s'), and 0 in terminal states.

        Args:
            reward: [S], paid for acting in a state; [S, A]; [S, A, S]; or scipy.sparse [S·A, S].

        Raises:
            ValueError: it has another shape, or is not finite.
        """
        states, actions = self.states, self.actions
        if hasattr(reward, "tocsr"):
            reward = reward.tocsr()
            _check_finite(reward.data)
            if reward.shape != (states * actions, states):
                raise ValueError(f"the sparse reward has shape {reward.shape}; expected {(states * actions, states)}")
            summed = np.asarray(reward.multiply(self.flat).sum(axis=1), dtype=np.float64).reshape(states, actions)
        else:
            reward = np.asarray(reward, dtype=np.float64)
            _check_finite(reward)
            summed = self._expected_dense(reward)
        return np.where(self.terminal[:, None], 0.0, summed)

    def _expected_dense(self, reward: Float[np.ndarray, "..."]) -> Float[np.ndarray, "s a"]:
        states, actions = self.states, self.actions
        if reward.shape == (states,):
            return np.repeat(reward[:, None], actions, axis=1)
        if reward.shape == (states, actions):
            return reward
        if reward.shape != (states, actions, states):
            raise ValueError(
                f"the reward has shape {reward.shape}; expected {(states,)}, {(states, actions)} or "
                f"{(states, actions, states)} for {states} states and {actions} actions"
            )
        if self.is_sparse:
            weighted = self.transitions.multiply(reward.reshape(-1, states)).sum(axis=1)
            return np.asarray(weighted, dtype=np.float64).reshape(states, actions)
        summed: np.ndarray = np.einsum("sat,sat->sa", self.transitions, reward)
        return summed

    def save(self, path: str | Path) -> None:
        """Writes the MDP as an `.npz` archive; `load_mdp` reads it."""
        from trueward.measures.tabular.storage import save_mdp

        save_mdp(self, path)

    def under(self, policy: Float[np.ndarray, "s a"]) -> Any:
        """Transitions between states under a policy: P(s'|s) = Σ_a π(a|s) τ(s'|s, a).

        Returns:
            [S, S], dense or sparse as the transitions are.
        """
        if self.is_sparse:
            from scipy import sparse

            rows, columns = np.nonzero(policy)
            choice = sparse.csr_matrix(
                (policy[rows, columns], (rows, rows * self.actions + columns)),
                shape=(self.states, self.states * self.actions),
            )
            return choice @ self.transitions
        if (policy.max(axis=1) == 1.0).all() and np.count_nonzero(policy) == self.states:
            return self.transitions[np.arange(self.states), policy.argmax(axis=1)]
        return np.einsum("sa,sat->st", policy, self.transitions)


def entries_of(matrix: Any, rows: Int[np.ndarray, " m"], columns: Int[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """Entries of a dense or sparse matrix, whichever form scipy gives them in."""
    picked = matrix[rows, columns]
    return np.asarray(picked.toarray() if hasattr(picked, "toarray") else picked, dtype=np.float64).reshape(-1)


def _as_transitions(transitions: Any, states: int) -> Any:
    if hasattr(transitions, "tocsr"):
        from scipy import sparse

        rows = sparse.csr_matrix(transitions, dtype=np.float64, copy=True)
        rows.sum_duplicates()
        if rows.shape[1] != states or rows.shape[0] == 0 or rows.shape[0] % states:
            raise ValueError(
                f"sparse transitions have shape {rows.shape}; expected [S·A, S] with S = {states}, as start says"
            )
        return rows
    dense = np.ascontiguousarray(transitions, dtype=np.float64)
    if dense.ndim != 3 or dense.shape[0] != states or dense.shape[2] != states or dense.shape[1] == 0:
        raise ValueError(f"transitions have shape {dense.shape}; expected [S, A, S] with S = {states}, as start says")
    return dense


def _check_probabilities(name: str, rows: Any, actions: int | None) -> None:
    """Every row is a distribution; the message names the first state and action that is not."""
    values = rows.data if hasattr(rows, "tocsr") else rows
    if not np.isfinite(values).all() or (values.size and values.min() < 0):
        raise ValueError(f"{name} has entries that are negative or not finite; expected probabilities")
    sums = np.asarray(rows.sum(axis=1)).reshape(-1)
    off = int(np.argmax(np.abs(sums - 1.0)))
    if abs(sums[off] - 1.0) > _SUM_TOLERANCE:
        where = name if actions is None else f"{name}[{off // actions}, {off % actions}]"
        raise ValueError(f"{where} sums to {sums[off]:.10g}; expected 1")


def _check_finite(reward: np.ndarray) -> None:
    if not np.isfinite(reward).all():
        raise ValueError("the reward has entries that are not finite; a tabular reward is a number everywhere")


def check_policy(mdp: TabularMDP, policy: Float[np.ndarray, "_ _"]) -> None:
    """Refuses what is no policy of this MDP.

    Raises:
        ValueError: another shape than [S, A], or rows that are no distributions.
    """
    if policy.shape != (mdp.states, mdp.actions):
        raise ValueError(f"the policy has shape {policy.shape}; expected [S, A] = {(mdp.states, mdp.actions)}")
    _check_probabilities("the policy", policy, None)


def uniform_policy(mdp: TabularMDP) -> Float[np.ndarray, "s a"]:
    """The policy that takes every action equally often."""
    return np.full((mdp.states, mdp.actions), 1.0 / mdp.actions)


def deterministic_policy(mdp: TabularMDP, action: Shaped[np.ndarray, " s"]) -> Float[np.ndarray, "s a"]:
    """The policy that takes one action in each state.

    Args:
        action: number of the action for each state.
    """
    policy = np.zeros((mdp.states, mdp.actions))
    policy[np.arange(mdp.states), action] = 1.0
    return policy
