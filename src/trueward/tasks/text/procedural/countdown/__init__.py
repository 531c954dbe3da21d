"""Countdown: expressions and what they come to (`expressions`), and the task made of them (`task`)."""

from trueward.tasks.text.procedural.countdown.expressions import Expression as Expression
from trueward.tasks.text.procedural.countdown.expressions import read_expression as read_expression
from trueward.tasks.text.procedural.countdown.task import Countdown as Countdown
from trueward.tasks.text.procedural.countdown.task import formed as formed
