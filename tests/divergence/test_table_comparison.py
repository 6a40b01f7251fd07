"""Two tables compared: every number by the call for it, columns by name and type, missing values, dates, both directions."""

import datetime
import decimal
import fractions
import html
import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from fastkl import (
    ColumnOrderWarning,
    ColumnTypeError,
    SourceError,
    categorical_jensen_shannon,
    categorical_kl,
    compare_tables,
    jensen_shannon,
    kl_divergence,
    permutation_test,
    population_stability_index,
)


def tables(n=150, m=120):
    rng = np.random.default_rng(0)
    made = []
    for rows, shift in ((n, 0.0), (m, 0.7)):
        kind, paid = rng.choice(["a", "b", "c"], rows), rng.random(rows) < 0.5
        when = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 200, rows) + 100 * shift, unit="D")
        x, y = rng.normal(shift, 1.0, rows), rng.normal(size=rows) * 1e4
        made.append(pd.DataFrame({"x": x, "y": y, "when": when, "kind": kind, "paid": paid}))
    return made


def test_every_number_is_that_of_the_call_for_it():
    p, q = tables()
    with pytest.warns(ColumnOrderWarning):
        found = compare_tables(p, q[["kind", "x", "paid", "when", "y"]], random_state=3)
    assert [(line.name, line.kind) for line in found.columns] == [
        ("x", "number"), ("y", "number"), ("when", "date"), ("kind", "label"), ("paid", "label")
    ]  # fmt: skip
    line = found.columns[0]
    a, b = p["x"].to_numpy(), q["x"].to_numpy()
    assert (line.kl, line.kl_reverse) == (kl_divergence(a, b), kl_divergence(b, a))
    assert line.jensen_shannon == jensen_shannon(a, b)
    assert line.psi == population_stability_index(a, b, unseen="smooth")
    rng = np.random.RandomState(3)
    assert line.p_value == permutation_test(a, b, n_permutations=999, random_state=rng).p_value
    assert line.p_value < 0.01 < found.columns[1].p_value
    line = found.columns[3]
    assert line.kl == categorical_kl(p["kind"], q["kind"])
    assert line.jensen_shannon == categorical_jensen_shannon(p["kind"], q["kind"])
    assert line.psi == population_stability_index(p["kind"], q["kind"], unseen="smooth")
    together = ["joint (3 columns)", "joint (2 labels)", "joint (3 columns, 2 labels)"]
    assert [line.name for line in found.joint] == together
    days = [f.assign(when=(f["when"] - pd.Timestamp(0)) / pd.Timedelta("1D"))[["x", "y", "when"]] for f in (p, q)]
    assert found.joint[0].kl == pytest.approx(kl_divergence(*(f.to_numpy() for f in days)), abs=1e-9)
    line, days = (
        found.joint[2],
        [d.assign(kind=f["kind"], paid=f["paid"].astype(str)) for d, f in zip(days, (p, q), strict=True)],
    )
    assert (line.kind, line.psi) == ("mixed", None)
    assert line.kl == pytest.approx(kl_divergence(*days), abs=1e-9)
    assert line.jensen_shannon == pytest.approx(jensen_shannon(*days), abs=1e-9)
    rng = np.random.RandomState(3)
    assert line.p_value == permutation_test(*days, n_permutations=999, random_state=rng).p_value


def test_tables_of_other_libraries_and_arrays():
    p, q = tables()
    expected = compare_tables(p, q, test=False).to_dict()
    assert compare_tables(pl.from_pandas(p), pl.from_pandas(q), test=False).to_dict() == expected
    assert compare_tables(pa.Table.from_pandas(p), pa.Table.from_pandas(q), test=False).to_dict() == expected
    numbers = [frame[["x", "y"]] for frame in (p, q)]
    by_position = compare_tables(*(frame.to_numpy() for frame in numbers), test=False)
    assert by_position.columns[1].kl == compare_tables(*numbers, test=False).columns[1].kl
    assert [line.name for line in by_position.columns] == [0, 1]


