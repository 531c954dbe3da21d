"""Finite MDPs, solved exactly: the oracle against which every learned estimate is tested.

- `mdp`: states, actions, transitions (dense or sparse), start, discount, terminal states; policies as arrays [S, A].
- `linear`: the equations of a policy's chain.
- `solution`: values of a policy; the best, the worst, and the best with a price on information.
- `occupancy`: where a policy spends its time.
- `successors`: the possible steps as a list, to draw from.
- `forms`: rewards as [S, A, S]; what is paid for entering a state.
- `equivalence`: shaping and redistribution, which change no ordering of policies.
- `storage`: MDPs in `.npz` files.

Rewards are arrays [S], [S, A], [S, A, S] or sparse [S·A, S], and always arguments.
"""

from trueward.measures.tabular.equivalence import redistributed, shaped
from trueward.measures.tabular.forms import as_transition_reward, on_entering
from trueward.measures.tabular.linear import solve_backward, solve_forward
from trueward.measures.tabular.mdp import TabularMDP, check_policy, deterministic_policy, uniform_policy
from trueward.measures.tabular.occupancy import occupancy, policy_of, state_occupancy
from trueward.measures.tabular.solution import (
    Solution,
    action_values,
    expected_return,
    optimal,
    policy_values,
    soft_optimal,
    worst,
)
from trueward.measures.tabular.storage import load_mdp, save_mdp
from trueward.measures.tabular.successors import Successors, successors

__all__ = [
    "TabularMDP",
    "uniform_policy",
    "deterministic_policy",
    "check_policy",
    "Solution",
    "policy_values",
    "action_values",
    "expected_return",
    "optimal",
    "worst",
    "soft_optimal",
    "solve_forward",
    "solve_backward",
    "occupancy",
    "state_occupancy",
    "policy_of",
    "Successors",
    "successors",
    "shaped",
    "redistributed",
    "as_transition_reward",
    "on_entering",
    "save_mdp",
    "load_mdp",
]
