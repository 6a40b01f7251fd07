"""Rows of P in a group of their own where Q has none: how much less Q has there is not in the data.

A group of rows that is apart from Q and from the rest of P has a divergence of its own, its mass times the logarithm of how much
rarer it is under Q, and no row says how much. Neighbours, regressions and smooth distributions all take it for a few odd rows. A
tail of P that reaches beyond Q is no such group: it goes on from the rest of P without a gap.
"""

from __future__ import annotations

import numpy as np

from fastkl.divergence.arguments import Sample
from fastkl.divergence.nearest.neighbors import SamplePair

# So many rows in a group are no chance; all but that part of them are farther from the others than rows of Q are from each other,
# in one column, where gaps vary most, twice as far.
_ROWS, _NEAR, _TIMES_IN_ONE = 5, 0.1, 2.0


def apart_reasons(pair: SamplePair) -> list[str]:
    """Why the estimate is rather a lower bound, where a group of rows of P is apart from all others."""
    p, q = pair.p, pair.q
    if min(p.n_rows, q.n_rows) < 3:
        return []
    reach = max(float(slab.own.kth(1).max()) for slab in pair.reversed().slabs(0))
    beyond = np.zeros(p.n_rows, dtype=bool)
    for rows, slab in pair.slabs_with_rows():
        beyond[rows] = slab.across.kth(1) > reach
    size = int(beyond.sum())
    if not _ROWS <= size <= 0.5 * p.n_rows:  # more are no group of a few: p and q hardly overlap
        return []
    group, others = (Sample(np.ascontiguousarray(p.X[rows]), None, p.n_jobs) for rows in (beyond, ~beyond))
    gaps = np.concatenate([slab.across.kth(1) for slab in SamplePair(group, others).slabs(0)])
    if float(np.quantile(gaps, _NEAR)) <= (_TIMES_IN_ONE if p.n_columns == 1 else 1.0) * reach:
        return []
    share = 100.0 * (size / p.n_rows if p.weights is None else float(p.weights[beyond].sum()) / p.weight_sum)
    return [
        f"{size} rows of p ({share:.2g} % of it) lie apart from all others, farther from q than any row of q is from the rest "
        "of q. The data do not show how small the density of q is there, so the estimate is best read as a lower bound."
    ]
