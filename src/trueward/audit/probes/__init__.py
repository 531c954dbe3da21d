"""Families of probes: what the audit tries on a reward.

Each family proposes derivations for a row; each proposal is certified before it becomes a probe.

- `nothing`: no answer, the question given back, the format without content.
- `guesses`: constants, a list of all options.
- `addressed`: text that speaks to the grader, one-token keys.
- `near`: near misses, the answers of other rows.
- `hedges`: several answers, the right one taken back or denied.
- `comments`: the right answer in a comment, a wrong one given.
- `restated`: the problem as its own answer.
- `stuffing`: padding, repetition, keywords.
- `characters`: characters that a parser and a person read differently.
- `explosions`: input that makes parsers explode.
- `programs`: programs that work on the grader instead of on the task.
- `equivalents`: the right answer written another way.
"""

from trueward.audit.probes.addressed import ADDRESSED, KEY
from trueward.audit.probes.base import Draft, Family, Probe, Surroundings
from trueward.audit.probes.characters import CHARACTERS
from trueward.audit.probes.comments import COMMENT
from trueward.audit.probes.equivalents import EQUIVALENT
from trueward.audit.probes.explosions import EXPLOSION, UNREADABLE_ANSWER
from trueward.audit.probes.guesses import CONSTANT, OPTIONS
from trueward.audit.probes.hedges import HEDGE, NEGATION
from trueward.audit.probes.near import NEAR_MISS, TRANSPLANT
from trueward.audit.probes.nothing import ECHO, FORMAT, NOTHING
from trueward.audit.probes.programs import PROGRAMS
from trueward.audit.probes.restated import RESTATED
from trueward.audit.probes.stuffing import KEYWORD, PADDED, REPETITION

FAMILIES = (
    NOTHING,
    ECHO,
    FORMAT,
    CONSTANT,
    OPTIONS,
    KEY,
    ADDRESSED,
    TRANSPLANT,
    RESTATED,
    NEAR_MISS,
    HEDGE,
    NEGATION,
    COMMENT,
    CHARACTERS,
    PADDED,
    REPETITION,
    KEYWORD,
    UNREADABLE_ANSWER,
    EXPLOSION,
    *PROGRAMS,
    EQUIVALENT,
)

__all__ = ["FAMILIES", "Draft", "Family", "Probe", "Surroundings"]
