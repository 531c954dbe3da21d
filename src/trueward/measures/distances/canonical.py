"""Canonicalisation: what is left of a reward when that which changes no policy's rank is taken away.

Two changes leave the order of all policies as it is: potential shaping, R + γΦ(s') − Φ(s), and redistribution over next
states, any change of R(s, a, ·) that keeps E_{s'~τ(s,a)} R. `value` and `minimal` map all rewards that differ by these
two to one and the same; `value_potential`, `minimal_potential`, `epic` and `dard` see through shaping alone.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float

from trueward.measures.distances.form import Form
from trueward.measures.distances.minimal import minimal, minimal_potential
from trueward.measures.distances.norms import Norm, norm_named
from trueward.measures.tabular import TabularMDP, action_values, uniform_policy

Kind = Literal["none", "epic", "dard", "value_potential", "value", "minimal_potential", "minimal"]

_DENSE_LIMIT = 1 << 28  # numbers of an array [S, A, S]: 2 GiB


def canonicalise(
    reward: Any,
    kind: Kind,
    mdp: TabularMDP,
    policy: Float[np.ndarray, "s a"] | None = None,
    *,
    norm: int | float | str = 2,
) -> Float[np.ndarray, "s a t"]:
    """A reward in the canonical form of one kind, on all transitions.

    With e(s, a) = E_{S'~τ(s,a)} R(s, a, S') and V the value of the policy under R:

    - none: R.
    - value: E_{S'~τ(s,a)}[R(s, a, S') − V(s) + γV(S')], which is the advantage of the policy.
    - value_potential: R(s, a, s') − V(s) + γV(s').
    - epic: R + E[γR(s', A, S') − R(s, A, S') − γR(S, A, S')] with S, A, S' independent and uniform.
    - dard: R + E[γR(s', A, S'') − R(s, A, S') − γR(S', A, S'')] with A uniform, S' ~ τ(s, A), S'' ~ τ(s', A).
    - minimal, minimal_potential: the smallest reward in the norm that differs from R by both changes, or by shaping
      alone; see `minimal`.

    What a reward pays in a terminal state is never earned. `value`, `value_potential` and the two minimal ones set it
    to 0; the others, which are defined without it, take it as it is given.

    Args:
        reward: [S], [S, A], [S, A, S] or sparse [S·A, S].
        kind: see above.
        mdp: transitions and discount.
        policy: [S, A], for the two kinds that need one; the uniform one by default. Rewards that are compared need the
            same.
        norm: that the minimal kinds minimise, 2 or "weighted_2".

    Returns:
        [S, A, S]; read-only where it does not depend on s', because it then takes the room of [S, A].

    Raises:
        ValueError: an unknown kind, a reward that does not fit the MDP or is not finite, or a norm that has no linear
            minimum.

    Reference: Skalse et al. 2024, "STARC", section 3 and appendix; Gleave et al. 2021, "Quantifying differences in
    reward functions" (EPIC); Wulfe et al. 2022, "Dynamics-aware comparison of learned reward functions" (DARD).
    """
    return canonical_form(reward, kind, mdp, policy, norm=norm_named(norm)).dense()


def canonical_form(
    reward: Any,
    kind: Kind,
    mdp: TabularMDP,
    policy: Float[np.ndarray, "s a"] | None = None,
    *,
    norm: Norm | None = None,
    state_distribution: Float[np.ndarray, " s"] | None = None,
    action_distribution: Float[np.ndarray, " a"] | None = None,
) -> Form:
    """The same without a dense array: see `canonicalise`, and for the two distributions `epic_distance`."""
    given = form_of(reward, mdp)
    if kind == "none":
        return given
    if kind in ("value", "value_potential"):
        return _value(given, reward, kind, mdp, uniform_policy(mdp) if policy is None else policy)
    if kind == "minimal":
        return minimal(given, mdp.expected(reward), mdp, norm or Norm(2.0))
    if kind == "minimal_potential":
        return minimal_potential(given, mdp, norm or Norm(2.0))
    over_actions = _distribution(action_distribution, mdp.actions, "action")
    if kind == "epic":
        return _epic(given, mdp, _distribution(state_distribution, mdp.states, "state"), over_actions)
    if kind == "dard":
        return _dard(given, mdp, over_actions)
    raise ValueError(f"{kind!r} is no canonicalisation; expected one of {', '.join(get_args(Kind))}")


def form_of(reward: Any, mdp: TabularMDP) -> Form:
    """A reward as it is given, checked against the MDP.

    Raises:
        ValueError: its shape is none of the four, or a number is not finite.
    """
    s, a = mdp.states, mdp.actions
    sparse = hasattr(reward, "tocsr")
    array = _without_duplicates(reward.tocsr()) if sparse else np.asarray(reward)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"a reward must be an array of real numbers; got {array.dtype}")
    shapes = ((s * a, s),) if sparse else ((s,), (s, a), (s, a, s))
    if array.shape not in shapes:
        raise ValueError(
            f"the reward has shape {array.shape}; for {s} states and {a} actions expected "
            f"{' or '.join(str(shape) for shape in shapes)}"
        )
    precision = float(np.finfo(array.dtype if array.dtype.kind == "f" else np.float64).eps)
    array = array.astype(np.float64, copy=False)
    # The largest and the smallest number are finite only where all are; no array of the same size is made.
    ends = (float(array.min()), float(array.max()))
    if not np.isfinite(ends).all():
        raise ValueError("the reward has a number that is not finite (NaN or infinity)")
    scale = max(abs(end) for end in ends)
    if sparse or array.ndim == 3:
        return Form(array, np.zeros((s, a)), scale=scale, precision=precision)
    row = np.broadcast_to(array[:, None] if array.ndim == 1 else array, (s, a))
    return Form(None, np.array(row), scale=scale, precision=precision)


def _without_duplicates(matrix: Any) -> Any:
    if matrix.has_canonical_format:
        return matrix
    summed = matrix.copy()
    summed.sum_duplicates()
    return summed


def _distribution(given: Any, size: int, what: str) -> Float[np.ndarray, " n"]:
    if given is None:
        return np.full(size, 1 / size)
    weights = np.asarray(given, dtype=np.float64)
    if weights.shape != (size,) or not (weights >= 0).all() or not np.isclose(weights.sum(), 1):
        raise ValueError(f"the {what} distribution needs {size} numbers from 0 on that sum to 1; got {given!r}")
    return weights


def _value(given: Form, reward: Any, kind: Kind, mdp: TabularMDP, policy: Float[np.ndarray, "s a"]) -> Form:
    q = action_values(mdp, reward, policy)
    v = (policy * q).sum(axis=1)
    scale = given.scale + 2 * float(np.abs(v).max())
    if kind == "value":
        return Form(None, q - v[:, None], scale=scale, precision=given.precision)
    row = given.row - v[:, None]
    return dataclasses.replace(given, row=row, column=mdp.discount * v, live=~mdp.terminal, scale=scale)


def _epic(
    given: Form, mdp: TabularMDP, over_states: Float[np.ndarray, " s"], over_actions: Float[np.ndarray, " a"]
) -> Form:
    expected = given.row
    if given.core is not None:
        expected = expected + np.asarray(given.core @ over_states).reshape(expected.shape)
    potential = expected @ over_actions
    row = given.row - potential[:, None] - mdp.discount * float(over_states @ potential)
    scale = given.scale + 2 * float(np.abs(potential).max())
    return dataclasses.replace(given, row=row, column=mdp.discount * potential, scale=scale)


def _dard(given: Form, mdp: TabularMDP, over_actions: Float[np.ndarray, " a"]) -> Form:
    s, a = mdp.states, mdp.actions
    if s * a * s > _DENSE_LIMIT:
        raise ValueError(
            f"DARD is dense: for {s} states and {a} actions it needs arrays of {s * a * s:,} numbers; use 'value', or "
            "a smaller state space"
        )
    transitions = _dense(mdp.transitions, s, a)
    if given.core is None:
        # E γR(S', A, S'') does not depend on s' then.
        future = sum(p * (transitions[:, k] @ given.row[:, k]) for k, p in enumerate(over_actions.tolist()))
        potential = given.row @ over_actions
        row = given.row - potential[:, None] - mdp.discount * np.asarray(future)[:, None]
        return dataclasses.replace(given, row=row, column=mdp.discount * potential, scale=3 * given.scale)
    rewards = _dense(given.core, s, a)
    potential = np.einsum("iaj,iaj->ia", transitions, rewards) @ over_actions
    joint = np.zeros((s, s))
    for k, p in enumerate(over_actions.tolist()):
        # Σ_{S'} τ(S' | s, A) Σ_{S''} τ(S'' | s', A) R(S', A, S''): two products instead of an array [S, A, S, S, S].
        joint += p * (transitions[:, k] @ (rewards[:, k] @ transitions[:, k].T))
    core = rewards - mdp.discount * joint[:, None, :]
    row = np.broadcast_to(-potential[:, None], (s, a))
    return dataclasses.replace(
        given, core=core, row=np.array(row), column=mdp.discount * potential, scale=3 * given.scale
    )


def _dense(matrix: Any, states: int, actions: int) -> Float[np.ndarray, "s a t"]:
    dense: np.ndarray = matrix if isinstance(matrix, np.ndarray) else matrix.toarray().reshape(states, actions, states)
    return dense
