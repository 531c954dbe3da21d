"""Chain arithmetic: problems (`problems`), worked solutions (`writer`), their judgement line by line (`lines`), and the
task made of them (`task`); chains whose scratchpad may be left out (`tiers`).
"""

from trueward.tasks.text.procedural.chain.lines import Claim as Claim
from trueward.tasks.text.procedural.chain.lines import Line as Line
from trueward.tasks.text.procedural.chain.lines import read_solution as read_solution
from trueward.tasks.text.procedural.chain.lines import stated_answer as stated_answer
from trueward.tasks.text.procedural.chain.problems import Operation as Operation
from trueward.tasks.text.procedural.chain.problems import Problem as Problem
from trueward.tasks.text.procedural.chain.problems import read_problem as read_problem
from trueward.tasks.text.procedural.chain.task import ChainArithmetic as ChainArithmetic
from trueward.tasks.text.procedural.chain.tiers import Scratchpad as Scratchpad
from trueward.tasks.text.procedural.chain.tiers import TieredChains as TieredChains
from trueward.tasks.text.procedural.chain.writer import Habits as Habits
from trueward.tasks.text.procedural.chain.writer import write_solution as write_solution
