"""Rows that come out as a data frame, where ``set_output`` asked for one: scikit-learn's switch, for draws too.

scikit-learn's own mixin does it for ``transform`` (mixtures and factor analysis have that); what it stores, and ``clone`` copies,
is read here. The switch is the estimator's own: ``sklearn.set_config(transform_output=...)`` is about ``transform`` alone, so
that nothing inside a fit changes with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Self

import numpy as np

KINDS = ("default", "pandas", "polars")


class ChosenTable:
    """``set_output``: an array, or a data frame with the names of the columns."""

    _sklearn_output_config: dict[str, str]
    n_features_in_: int

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose what drawn rows come as: the name is scikit-learn's, which ``Pipeline.set_output`` calls too.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            "default" for arrays (``ProductDensity`` gives back the kind of table that it was fitted to), "pandas" or "polars"
            for data frames with the names of the fitted columns; None changes nothing.

        Returns
        -------
        estimator
            Itself.

        Raises
        ------
        ValueError
            For another name.

        Examples
        --------
        >>> import pandas as pd
        >>> from fastkl import DensityMLE
        >>> table = pd.DataFrame({"height": [1.6, 1.7, 1.8], "weight": [60.0, 65.0, 80.0]})
        >>> model = DensityMLE("gamma").set_output(transform="pandas").fit(table)
        >>> list(model.sample(2, random_state=0).columns)
        ['height', 'weight']
        """
        if transform is None:
            return self
        _check(transform)
        self._sklearn_output_config = {**getattr(self, "_sklearn_output_config", {}), "transform": transform}
        return self

    def _column_labels(self) -> list[str]:
        names = getattr(self, "feature_names_in_", None)
        return [f"x{j}" for j in range(self.n_features_in_)] if names is None else [str(name) for name in names]


def _check(kind: Any) -> None:
    if kind not in KINDS:
        raise ValueError(f"set_output: transform is one of {', '.join(map(repr, KINDS))} or None, not {kind!r}.")


def as_chosen_table(sample: Callable[..., Any]) -> Callable[..., Any]:
    """A ``sample`` whose rows come as the table that ``set_output`` asked for; with more than rows, the rows alone do."""

    @wraps(sample)
    def drawn(estimator: Any, *args: Any, **options: Any) -> Any:
        found = sample(estimator, *args, **options)
        kind = getattr(estimator, "_sklearn_output_config", {}).get("transform", "default")
        if kind == "default":
            return found
        names = estimator._column_labels()
        return (
            (as_table(found[0], names, kind), *found[1:]) if isinstance(found, tuple) else as_table(found, names, kind)
        )

    return drawn


def as_table(rows: Any, names: Sequence[str], kind: str) -> Any:
    """The same rows as a data frame; one of this kind stays as it is."""
    _check(kind)  # scikit-learn's own set_output takes any name
    if kind == "pandas":
        import pandas as pd

        return rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows, columns=list(names)).infer_objects()
    import polars as pl

    values = np.asarray(rows)
    columns = [values[:, j] if values.dtype != object else values[:, j].tolist() for j in range(len(names))]
    return pl.DataFrame(dict(zip(names, columns, strict=True)))
