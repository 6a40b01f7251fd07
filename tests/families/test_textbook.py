"""Every family against its textbook: log-density, both tails, quantiles and entropy in 50-digit arithmetic.

Families are discovered; the textbook is the formula that each carries (``textbook`` and, where an integral would be slow,
``textbook_tails`` and ``textbook_entropy``), and the parameters are its ``example`` and its ``extreme`` ones. Points are
quantiles from 1e-300 on in both tails, and beyond them up to 1000 spreads out. A log-density has to agree to 1e-13 relative, or
to 1e-13 absolute where it is below 1; the logarithms of the tails to 1e-12 relative; a quantile x to 1e-12 relative in x or in
the probability, whichever is more, since rounding either cannot be told from the other.
"""

import functools

import mpmath as mp
import numpy as np
import pytest

from fastkl import DensityMLE
from tests.families import textbook_integrals
from tests.families.discovered import CLASSES, UNIVARIATE

DIGITS = 50
SHARES = np.array([1e-300, 1e-100, 1e-20, 1e-6, 0.01, 0.2, 0.5])
STEPS = np.array([1e-3, 0.3, 5.0, 40.0, 1000.0])
# The square of it is no number.
BEYOND = np.array([-1e200, 1e200])
# Beyond it a log-density says no more than that the density is 0.
LOWEST = -1e9


class Case:
    """A univariate family at parameters of one column, and what its textbook says there."""

    def __init__(self, cls, params):
        self.cls, self.numbers = cls, params
        self.family = cls()
        self.params = {name: np.array([float(value)]) for name, value in params.items()}
        self.exact = {name: mp.mpf(float(value)) for name, value in params.items()}
        self.tails = functools.cache(self._tails)
        self.ends = self.quantile([0.0, 1.0])

    def log_density(self, x):
        return self.cls.textbook(textbook_integrals.MP, mp.mpf(float(x)), **self.exact)

    def _tails(self, x):
        """P(X <= x) and P(X > x)."""
        if x < self.ends[0] or (x == self.ends[0] and not self.cls.discrete):
            return mp.mpf(0), mp.mpf(1)
        if x >= self.ends[1]:
            return mp.mpf(1), mp.mpf(0)
        given = self.cls.textbook_tails
        return (given and given(mp, mp.mpf(x), **self.exact)) or textbook_integrals.tails(self, mp.mpf(x))

    def entropy(self):
        if self.cls.textbook_entropy is not None:
            return self.cls.textbook_entropy(mp, **self.exact)
        return textbook_integrals.entropy(self)

    @functools.cached_property
    def points(self):
        """Points of the support on which the density is not 0 to double precision."""
        low, high = self.quantile(SHARES), self.upper_quantile(SHARES)
        centre, spread = low[-1], self.upper_quantile([0.25])[0] - self.quantile([0.25])[0]
        with np.errstate(over="ignore", invalid="ignore"):  # points that are no numbers are left out below
            away = np.concatenate([-STEPS, STEPS]) * max(spread, float(self.cls.discrete))
            factors = 10.0 ** np.array([-30.0, -3.0, 3.0, 30.0])
            points = np.concatenate([low, high, centre + away, centre * factors, BEYOND])
        if self.cls.discrete:
            points = np.rint(points)
        points = np.unique(points[(points >= self.ends[0]) & (points <= self.ends[1]) & np.isfinite(points)])
        with mp.workdps(DIGITS):
            return np.array([x for x in points if self._seen(x)])

    def _seen(self, x):
        first, last, _ = self.cls.support
        return first <= x <= last and self.log_density(x) > LOWEST

    @functools.cached_property
    def ends(self):
        """Lower and upper end of the support."""
        return [float(end) for end in self.quantile([0.0, 1.0])]

    def quantile(self, p):
        return self.family.quantile(np.asarray(p)[:, None], self.params)[:, 0]

    def upper_quantile(self, q):
        return self.family.upper_quantile(np.asarray(q)[:, None], self.params)[:, 0]


@functools.cache
def cases():
    """Families with one column, by name and parameters."""
    found = {}
    for name in UNIVARIATE:
        cls = CLASSES[name]
        columns = [{key: value[j] for key, value in cls.example.items()} for j in range(2)]
        for params in [*columns, *cls.extreme]:
            found[f"{name}-{'-'.join(f'{value:g}' for value in params.values())}"] = Case(cls, params)
    return found


@pytest.fixture(params=cases())
def case(request):
    with mp.workdps(DIGITS):
        yield cases()[request.param]


def test_log_density(case):
    x = case.points
    got = DensityMLE.from_parameters(case.family, **case.numbers).score_samples(x[:, None])
    want = np.array([float(case.log_density(v)) for v in x])
    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-13)


def test_tails(case):
    x = case.points
    tails = [case.tails(v) for v in x]
    below = np.array([float(logarithm(low, high)) for low, high in tails])
    above = np.array([float(logarithm(high, low)) for low, high in tails])
    family, column = case.family, x[:, None]
    # numbers below 1e-300 have fewer digits than the rest
    np.testing.assert_allclose(family.log_cdf(column, case.params)[:, 0], below, rtol=1e-12, atol=1e-300, err_msg="cdf")
    np.testing.assert_allclose(family.log_sf(column, case.params)[:, 0], above, rtol=1e-12, atol=1e-300, err_msg="sf")
    np.testing.assert_allclose(
        family.cdf(column, case.params)[:, 0], [float(low) for low, _ in tails], rtol=1e-12, atol=1e-300
    )
    np.testing.assert_allclose(
        family.sf(column, case.params)[:, 0], [float(high) for _, high in tails], rtol=1e-12, atol=1e-300
    )


