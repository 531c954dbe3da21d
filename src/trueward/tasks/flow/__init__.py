"""Tasks of generators: which images are wanted, and gold for them.

- `digits`: handwritten digits of 8×8 pixels in four disjoint splits.
- `artefacts`: images spoilt on purpose; `curator`: who says which images are.
- `judge`: gold: networks, a `kernel_machine`, and the distance to real images.

Nothing is imported here: `judge` needs torch, and the images scikit-learn.
"""
