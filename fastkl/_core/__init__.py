"""Ground floor: blocks, threads, vector mathematics and linear algebra on blocks.

Nothing here knows scikit-learn or a distribution family. Four facts hold for every kernel:

* rows are cut into blocks of 4096 (``fk_config.h``), one partial result each, in float64;
* partials are merged in block order, so 1 and N threads give the same bits;
* inputs are C-contiguous, possibly read-only, float32 or float64; validation is the caller's;
* kernels hold no GIL, raise nothing, and return status codes.
"""

import importlib
import importlib.machinery
import os
from pathlib import Path

# GCC's OpenMP lets a thread that has finished its share spin for milliseconds before it sleeps. When another library's threads
# still spin too (a BLAS call has just ended, say), ours wait for a processor that nobody uses: a 2 ms call took 12 ms. The count
# is read once, when the first compiled module loads the OpenMP library; afterwards the environment is as it was before.
_quiet = not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(os.environ)
if _quiet:
    os.environ["GOMP_SPINCOUNT"] = "1000"

_package = Path(__file__).parents[1]
if Path(__file__).with_name("_threads.pyx").exists():
    # A source folder. Python looks for "fastkl" in the current folder first, so that one without kernels, or with those of an
    # earlier state, hides an installed package.
    _missing = [
        source.relative_to(_package).with_suffix("").as_posix()
        for source in sorted(_package.rglob("*.pyx"))
        if not any(source.with_name(source.stem + suffix).exists() for suffix in importlib.machinery.EXTENSION_SUFFIXES)
    ]
    if _missing:
        raise ImportError(
            f"fastkl is being imported from its source folder {_package}, where its compiled kernels are missing "
            f"({', '.join(_missing)}). Leave that folder, use the command 'fastkl' instead of 'python -m fastkl', or build the "
            "kernels in place: pip install -e ."
        )
importlib.import_module("fastkl._core._threads")

if _quiet:
    del os.environ["GOMP_SPINCOUNT"]
