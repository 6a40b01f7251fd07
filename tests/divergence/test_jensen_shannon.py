"""Jensen-Shannon divergence of samples that hardly overlap, and of weighted ones: errors that reach to the truth, or a reason."""

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.spatial import distance

from fastkl import jensen_shannon

LOG_2 = np.log(2.0)


@pytest.mark.parametrize("sizes", [(10, 10), (60, 180), (100, 100), (1000, 1000)])
def test_the_error_of_separated_samples_reaches_log_2(sizes):
    rng = np.random.default_rng(0)
    for gap in (50.0, 1e6):
        x, y = rng.normal(size=sizes[0]), rng.normal(gap, 1.0, sizes[1])
        found = jensen_shannon(x, y, n_neighbors=5)
        assert found <= LOG_2 <= found + 1.0001 * found.standard_error
        assert found.standard_error > 0.1 / max(sizes)
        assert found.diagnostics["bias_suspected"]
        assert found.diagnostics["large_balls"] == 1.0
        low, high = found.confidence_interval(0.95)
        assert low < LOG_2 < high
        # who tells the rows apart knows better, but for a row or two among those not seen
        assert abs(jensen_shannon(x, y) - LOG_2) < 0.01 * found.standard_error + 1e-3


@pytest.mark.parametrize("columns", [1, 3])
def test_samples_that_are_mostly_apart_are_told_apart_without_a_doubt(columns):
    """Around 4 standard deviations neighbours alone lack .03 to .1 of .633, with a flag, and an error as large."""
    truth = float(jensen_shannon(stats.norm(), stats.norm(4.0)))
    found = []
    for seed in range(10):
        x, y = np.random.default_rng(seed).normal(size=(2, 200, columns))
        y[:, 0] += 4.0
        found.append(jensen_shannon(x, y))
    assert sum(abs(e - truth) > 2.0 * e.standard_error for e in found) <= 2
    assert abs(np.mean(found) - truth) < 0.02
    assert not any(e.bias_suspected for e in found)
    assert max(e.standard_error for e in found) < 0.05


@pytest.mark.parametrize("shift", [0.0, 1.0, 3.0])
def test_the_error_where_samples_overlap(shift):
    truth = float(jensen_shannon(stats.norm(), stats.norm(shift)))
    rng = np.random.default_rng(1)
    for sizes in ((300, 300), (100, 1000)):
        found = [jensen_shannon(rng.normal(size=sizes[0]), rng.normal(shift, 1.0, sizes[1])) for _ in range(25)]
        assert sum(abs(e - truth) > 3.0 * e.standard_error for e in found) <= 1
        if shift < 3.0:
            assert not any(e.diagnostics["bias_suspected"] for e in found)
            # of equal distributions the larger of two estimates varies less than either
            assert np.mean([e.standard_error for e in found]) < (2.0 if shift else 3.0) * np.std(found)


def test_atoms_are_not_far_from_anything():
    rng = np.random.default_rng(2)
    x, y = rng.poisson(0.5, 500).astype(float), rng.poisson(0.5, 500).astype(float)
    assert jensen_shannon(x, y).diagnostics["large_balls"] == 0.0


WEIGHTS = {
    "uniform": lambda rng, n: rng.uniform(0.0, 2.0, n),
    "lognormal 1": lambda rng, n: rng.lognormal(0.0, 1.0, n),
    "lognormal 1.5": lambda rng, n: rng.lognormal(0.0, 1.5, n),
    "Pareto": lambda rng, n: 1.0 + rng.pareto(1.2, n),
}


@pytest.mark.parametrize("kind", list(WEIGHTS))
@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_weights_that_say_nothing_of_the_rows(kind, shift):
    truth = float(jensen_shannon(stats.norm(), stats.norm(shift)))
    found = []
    for seed in range(15):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=1000), rng.normal(shift, 1.0, 1000)
        found.append(jensen_shannon(x, y, sample_weight_q=WEIGHTS[kind](rng, 1000)))
        both = jensen_shannon(x, y, sample_weight_p=WEIGHTS[kind](rng, 1000), sample_weight_q=WEIGHTS[kind](rng, 1000))
        found.append(both)
    silent = [e for e in found if not e.diagnostics["bias_suspected"]]
    assert len(silent) >= 20
    assert sum(abs(e - truth) > 3.0 * e.standard_error for e in silent) <= 1
    assert abs(np.mean(found) - truth) < np.mean([e.standard_error for e in found]) + 0.01


def test_importance_weights_and_equal_weights():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=2000), rng.normal(0.0, 1.5, 2000)
    found = jensen_shannon(x, y, sample_weight_q=stats.norm.pdf(y, 1.0) / stats.norm.pdf(y, 0.0, 1.5))
    assert abs(found - float(jensen_shannon(stats.norm(), stats.norm(1)))) < 3.0 * found.standard_error
    assert not found.diagnostics["bias_suspected"]
    plain = jensen_shannon(x[:300], y)
    weighted = jensen_shannon(x[:300], y, sample_weight_p=np.full(300, 0.3), sample_weight_q=np.full(2000, 7.0))
    assert weighted == pytest.approx(plain, abs=1e-12)
    assert weighted.diagnostics["n_neighbors"] == plain.diagnostics["n_neighbors"]


