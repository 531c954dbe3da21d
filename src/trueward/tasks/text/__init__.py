"""Text tasks: rows of a prompt, a reference and an answer contract.

- `contract`: what a right answer is, for one row.
- `rows`: `Row`.
- `columns`: names under which data sets know prompt and reference.
- `data`: rows from files and from memory (`formats`, `json_list`, `in_memory`, `values`, `declared`, `prompts` and
  `reference` are its pieces).
- `numbers`: reads numbers with their percent sign and unit; exact fractions.
- `expressions`: evaluates arithmetic and simple LaTeX under hard static limits, to tell two expressions apart.
- `reasoning_gym`: the sets of reasoning-gym, with a contract for each.
"""