def test_forms():
    p, q = tables(80, 60)
    found = compare_tables(p, q)
    frame = found.to_frame()
    assert frame.loc["x", "kl"] == float(found.columns[0].kl)
    assert frame.loc["x", "kl_error"] == found.columns[0].kl.standard_error
    assert list(frame["rows_p"]) == [80] * 8
    assert json.loads(json.dumps(found.to_dict()))["columns"][0]["kl"]["value"] == float(found.columns[0].kl)
    text = repr(found)
    assert text.splitlines()[0] == "P: 80 rows, Q: 60 rows; in nats"
    assert f"{found.columns[0].p_value:.4f}" in text
    assert found._repr_html_().count("<tr>") == 9
    assert (
        "<td>&lt;b&gt;</td>"
        in compare_tables(pd.DataFrame({"<b>": p["x"]}), pd.DataFrame({"<b>": q["x"]}))._repr_html_()
    )


def test_infinite_divergences_have_a_place_in_json():
    found = compare_tables(pd.DataFrame({"k": list("aab")}), pd.DataFrame({"k": list("aaa")}), test=False)
    assert found.to_dict()["columns"][0]["kl"]["value"] == "inf"
    assert found.to_dict()["columns"][0]["kl"]["standard_error"] is None
    assert found.columns[0].notes[0].startswith("KL(P || Q): P has 1 symbol without a count in Q ('b')")


def test_the_other_direction_is_said_the_right_way_round():
    p, q = pd.DataFrame({"k": list("aabb")}), pd.DataFrame({"k": list("aabbc")})
    notes = compare_tables(p, q, test=False).columns[0].notes
    assert any(note.startswith("KL(Q || P): Q has 1 symbol without a count in P ('c')") for note in notes)
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=300), rng.standard_cauchy(300) ** 3
    notes = compare_tables(x, y, test=False).columns[0].notes
    assert any(
        note.startswith("KL(Q || P): The data do not show the tail of Q beyond the last row of P") for note in notes
    )
    shared = compare_tables(x, x, test=False).columns[0].notes
    assert sum("share rows" in note for note in shared) == 1


def test_missing_values_are_counted_and_left_out_if_asked():
    p, q = tables()
    p.loc[[1, 2], "x"], q.loc[5, "kind"], q.loc[7, "when"] = np.nan, None, pd.NaT
    with pytest.raises(ValueError, match=r"2 of 150 in column 'x' of p, 1 of 120 in column 'when' of q, 1 of 120 in"):
        compare_tables(p, q)
    found = compare_tables(p, q, drop_missing=True, test=False)
    assert [line.n_missing for line in found.columns] == [(2, 0), (0, 0), (0, 1), (0, 1), (0, 0)]
    assert found.columns[0].kl == kl_divergence(p["x"].dropna().to_numpy(), q["x"].to_numpy())
    assert (found.joint[0].n_rows, found.joint[0].n_missing) == ((148, 119), (2, 1))
    assert found.joint[1].n_rows == (150, 119)
    p["x"] = np.nan
    with pytest.raises(ValueError, match="no value that is not missing"):
        compare_tables(p, q, drop_missing=True)


def test_dates_in_every_form():
    days = [
        datetime.date(2024, 1, 1) + datetime.timedelta(days=int(d))
        for d in np.random.default_rng(2).integers(0, 99, 60)
    ]
    forms = [days, [d.isoformat() for d in days], np.array(days, dtype="datetime64[D]"), pd.to_datetime(days)]
    found = [compare_tables(pd.DataFrame({"t": form}), pd.DataFrame({"t": days[:40]}), test=False) for form in forms]
    assert [f.columns[0].kind for f in found] == ["date"] * 4
    assert len({float(f.columns[0].kl) for f in found}) == 1
    no_dates = pd.DataFrame({"t": ["2024-02-30", "2024-02-31"]})
    assert compare_tables(no_dates, no_dates, test=False).columns[0].kind == "label"


SPELLINGS = [  # the same labels or dates in columns of other types; those of a last row are missing
    ([2019, 2020, 2020], [2019, 2020, 2020, np.nan]),
    ([2019, 2020, 2020], ["2019", "2020", "2020"]),
    ([True, False, False], [1.0, 0.0, 0.0, np.nan]),
    ([True, False, False], pd.array([True, False, False, None], dtype="boolean")),
    ([0.5, 2, 2], [decimal.Decimal("0.5"), decimal.Decimal("2.0"), fractions.Fraction(2)]),
    ([2**52, 2**52 + 1, 2**52 + 1], pd.array([2**52, 2**52 + 1, 2**52 + 1, None], dtype="Int64")),
    (pd.to_datetime(["2024-01-01", "2024-02-01", "2024-02-01"]), [datetime.date(2024, m, 1) for m in (1, 2, 2)]),
    (pd.to_timedelta([1, 2, 2], unit="D"), [datetime.timedelta(days=d) for d in (1, 2, 2)]),
]


