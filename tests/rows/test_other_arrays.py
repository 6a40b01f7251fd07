"""Arrays of other libraries, which offer their values by DLPack and nothing else: the same numbers, or one clear message."""

import numpy as np
import pytest

from fastkl import DensityMLE, categorical_kl, kl_divergence, kl_from_log_probs
from fastkl.exceptions import SourceError
from fastkl.rows.reading import look

X = np.random.default_rng(0).gamma(2.0, size=(200, 2))


class Tensor:
    """As little of an array as the array API asks for."""

    def __init__(self, values, problem=None):
        self._values, self._problem = values, problem
        self.shape, self.ndim, self.dtype = values.shape, values.ndim, f"tensor.{values.dtype}"

    def __getitem__(self, rows):
        return Tensor(self._values[rows], self._problem)

    def __len__(self):
        return len(self._values)

    def __dlpack__(self, **options):
        if self._problem is not None:
            raise self._problem
        return self._values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._values.__dlpack_device__()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_same_numbers_without_a_copy(dtype):
    rows = X.astype(dtype)
    assert np.shares_memory(look(Tensor(rows), "X"), rows)
    plain, other = DensityMLE("gamma").fit(rows), DensityMLE("gamma").fit(Tensor(rows))
    np.testing.assert_array_equal(other.params_["shape"], plain.params_["shape"])
    np.testing.assert_array_equal(other.score_samples(Tensor(rows)), plain.score_samples(rows))
    assert kl_divergence(Tensor(rows[:100]), Tensor(rows[100:])) == kl_divergence(rows[:100], rows[100:])


def test_a_transposed_one_and_weights():
    weights = np.arange(1.0, 201.0)
    found = DensityMLE("gamma").fit(Tensor(np.asfortranarray(X)), sample_weight=Tensor(weights))
    expected = DensityMLE("gamma").fit(X, sample_weight=weights)
    np.testing.assert_allclose(found.params_["shape"], expected.params_["shape"], rtol=1e-14)


def test_bfloat16_is_told_from_what_is_elsewhere():
    tensor = Tensor(X[:, 0], RuntimeError("Unsupported dtype in DLTensor."))
    tensor.dtype = "torch.bfloat16"
    for call in (kl_divergence, kl_from_log_probs, categorical_kl):
        with pytest.raises(SourceError, match=r"is a \w+\.Tensor of bfloat16.* Pass X\.float\(\)"):
            call(tensor, tensor)


@pytest.mark.parametrize(
    "problem", [BufferError("it requires gradients"), RuntimeError("device cuda:0"), TypeError("bfloat16")]
)
def test_what_is_not_in_main_memory(problem):
    with pytest.raises(SourceError, match=r"X is a \w+\.Tensor that can't be read where it is .*main memory"):
        DensityMLE("gamma").fit(Tensor(X, problem))


@pytest.mark.parametrize(
    "source",
    [
        Tensor(X),
        [Tensor(X[:50]), Tensor(X[50:])],
        [(Tensor(X[:50]), Tensor(np.ones(50))), Tensor(X[50:])],
        [
            [Tensor(X[:50]), Tensor(np.ones(50))],
            [Tensor(X[50:]), Tensor(np.ones(150))],
        ],  # as loaders of torch pair them
        [[X[:50], np.ones(50)], [X[50:], np.ones(150)]],
    ],
)
def test_batches(source):
    found = DensityMLE("gamma").fit_batches(source)
    np.testing.assert_allclose(found.params_["shape"], DensityMLE("gamma").fit(X).params_["shape"], rtol=1e-10)


def test_batches_that_are_not_in_main_memory():
    there = Tensor(X, BufferError("device cuda:0"))
    for source in (there, [there], [(there, np.ones(200))], [(X, Tensor(np.ones(200), BufferError("device cuda:0")))]):
        with pytest.raises(SourceError, match=r"is a \w+\.Tensor that can't be read where it is .*main memory"):
            DensityMLE("gamma").fit_batches(source)
