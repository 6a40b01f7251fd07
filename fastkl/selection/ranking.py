"""``rank_families``: which families suit the columns of a table, alone and together, by the likelihood of rows held out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import _safe_indexing, check_random_state

from fastkl._core._threads import effective_n_threads
from fastkl._core.array_types import Floats
from fastkl.families.univariate import UnivariateFamily
from fastkl import families as all_families
from fastkl.rows.columns import column_numbers, named
from fastkl.rows.reading import is_date_class, is_date_type, look
from fastkl.rows.tables import column_names, column_types, column_values, columns_of, is_table
from fastkl.rows.weights import read_weights
from fastkl.selection.candidates import Candidates, column_candidates, outside_reason
from fastkl.selection.column_kinds import (
    Column,
    numbers_or_labels,
    raise_if_missing,
    reason_to_leave_out,
    table_columns,
)
from fastkl.selection.column_trials import Fold, Trials, numeric_trials
from fastkl.selection.family_ranking import FamilyRanking, FamilyTable, family_table
from fastkl.selection.joint_trials import JointTrials, label_trials
