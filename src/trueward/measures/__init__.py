"""Pure statistics that every stage may use.

- `intervals`: Wilson intervals of shares and of bounded means.
- `separation`: how well a score tells two paired sets apart.
- `best_of_n`: what optimisation by best-of-n earns, exactly, by proxy and by gold; pass@k.
"""
