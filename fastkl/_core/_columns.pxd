cdef extern from "fk_column.h" nogil:
    ctypedef struct fk_column_kernel:
        const char *name
        int n_statistics
        int n_constants
        int n_sums
        void (*statistics)(const double *x, const double *w, Py_ssize_t n, double *record) noexcept nogil
        void (*merge)(double *into, const double *from_) noexcept nogil
        void (*log_density)(const double *x, Py_ssize_t n, const double *constants, double *out) noexcept nogil
        void (*sums)(const double *x, const double *w, Py_ssize_t n, const double *constants, double *sums) noexcept nogil
        int n_parameters
        void (*constants)(const double *params, double *constants) noexcept nogil
        void (*move)(const double *params, const double *step, double *moved) noexcept nogil
    void fk_merge_records(const fk_column_kernel *kernel, double *into, const double *from_) noexcept nogil
    void fk_add_log_density(
        const fk_column_kernel *kernel, const double *x, Py_ssize_t n, const double *constants, double *out
    ) noexcept nogil


cdef class ColumnKernel:
    cdef const fk_column_kernel *table

    @staticmethod
    cdef ColumnKernel wrap(const fk_column_kernel *table)
