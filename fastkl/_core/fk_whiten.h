/* Squared Mahalanobis distances |L^-1 (x - mean)|^2 of rows, for a lower-triangular L, without a matrix of whitened rows.
 *
 * Rows are taken in tiles of 32 and stored feature by feature, so that the forward substitution runs over 32 rows at once and
 * every entry of L is read once a tile. Substitution is backward stable; the inverse of L is never formed.
 */
#ifndef FK_WHITEN_H
#define FK_WHITEN_H

#include "fk_config.h"

#define FK_TILE 32

/* sum -= L_jk z_k for two rows j of L at once, so that every z_k is loaded once for both */
FK_INLINE void fk_substitute_pair(const double *FK_RESTRICT z, ptrdiff_t known, const double *first, const double *second,
                                  double *FK_RESTRICT a, double *FK_RESTRICT b) {
    double s[FK_TILE], t[FK_TILE];
    for (int i = 0; i < FK_TILE; i++) s[i] = a[i], t[i] = b[i];
    for (ptrdiff_t k = 0; k < known; k++) {
        const double f = first[k], g = second[k];
        const double *zk = z + k * FK_TILE;
        for (int i = 0; i < FK_TILE; i++) s[i] -= f * zk[i], t[i] -= g * zk[i];
    }
    for (int i = 0; i < FK_TILE; i++) a[i] = s[i], b[i] = t[i];
}

/* L is row-major d x d with the *reciprocal* diagonal; z is scratch for (d + 1) * FK_TILE numbers. */
#define FK_DEFINE_WHITEN(real, suffix)                                                                                   \
    static FK_CLONES void fk_whitened_squares_##suffix(const real *FK_RESTRICT x, ptrdiff_t n, ptrdiff_t d,              \
                                                       const double *FK_RESTRICT mean, const double *FK_RESTRICT lower, \
                                                       double *FK_RESTRICT z, double *FK_RESTRICT out) {                 \
        for (ptrdiff_t start = 0; start < n; start += FK_TILE) {                                                         \
            ptrdiff_t rows = n - start < FK_TILE ? n - start : FK_TILE;                                                  \
            double square[FK_TILE] = {0.0};                                                                              \
            for (ptrdiff_t i = 0; i < rows; i++)                                                                         \
                for (ptrdiff_t j = 0; j < d; j++) z[j * FK_TILE + i] = x[(start + i) * d + j] - mean[j];                 \
            for (ptrdiff_t i = rows; i < FK_TILE; i++)                                                                   \
                for (ptrdiff_t j = 0; j < d; j++) z[j * FK_TILE + i] = 0.0;                                              \
            for (ptrdiff_t j = 0; j < d; j += 2) {                                                                       \
                /* for odd d the last pair's second row is a copy of the first, worked on in the spare row of z */       \
                ptrdiff_t pair = j + 1 < d ? 1 : 0;                                                                      \
                const double *first = lower + j * d, *second = first + pair * d;                                         \
                double *a = z + j * FK_TILE, *b = a + FK_TILE;                                                           \
                if (!pair) for (int i = 0; i < FK_TILE; i++) b[i] = 0.0;                                                 \
                fk_substitute_pair(z, j, first, second, a, b);                                                           \
                for (int i = 0; i < FK_TILE; i++) {                                                                      \
                    a[i] *= first[j];                                                                                    \
                    square[i] += a[i] * a[i];                                                                            \
                }                                                                                                        \
                if (pair) {                                                                                              \
                    for (int i = 0; i < FK_TILE; i++) {                                                                  \
                        b[i] = (b[i] - second[j] * a[i]) * second[j + 1];                                                \
                        square[i] += b[i] * b[i];                                                                        \
                    }                                                                                                    \
                }                                                                                                        \
            }                                                                                                            \
            for (ptrdiff_t i = 0; i < rows; i++) out[start + i] = square[i];                                             \
        }                                                                                                                \
    }
FK_DEFINE_WHITEN(double, f64)
FK_DEFINE_WHITEN(float, f32)

#endif
