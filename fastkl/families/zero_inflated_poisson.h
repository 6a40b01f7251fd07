/* Poisson distribution mixed with a point mass at 0. Statistics: weight, weight of the zeros, and what poisson.h sums,
 * over the counts above 0 alone: the mass only matters for the zeros. */
#ifndef FK_FAMILY_ZERO_INFLATED_POISSON_H
#define FK_FAMILY_ZERO_INFLATED_POISSON_H

#include "fk_counts.h"

enum { ZIP_WEIGHT, ZIP_ZEROS, ZIP_POSITIVE, ZIP_MEAN, ZIP_DEVIANCE, ZIP_NORMALISER, ZIP_STATISTICS };
enum { ZIP_RATE, ZIP_LOG_ZERO, ZIP_LOG_SHARE, ZIP_CONSTANTS };

FK_INLINE void zip_statistics_body(const double *x, const double *w, ptrdiff_t n, double *record) {
    double zeros = 0.0;
    FK_SIMD_SUM(zeros) for (ptrdiff_t i = 0; i < n; i++) zeros += x[i] == 0.0 ? (w ? w[i] : 1.0) : 0.0;
    fk_positive_counts_body(x, w, n, record + ZIP_POSITIVE, record + ZIP_MEAN, record + ZIP_DEVIANCE, record + ZIP_NORMALISER);
    record[ZIP_ZEROS] = zeros;
    record[ZIP_WEIGHT] = zeros + record[ZIP_POSITIVE];
}

static FK_CLONES void zip_statistics(const double *x, const double *w, ptrdiff_t n, double *record) {
    if (w) zip_statistics_body(x, w, n, record);
    else zip_statistics_body(x, NULL, n, record);
}

static void zip_merge(double *into, const double *from) {
    fk_merge_counts(into + ZIP_POSITIVE, into + ZIP_MEAN, into + ZIP_DEVIANCE, from[ZIP_POSITIVE], from[ZIP_MEAN],
                    from[ZIP_DEVIANCE]);
    into[ZIP_WEIGHT] += from[ZIP_WEIGHT];
    into[ZIP_ZEROS] += from[ZIP_ZEROS];
    into[ZIP_NORMALISER] += from[ZIP_NORMALISER];
}

static FK_CLONES void zip_log_density(const double *FK_RESTRICT x, ptrdiff_t n, const double *FK_RESTRICT c,
                                      double *FK_RESTRICT out) {
    fk_poisson_body(x, n, c[ZIP_RATE], c[ZIP_LOG_ZERO], c[ZIP_LOG_SHARE], out);
}

static const fk_column_kernel fk_kernel_zero_inflated_poisson = {
    .name = "zero_inflated_poisson",
    .n_statistics = ZIP_STATISTICS,
    .n_constants = ZIP_CONSTANTS,
    .statistics = zip_statistics,
    .merge = zip_merge,
    .log_density = zip_log_density,
};

#endif
