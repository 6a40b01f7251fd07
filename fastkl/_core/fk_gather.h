/* Columns out of row-major rows, side by side in a buffer of float64.
 *
 * Eight float64 columns share a cache line and many lines a page, so a wide tile reads each but once; the stride is no
 * power of two, or all columns of a tile would compete for the same sets of the cache. Rows are taken in eights, so
 * that whole lines are written. Long rows lie on pages of their own, where no processor looks ahead by itself: they
 * are fetched some rows early.
 */
#ifndef FK_GATHER_H
#define FK_GATHER_H

#include "fk_all_columns.h"

#define FK_TILE_COLUMNS 32
#define FK_TILE_STRIDE (FK_BLOCK + 8)
#define FK_GATHER_ROWS 8
#define FK_GATHER_AHEAD 16  /* rows */
#define FK_GATHER_FAR 1024  /* bytes of a row from which it is worth while */

/* Columns first..first+count-1 of n rows (row length d) into out, FK_TILE_STRIDE apart. */
#define FK_DEFINE_GATHER(real, suffix)                                                                          \
    static FK_CLONES void fk_gather_##suffix(const real *FK_RESTRICT x, ptrdiff_t n, ptrdiff_t d, ptrdiff_t first, \
                                             ptrdiff_t count, double *FK_RESTRICT out) {                        \
        const ptrdiff_t whole = n - n % FK_GATHER_ROWS, line = 64 / (ptrdiff_t)sizeof(real);                    \
        const int far = d * (ptrdiff_t)sizeof(real) >= FK_GATHER_FAR;                                           \
        if (count == d && d <= 4) {                                                                             \
            fk_all_columns_##suffix(x, n, d, FK_TILE_STRIDE, out);                                              \
            return;                                                                                             \
        }                                                                                                       \
        for (ptrdiff_t i = 0; i < whole; i += FK_GATHER_ROWS) {                                                 \
            const ptrdiff_t early = i + FK_GATHER_AHEAD;                                                        \
            if (far && early + FK_GATHER_ROWS <= n)                                                             \
                for (ptrdiff_t r = early; r < early + FK_GATHER_ROWS; r++)                                      \
                    for (ptrdiff_t j = 0; j < count; j += line) FK_PREFETCH(x + r * d + first + j);             \
            for (ptrdiff_t j = 0; j < count; j++) {                                                             \
                const real *from = x + i * d + first + j;                                                       \
                double *to = out + j * FK_TILE_STRIDE + i;                                                      \
                for (int r = 0; r < FK_GATHER_ROWS; r++) to[r] = from[r * d];                                   \
            }                                                                                                   \
        }                                                                                                       \
        for (ptrdiff_t i = whole; i < n; i++)                                                                   \
            for (ptrdiff_t j = 0; j < count; j++) out[j * FK_TILE_STRIDE + i] = x[i * d + first + j];           \
    }
FK_DEFINE_GATHER(double, f64)
FK_DEFINE_GATHER(float, f32)

#endif
