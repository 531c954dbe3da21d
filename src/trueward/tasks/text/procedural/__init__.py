"""Tasks that make their own prompts from a seed, with exact gold: where rewards are put under pressure.

- `task`: what a text task is (`TextTask`), and demonstrations for a warm start.
- `drawing`: seeded rows; the split into train and held-out prompts.
- `chain`: chain arithmetic, worked line by line, each line checked exactly; in three difficulties, with lines that may
  be left out.
- `countdown`: a target to be reached with given numbers, in any of several ways.
- `topics`: short texts that should cover a topic.
- `replies`: replies to reviews, with preferences that leave open what is wanted.
- `sums`: sums whose answers are written in several forms, and how to make a solution wrong.
- `gym`: every set of reasoning-gym.
- `from_data`: any data file.
- `steps`: cuts completions into steps.
- `annotations`: simulated annotators, the only way from gold into training.
"""

from trueward.tasks.text.procedural.chain import ChainArithmetic as ChainArithmetic
from trueward.tasks.text.procedural.chain import TieredChains as TieredChains
from trueward.tasks.text.procedural.countdown import Countdown as Countdown
from trueward.tasks.text.procedural.from_data import DataTask as DataTask
from trueward.tasks.text.procedural.gym import ReasoningGymTask as ReasoningGymTask
from trueward.tasks.text.procedural.replies import ReviewReplies as ReviewReplies
from trueward.tasks.text.procedural.sums import Sums as Sums
from trueward.tasks.text.procedural.task import Demonstration as Demonstration
from trueward.tasks.text.procedural.task import Split as Split
from trueward.tasks.text.procedural.task import TextTask as TextTask
from trueward.tasks.text.procedural.topics import TopicKeywords as TopicKeywords
