/* Bernoulli distribution: log p at 1, log(1 - p) at 0. Statistics: weight, and the weight of the ones. */
#ifndef FK_FAMILY_BERNOULLI_H
#define FK_FAMILY_BERNOULLI_H

#include "fk_column.h"

FK_INLINE void bernoulli_statistics_body(const double *x, const double *w, ptrdiff_t n, double *record) {
    double weight = 0.0, ones = 0.0;
    FK_SIMD_SUM(weight, ones) for (ptrdiff_t i = 0; i < n; i++) {
        double wi = w ? w[i] : 1.0;
        weight += wi;
        ones += wi * x[i];
    }
    record[0] = weight;
    record[1] = ones;
}

static FK_CLONES void bernoulli_statistics(const double *x, const double *w, ptrdiff_t n, double *record) {
    if (w) bernoulli_statistics_body(x, w, n, record);
    else bernoulli_statistics_body(x, NULL, n, record);
}

static void bernoulli_merge(double *into, const double *from) {
    into[0] += from[0];
    into[1] += from[1];
}

static FK_CLONES void bernoulli_log_density(const double *FK_RESTRICT x, ptrdiff_t n, const double *FK_RESTRICT c,
                                            double *FK_RESTRICT out) {
    const double log_one = c[0], log_zero = c[1];
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) out[i] += x[i] > 0.5 ? log_one : log_zero;
}

static const fk_column_kernel fk_kernel_bernoulli = {
    .name = "bernoulli",
    .n_statistics = 2,
    .n_constants = 2,
    .statistics = bernoulli_statistics,
    .merge = bernoulli_merge,
    .log_density = bernoulli_log_density,
};

#endif
