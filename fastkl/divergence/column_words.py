"""Sentences about columns by their number, as samples of numbers make them, as sentences about the columns of a table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from fastkl.divergence.estimate import Estimate, OfBoth
from fastkl.exceptions import DegenerateDataError
from fastkl.rows.tables import column_names, is_table

# What stands in quotes is a label or a name already.
_COLUMNS = re.compile(r"(?<!\w)(['\"]).*?\1(?!\w)|(?<=[cC]olumn )\d+\b|(?<=[cC]olumns )\d+(?:, \d+)*\b")


def text_names(data: Any) -> list[str]:
    """The names of the columns of a table, if all of them are text; else none."""
    return only_text(column_names(data)) if is_table(data) else []


def only_text(names: Any) -> list[str]:
    """A list of names, if all of them are text; else none."""
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []


def by_names(sentence: str, names: Sequence[Any]) -> str:
    """A sentence with the names of columns in the place of their numbers; as it is where there are none."""
    return in_words(sentence, [repr(name) for name in names])


def in_words(sentence: str, called: Sequence[str]) -> str:
    """A sentence with what columns are called, quotes included, in the place of their numbers."""
    if not called:
        return sentence

    def name(number: re.Match[str]) -> str:
        j = int(number.group())
        return called[j] if j < len(called) else number.group()

    def words(found: re.Match[str]) -> str:
        return found.group() if found.group(1) else re.sub(r"\d+", name, found.group())

    said = _COLUMNS.sub(words, sentence)
    return OfBoth(said, sentence.subject) if isinstance(sentence, OfBoth) else said


def estimate_by_names(estimate: Estimate, names: Sequence[Any]) -> Estimate:
    """An estimate whose reasons are about columns by their names."""
    return estimate_in_words(estimate, [repr(name) for name in names])


def estimate_in_words(estimate: Estimate, called: Sequence[str]) -> Estimate:
    """An estimate whose reasons are about columns by what these are called."""
    if not estimate.reasons:
        return estimate
    diagnostics = {**estimate.diagnostics, "reasons": [in_words(reason, called) for reason in estimate.reasons]}
    return Estimate(float(estimate), estimate.standard_error, estimate.n_samples, estimate.method, diagnostics)


def errors_by_names(names: Sequence[Any]) -> AbstractContextManager[None]:
    """Errors that are raised within are about columns by their names."""
    return errors_in_words([repr(name) for name in names])


@contextmanager
def errors_in_words(called: Sequence[str]) -> Iterator[None]:
    """Errors that are raised within are about columns by what these are called."""
    try:
        yield
    except DegenerateDataError as error:
        raise DegenerateDataError(in_words(str(error), called), error.column) from error.__cause__
