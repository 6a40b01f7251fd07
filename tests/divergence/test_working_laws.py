"""The pairs of normal distributions that estimates are helped by: their divergence, whatever the samples."""

import numpy as np
import pytest
from scipy import stats

from fastkl.divergence.assisted.working_laws import Distance


def test_the_divergence_against_its_integral():
    p, q = (np.array([0.3]), np.array([[0.5]])), (np.array([-0.2]), np.array([[2.0]]))
    laws = [stats.norm(mean[0], np.sqrt(covariance[0, 0])) for mean, covariance in (p, q)]
    expected = laws[0].expect(lambda x: laws[0].logpdf(x) - laws[1].logpdf(x))
    assert Distance(p, q).divergence() == pytest.approx(expected, rel=1e-8)


@pytest.mark.filterwarnings("error")
def test_one_beyond_the_largest_number_is_infinite():
    narrow, far = (np.zeros(2), 1e-300 * np.eye(2)), (np.full(2, 1e20), np.eye(2))
    assert Distance(far, narrow).divergence() == np.inf
