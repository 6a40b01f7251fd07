"""Densities of whole rows: products of what was tried on the columns, and joint families, all on the same rows and folds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastkl._core.array_types import Floats
from fastkl._core.warned import warnings_raised
from fastkl.density.parametric.mle import DensityMLE
from fastkl.exceptions import first_sentence
from fastkl.selection.column_trials import Fold, Trials
from fastkl.selection.cross_validation import cross_validated_log_density
from fastkl.selection.family_ranking import PRODUCT, FamilyTable, family_table


class JointTrials:
    """Sums over the columns, which come one by one: of every family, and of the families with the lowest BIC.

    Parameters
    ----------
    weights : ndarray of shape (n,) or None
        Weights of the rows.
    folds : list of (train, test)
        Parts of the cross-validation.
    n : int
        Rows.
    """

    def __init__(self, weights: Floats | None, folds: Sequence[Fold], n: int):
        self.weights, self.folds, self.n = weights, folds, n
        self.single = Trials(())  # sums over all columns of one family
        self.n_columns = 0
        # of the best of each column: all, and those outside the block
        self.chosen, self.rest = Trials((PRODUCT,)), Trials((PRODUCT,))
        for part in (self.chosen, self.rest):
            part.held_out[PRODUCT], part.log_likelihood[PRODUCT], part.n_parameters[PRODUCT] = np.zeros(n), 0.0, 0
        self.choices: dict[Any, str] = {}

    def add(self, key: Any, place: str, trials: Trials, in_block: bool) -> None:
        """Take in a column."""
        self.n_columns += 1
        if self.n_columns == 1:
            self.single = Trials(
                trials.names,
                {name: np.array(values) for name, values in trials.held_out.items()},
                dict(trials.log_likelihood),
                dict(trials.n_parameters),
                refused={name: f"{place}: {reason}" for name, reason in trials.refused.items()},
            )
        else:
            self._add_to_single(place, trials)
        weights = np.ones(self.n) if self.weights is None else self.weights
        best = trials.lowest_bic(float(weights.sum()))
        parts = (self.chosen,) if in_block else (self.chosen, self.rest)
        if best is None:
            for part in parts:
                part.refused.setdefault(PRODUCT, f"none of the families could be ranked on {place}")
            return
        self.choices[key] = best
        for part in parts:
            part.log_likelihood[PRODUCT] += trials.log_likelihood[best]
            part.n_parameters[PRODUCT] += trials.n_parameters[best]
        for k, (train, test) in enumerate(self.folds):
            own = trials.lowest_bic(float(weights[train].sum()), k)
            assert own is not None
            for part in parts:
                part.held_out[PRODUCT][test] += trials.held_out[own][test]

    def _add_to_single(self, place: str, trials: Trials) -> None:
        single = self.single
        for name in list(single.held_out):
            if name in trials.held_out:
                single.held_out[name] += trials.held_out[name]
                single.log_likelihood[name] += trials.log_likelihood[name]
                single.n_parameters[name] += trials.n_parameters[name]
                continue
            del single.held_out[name]
            if name in trials.refused:
                single.refused[name] = f"{place}: {trials.refused[name]}"
        for name in list(single.refused):
            if name not in trials.names:  # no candidate there
                del single.refused[name]

    def add_joint(self, name: str, X: Floats, n_jobs: int | None, alone: bool) -> None:
        """Take in a joint family of the columns of the block, times the product of the others where it is not ``alone``."""
        label = name if alone else f"{name} x {PRODUCT}"
        if PRODUCT in self.rest.refused:
            self.single.refused[label] = self.rest.refused[PRODUCT]
            return
        found = density_trials(name, X, self.weights, self.folds, n_jobs)
        if name in found.refused:
            self.single.refused[label] = found.refused[name]
            return
        self.single.held_out[label] = found.held_out[name] + self.rest.held_out[PRODUCT]
        self.single.log_likelihood[label] = found.log_likelihood[name] + self.rest.log_likelihood[PRODUCT]
        self.single.n_parameters[label] = found.n_parameters[name] + self.rest.n_parameters[PRODUCT]

    def table(self, kind: str, with_product: bool) -> tuple[FamilyTable, int]:
        """The joint table, and the number of rows that every candidate excludes, which are left out of it."""
        single = self.single
        if with_product and len(set(self.choices.values())) > 1:
            single.refused |= self.chosen.refused
            if PRODUCT not in single.refused:
                single.held_out |= self.chosen.held_out
                single.log_likelihood |= self.chosen.log_likelihood
                single.n_parameters |= self.chosen.n_parameters
        kept = np.ones(self.n, dtype=bool)
        if single.held_out:
            kept = np.any([values > -np.inf for values in single.held_out.values()], axis=0)
        held_out = {name: values[kept] for name, values in single.held_out.items()} if kept.any() else single.held_out
        weights = self.weights if self.weights is None or not kept.any() else self.weights[kept]
        table = family_table(kind, held_out, single.log_likelihood, single.n_parameters, single.refused, weights)
        return table, int(np.sum(~kept)) if kept.any() else 0


def density_trials(name: str, X: Any, weights: Floats | None, folds: Sequence[Fold], n_jobs: int | None) -> Trials:
    """One family fitted by ``DensityMLE`` to rows, all of them and those of every fold."""
    found = Trials((name,))
    try:
        with warnings_raised():
            fit = DensityMLE(name, n_jobs=n_jobs).fit(X, sample_weight=weights)
    except (ValueError, ArithmeticError, Warning) as error:
        found.refused[name] = first_sentence(error)
        return found
    try:
        with warnings_raised():
            found.held_out[name] = cross_validated_log_density(DensityMLE(name, n_jobs=n_jobs), X, weights, cv=folds)
    except (ValueError, ArithmeticError, Warning) as error:
        found.refused[name] = f"has no fit to one of the {len(folds)} parts: {first_sentence(error)}"
        return found
    found.log_likelihood[name], found.n_parameters[name] = fit.log_likelihood_, fit.n_parameters_
    return found
