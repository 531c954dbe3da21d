"""Sums in several surface forms: readers and writers of numbers (`forms`), worked solutions and how to make them wrong
(`solutions`), and the task made of them (`task`).
"""

from trueward.tasks.text.procedural.sums.forms import FORMS as FORMS
from trueward.tasks.text.procedural.sums.forms import read_any as read_any
from trueward.tasks.text.procedural.sums.forms import read_plain as read_plain
from trueward.tasks.text.procedural.sums.solutions import CHECK_PHRASE as CHECK_PHRASE
from trueward.tasks.text.procedural.sums.solutions import answer_text as answer_text
from trueward.tasks.text.procedural.sums.task import STRONG as STRONG
from trueward.tasks.text.procedural.sums.task import WEAK as WEAK
from trueward.tasks.text.procedural.sums.task import Sums as Sums
from trueward.tasks.text.procedural.sums.task import Writer as Writer
