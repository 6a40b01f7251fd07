"""Hostile calls over the public API and files that were edited: 20,000 in the normal suite, a million with ``pytest -m hostile``.

A case that breaks a promise of ``promises.py`` is made small, and the message ends with what makes it again.
"""

import pytest

from tests.hostile import data_files, densities, estimates, model_files, reports
from tests.hostile.driving import campaign

# calls of each subject in the normal suite
SUBJECTS = {
    densities.fitted_to_anything: 4200,
    densities.of_any_parameters: 4700,
    densities.compared: 700,
    densities.goodness: 400,
    estimates.of_samples: 1200,
    estimates.of_one: 1300,
    estimates.of_sources: 600,
    estimates.of_probabilities: 1200,
    estimates.of_labels: 1000,
    reports.of_many: 400,
    reports.of_tables: 300,
    reports.of_log_probabilities: 300,
    reports.of_jobs: 400,
    reports.of_noise: 300,
    model_files.edited_file: 2000,
    data_files.edited_rows: 1000,
}
ROUNDS = 50


@pytest.mark.parametrize(("subject", "calls"), SUBJECTS.items(), ids=[subject.__name__ for subject in SUBJECTS])
def test_no_call_breaks_a_promise(subject, calls):
    campaign(subject, calls)


@pytest.mark.hostile
@pytest.mark.parametrize(("subject", "calls"), SUBJECTS.items(), ids=[subject.__name__ for subject in SUBJECTS])
@pytest.mark.parametrize("round_", range(1, ROUNDS + 1))
def test_a_million_calls_break_no_promise(subject, calls, round_):
    campaign(subject, calls, round_)
