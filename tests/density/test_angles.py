"""Angles in degrees, where radians are expected, are said; radians of any turn are not."""

import numpy as np
import pandas as pd
import pytest

from fastkl import DensityMLE, KernelDensityMLE, MixtureMLE, ProductDensity

SAID = "radians. Of degrees pass numpy.radians"


def degrees(kind, n=400):
    rng = np.random.default_rng(0)
    return {
        "turn": rng.uniform(0.0, 360.0, n),
        "signed": rng.uniform(-180.0, 180.0, n),
        "wind": np.mod(rng.normal(270.0, 25.0, n), 360.0),
        "narrow": rng.normal(90.0, 4.0, n),
        "whole": np.round(rng.normal(45.0, 1.5, n)),
        "few": np.array([10.0, 100.0, 90.0, 350.0]),
        "hours": rng.uniform(0.0, 24.0, n),
        "days": np.arange(1.0, 366.0),
    }[kind][:, np.newaxis]


@pytest.mark.parametrize("kind", ["turn", "signed", "wind", "narrow", "whole", "few", "hours", "days"])
def test_degrees_are_said(kind):
    X = degrees(kind)
    with pytest.warns(UserWarning, match=SAID):
        DensityMLE("von_mises").fit(X)
    DensityMLE("von_mises").fit(np.radians(X))


def test_every_density_of_angles_says_it_by_name():
    table = pd.DataFrame({"wind": degrees("wind")[:, 0], "hour": np.radians(degrees("wind")[:, 0]), "speed": 1.0})
    table["speed"] += np.arange(len(table)) / 100.0
    for density in (DensityMLE("von_mises"), KernelDensityMLE(1.0, kernel="von_mises")):
        with pytest.warns(UserWarning, match=r"Column 0 \('wind'\) holds angles of up to 3\d\d.*" + SAID) as said:
            density.fit(table[["wind", "hour"]])
        assert len(said) == 1
    products = [("angle", "von_mises", ["wind"]), ("speed", "gamma", ["speed"])]
    with pytest.warns(UserWarning, match=r"Column 1 \('wind'\)"):
        MixtureMLE(2, family=products, random_state=0).fit(table[["speed", "wind"]])
    with pytest.warns(UserWarning, match=r"'wind'"):
        ProductDensity([("angle", DensityMLE("von_mises"), ["wind"]), ("speed", DensityMLE("gamma"), ["speed"])]).fit(
            table[["speed", "wind"]]
        )


def test_blocks_of_degrees_are_said():
    X = degrees("turn")
    with pytest.warns(UserWarning, match=SAID):
        DensityMLE("von_mises").fit_batches([X[:150], X[150:]])


@pytest.mark.parametrize("turns", [1, 2, 3, 10, 50])
@pytest.mark.parametrize("concentration", [0.5, 4.0])
def test_radians_of_any_turn_are_not(turns, concentration):
    rng = np.random.default_rng(turns)
    X = rng.vonmises(1.0, concentration, (400, 2)) + 2.0 * np.pi * rng.integers(0, turns, (400, 2))
    DensityMLE("von_mises").fit(X)
    DensityMLE("von_mises").fit(X - 2.0 * np.pi * turns)


def test_flat_radians_of_two_turns_are_not():
    for seed in range(50):
        DensityMLE("von_mises").fit(np.random.default_rng(seed).uniform(0.0, 4.0 * np.pi, (200, 1)))
