"""Doubts about one direction of a divergence, as they are said of the other."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest

from fastkl import categorical_jeffreys, compare_tables, jeffreys, jensen_shannon, pairwise_divergence, renyi_divergence
from fastkl.divergence.directions import other_way_round, upright
from fastkl.divergence.estimate import subjects_of


@pytest.mark.parametrize(
    ("sentence", "turned"),
    [
        ("P has 2 symbols without a count in Q.", "Q has 2 symbols without a count in P."),
        ("rows of P, those of Q: KL(P || Q)", "rows of Q, those of P: KL(Q || P)"),
        (
            "P lacks 'Q', \"it's P\" and 'a P b'; it can't have Q",
            "Q lacks 'Q', \"it's P\" and 'a P b'; it can't have P",
        ),
    ],
)
def test_labels_in_quotes_stay(sentence, turned):
    assert other_way_round(sentence) == turned
    assert other_way_round(turned) == sentence


def test_upright():
    assert upright("log p/q, where p has 'p' and 'q'") == "log P/Q, where P has 'p' and 'q'"


def test_labels_named_as_the_samples_are():
    p, q = pd.DataFrame({"x": ["p", "Q", "a"] * 20}), pd.DataFrame({"x": ["q", "a"] * 30})
    (line,) = compare_tables(p, q, test=False).columns
    notes = " ".join(line.notes)
    assert "P has 2 symbols without a count in Q ('p', 'Q')" in notes
    assert "Q has 1 symbol without a count in P ('q')" in notes
    reasons = " ".join(categorical_jeffreys(p["x"], q["x"]).reasons)
    assert "P has 2 symbols without a count in Q ('p', 'Q')" in reasons
    assert "Q has 1 symbol without a count in P ('q')" in reasons


def test_doubts_about_both_samples_are_known_by_their_subject():
    rows = np.random.default_rng(0).normal(size=(300, 2))
    (line,) = compare_tables(rows, np.vstack([rows[:200], rows[200:] + 3.0]), test=False).joint
    assert "shared rows" in subjects_of(line.kl.reasons) & subjects_of(line.kl_reverse.reasons)
    assert sum("share rows" in note for note in line.notes) == 1
    for again in (pickle.loads(pickle.dumps(line.kl)), copy.deepcopy(line.kl)):
        assert again.reasons == line.kl.reasons
        assert subjects_of(again.reasons) == subjects_of(line.kl.reasons)


def test_both_directions_say_why_they_are_infinite():
    """A value that P lacks and one that Q lacks: of the joint line only the first was named."""
    other = np.random.default_rng(0).normal(size=320)
    p = np.column_stack([np.repeat([0.0, 1.0, 2.0, 3.0], [100, 60, 60, 100]), other])
    q = np.column_stack([np.repeat([1.0, 2.0, 3.0, 4.0], [100, 60, 60, 100]), other[::-1]])
    (line,) = compare_tables(p, q, test=False).joint
    assert line.kl == line.kl_reverse == np.inf
    assert "of P have the value 0, which never occurs in Q" in line.notes[0]
    assert "of Q have the value 4, which never occurs in P" in line.notes[1]


def test_the_other_direction_has_p_and_q_the_right_way_round():
    """Of q as heavy-tailed as this the doubt is about q beyond the rows of p; it named them the wrong way round."""
    rng = np.random.default_rng(0)
    heavy, light = rng.standard_t(2, size=1000), rng.normal(size=800)
    tail = "The data do not show the tail of {0} beyond the last row of {1}"
    for estimate in (jeffreys(light, heavy), renyi_divergence(light, heavy, 0.2)):
        assert tail.format("q", "p") in estimate.reasons[0]
        assert "p beyond" not in str(estimate.reasons)
        assert "kl_divergence" not in estimate.diagnostics
    assert tail.format("p", "q") in jeffreys(heavy, light).reasons[0]


def test_few_rows_are_said_once():
    rng = np.random.default_rng(0)
    reasons = jeffreys(rng.random(300), rng.random(10)).reasons
    assert sum("rows are few" in reason for reason in reasons) == 1


def test_a_sample_of_one_row_is_named():
    many, one = np.random.default_rng(0).random(30), [0.5]
    for call in (
        jeffreys,
        jensen_shannon,
        lambda p, q: renyi_divergence(p, q, 0.3),
        lambda p, q: renyi_divergence(p, q, 0.7),
    ):
        with pytest.raises(ValueError, match="q has 1 row"):
            call(many, one)
        with pytest.raises(ValueError, match="p has 1 row"):
            call(one, many)
    with pytest.raises(ValueError, match="sample 'b' has 1 row"):
        pairwise_divergence({"a": many, "b": one})