@pytest.mark.parametrize(("first", "second"), SPELLINGS)
def test_labels_are_compared_by_value_whatever_their_type(first, second):
    """Two labels with counts 1 and 2 in both tables: every divergence of the frequencies is 0."""
    p, q = pd.DataFrame({"k": first}), pd.DataFrame({"k": pd.Series(second, dtype=getattr(second, "dtype", object))})
    for one, other in ((p, q), (q, p), (p, q.infer_objects())):
        line = compare_tables(one, other, labels=["k"], drop_missing=True, test=False).columns[0]
        assert line.kl == categorical_kl([0, 1, 1], [0, 1, 1])
        assert line.psi == 0.0


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_spans_of_time_are_numbers_of_days_in_every_form(unit):
    rng = np.random.default_rng(5)
    days = [rng.integers(0, 99, 60), rng.integers(0, 99, 40)]
    expected = compare_tables(*days, test=False).columns[0].kl
    p = pd.DataFrame({"t": pd.to_timedelta(days[0], unit="D").astype(f"timedelta64[{unit}]")})
    spans = pd.DataFrame({"t": pd.Series([datetime.timedelta(days=int(d)) for d in days[1]], dtype=object)})
    for q in (spans, pl.DataFrame({"t": spans["t"].tolist()}), pa.table({"t": spans["t"].tolist()})):
        line = compare_tables(p, q, test=False).columns[0]
        assert (line.kind, line.kl) == ("number", expected)
    with pytest.raises(ColumnTypeError, match=r"p holds spans of time .* and q holds numbers"):
        compare_tables(p, pd.DataFrame({"t": days[1]}))
    months = np.array([1, 2], dtype="timedelta64[M]")
    with pytest.raises(ColumnTypeError, match="Column 0 of p holds timedelta64.M., spans of no fixed length"):
        compare_tables(months, months)


@pytest.mark.parametrize("form", [lambda t: t, pl.from_pandas, pa.Table.from_pandas, lambda t: t.astype(object)])
def test_dates_with_a_time_zone_are_those_of_utc(form):
    """No warnings, which are errors here, and no comparison with dates that have none."""
    rng = np.random.default_rng(3)
    hours = [pd.to_timedelta(rng.integers(0, 999, n), unit="h") for n in (60, 40)]
    utc = [pd.DataFrame({"t": pd.Timestamp("2024-03-01") + after}) for after in hours]
    zones = [
        t.assign(t=t["t"].dt.tz_localize("UTC").dt.tz_convert(zone))
        for t, zone in zip(utc, ("Asia/Tokyo", "Europe/Berlin"), strict=True)
    ]
    found, expected = compare_tables(*map(form, zones), test=False), compare_tables(*utc, test=False)
    assert found.columns[0].kl == expected.columns[0].kl
    assert found.columns[0].kind == "date"
    for labels in ([], ["t"]):
        with pytest.raises(
            ColumnTypeError, match="Column 't': the dates of q have a time zone and those of p have none"
        ):
            compare_tables(form(utc[0]), form(zones[1]), labels=labels)
    mixed = pd.DataFrame({"t": [*utc[0]["t"], *zones[0]["t"]]}, dtype=object)
    with pytest.raises(ColumnTypeError, match="Column 't' of q holds dates with a time zone and dates without"):
        compare_tables(form(utc[0]), mixed)


def test_times_of_day_are_labels():
    times = [datetime.time(hour) for hour in (1, 2, 2)]
    for table in (pd.DataFrame({"t": times}), pl.DataFrame({"t": times}), pa.table({"t": times})):
        line = compare_tables(table, pd.DataFrame({"t": times}), test=False).columns[0]
        assert (line.kind, line.psi) == ("label", 0.0)


