"""What a notebook shows of an estimate and of a test."""

from xml.etree import ElementTree

import numpy as np
import pytest

from fastkl import Estimate, PermutationTest
from fastkl.divergence.interval_picture import interval_picture

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("scale", [1e-300, 1e-3, 1.0, 1e300])
@pytest.mark.parametrize(("low", "value", "high"), [(0.1, 0.25, 0.4), (-0.1, 0.02, 0.3), (-3.0, -2.0, -1.0)])
def test_places(low, value, high, scale):
    """Ends, dot and zero stand in their order and proportion, inside the picture."""
    picture = ElementTree.fromstring(interval_picture(value * scale, low * scale, high * scale, "a < b"))
    zero, bar = picture.findall(f"{SVG}line")
    x = [
        float(zero.get("x1")),
        float(bar.get("x1")),
        float(picture.find(f"{SVG}circle").get("cx")),
        float(bar.get("x2")),
    ]
    wanted = np.array([0.0, low, value, high])
    slope = (x[3] - x[1]) / (high - low)
    np.testing.assert_allclose(x, x[1] + slope * (wanted - low), atol=0.2)
    assert min(x) >= 0.0
    assert max(x) <= float(picture.get("width"))
    assert picture.get("aria-label") == "a < b"


def test_what_has_no_picture():
    for value, low, high in ((np.inf, np.inf, np.inf), (1.0, np.nan, np.nan), (1.0, 1.0, 1.0)):
        assert interval_picture(value, low, high, "") == ""
    assert "<svg" not in Estimate(0.5)._repr_html_()
    assert "<svg" not in Estimate(np.inf, standard_error=0.1)._repr_html_()


def test_estimate():
    text = Estimate(
        0.5, standard_error=0.1, n_samples=10, method="a<b", diagnostics={"reasons": ["x < y"]}
    )._repr_html_()
    ElementTree.fromstring(text)
    assert "95 % interval from 0.304 to 0.696 nats" in text


def test_permutation_test():
    text = PermutationTest(0.2, 0.001, 999, 5)._repr_html_()
    ElementTree.fromstring(text)
    assert "at most 0.001" in text
    assert "<td>0.25</td>" in PermutationTest(0.2, 0.25, 999, 5)._repr_html_()
