"""Forward and reverse divergences, and their symmetric relatives: numbers from closed forms and quadrature."""

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from fastkl import DensityMLE, jeffreys, jensen_shannon, kl_divergence


def known(family, **params):
    return DensityMLE.from_parameters(family, **params)


class TwoHumps:
    """Half N(-3, 1), half N(3, 1), written by hand."""

    def logpdf(self, x):
        return np.logaddexp(stats.norm.logpdf(x, -3.0, 1.0), stats.norm.logpdf(x, 3.0, 1.0)) - np.log(2.0)

    def rvs(self, size, random_state):
        return random_state.normal(random_state.choice([-3.0, 3.0], size), 1.0)


class TestDirections:
    def test_forward_covers_both_modes(self):
        """The fit to the distribution (as masses on a grid) is N(0, 10), and KL 0.461995 is left over."""
        x = np.linspace(-14.0, 14.0, 20_001)
        model = DensityMLE("normal").fit(x[:, None], sample_weight=np.exp(TwoHumps().logpdf(x)))
        np.testing.assert_allclose(model.params_["loc"], 0.0, atol=1e-12)
        np.testing.assert_allclose(model.params_["scale"] ** 2, 10.0, rtol=1e-10)
        estimate = kl_divergence(TwoHumps(), model, random_state=0)
        assert abs(estimate - 0.461995) < 4.0 * estimate.standard_error

    def test_reverse_sits_on_one_mode(self):
        """KL(model, data) is 0.688769 at mean 2.984306, sd 1.023369, and 0.937980 at the forward fit."""
        for loc, scale, want in ((2.984306, 1.023369, 0.688769), (0.0, np.sqrt(10.0), 0.937980)):
            estimate = kl_divergence(known("normal", loc=loc, scale=scale), TwoHumps(), random_state=1)
            assert abs(estimate - want) < 4.0 * estimate.standard_error
            assert estimate.standard_error < 0.01

    @pytest.mark.parametrize("sign", [1.0, -1.0])
    def test_reverse_is_an_objective(self, sign):
        """On draws with one seed it can be minimised, and ends on the mode that it starts near."""

        def objective(at):
            return float(kl_divergence(known("normal", loc=at[0], scale=np.exp(at[1])), TwoHumps(), random_state=2))

        found = optimize.minimize(objective, [sign * 2.0, 0.3], method="Nelder-Mead", options={"xatol": 1e-5}).x
        np.testing.assert_allclose([found[0], np.exp(found[1])], [sign * 2.984306, 1.023369], atol=0.02)

    def test_symmetric_relatives(self):
        """Jeffreys is the sum of both orders; Jensen-Shannon is the same in both and at most log 2."""
        p, q = known("normal", loc=0.0, scale=1.0), known("normal", loc=1.0, scale=2.0)
        assert float(jeffreys(p, q)) == pytest.approx(0.443147 + 1.306853, abs=1e-6)

        def half(a, b):
            def integrand(x):
                mixture = np.logaddexp(a.logpdf(x), b.logpdf(x)) - np.log(2.0)
                return a.pdf(x) * (a.logpdf(x) - mixture)

            return 0.5 * integrate.quad(integrand, -25.0, 25.0, limit=200)[0]

        truth = half(stats.norm(0, 1), stats.norm(1, 2)) + half(stats.norm(1, 2), stats.norm(0, 1))
        for pair in ((p, q), (q, p)):
            estimate = jensen_shannon(*pair, random_state=3)
            assert abs(estimate - truth) < 4.0 * estimate.standard_error
        assert float(jensen_shannon(stats.uniform(0, 1), stats.uniform(5, 1))) == pytest.approx(np.log(2.0), abs=1e-12)
