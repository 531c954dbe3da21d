"""The harness: puts the claim of a recipe to the test and says honestly what happened.

In: a `Recipe` (arms, metrics, the claim as code). Out: the document `results/NAME.json`.

- `recipe`: what is claimed, as data and one function.
- `run`: what that function is given: settings, seed, directory, randomness and folders that arms share.
- `plan`: which runs there are, tuning runs first, and which combination tuning chooses.
- `experiment`: carries a plan out; resumable, failures are results.
- `perform`, `worker`, `engines`, `on_ray`: one run in a process; many runs in worker processes or on Ray.
- `record`, `provenance`, `build_once`: what a run leaves in its directory, whole or not at all.
- `verdict`: shown, contradicted, unclear or void, from metrics per arm and seed.
- `result`, `curves`, `samples`: the document, and what it shows of each run.
- `digits_bed`, `maze_bed`, …`_bed`: what recipes on one test bed share. `flow_cost`: what training a flow costs.
- `pictures`: what the arms make, on one sheet.
- `controls`: rewards that must not work, made of any reward: shuffled, random, noisy, with a bonus.
- `registry`: finds recipes by name.
"""
