"""Review replies: the language and its features (`language`), and the task with its preference pairs (`task`)."""

from trueward.tasks.text.procedural.replies.language import Features as Features
from trueward.tasks.text.procedural.replies.language import write_reply as write_reply
from trueward.tasks.text.procedural.replies.task import ReviewReplies as ReviewReplies
