/* Power-function distribution: log p(x) = log a + (a - 1) log x on 0 < x <= 1. Statistics: weight and mean log. */
#ifndef FK_FAMILY_POWER_FUNCTION_H
#define FK_FAMILY_POWER_FUNCTION_H

#include "fk_column.h"
#include "fk_math.h"
#include "fk_means.h"

/* What the Python side calls constants, in its order. */
enum { POWER_EXPONENT, POWER_NORMALISER, POWER_CONSTANTS };

/* The record of one block: its weight and the weighted mean of log x. w is NULL where all weights are 1. */
static FK_CLONES void power_function_statistics(const double *x, const double *w, ptrdiff_t n, double *record) {
    double weight = 0.0, logs = 0.0;
    if (w) {
        FK_SIMD_SUM(weight, logs) for (ptrdiff_t i = 0; i < n; i++) {
            weight += w[i];
            logs += w[i] * fk_log(x[i]);
        }
    } else {
        weight = (double)n;
        FK_SIMD_SUM(logs) for (ptrdiff_t i = 0; i < n; i++) logs += fk_log(x[i]);
    }
    record[0] = weight;
    record[1] = logs / weight;
}

/* The records of two blocks together: a weight followed by one weighted mean. */
static void power_function_merge(double *into, const double *from) { fk_merge_means(into, from, 1); }

/* Added to out, which holds what the other columns of the rows gave. */
static FK_CLONES void power_function_log_density(const double *FK_RESTRICT x, ptrdiff_t n, const double *FK_RESTRICT c,
                                                 double *FK_RESTRICT out) {
    const double exponent = c[POWER_EXPONENT], normaliser = c[POWER_NORMALISER];
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) out[i] += normaliser + exponent * fk_log(x[i]);
}

static const fk_column_kernel fk_kernel_power_function = {
    .name = "power_function",
    .n_statistics = 2,
    .n_constants = POWER_CONSTANTS,
    .statistics = power_function_statistics,
    .merge = power_function_merge,
    .log_density = power_function_log_density,
};

#endif