def test_kinds_that_differ_are_errors_and_codes_can_be_labels():
    p, q = pd.DataFrame({"x": [1.5, 2.5, 4.5]}), pd.DataFrame({"x": ["1,5", "2,5", "4,5"]})
    with pytest.raises(ColumnTypeError, match=r"Column 'x': p holds numbers \(1.5\) and q holds labels \('1,5'\)"):
        compare_tables(p, q)
    with pytest.raises(ColumnTypeError, match="dates"):
        compare_tables(pd.DataFrame({"x": pd.to_datetime(["2024-01-01"])}), p)
    codes = pd.DataFrame({"x": [1, 2, 2, 3]})
    assert compare_tables(codes, codes, labels=["x"], test=False).columns[0].kl == categorical_kl(
        codes["x"], codes["x"]
    )
    with pytest.raises(SourceError, match="labels names 'z'"):
        compare_tables(codes, codes, labels=["z"])
    with pytest.raises(SourceError, match="no columns to compare"):
        compare_tables(p, q, columns=[])
    with pytest.raises(SourceError, match="lacks"):
        compare_tables(codes, codes.rename(columns={"x": "y"}))
    with pytest.raises(SourceError, match="no column 'y'"):
        compare_tables(codes, codes, columns=["y"])
    with pytest.raises(ValueError, match="row 1"):
        compare_tables([1.0, np.inf], [1.0, 2.0])


def test_lines_do_not_depend_on_each_other():
    p, q = tables(60, 50)
    alone = compare_tables(p, q, columns=["y"]).columns[0]
    assert compare_tables(p, q, columns="y").columns[0].to_dict() == alone.to_dict()
    assert alone.to_dict() == compare_tables(p, q).columns[1].to_dict()


def test_a_text_is_one_name():
    """Its letters were taken for names."""
    p = pd.DataFrame({"a": [1, 2, 2, 3], "b": [1, 2, 3, 3], "ab": [2, 2, 1, 1]})
    assert [line.name for line in compare_tables(p, p, columns="ab", test=False).columns] == ["ab"]
    kinds = {line.name: line.kind for line in compare_tables(p, p, labels="ab", test=False).columns}
    assert kinds == {"a": "number", "b": "number", "ab": "label"}


def test_columns_that_are_not_in_a_joint_line_are_named():
    found = compare_tables(*tables(60, 50), test=False)
    assert [line.left_out for line in found.joint] == [["kind", "paid"], ["x", "y", "when"], []]
    assert found.apart == []  # since the last line has them all
    assert [line["left_out"] for line in found.to_dict()["joint"]] == [["kind", "paid"], ["x", "y", "when"], []]
    named = [
        frame.assign(id=[f"<{side}{i}>" for i in range(len(frame))])
        for side, frame in zip("pq", tables(60, 50), strict=True)
    ]
    found = compare_tables(*named, test=False)
    assert [line.left_out for line in found.joint] == [["kind", "paid", "id"], ["x", "y", "when", "id"], ["id"]]
    assert found.apart == ["Not in a joint line: 'id', apparently names of rows."]
    assert found.apart[0] in repr(found).splitlines()
    assert html.escape(found.apart[0]) in found._repr_html_()


@pytest.mark.parametrize(("name", "numbers"), [("nr", np.arange(200.0)), ("customer_id", None)])
def test_names_of_rows_are_no_variable_of_the_joint_line(name, numbers):
    """Two parts of one register differ in them for certain; the line of the column itself stays."""
    rng = np.random.default_rng(0)
    ids = rng.permutation(10_000) if numbers is None else np.concatenate([numbers, numbers + 200.0])
    p, q = (
        pd.DataFrame({name: ids[k : k + 200], "x": rng.normal(size=200), "y": rng.normal(size=200)}) for k in (0, 200)
    )
    found = compare_tables(p, q, n_permutations=99)
    assert [line.name for line in found.lines] == [name, "x", "y", "joint (2 columns)"]
    assert found.joint[0].left_out == [name]
    assert f"Not in a joint line: '{name}', apparently names of rows." in repr(found)
    assert found.joint[0].p_value > 0.01
    asked = compare_tables(p, q, columns=[name, "x", "y"], n_permutations=99, test=False)
    assert asked.joint[0].name == "joint (3 columns)"


