/* Geometric distribution of the number of trials x = 1, 2, ...: log p + (x - 1) log(1 - p). Statistics: weight, and the
 * sum of x - 1, the failures before the success (of x itself the last digits of the failures would be lost where nearly
 * all x are 1). */
#ifndef FK_FAMILY_GEOMETRIC_H
#define FK_FAMILY_GEOMETRIC_H

#include "fk_column.h"

FK_INLINE void geometric_statistics_body(const double *x, const double *w, ptrdiff_t n, double *record) {
    double weight = 0.0, failures = 0.0;
    FK_SIMD_SUM(weight, failures) for (ptrdiff_t i = 0; i < n; i++) {
        double wi = w ? w[i] : 1.0;
        weight += wi;
        failures += wi * (x[i] - 1.0);
    }
    record[0] = weight;
    record[1] = failures;
}

static FK_CLONES void geometric_statistics(const double *x, const double *w, ptrdiff_t n, double *record) {
    if (w) geometric_statistics_body(x, w, n, record);
    else geometric_statistics_body(x, NULL, n, record);
}

static void geometric_merge(double *into, const double *from) {
    into[0] += from[0];
    into[1] += from[1];
}

static FK_CLONES void geometric_log_density(const double *FK_RESTRICT x, ptrdiff_t n, const double *FK_RESTRICT c,
                                            double *FK_RESTRICT out) {
    const double log_success = c[0], log_failure = c[1];
    /* the first trial is set apart for p = 1, where 0 times log(1 - p) is no number */
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) out[i] += x[i] == 1.0 ? log_success : log_success + (x[i] - 1.0) * log_failure;
}

static const fk_column_kernel fk_kernel_geometric = {
    .name = "geometric",
    .n_statistics = 2,
    .n_constants = 2,
    .statistics = geometric_statistics,
    .merge = geometric_merge,
    .log_density = geometric_log_density,
};

#endif
