/* fk_math.h over arrays: the form in which its accuracy is tested, and the base line for timing. */
#ifndef FK_VECTOR_MATH_H
#define FK_VECTOR_MATH_H

#include "fk_math.h"

#define FK_DEFINE_MAP(name)                                                                        \
    FK_CLONES void fk_map_##name(const double *FK_RESTRICT x, ptrdiff_t n, double *FK_RESTRICT out) { \
        FK_SIMD for (ptrdiff_t i = 0; i < n; i++) out[i] = fk_##name(x[i]);                        \
    }

FK_DEFINE_MAP(log)
FK_DEFINE_MAP(exp)
FK_DEFINE_MAP(log1p)

#endif
