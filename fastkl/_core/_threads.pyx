"""Thread counts: how many a call may use, what the build can do, and safety after ``fork``.

The count for ``n_jobs=None`` is what OpenMP would take (so ``OMP_NUM_THREADS`` and threadpoolctl limits hold), at most the
processors the process may use (affinity and control group, by joblib), and 1 inside a joblib worker, where the cores are
already spoken for.

The OpenMP pool of GCC does not survive ``fork``: a child that enters a parallel region waits for ever for threads that only
the parent has. After a fork the child therefore stays on one thread.
"""

import os
from functools import cache
from numbers import Integral

import joblib
from joblib.parallel import get_active_backend

cdef extern from "fk_config.h" nogil:
    int omp_get_max_threads()
    int fk_instruction_level()
    const int FK_HAS_OPENMP
    const int FK_HAS_CLONES
    const int FK_BLOCK

BLOCK_ROWS = FK_BLOCK  # rows of a block: results depend on it, so that all that cut rows into blocks take it from here

MOST_THREADS = 10**6  # beyond, n_jobs is no number of threads but a mistake

cdef bint forked = False


def _after_fork_in_child():
    global forked
    forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


@cache
def processors():
    """Processors the process may use. Asking the control group reads files, so it is done once."""
    return joblib.cpu_count()


cdef int effective_threads(object n_jobs) except -1:
    cdef int available = max(1, min(omp_get_max_threads(), <int> processors()))
    if n_jobs is not None and (isinstance(n_jobs, bool) or not isinstance(n_jobs, Integral)):
        raise TypeError(f"n_jobs is a whole number of threads or None, not {n_jobs!r}.")
    if n_jobs == 0:
        raise ValueError("n_jobs=0 has no meaning: give a number of threads, None for all cores, or -1 for all cores.")
    if n_jobs is not None and n_jobs > MOST_THREADS:
        raise ValueError(f"n_jobs={n_jobs} is more threads than any machine has; -1 stands for all cores.")
    if not FK_HAS_OPENMP or forked:
        return 1
    if n_jobs is None:
        # asking joblib takes longer than the sums of a few rows
        return 1 if available == 1 or get_active_backend()[0].nesting_level else available
    if n_jobs < 0:
        return available + 1 + <int>max(n_jobs, -available)
    return <int>min(n_jobs, 1024)


def effective_n_threads(n_jobs=None):
    """Threads that a call with this ``n_jobs`` runs on: None all cores allowed, 1 in joblib workers and after a fork."""
    return effective_threads(n_jobs)


def build_info():
    """What the compiled modules can do: OpenMP, instruction set in use, threads, rows of a block."""
    level = fk_instruction_level()
    return {
        "openmp": bool(FK_HAS_OPENMP),
        "instruction_set": f"x86-64-v{level}" if level else "base line",
        "runtime_dispatch": bool(FK_HAS_CLONES),
        "threads": effective_threads(None),
        "block_rows": BLOCK_ROWS,
    }
