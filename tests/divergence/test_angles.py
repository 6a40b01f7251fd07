"""Models of angles: their formula goes on beyond a turn, and draws, quantiles and quadrature have to mean the same turn."""

import numpy as np
import pytest
from scipy import integrate
from sklearn.preprocessing import FunctionTransformer

from fastkl import (
    DensityMLE,
    KernelDensityMLE,
    MixtureMLE,
    TransformedDensity,
    entropy,
    families,
    jensen_shannon,
    kl_divergence,
    permutation_test,
    renyi_divergence,
)

PI = np.pi
ANGLES = DensityMLE.from_parameters("von_mises", loc=2.5, concentration=1.0)
ROWS = ANGLES.sample(300, random_state=0)
OTHERS = DensityMLE.from_parameters("von_mises", loc=-1.0, concentration=4.0).sample(300, random_state=1)
BACKGROUND = [families.VonMises(), families.Uniform(low=-PI, high=PI)]
MODELS = {
    "elsewhere": DensityMLE.from_parameters("von_mises", loc=10.0, concentration=0.5),
    "mixture": MixtureMLE(2, family="von_mises", random_state=0).fit(np.concatenate([ROWS, OTHERS])),
    "background": MixtureMLE(2, family=BACKGROUND, random_state=0).fit(ROWS),
    "uniform": DensityMLE.from_parameters("uniform", low=-PI, high=PI),
    "kernels": KernelDensityMLE(kernel="von_mises").fit(ROWS),
    "wrapped": KernelDensityMLE(boundary=("circular", 2.0 * PI)).fit(ROWS),
}


def turn(of):
    """The integral of a function of log p and log q, and of their angle, over a turn."""

    def around(p, q):
        def at(x):
            return of(*(float(model.score_samples([[x]])[0]) for model in (p, q)))

        return integrate.quad(at, -PI, PI, limit=200, epsabs=1e-11)[0]

    return around


KL = turn(lambda p, q: np.exp(p) * (p - q))
JENSEN = turn(lambda p, q: 0.5 * np.exp(p) * (p - np.logaddexp(p, q) + np.log(2.0)))
ENTROPY = turn(lambda p, _: -np.exp(p) * p)


@pytest.mark.parametrize("name", MODELS)
def test_divergences_are_integrals_over_a_turn(name):
    """That of Jensen and Shannon was -0.25, and one from a kernel density 0.028 in place of 0.004."""
    model = MODELS[name]
    for p, q in ((ANGLES, model), (model, ANGLES)):
        found = kl_divergence(p, q)
        assert found == pytest.approx(KL(p, q), abs=1e-6)
        assert not found.bias_suspected
    found = jensen_shannon(ANGLES, model)
    assert found == pytest.approx(JENSEN(ANGLES, model) + JENSEN(model, ANGLES), abs=1e-6)
    bhattacharyya = turn(lambda p, q: np.exp(0.5 * (p + q)))(ANGLES, model)
    assert renyi_divergence(ANGLES, model, 0.5) == pytest.approx(-2.0 * np.log(bhattacharyya), abs=1e-6)
    if name in ("mixture", "background"):
        assert entropy(model) == pytest.approx(ENTROPY(model, model), abs=1e-6)


def test_draws_of_angles_are_those_of_the_turn_about_0():
    """Those beyond the ends of the turn about the direction were moved to them."""
    assert permutation_test(OTHERS, DensityMLE("von_mises").fit(OTHERS), random_state=0).p_value > 0.05
    found = kl_divergence(ANGLES, MODELS["kernels"], n_draws=20_000, random_state=0)
    assert abs(found - KL(ANGLES, MODELS["kernels"])) < 4.0 * found.standard_error < 0.002
    to_radians = FunctionTransformer(np.deg2rad, np.rad2deg)
    degrees = np.rad2deg(ROWS)
    model = TransformedDensity(to_radians, DensityMLE("von_mises")).fit(degrees)
    assert permutation_test(degrees, model, random_state=0).p_value > 0.05
    report = model.goodness_of_fit(degrees, n_bootstrap=19, random_state=0)
    assert report.p_values["ks"][0] > 0.05  # it was nan


def test_angles_from_0_to_a_turn_are_the_same():
    """Draws are compared with rows in the turn of the rows; a background has the turn that it is given on."""
    rows = OTHERS % (2.0 * PI)
    model = DensityMLE("von_mises").fit(rows)
    assert permutation_test(rows, model, random_state=0).p_value > 0.05  # it was 0.0005
    background = [families.VonMises(), families.Uniform(low=0.0, high=2.0 * PI)]
    mixed = np.concatenate([rows, np.random.default_rng(5).uniform(0.0, 2.0 * PI, (200, 1))])
    mixture = MixtureMLE(2, family=background, random_state=0).fit(mixed)
    drawn = mixture.sample(1000, random_state=0)
    assert drawn.min() >= 0.0
    whole = integrate.quad(
        lambda x: -np.exp(log_p := mixture.score_samples([[x]])[0]) * log_p, 0.0, 2.0 * PI, limit=200
    )
    assert entropy(mixture) == pytest.approx(whole[0], abs=1e-6)
    assert mixture.goodness_of_fit(mixed, n_bootstrap=19, random_state=0).p_values["energy"][0] > 0.05
    several = MixtureMLE(2, family="von_mises", random_state=0).fit(np.concatenate([rows, ROWS % (2.0 * PI)]))
    report = several.goodness_of_fit(np.concatenate([rows, ROWS % (2.0 * PI)]), n_bootstrap=19, random_state=0)
    assert report.p_values["energy"][0] > 0.05


def test_all_angles_are_below_infinity():
    assert ANGLES.cdf([[-np.inf], [np.inf]]).ravel().tolist() == [0.0, 1.0]
    assert ANGLES.sf([[-np.inf], [np.inf]]).ravel().tolist() == [1.0, 0.0]


@pytest.mark.parametrize("d", [1, 3])
def test_without_concentration_there_is_no_direction_to_estimate(d):
    """It was counted, and left a background of angles without standard errors."""
    rng = np.random.default_rng(3)
    if d == 1:
        rows, family, none = np.concatenate([OTHERS, rng.uniform(-PI, PI, (100, 1))]), "von_mises", families.VonMises
    else:
        rows, family, none = rng.normal([0.0, 0.0, 3.0], 1.0, (300, 3)), "von_mises_fisher", families.VonMisesFisher
        rows = np.concatenate([rows, rng.normal(size=(100, 3))])
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert DensityMLE(none(concentration=0.0)).fit(rows).n_parameters_ == 0
    mixture = MixtureMLE(2, family=[family, none(concentration=0.0)], random_state=0).fit(rows)
    assert mixture.n_parameters_ == (3 if d == 1 else 4)
    held = none(**{"loc": 0.0} if d == 1 else {"direction": [0.0, 1.0, 0.0]}, concentration=0.0)
    same = MixtureMLE(2, family=[family, held], random_state=0).fit(rows)
    for name, errors in same.standard_errors_.items():
        np.testing.assert_allclose(mixture.standard_errors_[name], errors, rtol=1e-4)
