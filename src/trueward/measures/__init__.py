"""Pure statistics that every stage may use.

- `intervals`: Wilson intervals of shares and of bounded means.
- `paired`: Student's t intervals of means and paired differences over seeds.
- `reliability`: whether probabilities can be taken at their word.
- `efficiency`: what shorter answers cost in accuracy, and for how long a run stays viable.
- `speed`: when a curve reaches a level, and what other curves are there.
- `separation`: how well a score tells two paired sets apart.
- `ranks`: correlation of ranks.
- `bonus_calibration`: whether a bonus counts visits.
- `proxies`: when a reward is a proxy for another, and how far it may be optimised.
- `divergences`: how far apart two distributions over the same finite set are.
- `tabular`: finite worlds, solved exactly.
- `distances`: how far apart two rewards are for whoever optimises them.
- `images`: what is wrong with generated images, and scores corrected by it.
- `resampling`: the bootstrap.
- `best_of_n`: what optimisation by best-of-n earns, exactly, by proxy and by gold; pass@k.
"""
