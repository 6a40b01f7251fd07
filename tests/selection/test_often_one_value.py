"""A column that has one value often among others that hardly repeat: no density describes it, and choosing one says so."""

import numpy as np
import pandas as pd
import pytest

from fastkl import RepeatedValuesWarning, make_product_density, rank_families
from fastkl.cli import main


def inflated(rng):
    return np.where(rng.random(500) < 0.3, 0.0, rng.gamma(2.0, size=500))


@pytest.mark.parametrize("call", [rank_families, make_product_density])
@pytest.mark.parametrize("digits", [2, 12])
def test_an_inflated_zero_is_said(call, digits):
    frame = pd.DataFrame({"spent": inflated(np.random.default_rng(3)).round(digits)})
    with pytest.warns(RepeatedValuesWarning, match=r"Column 0 \('spent'\) has the value 0 in \d+ of 500 rows"):
        call(frame)


def test_the_command_line_says_it_in_a_line(tmp_path, capsys):
    rng = np.random.default_rng(3)
    pd.DataFrame({"spent": inflated(rng), "x": rng.normal(size=500)}).to_csv(tmp_path / "table.csv", index=False)
    assert main(["fit", str(tmp_path / "table.csv")]) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if "('spent') has the value 0" in line]
    assert len(notes) == 1
    assert notes[0].startswith("fastkl: note: Column 0")


@pytest.mark.filterwarnings("error::fastkl.RepeatedValuesWarning")
@pytest.mark.parametrize(
    "draw",
    [
        lambda rng: rng.normal(170.0, 8.0, 500).round(),
        lambda rng: rng.gamma(2.0, size=500).round(1),
        lambda rng: rng.poisson(0.5, 500),
        lambda rng: rng.integers(0, 2, 500),
        lambda rng: rng.normal(size=500),
    ],
)
def test_rounded_values_counts_and_flags_are_not(draw):
    frame = pd.DataFrame({"x": draw(np.random.default_rng(4))})
    rank_families(frame)
    make_product_density(frame)


@pytest.mark.parametrize("sentinel", [-999.0, 9999.0, 0.0])
def test_a_value_far_from_all_others_may_stand_for_a_missing_one(sentinel):
    """Zeros of incomes are next to them; -999 among heights is not."""
    x = np.random.default_rng(0).gamma(2.0, 10.0, 300)
    x[::20] = sentinel
    with pytest.warns(RepeatedValuesWarning) as caught:
        rank_families(x[:, np.newaxis])
    assert ("If it stands for a missing value" in str(caught[0].message)) == (sentinel != 0.0)


@pytest.mark.filterwarnings("error::fastkl.RepeatedValuesWarning")
@pytest.mark.parametrize("draw", [lambda rng: rng.poisson(1.6, 300), lambda rng: rng.normal(170.0, 8.0, 300).round()])
def test_whole_numbers_among_which_cells_were_missing_are_what_they_were_as_integers(draw):
    """pandas keeps a column with gaps as floats, also when the rows with gaps are gone."""
    whole = pd.DataFrame({"x": draw(np.random.default_rng(5)).astype(int)})
    gaps = pd.concat([whole, pd.DataFrame({"x": [np.nan]})]).dropna()
    assert gaps["x"].dtype == float
    assert [one.family for _, one, _ in make_product_density(gaps).groups] == [
        one.family for _, one, _ in make_product_density(whole).groups
    ]
    assert rank_families(gaps)["x"].names == rank_families(whole)["x"].names
