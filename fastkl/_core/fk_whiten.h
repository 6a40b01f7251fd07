/* Squared Mahalanobis distances |L^-1 (x - mean)|^2 of rows, for a lower-triangular L, without a matrix of whitened
 * rows.
 *
 * Rows are taken in tiles of 32 and stored feature by feature, so that the forward substitution runs over the rows of
 * a tile at once. It goes by panels of 8 rows of L, whose partial sums stay in registers: each solved feature is then
 * read once a panel, and every multiplication finds 8 sums that do not wait for each other. Substitution is backward
 * stable; the inverse of L is never formed. Rows of up to four features need no tiles.
 */
#ifndef FK_WHITEN_H
#define FK_WHITEN_H

#include "fk_math.h"

#define FK_TILE 32

#define FK_PANEL_LOAD(r) double s##r = z[(j + r) * FK_TILE + i]
#define FK_PANEL_MINUS(r) s##r -= lower[r * d + k] * known
#define FK_PANEL_STORE(r) z[(j + r) * FK_TILE + i] = s##r

/* Solve for the features j .. j + 7, given those before, of which there are some if later, a literal, says so (a loop
 * that may be empty would keep the one around it from becoming a vector loop). lower points at row j of L; its
 * diagonal is reciprocal. */
FK_INLINE void fk_substitute_8(int later, double *FK_RESTRICT z, ptrdiff_t j, ptrdiff_t d, const double *FK_RESTRICT lower,
                               double *FK_RESTRICT square) {
    const double *t0 = lower + j, *t1 = t0 + d, *t2 = t1 + d, *t3 = t2 + d;
    const double *t4 = t3 + d, *t5 = t4 + d, *t6 = t5 + d, *t7 = t6 + d;
    FK_SIMD for (ptrdiff_t i = 0; i < FK_TILE; i++) {
        FK_PANEL_LOAD(0); FK_PANEL_LOAD(1); FK_PANEL_LOAD(2); FK_PANEL_LOAD(3);
        FK_PANEL_LOAD(4); FK_PANEL_LOAD(5); FK_PANEL_LOAD(6); FK_PANEL_LOAD(7);
        ptrdiff_t k = 0;
        if (later) do {
            double known = z[k * FK_TILE + i];
            FK_PANEL_MINUS(0); FK_PANEL_MINUS(1); FK_PANEL_MINUS(2); FK_PANEL_MINUS(3);
            FK_PANEL_MINUS(4); FK_PANEL_MINUS(5); FK_PANEL_MINUS(6); FK_PANEL_MINUS(7);
        } while (++k < j);
        s0 = s0 * t0[0];
        s1 = (s1 - t1[0] * s0) * t1[1];
        s2 = (s2 - t2[0] * s0 - t2[1] * s1) * t2[2];
        s3 = (s3 - t3[0] * s0 - t3[1] * s1 - t3[2] * s2) * t3[3];
        s4 = (s4 - t4[0] * s0 - t4[1] * s1 - t4[2] * s2 - t4[3] * s3) * t4[4];
        s5 = (s5 - t5[0] * s0 - t5[1] * s1 - t5[2] * s2 - t5[3] * s3 - t5[4] * s4) * t5[5];
        s6 = (s6 - t6[0] * s0 - t6[1] * s1 - t6[2] * s2 - t6[3] * s3 - t6[4] * s4 - t6[5] * s5) * t6[6];
        s7 = (s7 - t7[0] * s0 - t7[1] * s1 - t7[2] * s2 - t7[3] * s3 - t7[4] * s4 - t7[5] * s5 - t7[6] * s6) * t7[7];
        FK_PANEL_STORE(0); FK_PANEL_STORE(1); FK_PANEL_STORE(2); FK_PANEL_STORE(3);
        FK_PANEL_STORE(4); FK_PANEL_STORE(5); FK_PANEL_STORE(6); FK_PANEL_STORE(7);
        square[i] += ((s0 * s0 + s1 * s1) + (s2 * s2 + s3 * s3)) + ((s4 * s4 + s5 * s5) + (s6 * s6 + s7 * s7));
    }
}

/* The same for the features j and j + 1, and for j alone: what is left over from eights. */
FK_INLINE void fk_substitute_2(int later, double *FK_RESTRICT z, ptrdiff_t j, ptrdiff_t d, const double *FK_RESTRICT lower,
                               double *FK_RESTRICT square) {
    FK_SIMD for (ptrdiff_t i = 0; i < FK_TILE; i++) {
        FK_PANEL_LOAD(0); FK_PANEL_LOAD(1);
        ptrdiff_t k = 0;
        if (later) do {
            double known = z[k * FK_TILE + i];
            FK_PANEL_MINUS(0); FK_PANEL_MINUS(1);
        } while (++k < j);
        s0 = s0 * lower[j];
        s1 = (s1 - lower[d + j] * s0) * lower[d + j + 1];
        FK_PANEL_STORE(0); FK_PANEL_STORE(1);
        square[i] += s0 * s0 + s1 * s1;
    }
}

