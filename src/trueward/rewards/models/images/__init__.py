"""Learned rewards of images and of states on the way to them.

- `classifier`: a small classifier, and how readable it finds what was made for a class.
- `process`: a reward of noisy states with a gradient.
- `artefact`: a judge of what is wrong with an image, which can be refreshed; `served_judge`: a model on a
  server as such a judge, and as the critic that writes its instruction.

Nothing is imported here: all but `served_judge` needs torch.
"""
