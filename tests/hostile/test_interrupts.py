"""Ctrl-C in the middle of every call that can take long: it comes back within a second, and the estimator is as it was.

The signal comes when the call has used so much time of the processor, and what it takes after that is counted in the same
clock: a busy machine changes neither. A call that ends before the signal has to be given more to do.
"""

import resource
import signal

import pytest

from fastkl import DensityMLE, families
from tests.hostile.promises import fingerprint

pytestmark = [
    pytest.mark.hostile,
    pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="timers of POSIX"),
]

AFTER, WITHIN = 0.4, 1.0


class StoppedError(BaseException):
    """In place of KeyboardInterrupt, which would end the tests if it came too late."""


def user_seconds():
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def stopped_after(function):
    """Seconds of the processor from the signal to the end of the call; None if it ended before."""

    def stop(*_):
        raise StoppedError

    before = signal.signal(signal.SIGVTALRM, stop)
    begun = user_seconds()
    signal.setitimer(signal.ITIMER_VIRTUAL, AFTER)
    try:
        function()
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
    except StoppedError:
        return user_seconds() - begun - AFTER
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        signal.signal(signal.SIGVTALRM, before)
    return None


def test_calls():
    from tests.hostile.long_calls import CALLS  # which takes seconds to make

    wrong = {}
    for name, (call, estimator) in CALLS.items():
        state = fingerprint(estimator)
        late = stopped_after(lambda call=call, estimator=estimator: call(estimator))
        if late is None or late >= WITHIN or fingerprint(estimator) != state:
            wrong[name] = late  # None: the call was over before the signal came
    assert not wrong


@pytest.mark.parametrize("name", families.names())
def test_fits(name):
    from tests.hostile.long_calls import long_rows

    family, rows = long_rows(name)
    estimator = DensityMLE(family, n_jobs=1)
    late = stopped_after(lambda: [estimator.fit(rows) for _ in range(1000)])
    assert late is not None
    assert late < WITHIN
