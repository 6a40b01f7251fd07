"""Columns of row-major rows as the kernels of one column see them: contiguous, float64, a block of 4096 rows at a time."""

cdef extern from "fk_gather.h" nogil:
    const int FK_BLOCK
    const int FK_TILE_COLUMNS
    const int FK_TILE_STRIDE
    const int FK_WAVE_NUMBERS
    void fk_gather_f64(const double *x, Py_ssize_t n, Py_ssize_t d, Py_ssize_t first, Py_ssize_t count, double *out)
    void fk_gather_f32(const float *x, Py_ssize_t n, Py_ssize_t d, Py_ssize_t first, Py_ssize_t count, double *out)

ctypedef fused real:
    float
    double

# A task takes some 2 to 30 microseconds: for fewer than these a further thread costs more than it brings.
cdef enum:
    TASKS_PER_THREAD = 8


cdef inline int threads_for(Py_ssize_t tasks, int most) noexcept nogil:
    """Threads that so many tasks are worth."""
    return <int> max(1, min(most, tasks // TASKS_PER_THREAD))


cdef inline const double *columns_of(
    const real *x, Py_ssize_t n, Py_ssize_t d, Py_ssize_t first, Py_ssize_t count, double *buffer
) noexcept nogil:
    """The tile's values by column: X itself where it already is that, the filled buffer otherwise."""
    if real is double:
        if d == 1:
            return x
        fk_gather_f64(x, n, d, first, count, buffer)
    else:
        fk_gather_f32(x, n, d, first, count, buffer)
    return buffer
