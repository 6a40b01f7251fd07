/* Exponential distribution: log p(x) = -x / scale - log(scale) on x >= 0. Statistics: weight and mean. */
#ifndef FK_FAMILY_EXPONENTIAL_H
#define FK_FAMILY_EXPONENTIAL_H

#include "fk_column.h"
#include "fk_means.h"

enum { EXPONENTIAL_INVERSE_SCALE, EXPONENTIAL_NORMALISER, EXPONENTIAL_CONSTANTS };

static FK_CLONES void exponential_statistics(const double *x, const double *w, ptrdiff_t n, double *record) {
    double mean = w ? NAN : fk_plain_mean_body(x, n);
    record[0] = (double)n;
    record[1] = mean;
    if (!(mean < INFINITY)) record[1] = w ? fk_corrected_mean_body(x, w, n, record) : fk_corrected_mean_body(x, NULL, n, record);
}

static void exponential_merge(double *into, const double *from) { fk_merge_means(into, from, 1); }

static FK_CLONES void exponential_log_density(const double *FK_RESTRICT x, ptrdiff_t n, const double *FK_RESTRICT c,
                                              double *FK_RESTRICT out) {
    const double inverse = c[EXPONENTIAL_INVERSE_SCALE], normaliser = c[EXPONENTIAL_NORMALISER];
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) out[i] += normaliser - x[i] * inverse;
}

static const fk_column_kernel fk_kernel_exponential = {
    .name = "exponential",
    .n_statistics = 2,
    .n_constants = EXPONENTIAL_CONSTANTS,
    .statistics = exponential_statistics,
    .merge = exponential_merge,
    .log_density = exponential_log_density,
};

#endif
