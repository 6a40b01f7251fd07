"""Fit and score of the first families over time: ``asv run`` in the folder ``benchmarks``."""

import numpy as np

from fastkl import DensityMLE


class Univariate:
    """A million rows of one column."""

    params = (["normal", "gamma"], ["float32", "float64"])
    param_names = ("family", "dtype")

    def setup(self, family: str, dtype: str) -> None:
        self.X = np.random.default_rng(0).gamma(3.0, 2.0, size=(1_000_000, 1)).astype(dtype)
        self.model = DensityMLE(family).fit(self.X)

    def time_fit(self, family: str, dtype: str) -> None:
        DensityMLE(family).fit(self.X)

    def time_score_samples(self, family: str, dtype: str) -> None:
        self.model.score_samples(self.X)

    def time_score_and_gradient(self, family: str, dtype: str) -> None:
        self.model.score_and_gradient(self.X)


class MultivariateNormal:
    """200 000 rows of several columns."""

    params = ([2, 8, 32, 128], [1, 2])
    param_names = ("columns", "n_jobs")

    def setup(self, columns: int, n_jobs: int) -> None:
        self.X = np.random.default_rng(0).normal(size=(200_000, columns))
        self.model = DensityMLE(n_jobs=n_jobs).fit(self.X)

    def time_fit(self, columns: int, n_jobs: int) -> None:
        DensityMLE(n_jobs=n_jobs).fit(self.X)

    def time_score_samples(self, columns: int, n_jobs: int) -> None:
        self.model.score_samples(self.X)


class SmallFits:
    """100 rows of two columns, as in grid searches and fits by group; gamma is the unit that the others are read in."""

    params = (
        [
            *("gamma", "student_t", "multivariate_t", "cauchy", "burr12", "lomax"),
            *("negative_binomial", "weibull", "gumbel", "logistic", "loglogistic"),
        ],
    )
    param_names = ("family",)

    def setup(self, family: str) -> None:
        generator = np.random.default_rng(0)
        if family == "negative_binomial":
            self.X = generator.poisson(generator.gamma(2.0, 2.0, size=(100, 2))).astype(float)
        elif family in ("student_t", "multivariate_t", "cauchy", "gumbel", "logistic"):
            self.X = generator.standard_t(4.0, size=(100, 2))
        elif family == "lomax":
            self.X = generator.pareto(2.5, size=(100, 2))
        else:
            self.X = generator.gamma(3.0, size=(100, 2))

    def time_fit(self, family: str) -> None:
        DensityMLE(family, n_jobs=1).fit(self.X)


class ManyColumns:
    """10 000 gamma fits of 1000 rows each in one call."""

    def setup(self) -> None:
        self.X = np.random.default_rng(0).gamma(3.0, 2.0, size=(1000, 10_000))

    def time_fit(self) -> None:
        DensityMLE("gamma").fit(self.X)
