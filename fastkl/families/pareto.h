/* Pareto distribution: log p(x) = log(shape / scale) - (shape + 1) log(x / scale) for x >= scale. Statistics: weight,
 * minimum, and the sum of log(x / minimum), whose terms are all >= 0. A NaN, which comparisons would hide, spoils the
 * sum. */
#ifndef FK_FAMILY_PARETO_H
#define FK_FAMILY_PARETO_H

#include "fk_column.h"
#include "fk_log_ratio.h"

enum { PARETO_SHAPE, PARETO_SCALE, PARETO_INVERSE_SCALE, PARETO_NORMALISER, PARETO_CONSTANTS };

FK_INLINE void pareto_statistics_body(const double *x, const double *w, ptrdiff_t n, double *record) {
    double low = x[0], weight = 0.0, sum = 0.0;
    FK_PRAGMA(omp simd reduction(min : low)) for (ptrdiff_t i = 0; i < n; i++) low = x[i] < low ? x[i] : low;
    const double inverse = 1.0 / low;
    FK_SIMD_SUM(weight, sum) for (ptrdiff_t i = 0; i < n; i++) {
        double wi = w ? w[i] : 1.0;
        weight += wi;
        sum += wi * fk_log_ratio(x[i], low, inverse);
    }
    record[0] = weight;
    record[1] = low;
    record[2] = sum;
}

static FK_CLONES void pareto_statistics(const double *x, const double *w, ptrdiff_t n, double *record) {
    if (w) pareto_statistics_body(x, w, n, record);
    else pareto_statistics_body(x, NULL, n, record);
}

static void pareto_merge(double *into, const double *from) {
    double low = from[1] < into[1] ? from[1] : into[1], inverse = 1.0 / low;
    into[2] += from[2] + into[0] * fk_log_ratio(into[1], low, inverse) + from[0] * fk_log_ratio(from[1], low, inverse);
    into[0] += from[0];
    into[1] = low;
}

static FK_CLONES void pareto_log_density(const double *FK_RESTRICT x, ptrdiff_t n, const double *FK_RESTRICT c,
                                         double *FK_RESTRICT out) {
    const double power = c[PARETO_SHAPE] + 1.0, scale = c[PARETO_SCALE], inverse = c[PARETO_INVERSE_SCALE];
    const double normaliser = c[PARETO_NORMALISER];
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {
        double y = normaliser - power * fk_log_ratio(x[i], scale, inverse);
        out[i] += x[i] < scale ? -INFINITY : y;
    }
}

static const fk_column_kernel fk_kernel_pareto = {
    .name = "pareto",
    .n_statistics = 3,
    .n_constants = PARETO_CONSTANTS,
    .statistics = pareto_statistics,
    .merge = pareto_merge,
    .log_density = pareto_log_density,
};

#endif
