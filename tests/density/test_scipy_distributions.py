"""Densities from scipy's distributions, old and new, and families named by them."""

import numpy as np
import pytest
import scipy.stats
from sklearn.base import clone

import fastkl
from fastkl import DensityMLE, UnknownFamilyError

RNG = np.random.default_rng(5)
ROWS = RNG.gamma(3.0, size=(400, 2)) + 0.1


def test_the_family_of_a_distribution_of_scipy(tmp_path):
    model = DensityMLE(scipy.stats.gamma).fit(ROWS)
    assert model.family_.name == "gamma"
    np.testing.assert_array_equal(model.params_["shape"], DensityMLE("gamma").fit(ROWS).params_["shape"])
    assert clone(model).fit(ROWS).params_["scale"] == pytest.approx(model.params_["scale"])
    model.save(tmp_path / "model")
    assert fastkl.load(tmp_path / "model").family == "gamma"
    assert DensityMLE(scipy.stats.multivariate_normal).fit(ROWS).family_.name == "multivariate_normal"
    with pytest.raises(ValueError, match="No family is scipy's 'argus'"):
        DensityMLE(scipy.stats.argus).fit(ROWS)
    with pytest.raises(TypeError, match="DensityMLE.from_scipy makes a density of it"):
        DensityMLE(scipy.stats.gamma(2.0)).fit(ROWS)


def test_from_scipy():
    model = DensityMLE.from_scipy(scipy.stats.norm([0.0, 1.0], 2.0))
    np.testing.assert_array_equal(model.params_["loc"], [0.0, 1.0])
    np.testing.assert_array_equal(model.params_["scale"], [2.0, 2.0])
    model = DensityMLE.from_scipy([scipy.stats.expon(scale=2.0), scipy.stats.expon(0.0, 3.0)])
    np.testing.assert_array_equal(model.params_["scale"], [2.0, 3.0])
    assert DensityMLE.from_scipy(scipy.stats.poisson(3.0)).params_["rate"] == 3.0
    with pytest.raises(ValueError, match="has loc=1.0, but the family gamma has loc 0"):
        DensityMLE.from_scipy(scipy.stats.gamma(2.0, loc=1.0))
    with pytest.raises(ValueError, match="different families, normal, gamma"):
        DensityMLE.from_scipy([scipy.stats.norm(), scipy.stats.gamma(2.0)])
    with pytest.raises(UnknownFamilyError, match=r"No family is scipy's 'argus'\. Known are"):
        DensityMLE.from_scipy(scipy.stats.argus(1.0))
    with pytest.raises(
        UnknownFamilyError, match="scipy's 'chi2'. The nearest is 'gamma'. It is 'gamma' with shape df / 2"
    ):
        DensityMLE.from_scipy(scipy.stats.chi2(3.0))
    with pytest.raises(TypeError, match=r"Give it its parameters first"):
        DensityMLE.from_scipy(scipy.stats.gamma)
    with pytest.raises(TypeError, match="frozen distributions of scipy.stats"):
        DensityMLE.from_scipy("gamma")
    with pytest.raises(ValueError, match="empty"):
        DensityMLE.from_scipy([])
    with pytest.raises(AttributeError, match="no zero_inflated_poisson"):
        DensityMLE.from_parameters("zero_inflated_poisson", zero_probability=[0.2], rate=[3.0]).to_scipy()
    with pytest.raises(ValueError, match="infinite size"):
        DensityMLE.from_parameters("negative_binomial", size=np.inf, mean=2.0).to_scipy()


@pytest.mark.skipif(not hasattr(scipy.stats, "Normal"), reason="scipy before 1.15")
def test_the_new_distributions_of_scipy():
    model = DensityMLE.from_scipy(scipy.stats.Normal(mu=1.0, sigma=2.0))
    assert (model.params_["loc"], model.params_["scale"]) == (1.0, 2.0)
    standard = DensityMLE.from_scipy(scipy.stats.Normal())  # of a class of its own
    assert (standard.params_["loc"], standard.params_["scale"]) == (0.0, 1.0)
    with pytest.raises(TypeError, match="parameters already"):
        DensityMLE(scipy.stats.Normal()).fit(ROWS)
    assert DensityMLE(scipy.stats.Normal).fit(ROWS).family_.name == "normal"
    model = DensityMLE.from_scipy(scipy.stats.Uniform(a=1.0, b=3.0))
    assert (model.params_["low"], model.params_["high"]) == (1.0, 3.0)
