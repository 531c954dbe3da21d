"""Tasks: where prompts come from, and the reference that a reward may read. What is really wanted
(gold) is kept apart.
"""
