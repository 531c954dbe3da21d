"""Rewards: what scores a batch of rollouts.

In: rollouts and a context. Out: `Scores`, part by part. Every reward is also a plain function
`reward(prompts, completions, **columns) -> list[float | None]`, so that it can be handed to TRL as it is.

- `base`: the protocol, `as_reward`, and how rewards combine (`+`, `*`, `gate`, `.transform`).
- `transforms`: bounded, against references, running, within the group, by length, on steps.
- `address`: finds a reward by `file.py:name`, `package.module:name` or `reasoning_gym:NAME`.
- `foreign`: calls rewards that follow the conventions of TRL, verl, reasoning-gym, or none.
- `harden`: any reward that reads an answer, so that it pays one committed answer (`canonical`, `limits`).
- `source`: where a reward is defined, read without running it.
- `rules`, `models`, `remote`: rewards of our own: verifiers, learned scorers, scorers behind HTTP.
- `runner`: scores under hard limits, in worker processes.

Nothing is imported here: a worker process starts in the time that its own few modules take.
"""
