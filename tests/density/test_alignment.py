"""Numbers at addresses that are no multiple of 8, as records, files and messages hold them, reach no compiled loop."""

import pickle
import struct

import numpy as np
import pytest

from fastkl import DensityMLE
from fastkl._core.alignment import aligned
from fastkl.rows.dask.tasks import PartitionResult

RNG = np.random.default_rng(0)
X = RNG.gamma(2.0, size=(500, 3))


def moved(array):
    """The same numbers one byte further."""
    found = np.empty(array.nbytes + 1, dtype=np.uint8)[1:].view(array.dtype).reshape(array.shape)
    found[...] = array
    assert not found.flags.aligned
    return found


def sent(value):
    """As it comes from another process, with arrays side by side behind a header of one byte."""
    buffers = []
    data = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    frames = []
    for buffer in buffers:
        raw = buffer.raw()
        place = np.empty(len(raw) + 1, dtype=np.uint8)
        place[1:] = raw
        frames.append(place[1:].data)
    return pickle.loads(data, buffers=frames)


def test_arrays_come_at_any_address():
    """Else the tests below would show nothing."""
    assert not sent(X).flags.aligned


@pytest.mark.parametrize("family", ["gamma", "normal", "multivariate_normal", "multivariate_t"])
def test_a_density_that_was_sent(family):
    density = DensityMLE(family).fit(X)
    found = sent(density)
    assert all(value.flags.aligned for value in found.params_.values())
    assert all(np.asarray(value).flags.aligned for value in found.statistics_.values())
    np.testing.assert_array_equal(found.score_samples(X), density.score_samples(X))


@pytest.mark.parametrize("family", ["gamma", "multivariate_t"])
def test_rows_weights_and_parameters(family):
    weights = RNG.random(len(X))
    want = DensityMLE(family).fit(X, sample_weight=weights)
    got = DensityMLE(family).fit(moved(X), sample_weight=moved(weights))
    for name, value in want.params_.items():
        np.testing.assert_array_equal(got.params_[name], value)
    params = {name: moved(np.asarray(value)) for name, value in want.params_.items()}
    known = DensityMLE.from_parameters(family, **params)
    assert all(value.flags.aligned for value in known.params_.values())
    np.testing.assert_array_equal(known.score_samples(moved(X)), want.score_samples(X))


def test_results_of_partitions():
    part = PartitionResult(0, {"mean": X[0], "others": [X, (X, "text")]}, ((500, 500),))
    found = sent(part)
    assert found.value["mean"].flags.aligned
    assert found.value["others"][1][0].flags.aligned
    assert (found.number, found.lengths) == (0, ((500, 500),))
    np.testing.assert_array_equal(found.value["others"][0], X)


def test_only_what_has_to_be_is_copied():
    inside = {"a": X, "b": [moved(X), 3], "c": (struct.pack("<d", 1.0),)}
    found = aligned(inside)
    assert found["a"] is X
    assert found["b"][0].flags.aligned
    assert (found["b"][1], found["c"]) == (3, inside["c"])
