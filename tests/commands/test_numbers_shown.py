"""What the command line, the scorers and the plots show of an estimate: signs, diagnostics, rankings."""

import re

import numpy as np
import pytest
from scipy import stats
from sklearn.model_selection import GridSearchCV, cross_val_score

import fastkl
from fastkl import ComparisonDisplay, DensityMLE, make_kl_scorer, neg_cross_entropy
from fastkl.cli import main


def output(capsys, *arguments):
    assert main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out


def test_the_closest_member_of_the_family(capsys, tmp_path):
    """Exponential family and U(0, 1) data: the scale tends to 0.5 and the KL left over is 1 - log 2 = 0.306853."""
    X = np.random.default_rng(0).uniform(size=(20_000, 1))
    np.save(tmp_path / "rows.npy", X)
    output(capsys, "fit", tmp_path / "rows.npy", "--families", "exponential", "-o", tmp_path / "model")
    model = fastkl.load(tmp_path / "model")
    assert model.params_["scale"][0] == pytest.approx(0.5, abs=4 * 0.2887 / np.sqrt(20_000))
    assert abs(-make_kl_scorer()(model, X) - 0.306853) < 0.02


def test_entropy_drops_out_of_the_ranking():
    """Cross-entropy, KL and the default score pick one winner, and their differences agree to 1e-12."""
    X = np.random.default_rng(1).gamma(2.0, size=(600, 1))
    grid = {"family": ["normal", "gamma", "exponential"]}
    results = [
        GridSearchCV(DensityMLE(), grid, scoring=scoring, cv=3).fit(X).cv_results_["mean_test_score"]
        for scoring in (None, neg_cross_entropy, make_kl_scorer())
    ]
    assert [int(np.argmax(scores)) for scores in results] == [1, 1, 1]
    np.testing.assert_allclose(results[0], results[1], atol=1e-12)
    np.testing.assert_allclose(results[2] - results[2][0], results[0] - results[0][0], atol=1e-12)
    picture = ComparisonDisplay(["normal", "gamma", "exponential"], results[0].max() - results[0], np.zeros(3))
    assert picture.names[0] == "gamma"


def test_negative_estimates_are_shown(capsys, tmp_path):
    """Equal distributions: the estimate is printed as it is, below 0 too, and a sentence says what that means."""
    for seed in range(100):
        P, Q = np.random.default_rng(seed).normal(size=(2, 300, 1))
        if -0.1 < fastkl.kl_divergence(P, Q) < -1e-3:  # shown without an exponent
            break
    np.save(tmp_path / "p.npy", P)
    np.save(tmp_path / "q.npy", Q)
    out = output(capsys, "kl", tmp_path / "p.npy", tmp_path / "q.npy")
    shown = float(re.search(r"^0 +(-?[\d.]+)", out, re.MULTILINE).group(1))
    assert shown == pytest.approx(fastkl.kl_divergence(P, Q), abs=5e-5)
    assert "An estimate below 0 is one of a divergence near 0." in out


def test_lowest_rows_are_the_outliers(capsys, tmp_path):
    X = np.r_[np.random.default_rng(2).normal(size=(200, 2)), [[6.0, -6.0]]]
    np.save(tmp_path / "rows.npy", X)
    output(capsys, "fit", tmp_path / "rows.npy", "--families", "multivariate_normal", "-o", tmp_path / "model")
    output(capsys, "score", tmp_path / "model", tmp_path / "rows.npy", "-o", tmp_path / "scores.npy")
    scores = np.load(tmp_path / "scores.npy")
    assert np.argmin(scores) == 200
    known = stats.multivariate_normal(X.mean(axis=0), np.cov(X, rowvar=False, ddof=0))
    np.testing.assert_allclose(scores, known.logpdf(X), rtol=1e-10)


def test_held_out_scores_see_the_overfit():
    """Normal with 2 parameters, n = 50: held-out rows score lower than those of the fit, by about 2/50 on average."""
    rng = np.random.default_rng(3)
    gaps = []
    for _ in range(100):
        X = rng.normal(size=(50, 1))
        held_out = cross_val_score(DensityMLE("normal"), X, cv=10, scoring=neg_cross_entropy).mean()
        gaps.append(neg_cross_entropy(DensityMLE("normal").fit(X), X) - held_out)
    assert abs(np.mean(gaps) - 0.04255) < 4.0 * stats.sem(gaps)


def test_no_number_without_its_diagnostic(capsys, tmp_path):
    """Tails of P beyond the rows of Q, which no estimate sees: it says so."""
    rng = np.random.default_rng(4)
    np.save(tmp_path / "p.npy", rng.standard_t(2, (1000, 5)))
    np.save(tmp_path / "q.npy", 3.0 * rng.normal(size=(1000, 5)))
    out = output(capsys, "kl", tmp_path / "p.npy", tmp_path / "q.npy", "--no-test")
    assert re.search(r"^joint \(5 columns\) +-?[\d.]+\*", out, re.MULTILINE)
    assert "* joint (5 columns), KL(P || Q): " in out
