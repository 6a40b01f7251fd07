"""Sentences about columns by their number, as samples of numbers make them, as sentences about the columns of a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from fastkl.divergence.estimate import Estimate, OfBoth
from fastkl.exceptions import DegenerateDataError

# What stands in quotes is a label or a name already.
_COLUMNS = re.compile(r"(?<!\w)(['\"]).*?\1(?!\w)|(?<=[cC]olumn )\d+\b|(?<=[cC]olumns )\d+(?:, \d+)*\b")


def by_names(sentence: str, names: Sequence[Any]) -> str:
    """A sentence with the names of columns in the place of their numbers; as it is where there are none."""
    if not names:
        return sentence

    def name(number: re.Match[str]) -> str:
        j = int(number.group())
        return repr(names[j]) if j < len(names) else number.group()

    def words(found: re.Match[str]) -> str:
        return found.group() if found.group(1) else re.sub(r"\d+", name, found.group())

    said = _COLUMNS.sub(words, sentence)
    return OfBoth(said, sentence.subject) if isinstance(sentence, OfBoth) else said


def estimate_by_names(estimate: Estimate, names: Sequence[Any]) -> Estimate:
    """An estimate whose reasons are about columns by their names."""
    if not estimate.reasons:
        return estimate
    diagnostics = {**estimate.diagnostics, "reasons": [by_names(reason, names) for reason in estimate.reasons]}
    return Estimate(float(estimate), estimate.standard_error, estimate.n_samples, estimate.method, diagnostics)


def error_by_names(error: DegenerateDataError, names: Sequence[Any]) -> DegenerateDataError:
    """An error about columns by their names."""
    return DegenerateDataError(by_names(str(error), names), error.column)
