/* Lomax distribution: log p(x) = log(shape / scale) - (shape + 1) log(1 + x / scale) on x >= 0; shape = inf is the
 * exponential distribution, for which "scale" is the limit of scale / shape. The sums are taken in log shape and log
 * scale. */
#ifndef FK_FAMILY_LOMAX_H
#define FK_FAMILY_LOMAX_H

#include "fk_column.h"
#include "fk_math.h"
#include <math.h>

enum { LOMAX_SHAPE, LOMAX_INVERSE_SCALE, LOMAX_NORMALISER, LOMAX_CONSTANTS };
enum { LOMAX_SUMS = 6 };

static FK_CLONES void lomax_log_density(const double *FK_RESTRICT x, ptrdiff_t n, const double *FK_RESTRICT c,
                                        double *FK_RESTRICT out) {
    const double power = c[LOMAX_SHAPE] + 1.0, inverse = c[LOMAX_INVERSE_SCALE], normaliser = c[LOMAX_NORMALISER];
    if (!(power < INFINITY)) {
        FK_SIMD for (ptrdiff_t i = 0; i < n; i++) out[i] += normaliser - x[i] * inverse;
        return;
    }
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) out[i] += normaliser - power * fk_log1p(x[i] * inverse);
}

FK_INLINE void lomax_sums_body(const double *x, const double *w, ptrdiff_t n, const double *c, double *sums) {
    const double shape = c[LOMAX_SHAPE], inverse = c[LOMAX_INVERSE_SCALE];
    const int limit = !(shape < INFINITY);
    double weight = 0.0, logs = 0.0, p = 0.0, pq = 0.0;
    FK_SIMD_SUM(weight, logs, p, pq) for (ptrdiff_t i = 0; i < n; i++) {
        double wi = w ? w[i] : 1.0, r = x[i] * inverse, q = 1.0 / (1.0 + r);
        weight += wi;
        logs += wi * (limit ? r : fk_log1p(r));
        p += wi * (limit ? r : r * q);
        pq += wi * (limit ? r : r * q * q);
    }
    const double power = limit ? 1.0 : shape + 1.0;
    sums[0] = weight * c[LOMAX_NORMALISER] - power * logs;
    sums[1] = limit ? 0.0 : weight - shape * logs;
    sums[2] = power * p - weight;
    sums[3] = limit ? -weight : -shape * logs;
    sums[4] = limit ? 0.0 : shape * p;
    sums[5] = -power * pq;
}

static FK_CLONES void lomax_sums(const double *x, const double *w, ptrdiff_t n, const double *c, double *sums) {
    if (w) lomax_sums_body(x, w, n, c, sums);
    else lomax_sums_body(x, NULL, n, c, sums);
}

static void lomax_constants(const double *params, double *c) {
    c[LOMAX_SHAPE] = params[0];
    c[LOMAX_INVERSE_SCALE] = 1.0 / params[1];
    c[LOMAX_NORMALISER] = (params[0] < INFINITY ? log(params[0]) : 0.0) - log(params[1]);
}

static void lomax_move(const double *params, const double *step, double *moved) {
    for (int i = 0; i < 2; i++) moved[i] = params[i] * exp(step[i]);
}

static const fk_column_kernel fk_kernel_lomax = {
    .name = "lomax",
    .n_constants = LOMAX_CONSTANTS,
    .n_sums = LOMAX_SUMS,
    .log_density = lomax_log_density,
    .sums = lomax_sums,
    .n_parameters = 2,
    .constants = lomax_constants,
    .move = lomax_move,
};

#endif
