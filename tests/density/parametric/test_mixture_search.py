"""How high the search of mixtures gets with default settings, whatever the seed, the order of the families and the unit."""

from pathlib import Path

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_t, norm
from scipy.stats import t as student_t
from sklearn.datasets import load_breast_cancer, load_iris, load_wine

from fastkl import MixtureMLE, families
from fastkl._core.rows import Rows
from fastkl.families.mixture import Mixture
from fastkl.families.mixture.students import StudentMaps
from tests.density.parametric.plain_mixtures import highest_log_likelihood

DATA = Path(__file__).parents[2] / "data"
ENOUGH = 1e-4  # nats
DEGREES = [5.0, 10.0, 30.0]


@pytest.fixture(scope="module")
def galaxies():
    return np.genfromtxt(DATA / "galaxies.csv", delimiter=",", names=True)["velocity"][:, None] / 1000.0


@pytest.fixture(scope="module")
def clusters():
    """Three clusters with tails of 5, 10 and 30 degrees of freedom."""
    rng = np.random.default_rng(3)
    which = rng.integers(3, size=200)
    centres = np.array([[0.0, 0.0], [2.0, 3.0], [3.5, 0.5]])
    return centres[which] + np.stack([rng.standard_t(np.array(DEGREES)[which]) for _ in range(2)], axis=1)


def normal_em(x, means, scales):
    """The log-likelihood that plain EM of normal components in one column reaches."""
    means, scales, weights = np.array(means), np.array(scales), np.full(len(means), 1.0 / len(means))
    for _ in range(3000):
        logs = np.log(weights) + norm.logpdf(x[:, None], means, scales)
        total = logsumexp(logs, axis=1)
        shares = np.exp(logs - total[:, None])
        sums = shares.sum(axis=0)
        weights, means = sums / len(x), x @ shares / sums
        scales = np.sqrt(np.sum(shares * (x[:, None] - means) ** 2, axis=0) / sums)
    return total.sum()


@pytest.mark.parametrize("seed", range(3))
def test_small_groups_are_found(galaxies, seed):
    # three groups of two to five velocities that no split of a larger component leads to
    means, scales = [9.7, 16.1, 19.5, 20.2, 20.8, 22.9, 33.0], [0.4, 0.05, 0.5, 0.02, 0.03, 1.6, 0.9]
    fit = MixtureMLE(7, family="normal", random_state=seed, standard_errors=False).fit(galaxies)
    assert fit.log_likelihood_ >= normal_em(galaxies[:, 0], means, scales) - ENOUGH
    assert not fit.spurious_components_


def test_a_small_flat_group_is_found_from_most_seeds():
    # eleven rows of two species near a plane, which no ball of rows leads to
    X, labels = load_iris().data, np.repeat([0, 1, 2], 50)
    labels[[68, 72, 87, 104, 111, 119, 128, 132, 134, 140, 141]] = 3
    highest = highest_log_likelihood(X, labels)
    fits = [MixtureMLE(4, random_state=seed, standard_errors=False).fit(X) for seed in range(6)]
    assert sum(fit.log_likelihood_ >= highest - ENOUGH for fit in fits) >= 3


def test_two_components_from_every_seed():
    # most starts, those in columns without correlation above all, lead to a maximum .33 nats below
    X, rng = load_wine().data[:, [0, 3, 6, 10]], np.random.default_rng(0)
    standard = (X - X.mean(axis=0)) / X.std(axis=0)
    highest = -np.inf
    for _ in range(6):
        centres = standard[rng.choice(len(X), 2, replace=False)]
        labels = np.argmin(np.linalg.norm(standard[:, None] - centres, axis=2), axis=1)
        highest = max(highest, highest_log_likelihood(X, labels))
    for seed in range(3):
        fit = MixtureMLE(2, random_state=seed, standard_errors=False).fit(X)
        assert fit.log_likelihood_ >= highest - ENOUGH


@pytest.mark.parametrize("seed", [1, 3, 6])
def test_two_components_among_wrong_rows(seed):
    # one of them takes the rows of a cluster that is half within another one; most starts lead 21 nats below
    rng = np.random.default_rng(9316)
    centres, which, roots = rng.normal(size=(3, 3)) * 2.5, rng.integers(3, size=120), rng.normal(size=(3, 3, 3))
    X = centres[which] + np.einsum("nij,nj->ni", roots[which], rng.normal(size=(120, 3)))
    X[:6] = rng.uniform(-20.0, 20.0, size=(6, 3))
    fit = MixtureMLE(2, random_state=seed, standard_errors=False).fit(X)
    expected = max(highest_log_likelihood(X, which == k) for k in range(3))
    assert fit.log_likelihood_ >= expected - ENOUGH