def test_what_no_divergence_is_is_said():
    """Weights that all but pick ten rows, with the neighbours held at one: beyond the range by more than the error."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=500), rng.normal(size=500)
        found = jensen_shannon(x, y, sample_weight_q=rng.lognormal(0.0, 3.0, 500), n_neighbors=1)
        wrong = not -3.0 * found.standard_error < found < LOG_2 + 3.0 * found.standard_error
        assert found.diagnostics["bias_suspected"] or not wrong


@pytest.mark.filterwarnings("error")
def test_weighted_atoms_that_one_sample_lacks():
    rng = np.random.default_rng(4)
    x, y = np.repeat([0.0, 1.0, 3.0], [300, 199, 1]), np.repeat([0.0, 2.0], [250, 250])
    v, w = rng.uniform(0.5, 1.5, 500), rng.uniform(0.5, 1.5, 500)
    p = np.array([v[:300].sum(), v[300:499].sum(), 0.0, v[499]]) / v.sum()
    q = np.array([w[:250].sum(), 0.0, w[250:].sum(), 0.0]) / w.sum()
    for weights in ({"sample_weight_p": v, "sample_weight_q": w}, {"sample_weight_p": v}, {"sample_weight_q": w}):
        found = jensen_shannon(x, y, coordinates=None, **weights)
        assert found == pytest.approx(float(distance.jensenshannon(p, q)) ** 2, abs=0.03)


@pytest.mark.parametrize("n", [200, 1000])
def test_samples_wholly_apart_have_an_error(n):
    """No row says anything of the spread then, nor of a row or two that might not be apart."""
    codes = np.random.default_rng(0).integers(0, 3, (2, n))
    for x, y in ((np.ones(n), np.zeros(n)), 2 * codes + [[0], [1]]):
        found = jensen_shannon(x, y)
        assert 0.0 < abs(found - np.log(2.0)) < 2.0 * found.standard_error < 3.0 / n


def _correlated(rng, rho, n):
    return rng.normal(size=(n, 2)) @ np.linalg.cholesky([[1.0, rho], [rho, 1.0]]).T


@pytest.mark.parametrize(("rho_p", "rho_q"), [(0.99, 0.9), (0.9999, 0.0)])
def test_columns_that_go_closely_together(rho_p, rho_q):
    """Balls around rows near a line reach out across it: neighbours alone give .14 for .20, and .44 for .64."""
    p, q = (stats.multivariate_normal(np.zeros(2), [[1.0, rho], [rho, 1.0]]) for rho in (rho_p, rho_q))
    draws = p.rvs(1_000_000, random_state=0), q.rvs(1_000_000, random_state=1)
    of_p, of_q = (sign * (p.logpdf(rows) - q.logpdf(rows)) for sign, rows in zip((-1.0, 1.0), draws, strict=True))
    truth = LOG_2 - 0.5 * np.logaddexp(0.0, of_p).mean() - 0.5 * np.logaddexp(0.0, of_q).mean()
    for n, m in ((500, 500), (50, 3000)):
        found = []
        for seed in range(20):
            rng = np.random.default_rng(seed)
            found.append(jensen_shannon(_correlated(rng, rho_p, n), _correlated(rng, rho_q, m)))
        assert sum(abs(e - truth) > 3.0 * e.standard_error for e in found) <= 1
        assert abs(np.mean(found) - truth) < np.mean([e.standard_error for e in found])


def test_what_tells_rows_apart_is_symmetric_and_free_of_units():
    rng = np.random.default_rng(0)
    x, y = _correlated(rng, 0.99, 300), _correlated(rng, 0.9, 500)
    found = jensen_shannon(x, y)
    assert found.method == "assisted"
    assert found.diagnostics["routes"]["neighbors"] == pytest.approx(jensen_shannon(x, y, n_neighbors=5), abs=1e-12)
    assert jensen_shannon(y, x) == pytest.approx(found, abs=1e-3)
    scale, shift = [1e6, 1e-6], [3.0, 4e-6]  # beside which no digit of a column is lost
    assert jensen_shannon(x * scale + shift, y * scale + shift) == pytest.approx(found, abs=1e-9)
    assert jensen_shannon(x, y, standard_error=False) == found


def test_few_rows_are_said_to_be_few():
    rng = np.random.default_rng(0)
    assert "few" in jensen_shannon(rng.normal(size=10), rng.normal(1.0, 2.0, 10)).reasons[0]
    assert not jensen_shannon(rng.normal(size=30), rng.normal(size=40)).bias_suspected


@pytest.mark.parametrize(("d", "shift"), [(10, 1.0), (15, 0.0), (20, 1.5)])
def test_many_columns_that_are_told_apart_are_no_doubt(d, shift):
    """Of two normal distributions a shift apart in some direction, by quadrature along it."""
    normal, other = stats.norm(), stats.norm(shift)
    exact = (
        np.log(2.0)
        - integrate.quad(lambda x: normal.pdf(x) * np.log1p(np.exp(other.logpdf(x) - normal.logpdf(x))), -12.0, 12.0)[0]
    )
    moved = np.full(d, shift / np.sqrt(d))
    errors, within = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        found = jensen_shannon(rng.normal(size=(1000, d)), rng.normal(size=(1000, d)) + moved)
        errors.append(float(found) - exact)
        within.append(abs(errors[-1]) < 3.0 * found.standard_error and not found.diagnostics["reasons"])
    assert np.mean(within) >= 0.8
    # The spread over samples is about .01, and their mean has .004 of it.
    assert abs(np.mean(errors)) < 0.012


@pytest.mark.parametrize(("step", "d", "m"), [(0.01, 1, 3000), (0.1, 2, 3000), (0.1, 2, 20_000)])
def test_rounded_samples_of_different_size(step, d, m):
    """Values that repeat in the larger sample alone are no atoms that the other lacks: of the same law these were .07 to .65."""
    rng = np.random.default_rng(0)
    x, y = (np.round(rng.normal(size=(n, d)) / step) * step for n in (300, m))
    for found in (jensen_shannon(x, y, random_state=0), jensen_shannon(y, x, random_state=0)):
        assert abs(found) < 2.5 * found.standard_error < 0.05
        assert not found.bias_suspected
