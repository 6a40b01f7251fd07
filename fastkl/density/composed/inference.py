"""The uncertainty of composed densities, from that of their parts.

The groups of a product share no parameters, so that the observed information is block diagonal. The sandwich form is not: groups
that depend on each other in the rows have scores that depend on each other, and their estimates are correlated.

Behind a transformer the scores are those of the density of the images, since the Jacobian holds no parameter of it; what a
transformer learnt is held fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import block_diag

from fastkl._core.array_types import Floats, Params
from fastkl.density.inference import Inference


@dataclass(frozen=True)
class ProductInference(Inference):
    """The uncertainty of independent groups; a group without parameters of its own is left out.

    Parameters
    ----------
    parts : dict of Inference
        That of each group, by its name.
    split : callable
        ``split(X, sample_weight)`` gives the columns of each group, by its name, and the weights.
    place : callable
        ``place(name)`` lets errors inside begin with the group.
    unknown : list of str
        Types of those densities without an inference that may have parameters all the same.
    """

    parts: dict[str, Inference]
    split: Callable[[Any, Any], tuple[dict[str, Any], Any]]
    place: Callable[[str], AbstractContextManager[None]]
    unknown: list[str]

    def names(self) -> list[str]:
        return [f"{group}__{name}" for group, part in self.parts.items() for name in part.names()]

    def standard_errors(self) -> Params:
        return {group: part.standard_errors() for group, part in self.parts.items()}

    def covariance(self) -> Floats:
        return _block_diagonal([part.covariance() for part in self.parts.values()])

    def influence(self) -> Floats:
        return _block_diagonal([part.influence() for part in self.parts.values()])

    def shaped(self, entries: Floats) -> Params:
        found, start = {}, 0
        for group, part in self.parts.items():
            end = start + len(part.names())
            found[group] = part.shaped(entries[start:end])
            start = end
        return found

    def scores(self, X: Any, sample_weight: Any) -> Iterator[tuple[Floats, Floats]]:
        return self._side_by_side(self._of_groups(X, sample_weight, lambda part, *rows: part.scores(*rows)))

    def _side_by_side(self, streams: dict[str, Iterator[tuple[Floats, Floats]]]) -> Iterator[tuple[Floats, Floats]]:
        """The blocks of all groups, which are cut alike."""
        while streams:
            blocks = []
            for group, stream in streams.items():
                with self.place(group):
                    blocks.append(next(stream, None))
            found = [block for block in blocks if block is not None]
            if not found:
                return
            yield np.concatenate([scores for scores, _ in found], axis=1), found[0][1]

    def kept_products(self) -> Floats | None:
        return None  # what each group kept does not show how the groups depend on each other

    def robust_standard_errors(self, X: Any, sample_weight: Any = None) -> Params:
        if X is None:
            return {group: part.robust_standard_errors(None) for group, part in self.parts.items()}
        return super().robust_standard_errors(X, sample_weight)

    def effective_parameters(self, X: Any, sample_weight: Any) -> float:
        if self.unknown:
            raise AttributeError(f"{self.unknown[0]} does not give the scores of its parameters, so there is no TIC.")
        return sum(self._of_groups(X, sample_weight, lambda part, *rows: part.effective_parameters(*rows)).values())

    def _of_groups(self, X: Any, sample_weight: Any, ask: Callable[[Inference, Any, Any], Any]) -> dict[str, Any]:
        """``ask(part, columns, weights)`` of every group."""
        columns, weights = self.split(X, sample_weight)
        found = {}
        for group, part in self.parts.items():
            with self.place(group):
                found[group] = ask(part, columns[group], weights)
        return found

    def intervals(self, errors: Params, z: float) -> dict[str, Any]:
        return {group: part.intervals(errors[group], z) for group, part in self.parts.items()}

    def profile_intervals(self, X: Any, sample_weight: Any, level: float) -> dict[str, Any]:
        return self._of_groups(X, sample_weight, lambda part, *rows: part.profile_intervals(*rows, level))

    def refits(self, X: Any, sample_weight: Any, n_resamples: int, generator: np.random.Generator) -> Params:
        state = generator.bit_generator.state

        def refits_of(part: Inference, columns: Any, weights: Any) -> Params:
            # each group sees the same random weights, which belong to the rows
            generator.bit_generator.state = state
            return part.refits(columns, weights, n_resamples, generator)

        return self._of_groups(X, sample_weight, refits_of)

    def refitted_intervals(self, refits: Params, level: float) -> dict[str, Any]:
        return {group: part.refitted_intervals(refits[group], level) for group, part in self.parts.items()}


def _block_diagonal(blocks: list[Floats]) -> Floats:
    return block_diag(*blocks) if blocks else np.zeros((0, 0))


@dataclass(frozen=True)
class TransformedInference(Inference):
    """The uncertainty of a density behind a transformer that is held fixed.

    Parameters
    ----------
    part : Inference
        That of the density of the images.
    images : callable
        ``images(X, sample_weight)`` gives images and weights.
    n_learnt : int
        Parameters of the transformer that the density does not absorb.
    """

    part: Inference
    images: Callable[[Any, Any], tuple[Floats, Floats | None]]
    n_learnt: int

    def names(self) -> list[str]:
        return self.part.names()

    def standard_errors(self) -> Params:
        return self.part.standard_errors()

    def covariance(self) -> Floats:
        return self.part.covariance()

    def influence(self) -> Floats:
        return self.part.influence()

    def shaped(self, entries: Floats) -> Params:
        return self.part.shaped(entries)

    def scores(self, X: Any, sample_weight: Any) -> Iterator[tuple[Floats, Floats]]:
        return self.part.scores(*self.images(X, sample_weight))

    def kept_products(self) -> Floats | None:
        return self.part.kept_products()

    def robust_standard_errors(self, X: Any, sample_weight: Any = None) -> Params:
        return self.part.robust_standard_errors(*((None, None) if X is None else self.images(X, sample_weight)))

    def effective_parameters(self, X: Any, sample_weight: Any) -> float:
        return self.part.effective_parameters(*self.images(X, sample_weight)) + self.n_learnt

    def intervals(self, errors: Params, z: float) -> dict[str, Any]:
        return self.part.intervals(errors, z)

    def profile_intervals(self, X: Any, sample_weight: Any, level: float) -> dict[str, Any]:
        return self.part.profile_intervals(*self.images(X, sample_weight), level)

    def refits(self, X: Any, sample_weight: Any, n_resamples: int, generator: np.random.Generator) -> Params:
        return self.part.refits(*self.images(X, sample_weight), n_resamples, generator)

    def refitted_intervals(self, refits: Params, level: float) -> dict[str, Any]:
        return self.part.refitted_intervals(refits, level)
