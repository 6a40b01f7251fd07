"""What composed densities say of their distribution: products ask their groups, transformed densities map rows and values.

Behind a map T that acts on every column by itself and rises, P(X <= x) = P(Z <= T(x)); where it falls both tails change places.
Mass that the density of Z gives to values that T never takes is left out, and probabilities are those of what is left, as draws
are. Means and covariances go through affine maps alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl._core.array_types import Floats
from fastkl._core.rows import Rows
from fastkl._core.special.log_tails import log_complement
from fastkl.density.bijections.base import Bijection
from fastkl.density.bijections.lookup import bijection
from fastkl.density.composed.groups import Group, in_group
from fastkl.density.distribution import DistributionMembers
from fastkl.density.validation import read_rows
from fastkl.divergence import Estimate, entropy
from fastkl.divergence.estimate import moved
from fastkl.rows.checks import raise_if_nan
from fastkl.rows.tables import columns_of

_BEYOND = 1e300  # larger numbers are infinite after an inverse map


def has_column_tails(density: Any) -> bool:
    """Whether a fitted part has a distribution function for every column of its own; one from elsewhere is not asked."""
    return isinstance(density, DistributionMembers) and density._by_column()


class ProductDistribution(DistributionMembers):
    """Members about the distribution of independent groups of columns."""

    groups_: list[Group]
    n_features_in_: int

    def _read_fitted(self, X: Any, sample_weight: Any) -> tuple[Any, Floats | None]:
        raise NotImplementedError

    def _of_group(self, name: str, density: Any, method: str, *arguments: Any, **options: Any) -> Any:
        """The answer of a group; AttributeError that names it where it has none."""
        function = getattr(density, method, None)
        if function is None:
            raise AttributeError(f"Group {name!r}: {type(density).__name__} has no {method}.")
        try:
            return function(*arguments, **options)
        except AttributeError as error:
            raise AttributeError(f"Group {name!r}: {error}") from error

    def _by_column(self) -> bool:
        return all(has_column_tails(density) for _, density, _ in self.groups_)

    def _tail(self, which: str, X: Any) -> Floats:
        table, _ = self._read_fitted(X, None)
        out = np.empty((len(table), self.n_features_in_))
        for name, density, numbers in self.groups_:
            with in_group(name, numbers, self._column_names()):
                found = self._of_group(name, density, which, columns_of(table, numbers))
            if found.shape != (len(table), len(numbers)):
                raise AttributeError(
                    f"Group {name!r} describes {len(numbers)} columns jointly, so that the product has no {which} of every "
                    f"column. Ask the group itself: densities_[{name!r}].{which}(columns)."
                )
            out[:, numbers] = found
        return out

    def _quantile(self, q: Floats, upper: bool) -> Floats:
        out = np.empty((len(q), self.n_features_in_))
        for name, density, numbers in self.groups_:
            out[:, numbers] = self._of_group(name, density, "quantile", q, upper=upper)
        return out

    def _moments(self) -> tuple[Floats, Floats]:
        mean, covariance = np.empty(self.n_features_in_), np.zeros((self.n_features_in_,) * 2)
        for name, density, numbers in self.groups_:
            mean[numbers] = self._of_group(name, density, "mean")
            covariance[np.ix_(numbers, numbers)] = self._of_group(name, density, "covariance")
        return mean, covariance

    def _mode(self) -> NDArray[Any]:
        found = [(numbers, self._of_group(name, density, "mode")) for name, density, numbers in self.groups_]
        labels = any(values.dtype.kind not in "fiub" for _, values in found)
        out = np.empty(self.n_features_in_, dtype=object if labels else np.float64)
        for numbers, values in found:
            out[numbers] = values
        return out

    def _to_scipy(self) -> list[Any]:
        out: list[Any] = [None] * self.n_features_in_
        for name, density, numbers in self.groups_:
            columns = self._of_group(name, density, "to_scipy")
            if not isinstance(columns, list):
                raise AttributeError(
                    f"Group {name!r} is joint: scipy has no product of it with others. Ask the group itself."
                )
            for j, column in zip(numbers, columns, strict=True):
                out[j] = column
        return out


class TransformedDistribution(DistributionMembers):
    """Members about the distribution of a variable behind a transformer."""

    transformer_: Any
    density_: Any
    n_features_in_: int

    def _monotone(self, what: str) -> tuple[Bijection, NDArray[np.intp], Floats]:
        """The map, the image column of every column, and whether it rises; AttributeError where it mixes columns."""
        mapped = bijection(self.transformer_)
        found = mapped.monotone(self.n_features_in_)
        if found is None:
            raise AttributeError(
                f"There is no {what} behind {self.transformer_!r}: it is not known to act on every column by itself, rising or "
                "falling throughout. Count draws instead: sample(100_000)."
            )
        return (mapped, *found)

    def _lost(self, mapped: Bijection) -> tuple[Floats, Floats]:
        """Logarithms of the mass that the density gives to values below and above all images, (d,) by image column."""
        low, high = (end[np.newaxis] for end in mapped.image_range(self.n_features_in_))
        return np.atleast_1d(self.density_.log_cdf(low)[0]), np.atleast_1d(self.density_.log_sf(high)[0])

    def _by_column(self) -> bool:
        return bijection(self.transformer_).monotone(self.n_features_in_) is not None and has_column_tails(
            self.density_
        )

    def _tail(self, which: str, X: Any) -> Floats:
        self._check_fitted()
        mapped, order, signs = self._monotone(which)
        read = read_rows(self, X)
        raise_if_nan(Rows(np.asarray(read.X), names=read.names))
        images = mapped.extended_images(np.ascontiguousarray(read.X, dtype=np.float64))
        if self.n_features_in_ > 1 and not has_column_tails(self.density_):
            return self._joint_tail(which, mapped, images, signs)
        below, above = self._lost(mapped)
        if np.all(below == -np.inf) and np.all(above == -np.inf):
            return self._plain_tail(which, images, order, signs)
        lower, upper = self.density_.log_cdf(images), self.density_.log_sf(images)
        alone = lower.ndim == 1  # a joint family of one column
        lower, upper = (np.reshape(tail, images.shape) for tail in (lower, upper))
        kept = log_complement(np.logaddexp(below, above))
        lower, upper = (
            np.minimum(_log_less(tail, lost) - kept, 0.0) for tail, lost in ((lower, below), (upper, above))
        )
        lower, upper = lower[:, order], upper[:, order]
        chosen = np.where((signs > 0.0) == which.endswith("cdf"), lower, upper)
        chosen = chosen[:, 0] if alone else chosen
        return chosen if which.startswith("log") else np.exp(chosen)

    def _joint_tail(self, which: str, mapped: Bijection, images: Floats, signs: Floats) -> Floats:
        """Of columns that are described together: that of the images, where all columns rise and no mass is lost."""
        low, high = mapped.image_range(self.n_features_in_)
        if np.any(signs < 0.0) or np.isfinite([low, high]).any():
            raise AttributeError(
                f"There is no {which} of {type(self.density_).__name__}, which describes the row as a whole, behind "
                f"{self.transformer_!r}, which turns columns round or does not take all values. "
                "Count draws instead: (density.sample(100_000) <= x).all(axis=1).mean()."
            )
        found: Floats = getattr(self.density_, which)(images)
        return found

    def _plain_tail(self, which: str, images: Floats, order: NDArray[np.intp], signs: Floats) -> Floats:
        """Where no mass is lost: the density's own, the other one in columns that fall."""
        other = {"cdf": "sf", "sf": "cdf", "log_cdf": "log_sf", "log_sf": "log_cdf"}[which]
        if np.all(signs > 0.0):
            own: Floats = getattr(self.density_, which)(images)
            return own[:, order] if own.ndim > 1 else own
        falling: Floats = getattr(self.density_, other)(images)[:, order]
        if np.all(signs < 0.0):
            return falling
        return np.where(signs > 0.0, getattr(self.density_, which)(images)[:, order], falling)

    def _quantile(self, q: Floats, upper: bool) -> Floats:
        mapped, order, signs = self._monotone("quantile")
        if self.n_features_in_ > 1 and not has_column_tails(self.density_):
            raise AttributeError(
                f"{type(self.density_).__name__} describes the row as a whole, and has no quantiles of every column. Take "
                "those of marginal(column), or of draws."
            )
        below, above = self._lost(mapped)
        below, above = np.exp(below), np.exp(above)
        kept = 1.0 - below - above
        images = np.empty((len(q), self.n_features_in_))
        for j, sign in zip(order, signs, strict=True):
            from_above = upper == (sign > 0.0)
            share = (above[j] if from_above else below[j]) + q * kept[j]
            images[:, j] = self.density_.quantile(np.minimum(share, 1.0), upper=from_above)[:, j]
        # an infinite image, or the end of what there is, by its neighbour
        low, high = mapped.image_range(self.n_features_in_)
        largest = np.finfo(np.float64).max
        images = np.clip(
            images, np.maximum(np.nextafter(low, 0.0), -largest), np.minimum(np.nextafter(high, 0.0), largest)
        )
        with np.errstate(over="ignore"):
            found = np.asarray(mapped.inverse(images), dtype=np.float64)
        return np.where(np.abs(found) > _BEYOND, np.copysign(np.inf, found), found)

    def _linear(self, what: str) -> tuple[Bijection, Floats, Floats]:
        """The map, and the constant and the matrix of its inverse, x = constant + z @ matrix."""
        mapped = bijection(self.transformer_)
        if not mapped.affine:
            raise AttributeError(
                f"Behind {self.transformer_!r} the {what} has no closed form. Take that of a sample, or the median, "
                "quantile(0.5)."
            )
        d = self.n_features_in_
        constant = mapped.inverse(np.zeros((1, d)))[0]
        return mapped, constant, mapped.inverse(np.eye(d)) - constant

    def _moments(self) -> tuple[Floats, Floats]:
        mapped, constant, matrix = self._linear("mean")
        mean, spread = self.density_.mean(), self.density_.covariance()
        found = mapped.monotone(self.n_features_in_)
        if found is None:
            return constant + mean @ matrix, matrix.T @ spread @ matrix
        # column by column, so that what does not exist in one does not spoil the others
        order = found[0]
        factors = matrix[order, np.arange(len(order))]
        return constant + factors * mean[order], factors[:, np.newaxis] * spread[np.ix_(order, order)] * factors

    def _mode(self) -> NDArray[Any]:
        _, constant, matrix = self._linear("mode")
        return constant + np.asarray(self.density_.mode(), dtype=np.float64) @ matrix

    def entropy(self, **options: Any) -> Estimate:
        self._check_fitted()
        mapped = bijection(self.transformer_)
        if not mapped.affine:
            return entropy(self, **options)
        stretch = float(mapped.forward(np.zeros((1, self.n_features_in_)))[1][0])
        return moved(entropy(self.density_, **options), -stretch)


def _log_less(logs: Floats, lost: Floats) -> Floats:
    """log(exp(logs) - exp(lost)), -inf where that is not positive."""
    with np.errstate(invalid="ignore", divide="ignore"):
        rest = logs + np.log1p(-np.exp(np.minimum(lost - logs, 0.0)))
    return np.where(logs > lost, rest, -np.inf)
