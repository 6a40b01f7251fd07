"""What a notebook shows of an estimate and of a test."""

import itertools
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy import stats

from fastkl import DensityMLE, Estimate, PermutationTest, compare_densities, compare_tables
from fastkl.divergence.interval_picture import interval_picture, interval_pictures

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


@pytest.mark.parametrize(
    ("low", "high"), [(-0.00823, 0.02112), (2.99, 3.01), (-1.2345e-5, -1.2344e-5), (-4.56e-7, 1.0), (1234.0, 1235.0)]
)
def test_numbers_are_inside_and_beside_each_other(low, high):
    picture = ElementTree.fromstring(interval_picture(0.5 * (low + high), low, high, ""))
    wide = 5.6  # pixels for a digit of size 10 in sans-serif fonts
    ends = [
        (float(text.get("x")) - 0.5 * wide * len(text.text), float(text.get("x")) + 0.5 * wide * len(text.text))
        for text in picture.findall(f"{SVG}text")
    ]
    ends.sort()
    assert len(ends) >= 2
    assert ends[0][0] >= 0.0
    assert ends[-1][1] <= float(picture.get("width"))
    assert all(left[1] <= right[0] for left, right in itertools.pairwise(ends))


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


@pytest.mark.parametrize(("as_large", "n"), [(0, 99), (3, 199), (99, 99)])
def test_interval_of_a_p_value_is_that_of_the_binomial(as_large, n):
    test = PermutationTest(0.2, (as_large + 1) / (n + 1), n, 5)
    low, high = stats.binomtest(as_large, n).proportion_ci(0.95, method="exact")
    np.testing.assert_allclose(test._interval(), (low, high), rtol=1e-10, atol=1e-14)
    picture = ElementTree.fromstring(test._repr_html_()).find(f".//{SVG}svg")
    bar = picture.findall(f"{SVG}line")[1]
    np.testing.assert_allclose(
        [float(bar.get("x1")), float(bar.get("x2"))], [14 + 232 * low, 14 + 232 * high], atol=0.06
    )


def test_pictures_of_a_table_share_an_axis():
    texts = interval_pictures([0.0, 1.0, np.inf, 0.5], [0.0, 0.8, np.inf, 0.25], [0.0, 1.2, np.inf, 0.75], "nats")
    assert texts[0] == texts[2] == ""
    bars = [ElementTree.fromstring(texts[i]).findall(f"{SVG}line")[1] for i in (1, 3)]
    ends = [(float(bar.get("x1")) - 14) / 232 * 1.2 for bar in bars]
    np.testing.assert_allclose(ends, [0.8, 0.25], atol=1e-3)
    assert interval_pictures([0.0], [0.0], [0.0], "nats") == [""]


def test_tables_in_a_notebook():
    rng = np.random.default_rng(0)
    X = rng.gamma(2.0, size=(300, 1))
    table = compare_densities({name: DensityMLE(name).fit(X[:150]) for name in ("normal", "gamma")}, X[150:])
    html = ElementTree.fromstring(table._repr_html_())
    (picture,) = html.iter(f"{SVG}svg")  # the best has no interval
    low, high = (table.kl_difference[1] + z * table.kl_difference_error[1] for z in (-1.96, 1.96))
    assert picture.get("aria-label") == f"95 % interval from {low:.3g} to {high:.3g} nats per row behind the best"
    assert html.find("div").text == "150 rows, nats per row, best first"
    found = compare_tables(rng.normal(size=(80, 2)), rng.normal(size=(90, 2)), test=False)
    html = ElementTree.fromstring(found._repr_html_())
    assert html.find("div").text == "P: 80 rows, Q: 90 rows; in nats"
    pictures = list(html.iter(f"{SVG}svg"))
    labels = ["95 % interval from {:.3g} to {:.3g} nats".format(*line.kl.confidence_interval()) for line in found.lines]
    assert [picture.get("aria-label") for picture in pictures] == labels
