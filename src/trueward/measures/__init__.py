"""Pure statistics that every stage may use.

- `intervals`: Wilson intervals of shares and of bounded means.
- `paired`: Student's t intervals of means and paired differences over seeds.
- `reliability`: whether probabilities can be taken at their word.
- `efficiency`: what shorter answers cost in accuracy, and for how long a run stays viable.
- `separation`: how well a score tells two paired sets apart.
- `ranks`: correlation of ranks.
- `best_of_n`: what optimisation by best-of-n earns, exactly, by proxy and by gold; pass@k.
"""
