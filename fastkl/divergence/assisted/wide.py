"""Few rows of many columns, such as embeddings: what two samples do not tell there."""

from __future__ import annotations

from fastkl.divergence.nearest.neighbors import SamplePair

# Fewer rows than so many for each column do not tell covariances.
_ROWS_OF_COLUMN = 2.0


def are_wide(pair: SamplePair) -> bool:
    """Whether there are too few rows to tell how all columns vary together."""
    return min(pair.p.effective_size, pair.q.effective_size) <= _ROWS_OF_COLUMN * pair.p.n_columns


def wide_reasons(pair: SamplePair) -> list[str]:
    """The reason to trust little of what an estimate says of that."""
    if not are_wide(pair):
        return []
    return [
        f"{pair.p.n_columns} columns are many for {min(pair.p.n_rows, pair.q.n_rows)} rows, which do not determine how the "
        "columns vary together: that part of the estimate is poorly supported. Compare fewer columns, such as the first "
        "principal components of both samples together."
    ]