FK_INLINE void fk_substitute_1(int later, const double *FK_RESTRICT z, ptrdiff_t j, ptrdiff_t d, const double *FK_RESTRICT lower,
                               double *FK_RESTRICT square) {
    FK_SIMD for (ptrdiff_t i = 0; i < FK_TILE; i++) {
        FK_PANEL_LOAD(0);
        ptrdiff_t k = 0;
        if (later) do {
            double known = z[k * FK_TILE + i];
            FK_PANEL_MINUS(0);
        } while (++k < j);
        s0 = s0 * lower[j];
        square[i] += s0 * s0;
    }
}

#define FK_SUBSTITUTE(width)                                                                                             \
    for (; j + width <= d; j += width) {                                                                                 \
        if (j) fk_substitute_##width(1, z, j, d, lower + j * d, square);                                                 \
        else fk_substitute_##width(0, z, 0, d, lower, square);                                                           \
    }

/* The rows of a tile as float64: themselves, or widened into the buffer. */
FK_INLINE const double *fk_rows_f64(const double *x, ptrdiff_t count, double *buffer) { (void)count, (void)buffer; return x; }
FK_INLINE const double *fk_rows_f32(const float *FK_RESTRICT x, ptrdiff_t count, double *FK_RESTRICT buffer) {
    FK_SIMD for (ptrdiff_t i = 0; i < count; i++) buffer[i] = x[i];
    return buffer;
}

/* Few features, d a literal: the whole substitution of a row in registers, eight rows or so at once. */
#define FK_DEFINE_WHITEN_FEW(real, suffix)                                                                               \
    FK_INLINE void fk_whiten_few_##suffix(const real *FK_RESTRICT x, ptrdiff_t n, ptrdiff_t d,                           \
                                          const double *FK_RESTRICT mean, const double *FK_RESTRICT lower,               \
                                          double *FK_RESTRICT out) {                                                     \
        const double *l1 = lower + (d > 1 ? d : 0), *l2 = lower + (d > 2 ? 2 * d : 0), *l3 = lower + (d > 3 ? 3 * d : 0);\
        FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {                                                                      \
            const real *row = x + i * d;                                                                                 \
            double z0 = (row[0] - mean[0]) * lower[0];                                                                   \
            double z1 = d > 1 ? ((row[1] - mean[1]) - l1[0] * z0) * l1[1] : 0.0;                                         \
            double z2 = d > 2 ? ((row[2] - mean[2]) - l2[0] * z0 - l2[1] * z1) * l2[2] : 0.0;                            \
            double z3 = d > 3 ? ((row[3] - mean[3]) - l3[0] * z0 - l3[1] * z1 - l3[2] * z2) * l3[3] : 0.0;               \
            out[i] = (FK_ROUNDED(z0 * z0) + z1 * z1) + (FK_ROUNDED(z2 * z2) + z3 * z3);                                  \
        }                                                                                                                \
    }
FK_DEFINE_WHITEN_FEW(double, f64)
FK_DEFINE_WHITEN_FEW(float, f32)

/* L is row-major d x d with the *reciprocal* diagonal; z is scratch for 2 d * FK_TILE numbers. */
#define FK_DEFINE_WHITEN(real, suffix)                                                                                   \
    static FK_CLONES void fk_whitened_squares_##suffix(const real *FK_RESTRICT x, ptrdiff_t n, ptrdiff_t d,              \
                                                       const double *FK_RESTRICT mean, const double *FK_RESTRICT lower, \
                                                       double *FK_RESTRICT z, double *FK_RESTRICT out) {                 \
        switch (d) {                                                                                                     \
            case 1: fk_whiten_few_##suffix(x, n, 1, mean, lower, out); return;                                           \
            case 2: fk_whiten_few_##suffix(x, n, 2, mean, lower, out); return;                                           \
            case 3: fk_whiten_few_##suffix(x, n, 3, mean, lower, out); return;                                           \
            case 4: fk_whiten_few_##suffix(x, n, 4, mean, lower, out); return;                                           \
        }                                                                                                                \
        for (ptrdiff_t start = 0; start < n; start += FK_TILE) {                                                         \
            ptrdiff_t rows = n - start < FK_TILE ? n - start : FK_TILE, j = 0;                                           \
            double square[FK_TILE] = {0.0};                                                                              \
            const double *tile = fk_rows_##suffix(x + start * d, rows * d, z + d * FK_TILE);                             \
            for (ptrdiff_t f = 0; f < d; f++) {                                                                          \
                const double centre = mean[f];                                                                           \
                double *column = z + f * FK_TILE;                                                                        \
                if (rows == FK_TILE) for (ptrdiff_t i = 0; i < FK_TILE; i++) column[i] = tile[i * d + f] - centre;       \
                else for (ptrdiff_t i = 0; i < FK_TILE; i++) column[i] = i < rows ? tile[i * d + f] - centre : 0.0;      \
            }                                                                                                            \
            FK_SUBSTITUTE(8) FK_SUBSTITUTE(2) FK_SUBSTITUTE(1)                                                           \
            for (ptrdiff_t i = 0; i < rows; i++) out[start + i] = square[i];                                             \
        }                                                                                                                \
    }
FK_DEFINE_WHITEN(double, f64)
FK_DEFINE_WHITEN(float, f32)

static FK_CLONES void fk_affine(double *x, ptrdiff_t n, double factor, double constant) {
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) x[i] = constant + factor * x[i];
}

#endif
