"""Certificates: is this completion certainly wrong, certainly right, or can nobody say?

A probe is only as good as its label. Every probe of the audit passes through here, and what cannot be certified is
discarded rather than counted.

- `answers`: `certify_answer(row, candidate)`: one committed answer against the reference, by answer contract.
- `logged`, `doubts`: certificates for text without a derivation, and why free text may still be right.
- `completions`: `certify(row, derivation)`: a whole completion, which may commit to nothing, to one or to several.
"""
