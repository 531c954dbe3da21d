"""Text tasks: rows of a prompt, a reference and an answer contract.

- `contract`: what a right answer is, for one row.
- `rows`: `Row`.
- `columns`: names under which data sets know prompt and reference.
- `data`: rows from files and from memory (`formats`, `json_list`, `in_memory`, `values`, `declared`, `prompts` and
  `reference` are its pieces).
- `reasoning_gym`: the sets of reasoning-gym, with a contract for each.
"""
