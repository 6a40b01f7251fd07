"""Rows: where they come from, and where what is computed of them goes."""

import pytest

pytest.register_assert_rewrite("tests.rows.known")  # its assertions show their values, as those of a test do