def test_a_line_by_the_name_of_its_column():
    found = compare_tables(*tables(), test=False)
    assert [found[line.name] for line in found] == found.lines == list(found)
    with pytest.raises(KeyError, match="no line 'nowhere'; there are "):
        found["nowhere"]


def test_labels_that_name_rows_are_no_change():
    """All users of a later week are new: its stability index is that of any two weeks, and no joint line has the column."""
    rng = np.random.default_rng(1)
    ids = [f"u{number:05d}" for number in rng.permutation(90_000)[:500]]
    users = [
        pd.DataFrame({"user": ids[k : k + 250], "a": rng.choice(list("xyz"), 250), "b": rng.choice(list("uv"), 250)})
        for k in (0, 250)
    ]
    found = compare_tables(*users, n_permutations=99)
    assert [line.name for line in found.lines] == ["user", "a", "b", "joint (2 labels)"]
    assert "Not in a joint line: 'user', apparently names of rows." in found.apart
    assert (
        found.columns[0]
        .notes[0]
        .startswith(
            "The values look like names of rows, or free text (250 different values in 250 rows in P, 250 different"
        )
    )
    assert not any(note.startswith("The values look like") for line in found.lines[1:] for note in line.notes)


def test_a_change_in_what_is_missing_is_said():
    """The values that are there are alike, and four times as many are missing."""
    rng = np.random.default_rng(2)
    frames = [pd.DataFrame({"x": rng.normal(size=1000), "y": rng.normal(size=1000)}) for _ in range(2)]
    for frame, share in zip(frames, (0.1, 0.4), strict=True):
        frame.loc[: 1000 * share - 1, "x"] = np.nan
        frame.loc[995:, "y"] = np.nan
    found = compare_tables(*frames, drop_missing=True, test=False)
    said = [
        "x: without 100 rows of P (10 %) and 400 rows of Q (40 %), where a value is missing: shares that differ by more than "
        "chance",
        "y: without 5 rows of P (0.5 %) and 5 rows of Q (0.5 %), where a value is missing",
    ]
    assert found.gaps[:2] == said
    for sentence in said:
        assert f"* {sentence}" in repr(found).splitlines()
        assert sentence in found._repr_html_()
    assert compare_tables(*tables(60, 50), test=False).gaps == []


def test_dates_of_two_weeks_have_no_part_in_the_joint_line():
    rng = np.random.default_rng(0)
    first, second = (
        pd.DataFrame(
            {"when": pd.date_range(start, periods=600, freq="h"), "a": rng.normal(size=600), "b": rng.normal(size=600)}
        )
        for start in ("2026-01-01", "2026-01-26")
    )
    found = compare_tables(first, second, test=False)
    assert [line.name for line in found.joint] == ["joint (2 columns)"]
    assert abs(found.joint[0].kl) < 0.3
    assert "'when', whose dates in one table are all before those in the other" in repr(found)
    assert "Column 'when': 600 of 600 rows of P" in repr(found)
    named = compare_tables(first, second, columns=["a", "when"], test=False)
    assert named.joint[0].kl > 2.0
    assert any("Column 'when'" in note for note in named.joint[0].notes)
    assert compare_tables(first, first.iloc[::-1].assign(a=0.0), test=False).joint[0].name == "joint (3 columns)"


def test_many_labels_together_are_doubted_in_every_number_and_named_in_brief():
    """Each row has labels of its own: the Jensen-Shannon divergence found is beyond its maximum log 2."""
    rng = np.random.default_rng(0)
    one, other = (pd.DataFrame(rng.choice(["left", "right"], size=(80, 40))).add_prefix("side") for _ in range(2))
    found = compare_tables(one, other, n_permutations=19)
    (line,) = found.joint
    assert line.jensen_shannon > np.log(2.0)
    last = next(text for text in repr(found).splitlines() if text.startswith("joint"))
    assert f"{float(line.jensen_shannon):.4f}*" in last
    assert max(map(len, line.notes)) < 700
    assert f"<div>* {html.escape(found.notes[0])}</div>" in found._repr_html_()
    shift = compare_tables(np.repeat([0.0, 1.0], 60), np.repeat([1.0, 0.0], 60), n_permutations=19)
    assert "*" not in repr(shift)
