"""fastkl kl: its divergences and p-values, against the library and exact distributions."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import fastkl
from fastkl.commands.kl import label_test
from tests.commands.files import DATA, run


@pytest.fixture
def halves(tmp_path):
    rng = np.random.default_rng(0)
    p = pd.DataFrame(
        {"x": rng.normal(size=150), "y": rng.normal(size=150) * 100.0, "kind": rng.choice(["a", "b"], 150)}
    )
    q = pd.DataFrame(
        {"x": rng.normal(1.0, 1.0, 90), "y": rng.normal(size=90) * 100.0, "kind": rng.choice(["a", "b"], 90)}
    )
    p.to_csv(tmp_path / "p.csv", index=False)
    q[["kind", "y", "x"]].to_parquet(tmp_path / "q.parquet")
    return p, q, tmp_path / "p.csv", tmp_path / "q.parquet"


def test_kl_by_column_and_joint(capsys, halves):
    p, q, *paths = halves
    out = run(capsys, "kl", *paths, "--seed", "3", "--neighbors", "4")
    lines = {line[:17].strip(): line for line in out.splitlines()}
    for name in ("x", "y"):
        there, back = (
            fastkl.kl_divergence(a[name].to_numpy(), b[name].to_numpy(), n_neighbors=4) for a, b in ((p, q), (q, p))
        )
        low, high = there.confidence_interval()
        assert f"{there.value:.4f}" in lines[name]
        assert f"[{low:.4f}, {high:.4f}]" in lines[name]
        assert f"{back.value:.4f}" in lines[name]
        rng = np.random.RandomState(3)
        test = fastkl.permutation_test(p[name].to_numpy(), q[name].to_numpy(), n_permutations=999, random_state=rng)
        assert lines[name].endswith(f"{test.p_value:.4f}")
    kind = fastkl.categorical_kl(p["kind"], q["kind"])
    assert f"{kind.value:.4f}" in lines["kind"]
    scale = pd.concat([p, q])[["x", "y"]].std(ddof=0)
    joint = fastkl.kl_divergence((p[["x", "y"]] / scale).to_numpy(), (q[["x", "y"]] / scale).to_numpy(), n_neighbors=4)
    assert f"{joint.value:.4f}" in lines["joint (2 columns)"]
    assert float(lines["x"].split()[-1]) < 0.01
    assert "150 rows" in out
    assert "90 rows" in out


def test_kl_options(capsys, halves):
    *_, p, q = halves
    assert run(capsys, "kl", p, q) == run(capsys, "kl", p, q)
    out = run(capsys, "kl", p, q, "--no-test", "--columns", "y")
    assert "p-value" not in out
    assert "joint" not in out
    assert [line.split()[0] for line in out.splitlines()[4:5]] == ["y"]


def test_kl_of_several_labels_and_unseen_ones(capsys, tmp_path):
    pd.DataFrame({"a": list("xxyyz"), "b": list("uvuvu")}).to_csv(tmp_path / "p.csv", index=False)
    pd.DataFrame({"a": list("xxyyy"), "b": list("uvuvu")}).to_csv(tmp_path / "q.csv", index=False)
    out = run(capsys, "kl", tmp_path / "p.csv", tmp_path / "q.csv")
    assert re.search(r"^a +inf\* +- ", out, re.MULTILINE)
    assert "joint (2 labels)" in out
    assert "* a, KL(P || Q): P has 1 symbol without a count in Q ('z')" in out


def test_kl_of_different_columns(capsys):
    message = run(capsys, "kl", DATA / "old_faithful.csv", DATA / "stackloss.csv", status=2)
    assert "differ in their columns" in message
    message = run(capsys, "kl", DATA / "old_faithful.csv", DATA / "stackloss.csv", "--columns", "waiting", status=2)
    assert "stackloss.csv has no column 'waiting'" in message


def test_kl_of_many_rows_tests_some_of_them(capsys, tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "p.npy", rng.normal(size=6000))
    np.save(tmp_path / "q.npy", rng.normal(1.0, 1.0, size=700))
    out = run(capsys, "kl", tmp_path / "p.npy", tmp_path / "q.npy")
    assert "on 5,000 random rows of a file at most" in " ".join(out.split())
    assert re.search(r"^0 .*0\.0010$", out, re.MULTILINE)


def test_kl_of_the_same_rows_says_so(capsys):
    out = run(capsys, "kl", DATA / "diabetes_reaven_miller.csv", DATA / "diabetes_reaven_miller.csv", "--no-test")
    assert "share rows" in " ".join(out.split())


@pytest.mark.parametrize(("n", "m", "k"), [(30, 40, 12), (25, 25, 13)])
def test_label_test_against_the_exact_law(n, m, k):
    """Two labels: given the margins the count is hypergeometric, and the p-value a sum over its tail."""
    P = np.array(["a"] * k + ["b"] * (n - k), dtype=object)
    Q = np.array(["a"] * 20 + ["b"] * (m - 20), dtype=object)
    distribution = stats.hypergeom(n + m, k + 20, n)
    counts = np.arange(max(0, k + 20 - m), min(n, k + 20) + 1)

    def statistic(x):
        cells = np.array([x, n - x, k + 20 - x, m - k - 20 + x], dtype=float)
        return np.sum(cells * np.log(np.maximum(cells, 1.0)))

    values = np.array([statistic(x) for x in counts])
    exact = distribution.pmf(counts)[values >= statistic(k) - 1e-9].sum()
    assert abs(label_test(P, Q, 0) - exact) < 5.0 * np.sqrt(exact * (1.0 - exact) / 999) + 2e-3
