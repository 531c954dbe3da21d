"""When a proxy is a proxy, and how far it may be optimised.

- `correlated`: the r-correlation of a proxy under a base policy, and the certificate that follows, from exact numbers.
- `sampled`: both from episodes, with intervals.

Both take arrays of any origin: the entries of a tabular MDP, steps of a simulator, or scored answers.
"""

from trueward.measures.proxies.correlated import Correlated, correlation
from trueward.measures.proxies.sampled import (
    Certificate,
    CorrelationEstimate,
    Sampled,
    sampled_certificate,
    sampled_correlation,
    sampled_gain,
)

__all__ = [
    "Certificate",
    "Correlated",
    "CorrelationEstimate",
    "Sampled",
    "correlation",
    "sampled_certificate",
    "sampled_correlation",
    "sampled_gain",
]
