"""Cross-validated likelihood: the log-density of every row under a fit to the other folds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils import _safe_indexing

from fastkl._core.array_types import Floats
from fastkl.density.composed.base import fit_part
from fastkl.rows.reading import look
from fastkl.rows.weights import read_weights


def cross_validated_log_density(
    density: Any, X: Any, sample_weight: ArrayLike | None = None, *, cv: Any = 5, random_state: Any = 0
) -> Floats:
    """Log-density of every row under the density fitted to the rows of the other folds.

    Its mean estimates minus the cross-entropy of a fit to rows like these, and the differences between two densities, row by row,
    say which of them is closer to the distribution of the data in KL divergence, with a standard error.

    Parameters
    ----------
    density : estimator
        With ``fit`` and ``score_samples``; pipelines too. It is cloned, and stays as it is.
    X : array-like or table of shape (n, d)
        Rows.
    sample_weight : array-like of shape (n,), default=None
        Weights of at least 0, for the fits; rows of weight 0 are scored as well.
    cv : int, splitter or iterable, default=5
        A number of folds, which the shuffled rows are divided into, or what scikit-learn takes for ``cv``.
    random_state : int, RandomState or None, default=0
        For the shuffling, where ``cv`` is a number; the same number gives the same folds.

    Returns
    -------
    ndarray of shape (n,)
        In nats; -inf for a row outside the support of the fit to the others.

    Raises
    ------
    ValueError
        If a row is in no test fold, or in several; if there is no fit to the rows of some folds, with the reason.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> from fastkl.selection import cross_validated_log_density
    >>> X = np.random.default_rng(0).gamma(2.0, size=(500, 1))
    >>> gamma, normal = (cross_validated_log_density(DensityMLE(name), X) for name in ("gamma", "normal"))
    >>> bool(gamma.mean() > normal.mean())
    True
    """
    from sklearn.model_selection import KFold, check_cv  # only here: every import of fastkl would pay for it

    X = look(X, "X")
    n = X.shape[0]
    weights = read_weights(sample_weight, n, beside=X)
    if isinstance(cv, int | np.integer):
        if not 2 <= cv <= n:
            raise ValueError(f"cv as a number of folds lies between 2 and the number of rows, {n}; it is {cv}.")
        cv = KFold(int(cv), shuffle=True, random_state=random_state)
    folds = list(check_cv(cv).split(X))
    times = np.bincount(np.concatenate([test for _, test in folds]), minlength=n)
    if (times != 1).any():
        row = int(np.argmax(times != 1))
        raise ValueError(f"Every row belongs to one test fold, but row {row} belongs to {times[row]} of them.")
    out = np.empty(n)
    for train, test in folds:
        fold = clone(density)
        fit_part(fold, _safe_indexing(X, train), None if weights is None else weights[train])
        out[test] = fold.score_samples(_safe_indexing(X, test))
    return out
