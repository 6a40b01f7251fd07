ctypedef fused real:
    float
    double


# The lower-triangular factor in the form that block_squares takes.
cdef double[:, ::1] triangle_of(const double[:, ::1] lower)

# The same in place, of a factor whose rows are d numbers long.
cdef void to_triangle(double *lower, Py_ssize_t d) noexcept nogil

# Numbers of scratch for block_squares, of one thread.
cdef Py_ssize_t squares_scratch(Py_ssize_t d) noexcept nogil

# Squared distances |L^-1 (x - mean)|^2 of a block of at most FK_BLOCK rows; from BLAS_COLUMNS columns on with BLAS held to one
# thread by the caller.
cdef void block_squares(
    const real *x, Py_ssize_t n, Py_ssize_t d, const double *mean, double *triangle, double *scratch, double *out
) noexcept nogil

# Whether block_moments calls BLAS, which the caller then holds to one thread.
cdef bint needs_blas(Py_ssize_t d) noexcept nogil

# Numbers of scratch for block_moments, of one thread.
cdef Py_ssize_t moments_scratch(Py_ssize_t d) noexcept nogil

# Weight, mean (d) and scatter (d, d) of a block of at most FK_BLOCK rows into record, side by side.
cdef void block_moments(
    const real *x, const double *w, Py_ssize_t n, Py_ssize_t d, double *scratch, double *record
) noexcept nogil

# Both sets of rows together, from their records.
cdef void merge_records(double *into, const double *other, Py_ssize_t d) noexcept nogil
