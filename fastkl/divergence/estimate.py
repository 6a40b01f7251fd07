"""The result of every divergence call: a number in nats with its uncertainty and diagnostics."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from math import log
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from scipy.special import ndtri

from fastkl._core.text_tables import html_facts
from fastkl.divergence.interval_picture import interval_picture

# The method of a value that was computed, not estimated.
EXACT = "exact"
# Attributes of results elsewhere, by what they are here.
_ELSEWHERE = {
    "value": ["estimate", "statistic", "item", "numpy", "score"],
    "standard_error": ["se", "std", "sd", "stderr", "std_error", "error"],
    "confidence_interval(level)": ["interval", "ci", "conf_int", "confint"],
    "reasons": ["warnings", "flags", "message"],
    "fastkl.permutation_test(x, y).p_value": ["pvalue", "p_value"],
}
_HERE = {name: here for here, names in _ELSEWHERE.items() for name in names}


class ConfidenceInterval(NamedTuple):
    """Lower and upper end of a confidence interval, in nats.

    Parameters
    ----------
    low, high : float
        The ends.

    Examples
    --------
    >>> from fastkl import Estimate
    >>> interval = Estimate(0.5, standard_error=0.1).confidence_interval(0.9)
    >>> interval.low < 0.34 < 0.66 < interval.high
    True
    """

    low: float
    high: float


class Estimate(float):
    """An estimate in nats, with its standard error, the way it was obtained, and diagnostics.

    It is a float (arithmetic gives plain floats) and is returned as estimated: a negative estimate of a divergence is
    never clamped to 0, since that would hide how uncertain it is.

    Parameters
    ----------
    value : float
        The estimate, in nats.
    standard_error : float, default=nan
        Standard error in nats: 0 for exact values, nan where it was not asked for or is not known.
    n_samples : int or tuple of int, default=0
        Rows used: of the sample, or of both samples; 0 for exact values.
    method : str, default="exact"
        How the value was obtained.
    diagnostics : mapping, default=None
        Further numbers. ``"reasons"`` (list of sentences) and ``"bias_suspected"`` (by default whether there are some) are always
        there, and are attributes of these names too.

    Attributes
    ----------
    value : float
        The estimate as a plain float.
    standard_error : float
        As given.
    n_samples : int or tuple of int
        As given.
    method : str
        As given.
    diagnostics : mapping
        As given, read-only.
    bias_suspected : bool
        Whether there is a reason to doubt the value.
    reasons : list of str
        The doubts, a sentence each.
    bits : float
        The estimate in bits: nats over log 2.

    Examples
    --------
    >>> from fastkl import Estimate
    >>> e = Estimate(0.25, standard_error=0.05, n_samples=400, method="knn")
    >>> e + 1
    1.25
    >>> low, high = e.confidence_interval(0.95)
    >>> round(low, 3), round(high, 3)
    (0.152, 0.348)
    >>> round(e.bits, 4)
    0.3607
    >>> e.bias_suspected, e.reasons
    (False, [])
    """

    standard_error: float
    n_samples: int | tuple[int, ...]
    method: str
    diagnostics: Mapping[str, Any]

    def __new__(
        cls,
        value: float,
        standard_error: float = float("nan"),
        n_samples: int | tuple[int, ...] = 0,
        method: str = EXACT,
        diagnostics: Mapping[str, Any] | None = None,
    ) -> Estimate:
        self = super().__new__(cls, value)
        self.standard_error = float(standard_error)
        self.n_samples = n_samples
        self.method = method
        given = diagnostics or {}
        self.diagnostics = MappingProxyType({"bias_suspected": bool(given.get("reasons")), "reasons": [], **given})
        return self

    if not TYPE_CHECKING:  # a checker of types has to see that an attribute is missing

        def __getattr__(self, name: str) -> Any:
            """Called for what is not there alone: an error that says what it is here."""
            here = f". Here it is {_HERE[name]}." if name in _HERE else ""
            raise AttributeError(f"'Estimate' object has no attribute {name!r}{here}")

    @property
    def value(self) -> float:
        """The estimate as a plain float, in nats."""
        return float(self)

    @property
    def bias_suspected(self) -> bool:
        """Whether there is a reason to doubt the value: ``diagnostics["bias_suspected"]``."""
        return bool(self.diagnostics["bias_suspected"])

    @property
    def reasons(self) -> list[str]:
        """The doubts about the value, a sentence each: those of ``diagnostics["reasons"]``."""
        return list(self.diagnostics["reasons"])

    @property
    def bits(self) -> float:
        """The estimate in bits: nats over log 2."""
        return float(self) / log(2.0)

    def confidence_interval(self, level: float = 0.95) -> ConfidenceInterval:
        """Interval that covers the expectation of the estimator with probability ``level``, by its normal limit.

        Parameters
        ----------
        level : float, default=0.95
            Between 0 and 1.

        Returns
        -------
        ConfidenceInterval
            ``(low, high)`` in nats; both nan when there is no standard error.

        Raises
        ------
        ValueError
            If the level is not between 0 and 1.
        """
        if not 0.0 < level < 1.0:
            raise ValueError(f"A confidence level lies between 0 and 1; {level!r} does not.")
        half = float(ndtri(0.5 + level / 2.0)) * self.standard_error
        return ConfidenceInterval(self.value - half, self.value + half)

    def __repr__(self) -> str:
        error = "" if not self.standard_error > 0.0 else f" ± {self.standard_error:.3g}"
        flag = ", bias suspected" if self.bias_suspected else ""
        return f"Estimate({self.value:.6g}{error} nats, method={self.method!r}, n_samples={self.n_samples}{flag})"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        low, high = self.confidence_interval()
        facts: dict[str, str] = {}
        if self.standard_error > 0.0:
            facts |= {"standard error": f"{self.standard_error:.3g}", "95 % interval": f"{low:.6g} ... {high:.6g}"}
        facts["method"] = html.escape(self.method)
        if self.n_samples:
            facts["rows"] = str(self.n_samples)
        reasons = "".join(f"<div>{html.escape(str(reason))}</div>" for reason in self.reasons)
        flag = "<div><strong>bias suspected</strong></div>" if self.bias_suspected else ""
        picture = interval_picture(self.value, low, high, f"95 % interval from {low:.3g} to {high:.3g} nats")
        return f"<div><strong>{self.value:.6g} nats</strong>{picture}{html_facts(facts)}{flag}{reasons}</div>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (
            self.value, self.standard_error, self.n_samples, self.method, dict(self.diagnostics),
        )  # fmt: skip


class OfBoth(str):
    """A reason that is about two samples alike: said of one direction of a divergence, it need not be said of the other.

    Parameters
    ----------
    sentence : str
        The reason.
    subject : str
        What it is about, by which such a reason is known again.
    """

    subject: str

    def __new__(cls, sentence: str, subject: str = "") -> OfBoth:
        self = super().__new__(cls, sentence)
        self.subject = subject
        return self


def subjects_of(reasons: Iterable[str]) -> set[str]:
    """What those of the reasons are about that are about two samples alike."""
    return {reason.subject for reason in reasons if isinstance(reason, OfBoth)}


def is_below_zero(value: float, error: float) -> bool:
    """Whether an estimate of what is never negative is so by more than chance."""
    return value < -3.0 * error


def doubted(
    estimate: Estimate, reasons: list[str], more: Mapping[str, Any] | None = None, *, error: float | None = None
) -> Estimate:
    """An estimate with other reasons to doubt it, further diagnostics, and its own error or another."""
    error = estimate.standard_error if error is None else error
    diagnostics = {**estimate.diagnostics, **(more or {}), "bias_suspected": bool(reasons), "reasons": reasons}
    return Estimate(float(estimate), error, estimate.n_samples, estimate.method, diagnostics)


def moved(estimate: Estimate, nats: float) -> Estimate:
    """An estimate moved by a number that is known, as the entropy of columns in other units."""
    return Estimate(
        float(estimate) + nats, estimate.standard_error, estimate.n_samples, estimate.method, estimate.diagnostics
    )
