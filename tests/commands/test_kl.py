"""fastkl kl: its divergences and p-values, against the library and exact distributions."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import fastkl
from fastkl.cli import main
from fastkl.commands import kl
from fastkl.commands.layout import number
from fastkl.divergence.significance.label_test import label_test
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
        assert number(round(there.value, 4)) in lines[name]
        assert f"[{low:.4f}, {high:.4f}]" in lines[name]
        assert number(round(back.value, 4)) in lines[name]
        rng = np.random.RandomState(3)
        test = fastkl.permutation_test(p[name].to_numpy(), q[name].to_numpy(), n_permutations=999, random_state=rng)
        assert lines[name].endswith(f"{test.p_value:.4f}")
    kind = fastkl.categorical_kl(p["kind"], q["kind"])
    assert number(round(kind.value, 4)) in lines["kind"]
    scale = pd.concat([p, q])[["x", "y"]].std(ddof=0)
    joint = fastkl.kl_divergence((p[["x", "y"]] / scale).to_numpy(), (q[["x", "y"]] / scale).to_numpy(), n_neighbors=4)
    assert number(round(joint.value, 4)) in lines["joint (2 columns)"]
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


def test_kl_of_numbers_against_text_is_an_error(capsys, tmp_path):
    (tmp_path / "p.csv").write_text("x,y\n1.5,1\n2.5,2\n3.5,4\n")
    (tmp_path / "q.csv").write_text('x,y\n"1,5",3\n"2,5",4\n"3,5",5\n')
    message = run(capsys, "kl", tmp_path / "p.csv", tmp_path / "q.csv", status=2)
    assert "Column 'x': p holds numbers (1.5) and q holds labels ('1,5')" in message
    assert "decimal comma" in message
    out = run(capsys, "kl", tmp_path / "p.csv", tmp_path / "q.csv", "--labels", "x", "--no-test")
    assert re.findall(r"^joint \(.*?\)", out, re.MULTILINE) == ["joint (1 column, 1 label)"]


def test_kl_counts_missing_values_and_drops_them_if_asked(capsys, tmp_path):
    rng = np.random.default_rng(1)
    frames = [pd.DataFrame(rng.normal(size=(80, 2)), columns=["x", "y"]) for _ in range(2)]
    frames[0].loc[[3, 5], "x"] = np.nan
    frames[1].loc[7, "y"] = np.nan
    paths = [tmp_path / "p.csv", tmp_path / "q.csv"]
    for frame, path in zip(frames, paths, strict=True):
        frame.to_csv(path, index=False)
    message = run(capsys, "kl", *paths, status=2)
    assert f"2 of 80 in column 'x' of {paths[0]}, 1 of 80 in column 'y' of {paths[1]}" in message
    assert "--drop-missing" in message
    out = run(capsys, "kl", *paths, "--drop-missing", "--no-test")
    p, q = frames[0]["x"].dropna().to_numpy(), frames[1]["x"].to_numpy()
    low, high = fastkl.kl_divergence(p, q).confidence_interval()
    assert f"[{number(low)}, {number(high)}]" in re.search("^x .*$", out, re.MULTILINE).group()
    assert "* x: without 2 rows of P (2.5 %) and 0 rows of Q (0 %), where a value is missing\n" in out
    joint = fastkl.kl_divergence(frames[0].dropna().to_numpy(), frames[1].dropna().to_numpy())
    assert number(joint.value) in re.search("^joint.*$", out, re.MULTILINE).group()


def test_kl_as_json(capsys, halves):
    *_, p, q = halves
    found = json.loads(run(capsys, "kl", p, q, "--json"))
    assert [line["name"] for line in found["columns"]] == ["x", "y", "kind"]
    assert found["n_rows"] == [150, 90]
    line = found["columns"][0]
    expected = fastkl.kl_divergence(*(pd.read_csv(p)["x"].to_numpy(), pd.read_parquet(q)["x"].to_numpy()))
    assert line["kl"]["value"] == pytest.approx(expected.value, rel=1e-12)
    assert line["kl"]["low"] == pytest.approx(expected.confidence_interval()[0], rel=1e-9)
    assert 0.0 < line["p_value"] <= 0.01
    assert line["psi"]["value"] > 0.5


def test_kl_of_dates(capsys, tmp_path):
    rng = np.random.default_rng(2)
    for name, first in (("p", "2024-01-01"), ("q", "2024-02-01")):
        days = pd.Timestamp(first) + pd.to_timedelta(rng.integers(0, 300, 120), unit="D")
        pd.DataFrame({"when": days.strftime("%Y-%m-%d")}).to_csv(tmp_path / f"{name}.csv", index=False)
    found = json.loads(run(capsys, "kl", tmp_path / "p.csv", tmp_path / "q.csv", "--json"))
    assert found["columns"][0]["kind"] == "date"
    assert found["columns"][0]["p_value"] < 0.05


def test_notes_stand_once_on_one_line_with_p_and_q_as_given(capsys, tmp_path):
    rng = np.random.default_rng(3)
    pd.DataFrame({"x": rng.standard_cauchy(400) ** 3}).to_csv(tmp_path / "p.csv", index=False)
    pd.DataFrame({"x": rng.normal(size=400)}).to_csv(tmp_path / "q.csv", index=False)
    out = run(capsys, "kl", tmp_path / "p.csv", tmp_path / "q.csv", "--no-test")
    notes = [line for line in out.splitlines() if line.startswith("* ")]
    assert len(notes) == len(set(notes))
    assert any("KL(P || Q): The data do not show the tail of P beyond the last row of Q" in line for line in notes)
    back = run(capsys, "kl", tmp_path / "q.csv", tmp_path / "p.csv", "--no-test")
    assert "KL(Q || P): The data do not show the tail of Q beyond the last row of P" in back


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
    assert (
        abs(label_test(P, Q, 999, np.random.RandomState(0)) - exact) < 5.0 * np.sqrt(exact * (1.0 - exact) / 999) + 2e-3
    )


def test_a_doubt_that_columns_share_is_said_once(capsys, tmp_path):
    """With the numbers of the first of them; that of all columns together stands by itself."""
    pd.DataFrame({"a": list("xxyyz"), "b": list("uuvww")}).to_csv(tmp_path / "p.csv", index=False)
    pd.DataFrame({"a": list("xxyyy"), "b": list("uuvuv")}).to_csv(tmp_path / "q.csv", index=False)
    out = run(capsys, "kl", tmp_path / "p.csv", tmp_path / "q.csv", "--no-test")
    said = [line for line in re.sub(r"\n +", " ", out).splitlines() if line.startswith("* ")]
    assert not any(line.startswith(("* a, KL", "* b, ")) for line in said)  # said with the other
    assert said[0].startswith("* a, b, KL(P || Q): P has 1 symbol without a count in Q ('z'), with 0.2 of its mass.")
    assert said[0].endswith(" These are the numbers of a.")
    assert any(line.startswith("* joint (2 labels), KL(P || Q): P has ") for line in said[1:])


@pytest.mark.parametrize("case", ["shared", "rounded", "apart"])
def test_stars_are_those_of_the_table_in_python(capsys, tmp_path, case):
    """A doubt about both directions is said once and marks both estimates."""
    rng = np.random.default_rng(0)
    p = rng.normal(size=400)
    q = {"shared": p, "rounded": rng.normal(size=300).round(1), "apart": rng.normal(9.0, 0.1, 300)}[case]
    for name, x in (("p", p), ("q", q)):
        pd.DataFrame({"x": x}).to_csv(tmp_path / f"{name}.csv", index=False)
    out = run(capsys, "kl", tmp_path / "p.csv", tmp_path / "q.csv", "--no-test")
    line = re.search("^x .*$", out, re.MULTILINE).group()
    table = fastkl.compare_tables(p, q, test=False)
    both = table.columns[0].kl, table.columns[0].kl_reverse
    assert any(one.bias_suspected for one in both)
    for one in both:
        assert (f"{number(float(one))}*" in line) == one.bias_suspected
    assert line.count("*") == repr(table).splitlines()[2].count("*")


def test_estimates_below_0_are_small_or_impossible(capsys, tmp_path):
    """Rows that were moved by little are nearer to the others than to their own: no independent samples are so."""
    rng = np.random.default_rng(0)
    p = pd.DataFrame(rng.normal(size=(300, 5)), columns=list("abcde"))
    q = p + 1e-2 * rng.normal(size=(300, 5))
    found = fastkl.compare_tables(p, q, test=False)
    assert "although no divergence is negative" in " ".join(found.joint[0].kl.reasons)
    assert any(-3.0 * line.kl.standard_error < line.kl < 0.0 for line in found.columns)
    for name, frame in (("p", p), ("q", q)):
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    out = run(capsys, "kl", tmp_path / "p.csv", tmp_path / "q.csv", "--no-test")
    assert "An estimate below 0" not in out
    assert "Other estimates below 0 are of divergences near 0." in out
    small = next(str(line.name) for line in found.columns if line.kl < 0.0)
    out = run(capsys, "kl", tmp_path / "p.csv", tmp_path / "q.csv", "--no-test", "--columns", small)
    assert "An estimate below 0 is one of a divergence near 0." in out


def test_joint_lines_by_kind_and_of_all_columns(capsys, halves):
    *_, p, q = halves
    out = run(capsys, "kl", p, q, "--no-test")
    assert re.findall(r"^joint \(.*?\)", out, re.MULTILINE) == ["joint (2 columns)", "joint (2 columns, 1 label)"]
    found = json.loads(run(capsys, "kl", p, q, "--no-test", "--json"))
    assert [line["left_out"] for line in found["joint"]] == [["kind"], []]
    assert found["columns"][0]["left_out"] == []
    assert "Not in" not in out


@pytest.mark.parametrize("name", ["height, cm", "1", "x\ty"])
def test_names_that_look_like_several_or_like_numbers(capsys, tmp_path, name):
    rng = np.random.default_rng(0)
    for file in "pq":
        pd.DataFrame(rng.normal(size=(40, 2)), columns=[name, "z"]).to_csv(tmp_path / f"{file}.csv", index=False)
    paths = [tmp_path / "p.csv", tmp_path / "q.csv", "--no-test", "--json", "--header", "yes"]
    whole = json.loads(run(capsys, "kl", *paths))
    assert [line["name"] for line in whole["columns"]] == [name, "z"]
    for asked in (name, f'"{name}"', f'z,"{name}"'):
        found = json.loads(run(capsys, "kl", *paths, "--columns", asked))
        assert next(line for line in found["columns"] if line["name"] == name) == whole["columns"][0]


def test_the_second_file_is_asked_for_names_not_for_places(capsys, tmp_path):
    np.save(tmp_path / "p.npy", np.arange(9.0))
    (tmp_path / "q.csv").write_text("a\n1\n2.5\n3\n")
    message = run(capsys, "kl", tmp_path / "p.npy", tmp_path / "q.csv", "--columns", "0", status=2)
    assert "q.csv has no column '0'" in message


@pytest.mark.parametrize("option", ["--columns", "--labels"])
@pytest.mark.parametrize("asked", ["", " ", ",", '""'])
def test_an_empty_name_is_no_column(capsys, halves, option, asked):
    message = run(capsys, "kl", *halves[2:], option, asked, status=2)
    assert f"{option}: " in message
    assert "no column ''" in message
    assert "is no list of columns" in run(capsys, "kl", *halves[2:], option, "x\ry", status=2)


def test_texts_that_are_no_labels_are_said(capsys, tmp_path):
    """Percentages compared as 50 labels: not in silence."""
    path = tmp_path / "rows.csv"
    path.write_text("share,plan,x\n" + "".join(f"{i % 50}.5%,{'ab'[i % 2]},{i * 0.37 % 1:.4f}\n" for i in range(200)))
    main(["kl", str(path), str(path)])
    said = " ".join(capsys.readouterr().err.split())
    assert "column 'share' is compared as labels, and looks like numbers with a % sign, such as '0.5%'" in said
    assert "'plan'" not in said
    main(["kl", str(path), str(path), "--labels", "share"])
    assert "is compared as labels" not in capsys.readouterr().err


def test_how_many_values_are_no_numbers(capsys, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("x\n" + "1.5\n2.5\n-\n" * 5)
    assert "(no numbers stand there in 5 of 15 rows)" in run(capsys, "fit", path, status=2)


def test_an_estimate_near_zero_is_shown_with_the_digits_of_its_error(capsys, monkeypatch, tmp_path):
    """4.607e-08 with an interval of 0.06 is 0.0000."""

    def compared(*args, **options):
        line = compare_tables(*args, **options).columns[0]
        small = fastkl.Estimate(-4.6e-8, 0.03, 20, "knn")
        exact = fastkl.Estimate(4.6e-8, 1e-9, 20, "knn")
        return fastkl.TableComparison([replace(line, kl=small, kl_reverse=exact)], [], (20, 20))

    compare_tables = kl.compare_tables
    monkeypatch.setattr(kl, "compare_tables", compared)
    paths = [tmp_path / name for name in ("p.csv", "q.csv")]
    for seed, path in enumerate(paths):
        pd.DataFrame({"x": np.random.default_rng(seed).normal(size=20)}).to_csv(path, index=False)
    line = re.search("^x .*$", run(capsys, "kl", *paths, "--no-test"), re.MULTILINE).group()
    assert re.match(r"x +0\.0000 +\[-0\.0588, 0\.0588\] +4\.6e-08", line)
