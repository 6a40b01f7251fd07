"""Long loops in waves, between which signals are heard: Ctrl-C comes back within a second, however long the loop.

    wave = first_wave(n_threads)
    while done < n:
        began, stop = perf_counter(), min(n, done + wave)
        ... iterations done .. stop, in threads, without the GIL ...
        done, wave = stop, next_wave(wave, began, n_threads)

Each iteration does its work on its own, so that the length of the waves changes no result.
"""

from cpython.exc cimport PyErr_CheckSignals
from cpython.time cimport perf_counter


cdef inline Py_ssize_t first_wave(int n_threads) noexcept:
    return 16 * n_threads


cdef inline Py_ssize_t next_wave(Py_ssize_t wave, double began, int n_threads) except -1:
    """The length of the next wave, for some tenths of a second; raises what a signal handler raises, so KeyboardInterrupt."""
    cdef double seconds = perf_counter() - began
    PyErr_CheckSignals()
    if seconds < 0.1:
        return 2 * wave
    return max(n_threads, wave // 2) if seconds > 0.4 else wave
