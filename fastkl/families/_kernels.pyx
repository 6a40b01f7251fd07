"""The table of univariate kernels: every header ``families/<name>.h`` is an entry (the build lists them in one include)."""

from fastkl._core._columns cimport ColumnKernel, fk_column_kernel

cdef extern from "fk_family_table.h" nogil:
    const fk_column_kernel **fk_families
    const int FK_N_FAMILIES


def column_kernel(name):
    """The compiled kernel of the univariate family ``name``."""
    cdef int i
    for i in range(FK_N_FAMILIES):
        if fk_families[i].name.decode() == name:
            return ColumnKernel.wrap(fk_families[i])
    raise LookupError(f"There is no compiled kernel named {name!r}.")
