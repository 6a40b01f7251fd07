"""The commands, each in a file of its own."""

import pytest

pytest.register_assert_rewrite("tests.commands.files")  # its assertions show their values, as those of a test do
