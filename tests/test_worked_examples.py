"""The two worked examples of the developer guide do what the guide says: a family in two files, a divergence in one."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, stats

from fastkl import DensityMLE

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs/examples"


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the package with the two files of the power-function family, whose table of kernels is built anew.

    The kernels of the other families are left out, which saves most of the build.
    """
    folder = tmp_path_factory.mktemp("copy")

    def left_out(directory, names):
        kernels = Path(directory).name == "families"
        return [
            name
            for name in names
            if name == "__pycache__"
            or (name.endswith(".pyx") and name != "_kernels.pyx")
            or (kernels and (name.startswith("_kernels.c") or (name.endswith(".h") and not name.startswith("fk_"))))
        ]

    shutil.copytree(ROOT / "fastkl", folder / "fastkl", ignore=left_out)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "tests/families", folder / "tests/families", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests/data", folder / "tests/data")
    (folder / "tests/__init__.py").touch()
    for name in ("power_function.h", "power_function.py"):
        shutil.copy(EXAMPLES / name, folder / "fastkl/families")
    run(folder, "setup.py", "-q", "build_ext", "--inplace")
    return folder


def run(folder, *command):
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTEST_ADDOPTS": ""}
    done = subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_new_family_is_found_and_keeps_the_laws(copy):
    """No file but the two was touched: every test of families and the docstring's example find the family by themselves."""
    targets = ("tests/families", "fastkl/families/power_function.py")
    out = run(copy, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *targets, "-k", "power_function")
    passed = int(out.split(" passed")[0].split()[-1])
    assert passed > 60, out


def test_new_family_against_scipy(copy):
    script = (
        "from fastkl import DensityMLE, entropy, kl_divergence;"
        "distribution, other = (DensityMLE.from_parameters('power_function', shape=a) for a in (0.3, 40.0));"
        "print(*distribution.score_samples([[1e-300], [0.1], [1.0 - 1e-12], [1.0]]), *other.score_samples([[0.999]]),"
        "float(entropy(distribution)), float(kl_divergence(distribution, other)))"
    )
    found = [float(word) for word in run(copy, "-c", script).split()]
    distribution, other = stats.powerlaw(0.3), stats.powerlaw(40.0)
    ratio = integrate.quad(
        lambda u: distribution.logpdf(u ** (1 / 0.3)) - other.logpdf(u ** (1 / 0.3)), 0.0, 1.0, epsrel=1e-11
    )
    wanted = [
        *distribution.logpdf([1e-300, 0.1, 1.0 - 1e-12, 1.0]),
        other.logpdf(0.999),
        distribution.entropy(),
        ratio[0],
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


def test_new_family_has_a_page_in_the_reference(copy):
    pytest.importorskip("sphinx")
    script = (
        f"import sys; sys.path.append({str(ROOT / 'docs/extensions')!r}); import api_pages;"
        "name = 'fastkl.families.PowerFunction'; assert name in api_pages.public_names(); print(api_pages.page(name))"
    )
    out = run(copy, "-c", script)
    assert "numbers above 0 and up to 1" in out
    assert ".. autoclass:: fastkl::families.PowerFunction" in out


def test_new_family_refuses_rows_without_a_maximum(copy):
    script = "from fastkl import DensityMLE; DensityMLE('power_function').fit([[1.0, 0.5], [1.0, 0.2]])"
    with pytest.raises(AssertionError, match="DegenerateDataError: Column 0 is 1 in every row"):
        run(copy, "-c", script)


@pytest.fixture(scope="module")
def total_variation():
    spec = importlib.util.spec_from_file_location("total_variation", EXAMPLES / "total_variation.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.total_variation


def normal(loc, scale):
    return DensityMLE.from_parameters("normal", loc=loc, scale=scale)


@pytest.mark.parametrize("shift", [0.01, 0.5, 1.0, 3.0, 40.0])
def test_new_divergence_against_the_closed_form(total_variation, shift):
    """Two normals of equal variance: 2 Phi(shift / 2) - 1."""
    estimate = total_variation(normal(0.0, 1.0), normal(shift, 1.0), random_state=1)
    truth = 2.0 * stats.norm.cdf(0.5 * shift) - 1.0
    assert abs(estimate - truth) <= 4.0 * estimate.standard_error + 1e-12
    assert estimate.standard_error <= 0.5 / np.sqrt(100_000)


def test_new_divergence_in_both_orders_and_at_its_ends(total_variation):
    p, q = normal(0.0, 1.0), stats.norm(1.0, 2.0)
    there, back = total_variation(p, q, random_state=2), total_variation(q, p, random_state=3)
    assert abs(there - back) < 4.0 * np.hypot(there.standard_error, back.standard_error)
    assert total_variation(p, q, random_state=np.random.default_rng(2)) == total_variation(p, q, rng=2)
    assert total_variation(p, p, n_draws=100) == 0.0
    assert total_variation(stats.uniform(0, 1), stats.uniform(5, 1), n_draws=100) == 1.0


def test_new_divergence_of_discrete_models_is_a_sum(total_variation):
    p, q = stats.poisson(2.0), stats.geom(0.3)
    points = np.arange(200)
    estimate = total_variation(p, q)
    assert estimate == pytest.approx(0.5 * np.abs(p.pmf(points) - q.pmf(points)).sum(), rel=1e-13)
    assert estimate.standard_error == 0.0


def test_new_divergence_refuses_a_mixed_pair(total_variation):
    with pytest.raises(ValueError, match="is discrete"):
        total_variation(normal(0.0, 1.0), stats.poisson(1.0))


def test_new_divergence_refuses_a_sample(total_variation):
    with pytest.raises(ValueError, match="p, a sample and q, a density; pass models"):
        total_variation([0.1, 0.2], normal(0.0, 1.0))
