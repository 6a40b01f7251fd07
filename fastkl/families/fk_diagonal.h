/* Normal components whose columns are independent, for a tile of rows: log-densities under all of them, and weighted sums.
 *
 * A tile holds the rows column by column, so that the loops run over rows. Everything is of z, the distance from a component's
 * mean in its own standard deviations: no offset costs digits, and no unit over- or underflows.
 */
#ifndef FK_DIAGONAL_H
#define FK_DIAGONAL_H

#include "fk_mixture.h"

#define FK_FAR 1e150 /* z beyond has density 0; its square times a share of 0 must not be infinite */

/* n rows as columns FK_MIXTURE_ROWS apart. */
#define FK_DEFINE_COLUMNS(real, suffix)                                                                                  \
    static FK_CLONES void fk_columns_##suffix(const real *FK_RESTRICT x, ptrdiff_t n, ptrdiff_t d,                       \
                                              double *FK_RESTRICT tile) {                                                \
        for (ptrdiff_t j = 0; j < d; j++)                                                                                \
            for (ptrdiff_t i = 0; i < n; i++) tile[j * FK_MIXTURE_ROWS + i] = x[i * d + j];                              \
    }
FK_DEFINE_COLUMNS(double, f64)
FK_DEFINE_COLUMNS(float, f32)

/* logs[k][i] = constants[k] - |(x_i - means[k]) inverse[k]|^2 / 2, for d >= 1 columns. */
static FK_CLONES void fk_diagonal_logs(const double *FK_RESTRICT tile, ptrdiff_t n, ptrdiff_t d, ptrdiff_t components,
                                       const double *FK_RESTRICT constants, const double *FK_RESTRICT means,
                                       const double *FK_RESTRICT inverse, double *FK_RESTRICT logs) {
    for (ptrdiff_t k = 0; k < components; k++) {
        const double *mean = means + k * d, *factor = inverse + k * d, constant = constants[k];
        double *out = logs + k * FK_MIXTURE_ROWS;
        FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {
            double square = 0.0;
            ptrdiff_t j = 0;
            do {
                double z = (tile[j * FK_MIXTURE_ROWS + i] - mean[j]) * factor[j];
                square += z * z;
            } while (++j < d);
            out[i] = constant - 0.5 * square;
        }
    }
}

/* Adds to each record the sum of a component's weights, then by column those of weight * z, then those of weight * z^2. */
static FK_CLONES void fk_diagonal_sums(const double *FK_RESTRICT tile, const double *FK_RESTRICT weights, ptrdiff_t n,
                                       ptrdiff_t d, ptrdiff_t components, const double *FK_RESTRICT means,
                                       const double *FK_RESTRICT inverse, double *FK_RESTRICT records) {
    for (ptrdiff_t k = 0; k < components; k++) {
        const double *own = weights + k * FK_MIXTURE_ROWS;
        double *record = records + k * (1 + 2 * d), total = 0.0;
        FK_SIMD_SUM(total) for (ptrdiff_t i = 0; i < n; i++) total += own[i];
        record[0] += total;
        if (total == 0.0) continue;
        for (ptrdiff_t j = 0; j < d; j++) {
            const double *x = tile + j * FK_MIXTURE_ROWS, mean = means[k * d + j], factor = inverse[k * d + j];
            double sum = 0.0, squares = 0.0;
            FK_SIMD_SUM(sum, squares) for (ptrdiff_t i = 0; i < n; i++) {
                double z = (x[i] - mean) * factor;
                z = z < FK_FAR ? z : FK_FAR;
                z = z > -FK_FAR ? z : -FK_FAR;
                double weighted = own[i] * z;
                sum += weighted;
                squares += weighted * z;
            }
            record[1 + j] += sum;
            record[1 + d + j] += squares;
        }
    }
}

#endif
