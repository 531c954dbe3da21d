"""Rules: rewards that decide by rules what is right, and that hold under the audit.

- `math`: mathematical answers, exact, then numeric, then symbolic.
- `code`: programs against tests, in a sandbox.
- `choice`: multiple choice.
- `format`: the form of a completion.

Each is a class to be made with its settings, `trueward.rewards.rules.math:Math()`, and an object with its defaults,
`trueward.rewards.rules.math:math`.
"""
