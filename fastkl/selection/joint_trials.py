"""Densities of whole rows: products of what was tried on the columns, and joint families, all on the same rows and folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fastkl._core.array_types import Floats
from fastkl._core.warned import warnings_raised
from fastkl.density.parametric.mle import DensityMLE
from fastkl.exceptions import first_sentence
from fastkl.selection.column_trials import Fold, Trial, Trials
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
        # of the best of each column: all, and those outside the block; and why there is none
        self.chosen = self.rest = Trial(np.zeros(n), 0.0, 0)
        self.no_chosen, self.no_rest = "", ""
        self.choices: dict[Any, str] = {}

    def add(self, key: Any, place: str, trials: Trials, in_block: bool) -> None:
        """Take in a column."""
        self.n_columns += 1
        if self.n_columns == 1:
            refused = {name: f"{place}: {reason}" for name, reason in trials.refused.items()}
            self.single = Trials(trials.names, dict(trials.found), refused)
        else:
            self._add_to_single(place, trials)
        weights = np.ones(self.n) if self.weights is None else self.weights
        best = trials.lowest_bic(float(weights.sum()))
        if best is None:
            reason = f"none of the families could be ranked on {place}"
            self.no_chosen = self.no_chosen or reason
            self.no_rest = self.no_rest if in_block else self.no_rest or reason
            return
        self.choices[key] = best
        held_out = np.empty(self.n)
        for k, (train, test) in enumerate(self.folds):
            own = trials.lowest_bic(float(weights[train].sum()), k)
            assert own is not None
            held_out[test] = trials.found[own].held_out[test]
        column = replace(trials.found[best], held_out=held_out)
        self.chosen += column
        if not in_block:
            self.rest += column

    def _add_to_single(self, place: str, trials: Trials) -> None:
        single = self.single
        for name in list(single.found):
            if name in trials.found:
                single.found[name] += trials.found[name]
                continue
            del single.found[name]
            if name in trials.refused:
                single.refused[name] = f"{place}: {trials.refused[name]}"
        for name in list(single.refused):
            if name not in trials.names:  # no candidate there
                del single.refused[name]

    def add_joint(self, name: str, X: Floats, n_jobs: int | None, alone: bool) -> None:
        """Take in a joint family of the columns of the block, times the product of the others where it is not ``alone``."""
        label = name if alone else f"{name} x {PRODUCT}"
        if self.no_rest:
            self.single.refused[label] = self.no_rest
            return
        trials = density_trials(name, X, self.weights, self.folds, n_jobs)
        if name in trials.refused:
            self.single.refused[label] = trials.refused[name]
        else:
            self.single.found[label] = trials.found[name] + self.rest

    def table(self, kind: str, with_product: bool) -> tuple[FamilyTable, int]:
        """The joint table, and the number of rows that every candidate excludes, which are left out of it."""
        found, refused, weights = self.single.found, self.single.refused, self.weights
        if with_product and len(set(self.choices.values())) > 1:
            if self.no_chosen:
                refused[PRODUCT] = self.no_chosen
            else:
                found[PRODUCT] = self.chosen
        kept = (
            np.any([trial.held_out > -np.inf for trial in found.values()], axis=0)
            if found
            else np.zeros(0, dtype=np.bool_)
        )
        if not kept.any() or kept.all():
            return family_table(kind, found, refused, weights), 0
        found = {name: replace(trial, held_out=trial.held_out[kept]) for name, trial in found.items()}
        weights = None if weights is None else weights[kept]
        return family_table(kind, found, refused, weights), int(np.sum(~kept))


def density_trials(name: str, X: Any, weights: Floats | None, folds: Sequence[Fold], n_jobs: int | None) -> Trials:
    """One family fitted by ``DensityMLE`` to rows, all of them and those of every fold."""
    trials = Trials((name,))
    try:
        with warnings_raised():
            fit = DensityMLE(name, n_jobs=n_jobs).fit(X, sample_weight=weights)
    except (ValueError, ArithmeticError, Warning) as error:
        trials.refused[name] = first_sentence(error)
        return trials
    try:
        with warnings_raised():
            held_out = cross_validated_log_density(DensityMLE(name, n_jobs=n_jobs), X, weights, cv=folds)
    except (ValueError, ArithmeticError, Warning) as error:
        trials.refused[name] = f"has no fit to one of the {len(folds)} parts: {first_sentence(error)}"
        return trials
    trials.found[name] = Trial(held_out, fit.log_likelihood_, fit.n_parameters_)
    return trials
