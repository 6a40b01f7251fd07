"""The campaign itself: cases repeat, and one that breaks a promise is found and made small."""

import numpy as np
import pytest

from tests.hostile.driving import Choices, campaign, smaller
from tests.hostile.promises import BrokenPromiseError, attempt, complain, fingerprint, has_nan


def faulty(choices):
    """A case of several numbers that breaks a promise if one of them is above 6."""
    numbers = [choices.randrange(10) for _ in range(choices.choice([3, 5, 9]))]
    attempt("sum", sum, numbers)
    complain(max(numbers) > 6, "sum", f"a number is {max(numbers)}")


def test_a_record_makes_the_same_case():
    first = Choices("seed")
    taken = [first.randrange(9), first.choice("abc"), first.random()]
    again = Choices(given=first.taken)
    assert [again.randrange(9), again.choice("abc"), again.random()] == taken
    assert [again.randrange(9), again.choice("abc"), again.random()] == [0, "a", 0.999]


def test_a_case_is_made_small():
    with pytest.raises(AssertionError, match=r"a number is 7") as caught:
        campaign(faulty, 500)
    assert str(caught.value).endswith("faulty(Choices(given=[0, 7]))")


def test_a_record_stays_one_that_fails():
    record, error = smaller(faulty, [2, 1, 2, 3, 9, 1], BrokenPromiseError("sum: a number is 9"))
    assert max(record[1:]) >= 7
    assert "a number is" in str(error)


class Estimator:
    """One that breaks every promise if it is asked to."""

    __module__ = "fastkl.pretended"

    def __init__(self):
        self.learnt_ = 1

    def fit(self, X):
        self.learnt_ = 2
        raise ValueError("after it has changed")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda X: X.__setitem__(0, 9.0), "changed its argument"),
        (lambda X: [][1], "raised IndexError"),
        (lambda X: np.linalg.inv(np.zeros((2, 2))), "raised LinAlgError"),
        (lambda X: np.log(X - X), "RuntimeWarning"),
        (lambda X: X * np.nan, "holds NaN"),
    ],
)
def test_each_promise_is_looked_at(call, message):
    with pytest.raises(BrokenPromiseError, match=message):
        attempt("call", call, np.ones(3), tame=True, whole=True)


def test_a_changed_estimator_is_seen():
    estimator = Estimator()
    with pytest.raises(BrokenPromiseError, match="left the estimator changed"):
        attempt("fit", estimator.fit, np.ones(3), estimator=estimator)


def test_errors_that_are_allowed_give_none():
    assert attempt("float", float, "abc") is None
    assert has_nan({"a": [1.0, (np.array([np.nan]),)]})
    assert not has_nan([1.0, "nan", None, np.array(["a"])])
    assert fingerprint(np.zeros(3)) != fingerprint(np.array([0.0, 0.0, -0.0]))
