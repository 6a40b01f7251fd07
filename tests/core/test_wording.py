"""Words of messages."""

import pytest

from fastkl._core.wording import did_you_mean, plural


@pytest.mark.parametrize(("count", "text"), [(0, "0 rows"), (1, "1 row"), (1200, "1,200 rows")])
def test_plural(count, text):
    assert plural(count, "row") == text


def test_did_you_mean():
    known = ("gaussian", "tophat")
    assert did_you_mean("gausian", known) == " Did you mean 'gaussian'?"
    assert did_you_mean("xyz", known) == ""
    assert did_you_mean(3, known) == ""
    assert did_you_mean("gausian", known, cutoff=0.99) == ""


@pytest.mark.parametrize(
    ("word", "known", "here"),
    [
        ("k3", ("low_variance", "plain", "squared"), "low_variance"),
        ("SJ", ("scott", "sheather_jones"), "sheather_jones"),
        ("normal", ("gaussian", "tophat"), "gaussian"),
        ("VVI", ("full", "tied", "diag", "spherical"), "diag"),
    ],
)
def test_a_word_of_other_libraries(word, known, here):
    assert did_you_mean(word, known) == f" Here it is {here!r}."
    assert did_you_mean(word, ("something", "else")) == ""
