"""How many components a mixture should have: one call that fits all candidates, each from the one before.

A mixture of K components begins, beside starts of its own, where the best one of K - 1 stands, with one component more:
candidates share their starts, and the log-likelihood rises with K.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from fastkl._core.array_types import Floats
from fastkl._core.means import Mean
from fastkl._core.other_keywords import knows_other_keywords
from fastkl._core.text_tables import html_table, table_lines
from fastkl._core.warned import warnings_kept
from fastkl._core.whole_numbers import is_count
from fastkl._core.wording import did_you_mean
from fastkl.density import MixtureMLE
from fastkl.density.parametric.products import is_product, resolve_product
from fastkl.density.refits import named_draws
from fastkl.density.validation import as_generator, resolve_family
from fastkl.divergence.models.draws import refuse_other_sums
from fastkl.divergence.models.model import Model
from fastkl.divergence.options import one_seed
from fastkl.exceptions import DegenerateDataError, first_sentence
from fastkl.families.multivariate_normal import MultivariateNormal
from fastkl.rows.progress import Progress, progress_of
from fastkl.selection.cross_validation import cross_validated_log_density
from fastkl.selection.log_densities import row_weights

TYPES = ("full", "tied", "diag", "spherical")
CRITERIA = ("bic", "icl", "cv", "bootstrap")
COLUMNS = ("log_likelihood", "n_parameters", "value", "standard_error", "p_value")


@dataclass(frozen=True, repr=False)
class ComponentChoice:
    """Candidates in the order of their numbers of components; every list has one entry for each.

    Parameters
    ----------
    criterion : str
        By which the best was chosen.
    n_components : list of int
        Numbers of components.
    covariance_types : list of str or None
        Types of covariance, where the components are normal vectors.
    log_likelihood : ndarray of shape (c,)
        Of the fits; -inf where there is none.
    n_parameters : ndarray of shape (c,)
        Estimated parameters.
    value : ndarray of shape (c,)
        BIC or ICL in nats times 2, or the cross-entropy of held-out rows in nats per row: lower is better. For
        ``"bootstrap"`` the BIC, for reading.
    standard_error : ndarray of shape (c,)
        For ``"cv"`` that of the difference from the lowest cross-entropy; else nan.
    p_value : ndarray of shape (c,)
        For ``"bootstrap"`` that of the test against one component more; nan where none was made.
    models : list of MixtureMLE or None
        The fits; None where there is none.
    notes : list of str
        Why a candidate can't be chosen; empty for the others.
    best_index : int
        Which candidate is the best.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastkl.selection import choose_components
    >>> choice = choose_components(load_iris().data, range(1, 4), random_state=0)
    >>> choice.best.n_components, round(choice.best.bic(load_iris().data), 2)
    (2, 574.02)
    """

    criterion: str
    n_components: list[int]
    covariance_types: list[str | None]
    log_likelihood: Floats
    n_parameters: Floats
    value: Floats
    standard_error: Floats
    p_value: Floats
    models: list[MixtureMLE | None]
    notes: list[str]
    best_index: int

    @property
    def best(self) -> MixtureMLE:
        """The chosen mixture, fitted to all rows."""
        model = self.models[self.best_index]
        assert model is not None
        return model

    def to_frame(self) -> Any:
        """The table as a pandas data frame.

        Returns
        -------
        pandas.DataFrame
            A row for each candidate.
        """
        import pandas as pd  # only here: the library does without it

        names = {"n_components": self.n_components, "covariance_type": self.covariance_types}
        return pd.DataFrame({**names, **{name: getattr(self, name) for name in COLUMNS}, "note": self.notes})

    def _cells(self) -> list[list[str]]:
        head = ["components", "covariance", "log-likelihood", "parameters"]
        head += {"cv": ["cross-entropy", "± s.e."], "bootstrap": ["bic", "p"]}.get(self.criterion, [self.criterion])
        rows = [[*head, ""]]
        for i, k in enumerate(self.n_components):
            if self.models[i] is None:
                numbers = [""] * (len(head) - 2)
            else:
                numbers = [f"{self.log_likelihood[i]:.3f}", f"{self.n_parameters[i]:.0f}"]
                numbers += [f"{self.value[i]:.4f}" if self.criterion == "cv" else f"{self.value[i]:.2f}"]
                more = {"cv": self.standard_error[i], "bootstrap": self.p_value[i]}.get(self.criterion)
                numbers += [] if more is None else ["" if np.isnan(more) else f"{more:.3g}"]
            rows.append(
                [str(k), self.covariance_types[i] or "", *numbers, "<- best" if i == self.best_index else self.notes[i]]
            )
        return rows

    def __repr__(self) -> str:
        rows = self._cells()
        return "\n".join(table_lines(rows, left=(len(rows[0]) - 1,)))

    def _repr_html_(self) -> str:
        head, *rows = self._cells()
        return html_table(head, rows)


@knows_other_keywords
def choose_components(
    X: ArrayLike,
    n_components: Iterable[int] = range(1, 11),
    covariance_types: Sequence[str] | None = None,
    *,
    criterion: str = "bic",
    mixture: MixtureMLE | None = None,
    sample_weight: ArrayLike | None = None,
    cv: Any = 5,
    n_resamples: int = 99,
    level: float = 0.05,
    random_state: Any = None,
    rng: Any = None,
    progress: Any = False,
) -> ComponentChoice:
    """Fit mixtures of several numbers of components, and choose between them.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Rows.
    n_components : iterable of int, default=range(1, 11)
        Numbers of components to try.
    covariance_types : sequence of str, default=None
        Types out of ``"full"``, ``"tied"``, ``"diag"`` and ``"spherical"`` to try, for normal vectors. None takes the
        family of ``mixture`` as it is.
    criterion : {"bic", "icl", "cv", "bootstrap"}, default="bic"
        ``"bic"`` asks for a density, ``"icl"`` for clusters that can be told apart, ``"cv"`` how new rows are
        predicted. ``"bootstrap"`` tests K components against the next number, on draws from the fit of K, and takes the
        first that is not rejected; it is for one type of covariance, and refits every candidate ``n_resamples`` times.
    mixture : MixtureMLE, default=None
        Whose family, prior, number of starts and threads are those of all candidates; None stands for ``MixtureMLE()``.
    sample_weight : array-like of shape (n,), default=None
        Weights of at least 0.
    cv : int, splitter or iterable, default=5
        Folds, as for ``cross_validated_log_density``.
    n_resamples : int, default=99
        Draws of each bootstrap test.
    level : float, default=0.05
        Up to which p-value a test rejects.
    random_state : int, RandomState, Generator or None, default=None
        Of starts and draws. A number gives the same choice every time.
    rng : int, Generator or None, default=None
        Another name of ``random_state``, as in numpy and scipy; a number seeds `numpy.random.default_rng`.
    progress : bool or callable, default=False
        True shows a bar (tqdm), a function is called with the fits done and the fits in all.

    Returns
    -------
    ComponentChoice
        The table, with the fits; it prints as one, and ``ComponentsDisplay`` draws it.

    Raises
    ------
    DegenerateDataError
        If there is no fit that can be chosen.
    ValueError
        If the criterion is not known; for ``"bootstrap"`` if there are weights or several types of covariance.

    Notes
    -----
    A candidate that could only be fitted with a collapsed component is listed with a note, and not chosen.

    References
    ----------
    C. Fraley, A. E. Raftery, "Model-based clustering, discriminant analysis, and density estimation", JASA 97, 2002,
    doi:10.1198/016214502760047131; G. J. McLachlan, "On bootstrapping the likelihood ratio test statistic for the number
    of components in a normal mixture", Applied Statistics 36, 1987, doi:10.2307/2347790.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl.selection import choose_components
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0.0, 1.0, (200, 1)), rng.normal(5.0, 1.0, (200, 1))])
    >>> choose_components(X, range(1, 4), random_state=0)
    components  covariance  log-likelihood  parameters      bic
             1        full        -956.209           2  1924.40
             2        full        -830.048           5  1690.05  <- best
             3        full        -823.556           8  1695.04
    """
    random_state = one_seed(random_state, rng)
    numbers = _numbers(n_components)
    if criterion not in CRITERIA:
        raise ValueError(f"criterion is one of {', '.join(CRITERIA)}, not {criterion!r}.")
    template = MixtureMLE() if mixture is None else clone(mixture)
    kinds = _kinds(template.family, covariance_types)
    if criterion == "bootstrap" and (len(kinds) > 1 or sample_weight is not None):
        raise ValueError("criterion='bootstrap' is for one type of covariance, and for rows without weights.")
    if criterion == "bootstrap" and (least := 1.0 / (1.0 + n_resamples)) > level:
        raise ValueError(
            f"No p-value of {n_resamples} draws is below {least:.2g}: no test rejects at level={level}. Take more draws."
        )
    generator = as_generator(random_state)
    seed = int(generator.integers(2**31))
    template.set_params(init=None, weights=None, standard_errors=False, random_state=seed)
    candidates: list[_Candidate] = []
    heard = progress_of(progress, "choose")
    try:
        heard.begin(len(kinds) * len(numbers) * (1 if criterion in ("bic", "icl") else 2))
        for name, kind in kinds:
            fewer: MixtureMLE | None = None
            for k in numbers:
                one = _fitted(name, clone(template).set_params(n_components=k, family=kind), X, sample_weight, fewer)
                fewer = one.model if one.is_fitted else fewer
                candidates.append(one)
                heard.advance(1)
        candidates.sort(key=lambda one: one.model.n_components)  # types keep their order
        if not any(one.is_fitted and not one.note for one in candidates):
            raise DegenerateDataError("No candidate can be chosen. " + " ".join(one.note for one in candidates[:1]))
        value, error, p_value = np.full((3, len(candidates)), np.nan)
        if criterion == "cv":
            value, error = _held_out(candidates, X, sample_weight, cv, seed, heard)
        else:
            for i, one in enumerate(candidates):
                judge = one.model.icl if criterion == "icl" else one.model.bic
                value[i] = judge(X, sample_weight) if one.is_fitted else np.inf
        best = int(np.argmin([np.inf if one.note else v for one, v in zip(candidates, value, strict=True)]))
        if criterion == "bootstrap":
            best = _first_not_rejected(candidates, X, p_value, n_resamples, level, generator, heard)
        _finish(candidates[best].model, X, sample_weight)
    finally:
        heard.close()
    return _table(candidates, criterion, (value, error, p_value), best)


def _table(
    candidates: list[_Candidate], criterion: str, judged: tuple[Floats, Floats, Floats], best: int
) -> ComponentChoice:
    models = [one.model if one.is_fitted else None for one in candidates]
    return ComponentChoice(
        criterion,
        [int(one.model.n_components) for one in candidates],
        [one.covariance_type for one in candidates],
        np.array([-np.inf if model is None else model.log_likelihood_ for model in models]),
        np.array([np.nan if model is None else model.n_parameters_ for model in models]),
        *judged,
        models,
        [one.note for one in candidates],
        best,
    )


def _numbers(n_components: Iterable[int]) -> list[int]:
    numbers = [n_components] if isinstance(n_components, int) else list(n_components)
    if not numbers or not all(map(is_count, numbers)):
        raise ValueError(f"n_components are whole numbers of at least 1, not {n_components!r}.")
    return sorted({int(k) for k in numbers})


def _kinds(family: Any, types: Sequence[str] | None) -> list[tuple[str | None, Any]]:
    resolved = resolve_product(family) if is_product(family) else resolve_family(family)
    normal = type(resolved) is MultivariateNormal
    if types is None:
        return [(getattr(resolved, "covariance_type", None), family)]
    if not normal:
        raise ValueError("covariance_types are for components of the family multivariate_normal.")
    names = [types] if isinstance(types, str) else list(types)
    if not names or not set(names) <= set(TYPES):
        meant = "".join(did_you_mean(name, TYPES) for name in names[:1] if name not in TYPES)
        raise ValueError(f"covariance_types are some of {', '.join(TYPES)}, not {types!r}.{meant}")
    return [(name, MultivariateNormal(name)) for name in names]


@dataclass
class _Candidate:
    covariance_type: str | None
    model: MixtureMLE
    note: str = ""  # why it can't be chosen

    @property
    def is_fitted(self) -> bool:
        return hasattr(self.model, "params_")


def _fitted(name: str | None, model: MixtureMLE, X: Any, weights: Any, fewer: MixtureMLE | None) -> _Candidate:
    with warnings_kept(ConvergenceWarning):  # the note says so
        try:
            model._fit_from_fewer(X, weights, fewer)
        except DegenerateDataError as error:
            return _Candidate(name, model, f"no fit: {first_sentence(error)}")
    note = "a component collapsed" if model.spurious_components_ else ""
    return _Candidate(name, model, note or ("" if model.converged_ else "did not converge"))


def _held_out(
    candidates: list[_Candidate], X: Any, weights: Any, cv: Any, seed: int, heard: Progress
) -> tuple[Floats, Floats]:
    """Cross-entropy of held-out rows, and the standard error of its difference from the lowest."""
    found: list[Floats | None] = []
    for one in candidates:
        logs = None
        if one.is_fitted and not one.note:
            with warnings_kept(ConvergenceWarning):
                try:
                    logs = cross_validated_log_density(one.model, X, weights, cv=cv, random_state=seed)
                except DegenerateDataError as reason:
                    one.note = f"no fit to a fold: {first_sentence(reason)}"
        found.append(logs)
        heard.advance(1)
    value, error = np.full(len(found), np.inf), np.full(len(found), np.nan)
    scored = [logs for logs in found if logs is not None]
    if not scored:
        first_note = next(one.note for one in candidates if one.is_fitted)
        raise DegenerateDataError(f"No candidate can be chosen. {first_note}")
    shares = row_weights(weights, len(scored[0]))
    for i, logs in enumerate(found):
        if logs is not None:
            value[i] = -float(logs @ shares)
    lowest = found[int(np.argmin(value))]
    for i, logs in enumerate(found):
        if logs is not None and lowest is not None and logs is not lowest and np.isfinite(value[i]):
            error[i] = Mean.of(lowest - logs, shares).error
    return value, error


def _first_not_rejected(
    candidates: list[_Candidate],
    X: Any,
    p_value: Floats,
    n_resamples: int,
    level: float,
    generator: np.random.Generator,
    heard: Progress,
) -> int:
    """The first candidate that draws from it do not tell from the next one; their p-values are filled in."""
    chosen = [i for i, one in enumerate(candidates) if one.is_fitted and not one.note]
    refuse_other_sums(Model(candidates[chosen[0]].model, "The mixture"), X)
    n_rows = int(candidates[chosen[0]].model.statistics_["weight"])
    for i, j in pairwise(chosen):
        smaller, larger = candidates[i].model, candidates[j].model
        observed = larger.log_likelihood_ - smaller.log_likelihood_
        draws = (named_draws(smaller, n_rows, generator) for _ in range(n_resamples))
        exceed = sum(_gain(smaller, larger, drawn) >= observed for drawn in draws)
        p_value[i] = (1.0 + exceed) / (1.0 + n_resamples)
        heard.advance(1)
        if p_value[i] > level:
            return i
    return chosen[-1]


def _gain(smaller: MixtureMLE, larger: MixtureMLE, drawn: Any) -> float:
    """How far more components raise the log-likelihood of rows drawn from fewer."""
    null = clone(smaller).set_params(init=smaller.params_, n_init=1)
    more = clone(larger).set_params(n_init=1)
    with warnings_kept(ConvergenceWarning):
        try:
            null.fit(drawn)
            more._fit_from_fewer(drawn, None, null)
        except DegenerateDataError:
            return 0.0
    return float(more.log_likelihood_ - null.log_likelihood_)


def _finish(model: MixtureMLE, X: Any, weights: Any) -> None:
    """Standard errors for the chosen one, by a fit that begins at its maximum."""
    model.set_params(init=model.params_, standard_errors="auto").fit(X, sample_weight=weights)
    model.set_params(init=None)
