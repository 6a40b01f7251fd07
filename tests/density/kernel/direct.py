"""Kernel densities written out: every pair, in numpy and in mpmath."""

import mpmath
import numpy as np
from scipy.special import gammaln, logsumexp


def log_kernel(name, square):
    """log k of squared distances in bandwidths."""
    r = np.sqrt(square)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "gaussian": lambda: -0.5 * square,
            "exponential": lambda: -r,
            "epanechnikov": lambda: np.where(r < 1, np.log1p(-np.minimum(square, 1.0)), -np.inf),
            "tophat": lambda: np.where(r < 1, 0.0, -np.inf),
            "linear": lambda: np.where(r < 1, np.log1p(-np.minimum(r, 1.0)), -np.inf),
            "cosine": lambda: np.where(r < 1, np.log(np.sin(0.5 * np.pi * (1.0 - np.minimum(r, 1.0)))), -np.inf),
        }[name]()


def log_integral(name, d):
    """Of k over all u, by quadrature of the radius in 30 digits."""
    k = {
        "gaussian": lambda r: mpmath.exp(-r * r / 2),
        "exponential": lambda r: mpmath.exp(-r),
        "epanechnikov": lambda r: 1 - r * r,
        "tophat": lambda r: mpmath.mpf(1),
        "linear": lambda r: 1 - r,
        "cosine": lambda r: mpmath.cos(mpmath.pi * r / 2),
    }[name]
    with mpmath.workdps(30):
        ends = [0, 1] if name not in ("gaussian", "exponential") else [0, d**0.5, 2 * d + 5, 20 * d + 200]
        radial = mpmath.quad(lambda r: k(r) * r ** (d - 1), ends)
        surface = 2 * mpmath.pi ** (mpmath.mpf(d) / 2) / mpmath.gamma(mpmath.mpf(d) / 2)
        return float(mpmath.log(surface * radial))


def log_densities(X, references, bandwidth, name="gaussian", weights=None, leave_one_out=False):
    """By all pairs; ``bandwidth`` one for each column."""
    h = np.broadcast_to(np.asarray(bandwidth, dtype=float), references.shape[1])
    square = np.zeros((len(X), len(references)))
    for j, width in enumerate(h):
        square += ((X[:, j][:, None].astype(float) - references[:, j].astype(float)) / width) ** 2
    weights = np.ones(len(references)) if weights is None else np.asarray(weights, dtype=float)
    total = np.full(len(X), weights.sum())
    logs = log_kernel(name, square)
    if leave_one_out:
        np.fill_diagonal(logs, -np.inf)
        total = total - weights
    return logsumexp(logs, b=weights, axis=1) - np.log(total) - log_integral(name, len(h)) - np.log(h).sum()


def log_density_to_fifty_digits(x, references, bandwidth):
    """Of one row, Gaussian kernel."""
    with mpmath.workdps(50):
        total = mpmath.mpf(0)
        for row in references:
            square = sum(((mpmath.mpf(float(a)) - mpmath.mpf(float(b))) / mpmath.mpf(float(h))) ** 2
                         for a, b, h in zip(x, row, bandwidth, strict=True))  # fmt: skip
            total += mpmath.exp(-square / 2)
        volume = mpmath.fprod(mpmath.mpf(float(h)) * mpmath.sqrt(2 * mpmath.pi) for h in bandwidth)
        return float(mpmath.log(total / len(references) / volume))


def log_ball(d):
    return 0.5 * d * np.log(np.pi) - gammaln(0.5 * d + 1.0)


def log_label_kernel(kind, x, y, width, labels=None):
    """Of all pairs: Aitchison and Aitken's of so many categories, Wang and van Ryzin's of whole numbers or of so many places."""
    apart = np.abs(x[:, None] - y[None, :])
    with np.errstate(divide="ignore"):
        if kind == "categorical":
            return np.log(np.where(apart == 0, 1.0 - width, width / max(1, labels - 1)))
        kernel = np.where(apart == 0, 1.0 - width, 0.5 * (1.0 - width) * width**apart)
        if labels is not None:
            places = np.arange(labels)
            apart = np.abs(places[:, None] - y[None, :])
            kernel = kernel / np.where(apart == 0, 1.0 - width, 0.5 * (1.0 - width) * width**apart).sum(axis=0)
        return np.log(kernel)


def mixed_log_densities(X, references, bandwidth, types, name="gaussian", weights=None, leave_one_out=False):
    """By all pairs; ``types`` has (kind, number of labels or None) for the columns that are not continuous."""
    inside = [j for j in range(X.shape[1]) if j not in types]
    square = np.zeros((len(X), len(references)))
    for j in inside:
        square += ((X[:, j][:, None] - references[:, j]) / bandwidth[j]) ** 2
    logs = log_kernel(name, square) if inside else square
    for j, (kind, labels) in types.items():
        logs = logs + log_label_kernel(kind, X[:, j], references[:, j], bandwidth[j], labels)
    weights = np.ones(len(references)) if weights is None else np.asarray(weights, dtype=float)
    total = np.full(len(X), weights.sum())
    if leave_one_out:
        np.fill_diagonal(logs, -np.inf)
        total = total - weights
    constant = log_integral(name, len(inside)) + np.log([bandwidth[j] for j in inside]).sum() if inside else 0.0
    with np.errstate(divide="ignore"):
        return logsumexp(logs, b=weights, axis=1) - np.log(total) - constant
