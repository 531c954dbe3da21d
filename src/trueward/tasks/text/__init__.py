"""Text tasks: rows of a prompt, a reference and an answer contract.

- `contract`: what a right answer is, for one row.
- `rows`: `Row`.
- `columns`: names under which data sets know prompt and reference.
- `data`: rows from files and from memory (`formats`, `json_list`, `in_memory`, `values`, `declared`, `prompts` and
  `reference` are its pieces).
- `numbers`: reads numbers with their percent sign and unit; exact fractions.
- `copies`: expressions that are copied from the question.
- `expressions`: evaluates arithmetic and simple LaTeX under hard static limits, to tell two expressions apart.
- `units`: names of units, as far as two can be told apart.
- `visible`: text as a person reads it.
- `vocabulary`: the tokens of a task's text.
- `procedural`: tasks that make their own prompts, with exact gold.
- `rollouts`, `rollout_formats`, `rollout_rows`: completions that a run logged, and the rows that they answer.
- `reasoning_gym`: the sets of reasoning-gym, with a contract for each.
"""
