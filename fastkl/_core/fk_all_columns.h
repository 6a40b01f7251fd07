/* Rows of few columns, turned into columns of float64. */
#ifndef FK_ALL_COLUMNS_H
#define FK_ALL_COLUMNS_H

#include "fk_config.h"

/* All columns of n rows, `stride` apart; with d a literal the compiler turns whole vectors. */
#define FK_DEFINE_ALL_COLUMNS(real, suffix)                                                                     \
    FK_INLINE void fk_all_of_##suffix(const real *FK_RESTRICT x, ptrdiff_t n, ptrdiff_t d, ptrdiff_t stride,    \
                                      double *FK_RESTRICT out) {                                                \
        for (ptrdiff_t i = 0; i < n; i++)                                                                       \
            for (ptrdiff_t j = 0; j < d; j++) out[j * stride + i] = x[i * d + j];                               \
    }                                                                                                           \
    static FK_CLONES void fk_all_columns_##suffix(const real *FK_RESTRICT x, ptrdiff_t n, ptrdiff_t d,          \
                                                  ptrdiff_t stride, double *FK_RESTRICT out) {                  \
        switch (d) {                                                                                            \
            case 2: fk_all_of_##suffix(x, n, 2, stride, out); break;                                            \
            case 3: fk_all_of_##suffix(x, n, 3, stride, out); break;                                            \
            case 4: fk_all_of_##suffix(x, n, 4, stride, out); break;                                            \
            case 8: fk_all_of_##suffix(x, n, 8, stride, out); break;                                            \
            default: fk_all_of_##suffix(x, n, d, stride, out);                                                  \
        }                                                                                                       \
    }
FK_DEFINE_ALL_COLUMNS(double, f64)
FK_DEFINE_ALL_COLUMNS(float, f32)

#endif
