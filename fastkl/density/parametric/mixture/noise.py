"""Rows measured with noise of a known covariance: a mixture of the noise-free rows is fitted to them, and scores them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh
from scipy.special import xlogy

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import AnyRows, Rows
from fastkl.density.parametric.inference import FitInference
from fastkl.density.parametric.mixture.posterior import PosteriorMembers, weighted
from fastkl.families.mixture import Mixture
from fastkl.families.multivariate_normal import MultivariateNormal, full_covariance

NO_SPREAD = 1e-5  # of the variance of a measurement: less of it is on its way to 0


def with_noise(
    mixture: Mixture, rows: Rows, noise_covariance: ArrayLike | None, sample_weight: ArrayLike | None
) -> Rows:
    """The rows with the noise of their measurement, checked; the caller may have more of them, of weight 0."""
    if noise_covariance is None:
        return rows
    n_rows = len(rows.X) if sample_weight is None or np.ndim(sample_weight) == 0 else np.shape(sample_weight)[0]
    if not all(isinstance(one, MultivariateNormal) for one in mixture.component_families):
        raise ValueError("noise_covariance is for components of the family multivariate_normal.")
    noise, d = np.asarray(noise_covariance, dtype=np.float64), rows.n_columns
    if noise.shape == (d, d) and n_rows == d:
        raise ValueError(
            f"A noise_covariance of shape {noise.shape} for {n_rows} rows may be one matrix for all rows or variances of each: "
            f"pass one of shape {(n_rows, d, d)}."
        )
    if noise.shape == (d, d):
        noise = noise[None]
    elif noise.shape not in ((n_rows, d, d), (n_rows, d)):
        raise ValueError(
            f"noise_covariance has shape {noise.shape}; for these rows it is {(n_rows, d, d)} (a matrix for each), {(n_rows, d)} "
            f"(variances for each) or {(d, d)} (a matrix for all)."
        )
    if len(noise) == n_rows and rows.index is not None and noise.shape[0] != len(rows.X):
        noise = noise[rows.index]  # rows of weight 0 were left out
    _check(noise, rows)
    if np.isnan(rows.X).any():
        raise ValueError(
            "Rows have missing values or noise_covariance, not both: give a missing value the column's mean and a very large "
            "variance."
        )
    return replace(rows, noise=np.ascontiguousarray(noise))


def _check(noise: Floats, rows: Rows) -> None:
    """ValueError naming the first row whose noise is no covariance."""
    flat = noise.reshape(len(noise), -1)
    bad = ~np.isfinite(flat).all(axis=1)
    if noise.ndim == 2:
        bad |= (flat < 0.0).any(axis=1)
    elif not bad.any():
        size = np.abs(noise).max(axis=(1, 2))
        bad |= np.abs(noise - noise.swapaxes(1, 2)).max(axis=(1, 2)) > 1e-10 * size
        bad |= np.linalg.eigvalsh(noise)[:, 0] < -1e-10 * size
    if bad.any():
        at = int(np.argmax(bad))
        whose = "of all rows" if noise.ndim == 3 and len(noise) == 1 else f"of {rows.row(at)}"
        what = "variances of at least 0" if noise.ndim == 2 else "a symmetric positive semi-definite matrix"
        raise ValueError(f"The noise_covariance {whose} is not {what}, all finite: {noise[at].tolist()}.")


def without_spread(mixture: Mixture, params: Params, rows: AnyRows) -> dict[str, str]:
    """A sentence for each covariance that goes to 0 in a direction in which the noise alone explains the rows."""
    if not isinstance(rows, Rows) or rows.noise is None:
        return {}
    noise, found = np.mean(rows.noise, axis=0), {}
    components = mixture.split(params)
    for group in mixture.layout.groups:
        for i, k in enumerate(group.members[:1] if group.tied else group.members):
            covariance = full_covariance(group.family, components[k])[1]
            total = covariance + (noise if noise.ndim == 2 else np.diag(noise))
            own = float(eigh(covariance, total, eigvals_only=True)[0])
            if own < NO_SPREAD and "covariance" not in group.family.fixed_parameters():
                found[f"{group.key('covariance')}[{i}]"] = (
                    "the noise explains all that its rows differ by in one direction: its variance goes to 0 there (now "
                    f"{own:.1g} of what is measured), and standard errors do not hold. Is noise_covariance too large?"
                )
    return found


def noise_mark(rows: AnyRows) -> dict[str, Any]:
    """A mark among the statistics of rows with noise: what takes them again without it would be of another fit."""
    return {"noise": np.float64(1.0)} if isinstance(rows, Rows) and rows.noise is not None else {}


def _refuse(X: object, sample_weight: object) -> Rows:
    """ValueError for rows that are asked for without their noise."""
    raise ValueError(
        "This mixture was fitted to rows measured with noise (noise_covariance), which robust errors, profiles, bootstrap and "
        "TIC do not take: without it they are those of another fit. standard_errors_ and confidence_intervals() know of it."
    )


class NoiseMembers(PosteriorMembers):
    """Scores and posteriors that take the noise with which rows were measured."""

    @property
    def inference_(self) -> FitInference:
        """The uncertainty of the parameters; a fit to rows with noise has what needs no rows again."""
        found = super().inference_
        return replace(found, read=_refuse) if "noise" in self.statistics_ else found

    def _measured(self, X: ArrayLike, sample_weight: ArrayLike | None, noise_covariance: ArrayLike | None) -> Rows:
        rows = self._read(X, sample_weight)
        return with_noise(self.family_, rows, noise_covariance, sample_weight)

    def score_samples(self, X: ArrayLike, *, noise_covariance: ArrayLike | None = None) -> Floats:
        """Log-density of every row.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.
        noise_covariance : array-like of shape (n, d, d), (n, d) or (d, d), default=None
            Of the noise with which each row was measured, as for ``fit``: the log-density is then that of a measurement.
            None takes the rows for noise-free.

        Returns
        -------
        ndarray of shape (n,)
            In nats; -inf outside the support. Of a row with missing values (NaN), which normal densities take, that of
            the values that are known.
        """
        return self._log_density_of(self._measured(X, None, noise_covariance))

    def log_likelihood(
        self, X: ArrayLike, sample_weight: ArrayLike | None = None, *, noise_covariance: ArrayLike | None = None
    ) -> float:
        """Weighted total log-likelihood of the rows, in nats.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0.
        noise_covariance : array-like of shape (n, d, d), (n, d) or (d, d), default=None
            Of the noise with which each row was measured; None takes the rows for noise-free.

        Returns
        -------
        float
            The total; -inf if a row lies outside the support.
        """
        if noise_covariance is None:
            return super().log_likelihood(X, sample_weight)
        rows = self._measured(X, sample_weight, noise_covariance)
        return weighted(self._log_density_of(rows), rows)

    def aic(
        self, X: ArrayLike, sample_weight: ArrayLike | None = None, *, noise_covariance: ArrayLike | None = None
    ) -> float:
        """Akaike's criterion 2 p - 2 log L on the rows; lower is better.

        Parameters
        ----------
        X : array-like of shape (n, d)
            The rows the mixture was fitted to.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0.
        noise_covariance : array-like of shape (n, d, d), (n, d) or (d, d), default=None
            Of the noise with which each row was measured, as for ``fit``.

        Returns
        -------
        float
            The criterion, in nats times 2 (H. Akaike 1974, doi:10.1109/TAC.1974.1100705).
        """
        total = self.log_likelihood(X, sample_weight, noise_covariance=noise_covariance)
        return 2.0 * self.n_parameters_ - 2.0 * total

    def icl(
        self, X: ArrayLike, sample_weight: ArrayLike | None = None, *, noise_covariance: ArrayLike | None = None
    ) -> float:
        """Integrated completed likelihood: ``bic`` plus twice the entropy of the responsibilities; lower is better.

        It counts against components that overlap, and so tells clusters rather than shapes of the density.

        Parameters
        ----------
        X : array-like of shape (n, d)
            The rows the mixture was fitted to.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0.
        noise_covariance : array-like of shape (n, d, d), (n, d) or (d, d), default=None
            Of the noise with which each row was measured, as for ``fit``.

        Returns
        -------
        float
            The criterion, in nats times 2 (C. Biernacki, G. Celeux, G. Govaert 2000, doi:10.1109/34.865189, with the
            entropy of G. McLachlan and D. Peel 2000 for their most probable components).
        """
        rows = with_noise(self.family_, self._read_marked(X, sample_weight), noise_covariance, sample_weight)
        shares = self._posterior(rows)
        entropy: Floats = -xlogy(shares, shares).sum(axis=1)
        return self.bic(X, sample_weight, noise_covariance=noise_covariance) + 2.0 * weighted(entropy, rows)

    def bic(
        self, X: ArrayLike, sample_weight: ArrayLike | None = None, *, noise_covariance: ArrayLike | None = None
    ) -> float:
        """Schwarz's criterion p log n - 2 log L on the rows, n being the sum of the weights; lower is better.

        Parameters
        ----------
        X : array-like of shape (n, d)
            The rows the mixture was fitted to.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0.
        noise_covariance : array-like of shape (n, d, d), (n, d) or (d, d), default=None
            Of the noise with which each row was measured, as for ``fit``.

        Returns
        -------
        float
            The criterion, in nats times 2 (G. Schwarz 1978, doi:10.1214/aos/1176344136).
        """
        if noise_covariance is None:
            return super().bic(X, sample_weight)
        rows = self._measured(X, sample_weight, noise_covariance)
        total = weighted(self._log_density_of(rows), rows)
        return float(self.n_parameters_ * np.log(rows.total_weight) - 2.0 * total)

    def predict_proba(self, X: ArrayLike, *, noise_covariance: ArrayLike | None = None) -> Floats:
        r"""Posterior probability of every component given a row, :math:`p(z = k \mid x)`: its responsibility for the row.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.
        noise_covariance : array-like of shape (n, d, d), (n, d) or (d, d), default=None
            Of the noise with which each row was measured; None takes the rows for noise-free.

        Returns
        -------
        ndarray of shape (n, K)
            Rows sum to 1.

        Raises
        ------
        SupportError
            If a row lies outside the support of every component.
        """
        return self._posterior(self._measured(X, None, noise_covariance))

    def predict(self, X: ArrayLike, *, noise_covariance: ArrayLike | None = None) -> NDArray[np.intp]:
        """The most probable component of every row.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.
        noise_covariance : array-like of shape (n, d, d), (n, d) or (d, d), default=None
            Of the noise with which each row was measured; None takes the rows for noise-free.

        Returns
        -------
        ndarray of shape (n,)
            Numbers from 0 to K - 1; the first of equally probable ones.
        """
        return np.asarray(np.argmax(self.predict_proba(X, noise_covariance=noise_covariance), axis=1))

    def denoise(self, X: ArrayLike, noise_covariance: ArrayLike) -> Floats:
        """The expected noise-free row of every measured one, given the mixture.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Measured rows.
        noise_covariance : array-like of shape (n, d, d), (n, d) or (d, d)
            Of the noise with which each row was measured.

        Returns
        -------
        ndarray of shape (n, d)
            Posterior means: nearer to the components than the measurements, the more so the larger the noise.

        Raises
        ------
        ValueError
            If the covariances do not fit the rows, or components are not normal.

        Examples
        --------
        >>> from fastkl import MixtureMLE
        >>> model = MixtureMLE.from_parameters(weights=[1.0], mean=[[0.0, 0.0]], covariance=[[[1.0, 0.0], [0.0, 1.0]]])
        >>> model.denoise([[2.0, 2.0]], [[1.0, 0.0]])
        array([[1., 2.]])
        """
        if noise_covariance is None:
            raise TypeError("denoise takes the covariance of the noise, not None.")
        rows = self._measured(X, None, noise_covariance)
        expected: Floats = self.family_.expected_rows(rows, self.params_)
        return expected
