"""Ctrl-C in the middle of every call that can take long: it comes back within a second, and the estimator is as it was.

The signal comes from another process when the call has used so much time of the processor, and what it takes after that is
counted in the same clock: a busy machine changes neither. A call that ends before the signal has to be given more to do.
"""

import signal
import sys
import time

import pytest

from fastkl import DensityMLE, families
from tests.hostile.interrupting import Interrupter
from tests.hostile.promises import fingerprint

pytestmark = [
    pytest.mark.hostile,
    pytest.mark.skipif(sys.platform != "linux", reason="clocks of other processes"),
]

AFTER, WITHIN = 0.4, 1.0


class StoppedError(BaseException):
    """In place of KeyboardInterrupt, which would end the tests if it came too late."""


@pytest.fixture(scope="module")
def interrupter():
    process = Interrupter()
    yield process
    process.close()


def stopped(interrupter, function):
    """Seconds of the processor from the signal to the end of the call; None if it ended before."""
    running, hit = True, False

    def stop(*_):
        if running:
            raise StoppedError

    before = signal.signal(signal.SIGINT, stop)
    interrupter.after(AFTER)
    try:
        function()
    except StoppedError:
        hit = True
    finally:
        running, ended = False, time.process_time()
        sent = interrupter.sent()
        signal.signal(signal.SIGINT, before)
    return ended - sent if hit else None


def test_calls(interrupter):
    from tests.hostile.long_calls import CALLS  # which takes seconds to make

    wrong = {}
    for name, (call, estimator) in CALLS.items():
        state = fingerprint(estimator)
        late = stopped(interrupter, lambda call=call, estimator=estimator: call(estimator))
        if late is None or late >= WITHIN or fingerprint(estimator) != state:
            wrong[name] = late  # None: the call was over before the signal came
    assert not wrong


@pytest.mark.parametrize("name", families.names())
def test_fits(interrupter, name):
    from tests.hostile.long_calls import long_rows

    family, rows = long_rows(name)
    estimator = DensityMLE(family, n_jobs=1)
    late = stopped(interrupter, lambda: [estimator.fit(rows) for _ in range(1000)])
    assert late is not None
    assert late < WITHIN
