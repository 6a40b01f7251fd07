"""The code of the README and the guides runs and prints what is written under it."""

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"```python\n(.*?)```(?:\s*```text\n(.*?)```)?", re.DOTALL)
EXAMPLES = [
    pytest.param(code, expected, id=f"{path.name}-{i}")
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    for i, (code, expected) in enumerate(BLOCK.findall(path.read_text(encoding="utf-8")))
]


@pytest.mark.parametrize(("code", "expected"), EXAMPLES)
def test_example(code, expected):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "example", "exec"), {})
    assert out.getvalue() == expected


def test_both_commands_are_in_the_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "pip install . && python -m fastkl demo" in text
    assert "pip install -e '.[test]' && pytest" in text
