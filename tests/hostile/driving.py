"""How a campaign is driven: by hypothesis, which makes cases from choices, and makes a failing case small."""

import faulthandler
import time

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.hostile.promises import Clock, made

HANG = 300  # seconds after which a call that does not come back ends the process with a traceback


def campaign(subject, calls, round_=None):
    """Make cases of ``subject(rng)`` until there were so many calls; the same ones each time, unless a round is given."""
    begun, size = sum(made.values()), 25
    number = 0
    while sum(made.values()) - begun < calls:
        _some(subject, size, (round_ or 0, number))
        number += 1


def _some(subject, size, start):
    @seed(str(start))
    @settings(
        max_examples=size,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(st.randoms(use_true_random=False))
    def run(rng):
        faulthandler.dump_traceback_later(HANG, exit=True)
        Clock.begun = time.process_time()
        try:
            subject(rng)
        finally:
            faulthandler.cancel_dump_traceback_later()

    run()