def logarithm(share, rest):
    """log(share), from the rest where that is the smaller one."""
    if share == 0:
        return mp.mpf("-inf")
    return mp.log(share) if share < rest else mp.log1p(-rest)


SIDES = pytest.mark.parametrize("upper", [False, True], ids=["lower", "upper"])
PROBABILITIES = np.array([1e-300, 1e-100, 1e-20, 1e-9, 1e-3, 0.1, 0.5, 0.7, 0.999, 1.0 - 2.0**-40])


@SIDES
def test_quantiles(case, upper):
    x = case.upper_quantile(PROBABILITIES) if upper else case.quantile(PROBABILITIES)
    side = 1 if upper else 0
    for p, value in zip(PROBABILITIES, x, strict=True):
        p = mp.mpf(float(p))
        if case.cls.discrete:
            tails = [case.tails(value), case.tails(value - 1.0)]
            here, before = (abs(tail[side] - p) <= p * mp.mpf(1e-12) for tail in tails)
            enough = [tail[0] >= p if side == 0 else tail[1] <= p for tail in tails]
            assert enough[0] or here, p
            assert not enough[1] or before, p
            continue
        if abs(value) < 1e-300 or abs(value) > 1e300:
            continue  # the quantile itself leaves the range of numbers with all their digits
        share, rest = case.tails(value)[:: -1 if upper else 1]
        if abs(share / p - 1) <= 1e-12 if p <= 0.5 else abs(rest / (1 - p) - 1) <= 1e-12:
            continue
        around = [case.tails(mp.mpf(float(value)) * (1 + step))[side] for step in (mp.mpf(-1e-12), mp.mpf(1e-12))]
        assert min(around) <= p <= max(around), (float(p), value)


@SIDES
def test_quantiles_at_the_ends(case, upper):
    quantile = case.upper_quantile if upper else case.quantile
    first, last = quantile([0.0, 1.0])[:: -1 if upper else 1]
    assert first < last
    assert np.isnan(quantile([-0.1, 1.1, np.nan])).all()
    column = np.array([[first], [last]])
    family = case.family
    if not case.cls.discrete:
        np.testing.assert_array_equal(family.log_cdf(column, case.params)[:, 0], [-np.inf, 0.0])
        np.testing.assert_array_equal(family.log_sf(column, case.params)[:, 0], [0.0, -np.inf])
    if case.cls.periodic:
        angles = np.array([[first + 0.3], [last - 0.3]])
        for tail in (family.log_cdf, family.log_sf):
            for turn in (-2.0 * np.pi, 2.0 * np.pi):
                np.testing.assert_allclose(tail(angles + turn, case.params), tail(angles, case.params), rtol=1e-12)
        return
    beyond = np.array([[first - 1.0], [last + 1.0], [-np.inf], [np.inf], [np.nan]])
    np.testing.assert_array_equal(family.log_cdf(beyond, case.params)[:, 0], [-np.inf, 0.0, -np.inf, 0.0, np.nan])
    np.testing.assert_array_equal(family.log_sf(beyond, case.params)[:, 0], [0.0, -np.inf, 0.0, -np.inf, np.nan])
    outside = np.array([x for x in (first - 1.0, last + 1.0, first - 1e-3, last + 1e-3) if np.isfinite(x)])
    if len(outside):
        score = DensityMLE.from_parameters(family, **case.numbers).score_samples(outside[:, None])
        np.testing.assert_array_equal(score, -np.inf)


@pytest.mark.parametrize("name", [name for name, case in cases().items() if case.cls.discrete])
def test_steps_of_counts(name):
    """The quantile at a step of the distribution function is the count at which it steps."""
    case = cases()[name]
    with mp.workdps(DIGITS):
        family, params, k = case.family, case.params, case.points[:, None]
    for tail, quantile, certain in ((family.cdf, family.quantile, 1.0), (family.sf, family.upper_quantile, 0.0)):
        here, before = tail(k, params), tail(k - 1.0, params)
        # a probability that rounds to certainty is reached at the end of the support only
        expected = np.where(here == certain, case.ends[1], k)
        steps = here != before
        np.testing.assert_array_equal(quantile(here, params)[steps], expected[steps])


def test_entropy(case):
    got = case.family.entropy(case.params)
    if got is None:
        pytest.skip("no closed form")
    np.testing.assert_allclose(got, float(case.entropy()), rtol=1e-12, atol=1e-12)


# -- shapes ----------------------------------------------------------------------------------------------------------------


def test_shapes():
    """x may be anything that broadcasts against the columns, and the result has the broadcast shape."""
    for name in UNIVARIATE:
        cls = CLASSES[name]
        family, params = cls(), {key: np.array(value) for key, value in cls.example.items()}
        for p in (0.3, np.array([0.2, 0.7]), np.full((5, 1), 0.4), np.full((4, 3, 2), 0.1)):
            shape = np.broadcast_shapes(np.shape(p), (2,))
            x = family.quantile(p, params)
            assert x.shape == family.upper_quantile(p, params).shape == shape, name
            for function in (family.log_cdf, family.log_sf, family.cdf, family.sf):
                assert function(x, params).shape == shape, name
                assert function(p, params).shape == shape, name