@pytest.mark.parametrize("seed", [1, 2])
def test_a_single_wrong_row_under_one_covariance(seed):
    # the wrong rows are so many that no start is alone with the farthest of them
    rng = np.random.default_rng(7000)
    root, centres = rng.normal(size=(2, 2)), rng.normal(size=(2, 2)) * 4.0
    X = centres[rng.integers(2, size=120)] + rng.multivariate_normal(np.zeros(2), root @ root.T + 0.3 * np.eye(2), 120)
    X[:4] = rng.normal(size=(4, 2)) * 15.0
    fit = MixtureMLE(2, family=families.MultivariateNormal("tied"), random_state=seed, standard_errors=False).fit(X)
    assert fit.log_likelihood_ >= highest_log_likelihood(X, np.arange(120) == 0, tied=True) - ENOUGH


@pytest.mark.parametrize("seed", [0, 8])
def test_two_groups_of_wrong_rows_under_one_covariance(seed):
    # of three clusters two become one, so that wrong rows have two components; maxima with one are 9 nats below
    rng, d = np.random.default_rng(103), 4
    centres, which = rng.normal(size=(3, d)) * 4.0, rng.integers(3, size=250)
    roots = rng.normal(size=(3, d, d)) / 2.0 + np.eye(d)
    X = centres[which] + np.einsum("nij,nj->ni", roots[which], rng.normal(size=(250, d)))
    X = np.concatenate([X, rng.uniform(X.min(axis=0) - 4.0, X.max(axis=0) + 4.0, size=(15, d))])
    labels = np.concatenate([which // 2, np.zeros(15, dtype=int)])
    labels[[252, 255, 257, 258]], labels[[251, 253, 254, 261, 263, 264]] = 2, 3
    fit = MixtureMLE(4, family=families.MultivariateNormal("tied"), random_state=seed, standard_errors=False).fit(X)
    assert fit.log_likelihood_ >= highest_log_likelihood(X, labels, tied=True) - ENOUGH


def test_one_covariance_in_many_columns():
    # a fifth of all partitions leads to the maximum next to the highest, and a few to this
    X, rng = load_breast_cancer().data[:, :10], np.random.default_rng(0)
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    heights = []
    for _ in range(6):
        centres = Z[rng.choice(len(Z), 3, replace=False)]
        labels = np.argmin(np.linalg.norm(Z[:, None] - centres, axis=2), axis=1)
        heights.append(highest_log_likelihood(Z, labels, tied=True) - len(X) * np.log(X.std(axis=0)).sum())
    model = MixtureMLE(3, family=families.MultivariateNormal("tied"), standard_errors=False)
    for seed in (0, 100):
        assert model.set_params(random_state=seed).fit(X).log_likelihood_ >= max(heights) - ENOUGH


def test_order_of_families_and_seeds_do_not_matter(clusters):
    heights = []
    for order in (DEGREES, DEGREES[::-1]):
        for seed in range(2):
            family = [families.MultivariateT(df=df) for df in order]
            heights.append(
                MixtureMLE(3, family=family, random_state=seed, standard_errors=False).fit(clusters).log_likelihood_
            )
    assert max(heights) - min(heights) < ENOUGH


@pytest.mark.parametrize("seed", range(2))
def test_units_do_not_matter(galaxies, seed):
    heights = [
        MixtureMLE(4, family="student_t", random_state=seed, standard_errors=False).fit(unit * galaxies).log_likelihood_
        + len(galaxies) * np.log(unit)
        for unit in (1.0, 1e-9, 299.792458)
    ]
    np.testing.assert_allclose(heights, heights[0], atol=1e-8)


@pytest.mark.parametrize("df", [None, 5.0, np.inf])
@pytest.mark.parametrize("joint", [False, True])
def test_maps_of_t_components_never_fall(clusters, joint, df):
    rng = np.random.default_rng(0)
    family = families.MultivariateT(df=df) if joint else families.StudentT(df=df)
    mixture, weights = Mixture([family] * 3), rng.integers(0, 4, size=len(clusters)).astype(float)
    maps = StudentMaps.of(mixture.layout, Rows(clusters, weights), None)
    starts = [maps.begun(rng.dirichlet(np.full(3, 0.3), size=len(clusters))) for _ in range(4)]
    rel = 1e-6 if df == np.inf else 1e-10  # beyond, scipy's difference of log-gammas at large df is not exact
    for start, climb in zip(starts, maps.run(starts, 0.0, 60), strict=True):
        assert climb.collapsed is None
        assert np.all(np.diff(climb.trace) >= 0.0)
        assert climb.trace[0] == pytest.approx(textbook(joint, start, clusters, weights), rel=rel)
        assert climb.trace[-1] == pytest.approx(textbook(joint, climb.params, clusters, weights), rel=rel)
        np.testing.assert_allclose(climb.sums.sum(), weights.sum())


def textbook(joint, params, X, weights):
    """The log-likelihood by scipy."""
    logs = []
    for df, loc, scale in zip(params["df"], params["loc"], params["scale"], strict=True):
        own = multivariate_t.logpdf(X, loc, scale, df) if joint else student_t.logpdf(X, df, loc, scale).sum(axis=1)
        logs.append(own)
    return weights @ logsumexp(np.array(logs), axis=0, b=params["weights"][:, None])


def test_a_component_on_equal_rows_collapses():
    X = np.concatenate([np.zeros((20, 1)), np.linspace(3.0, 9.0, 40)[:, None]])
    mixture = Mixture([families.StudentT(df=5.0)] * 2)
    maps = StudentMaps.of(mixture.layout, Rows(X), None)
    start = {"weights": [0.4, 0.6], "df": [[5.0], [5.0]], "loc": [[0.0], [6.0]], "scale": [[1e-3], [2.0]]}
    other = {**start, "loc": [[4.0], [7.0]], "scale": [[1.0], [2.0]]}
    narrow, wide = maps.run([mixture.start_at(one, 1) for one in (start, other)], 0.0, 200)
    assert narrow.collapsed is not None
    assert narrow.collapsed.component == 0
    assert wide.trace


def latent_classes(x, probabilities, weights, maps):
    """The log-likelihood that plain EM of independent labels within each class reaches."""
    hot = np.eye(3)[x]
    for _ in range(maps):
        with np.errstate(divide="ignore"):
            logs = np.log(weights) + np.log(np.einsum("njc,kjc->nkj", hot, probabilities)).sum(axis=2)
        total = logsumexp(logs, axis=1)
        shares = np.exp(logs - total[:, None])
        weights = shares.mean(axis=0)
        probabilities = np.einsum("nk,njc->kjc", shares, hot) / shares.sum(axis=0)[:, None, None]
    return total.sum()


@pytest.mark.parametrize("seed", [0, 2])
def test_classes_that_lack_a_label_come_to_their_maximum(seed):
    # the probability of the label goes to 0, and beyond what numbers tell
    rng = np.random.default_rng(seed)
    which = rng.integers(3, size=150)
    truth = rng.dirichlet(np.full(3, 0.5), size=(3, 4))
    X = np.array([[rng.choice(3, p=truth[k, j]) for j in range(4)] for k in which])
    fit = MixtureMLE(3, family="categorical", random_state=0, standard_errors=False).fit(X)
    assert fit.converged_
    assert fit.certificate_["remaining_gain"] < 1e-9
    assert fit.params_["probabilities"].min() < 1e-20
    near = 0.98 * fit.params_["probabilities"] + 0.02 / 3.0
    assert fit.log_likelihood_ >= latent_classes(X, near, fit.params_["weights"], 200) - 1e-7


LAWS = ["multivariate_normal", "multivariate_t", "normal", "gamma", families.MultivariateNormal("tied")]


@pytest.mark.parametrize("family", LAWS, ids=str)
def test_order_and_repeats_of_rows_change_no_digit(family):
    # clusters that overlap, in which starts differ in where they lead
    rng = np.random.default_rng(0)
    which = rng.integers(2, size=40)
    X = np.abs(np.round(rng.normal(size=(40, 2)) + 1.2 * which[:, None], 1)) + 0.1
    weights, order = rng.integers(1, 4, size=40), rng.permutation(40)

    def fit(X, weights=None):
        model = MixtureMLE(2, family=family, n_init=2, random_state=0, standard_errors=False)
        return model.fit(X, sample_weight=weights).params_

    first = fit(X, weights)
    for other in (fit(np.repeat(X, weights, axis=0)), fit(X[order], weights[order])):
        for name, value in first.items():
            np.testing.assert_array_equal(other[name], value)


@pytest.mark.parametrize("seed", range(3))
def test_rounded_rows_have_a_maximum(seed):
    # most starts collapse onto a line of equal values
    rng = np.random.default_rng(6)
    which = rng.choice(3, size=120, p=rng.dirichlet(np.full(3, 4.0)))
    centres, turns = 2.0 * rng.normal(size=(3, 2)), 0.5 * rng.normal(size=(3, 2, 2)) + np.eye(2)
    X = np.round(centres[which] + np.einsum("nij,nj->ni", turns[which], rng.normal(size=(120, 2))))
    fit = MixtureMLE(3, random_state=seed, standard_errors=False).fit(X)
    assert fit.converged_
    assert not fit.spurious_components_
    # where plain EM ends from all of 300 starts that don't collapse (groups about three rows, 100 maps with .1 on the diagonals)
    assert fit.log_likelihood_ == pytest.approx(-343.39217, abs=ENOUGH)


def test_components_of_two_families_change_places_at_the_same_height():
    # the three degrees of freedom are told apart by a thousandth of a nat
    rng = np.random.default_rng(0)
    which = rng.integers(3, size=400)
    centres = np.array([[0.0, 0.0], [5.0, 1.0], [1.0, 6.0]])
    X = centres[which] + np.stack([rng.standard_t(np.array(DEGREES)[which]) for _ in range(2)], axis=1)
    kinds = [families.MultivariateT(df=df) for df in DEGREES]
    heights = [
        MixtureMLE(3, family=kinds, random_state=seed, standard_errors=False).fit(X).log_likelihood_ for seed in (0, 6)
    ]
    assert max(heights) - min(heights) < ENOUGH


# length of odontoblasts of 60 guinea pigs at three doses, twice ten of each (C. I. Bliss 1952; ToothGrowth in R)
TEETH = [
    4.2, 11.5, 7.3, 5.8, 6.4, 10, 11.2, 11.2, 5.2, 7, 16.5, 16.5, 15.2, 17.3, 22.5, 17.3, 13.6, 14.5, 18.8, 15.5,
    23.6, 18.5, 33.9, 25.5, 26.4, 32.5, 26.7, 21.5, 23.3, 29.5, 15.2, 21.5, 17.6, 9.7, 14.5, 10, 8.2, 9.4, 16.5, 9.7,
    19.7, 23.3, 23.6, 26.4, 20, 25.2, 25.8, 21.2, 14.5, 27.3, 25.5, 26.4, 22.4, 24.5, 24.8, 30.9, 26.4, 27.3, 29.4, 23,
]  # fmt: skip
# air flow, water temperature and loss of 21 days of a plant (K. A. Brownlee 1965; stackloss in R)
STACK = [
    [80, 27, 42], [80, 27, 37], [75, 25, 37], [62, 24, 28], [62, 22, 18], [62, 23, 18], [62, 24, 19], [62, 24, 20],
    [58, 23, 15], [58, 18, 14], [58, 18, 14], [58, 17, 13], [58, 18, 11], [58, 19, 12], [50, 18, 8], [50, 18, 7],
    [50, 19, 8], [50, 19, 8], [50, 20, 9], [56, 20, 15], [70, 20, 15],
]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "highest"),
    [
        # all but one of a hundred starts lead to a component of one dose, which collapses
        (np.c_[TEETH, np.tile(np.repeat([0.5, 1.0, 2.0], 10), 2)], -216.01129),
        (np.array(STACK, dtype=float), -151.59807),
    ],
    ids=["teeth", "stack loss"],
)
def test_small_tables_with_few_values(rows, highest):
    """Against the highest of some 2,000 plain EM runs from random partitions and random splits."""
    for seed in range(3):
        model = MixtureMLE(2, random_state=seed, standard_errors=False).fit(rows)
        assert model.log_likelihood_ == pytest.approx(highest, abs=1e-4)
        assert not model.spurious_components_


@pytest.mark.parametrize("far", [1e6, 1e10])
def test_a_row_far_out_is_no_collapse_of_t_components(far):
    """They are for such rows: the others give what they give without it."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.standard_t(4, (100, 2)), 8.0 + rng.standard_t(4, (100, 2))])
    plain, outlying = (
        MixtureMLE(2, family=families.MultivariateT(df=4.0), random_state=0, standard_errors=False).fit(rows)
        for rows in (X, np.concatenate([X, [[far, far]]]))
    )
    np.testing.assert_allclose(outlying.params_["loc"], plain.params_["loc"], atol=0.1)
    assert outlying.converged_
