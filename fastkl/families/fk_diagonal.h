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

/* sums := those of weight * z and weight * z^2 of a column. A z beyond FK_FAR, where the weight is 0, is taken for FK_FAR, so
 * that it adds nothing. */
FK_INLINE void fk_sums_of_far(const double *FK_RESTRICT x, const double *FK_RESTRICT weights, ptrdiff_t n, double mean,
                              double factor, double *FK_RESTRICT sums) {
    double sum = 0.0, squares = 0.0;
    FK_SIMD_SUM(sum, squares) for (ptrdiff_t i = 0; i < n; i++) {
        double z = (x[i] - mean) * factor;
        z = z < FK_FAR ? z : FK_FAR;
        z = z > -FK_FAR ? z : -FK_FAR;
        double weighted = weights[i] * z;
        sum += weighted;
        squares += weighted * z;
    }
    sums[0] = sum;
    sums[1] = squares;
}

/* The same of two columns at once, which keeps the sums from waiting for each other; not finite where a z is not. */
FK_INLINE void fk_sums_of_two(const double *FK_RESTRICT x, const double *FK_RESTRICT y, const double *FK_RESTRICT weights,
                              ptrdiff_t n, const double *FK_RESTRICT mean, const double *FK_RESTRICT factor,
                              double *FK_RESTRICT sums) {
    const double mean_x = mean[0], mean_y = mean[1], factor_x = factor[0], factor_y = factor[1];
    double sum_x = 0.0, squares_x = 0.0, sum_y = 0.0, squares_y = 0.0;
    FK_SIMD_SUM(sum_x, squares_x, sum_y, squares_y) for (ptrdiff_t i = 0; i < n; i++) {
        double z = (x[i] - mean_x) * factor_x, weighted = weights[i] * z;
        sum_x += weighted;
        squares_x += weighted * z;
        z = (y[i] - mean_y) * factor_y;
        weighted = weights[i] * z;
        sum_y += weighted;
        squares_y += weighted * z;
    }
    sums[0] = sum_x;
    sums[1] = squares_x;
    sums[2] = sum_y;
    sums[3] = squares_y;
}

/* Adds to each record the sum of a component's weights, then by column those of weight * z, then those of weight * z^2. */
static FK_CLONES void fk_diagonal_sums(const double *FK_RESTRICT tile, const double *FK_RESTRICT weights, ptrdiff_t n,
                                       ptrdiff_t d, ptrdiff_t components, const double *FK_RESTRICT means,
                                       const double *FK_RESTRICT inverse, double *FK_RESTRICT records) {
    for (ptrdiff_t k = 0; k < components; k++) {
        const double *own = weights + k * FK_MIXTURE_ROWS, *mean = means + k * d, *factor = inverse + k * d;
        double *record = records + k * (1 + 2 * d), total = 0.0;
        FK_SIMD_SUM(total) for (ptrdiff_t i = 0; i < n; i++) total += own[i];
        record[0] += total;
        if (total == 0.0) continue;
        for (ptrdiff_t j = 0; j < d; j += 2) {
            const ptrdiff_t columns = d - j < 2 ? 1 : 2;
            const double *x = tile + j * FK_MIXTURE_ROWS;
            double sums[4] = {NAN, NAN, NAN, NAN};
            if (columns == 2) fk_sums_of_two(x, x + FK_MIXTURE_ROWS, own, n, mean + j, factor + j, sums);
            for (ptrdiff_t m = 0; m < columns; m++) {
                if (!(fabs(sums[2 * m]) + sums[2 * m + 1] < INFINITY))
                    fk_sums_of_far(x + m * FK_MIXTURE_ROWS, own, n, mean[j + m], factor[j + m], sums + 2 * m);
                record[1 + j + m] += sums[2 * m];
                record[1 + d + j + m] += sums[2 * m + 1];
            }
        }
    }
}

#endif
