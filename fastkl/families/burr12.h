/* Burr XII distribution: with l = log(x / scale) and z = c l
 *
 *     log p(x) = log(c d / scale) + (c - 1) l - (d + 1) log(1 + exp(z))      on x > 0.
 *
 * d = inf is the Weibull distribution of shape c, for which "scale" is the limit of scale d^(-1/c). The sums are taken
 * in log c, log d and c log scale (c held where it is).
 */
#ifndef FK_FAMILY_BURR12_H
#define FK_FAMILY_BURR12_H

#include "fk_column.h"
#include "fk_log_ratio.h"
#include <math.h>

enum { BURR_C, BURR_D, BURR_SCALE, BURR_INVERSE_SCALE, BURR_NORMALISER, BURR_CONSTANTS };
enum { BURR_SUMS = 10 };

/* log(1 + exp(z)) given e = exp(-|z|) */
FK_INLINE double burr12_softplus(double z, double e) { return fk_select(z > 0.0, z, 0.0) + fk_log1p_unit(e); }

static FK_CLONES void burr12_log_density(const double *FK_RESTRICT x, ptrdiff_t n, const double *FK_RESTRICT c,
                                         double *FK_RESTRICT out) {
    const double shape = c[BURR_C], scale = c[BURR_SCALE], inverse = c[BURR_INVERSE_SCALE], normaliser = c[BURR_NORMALISER];
    const double d = c[BURR_D], power = d + 1.0;
    if (!(power < INFINITY)) {
        FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {
            double l = fk_log_ratio(x[i], scale, inverse), z = shape * l;
            double e = fk_exp(z);
            out[i] += normaliser + fk_select(e < INFINITY, (z - l) - e, -INFINITY);
        }
        return;
    }
    double y[FK_BLOCK]; /* two short loops overlap better than a long one */
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) y[i] = fk_log_ratio(x[i], scale, inverse);
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {
        /* above the scale z - (d + 1) log(1 + exp(z)) is -d z - (d + 1) log(1 + exp(-z)): for small d most of z is gone */
        double l = y[i], z = shape * l;
        out[i] += normaliser + ((fk_select(z > 0.0, -d * z, z) - l) - power * fk_log1p_unit(fk_exp(-fabs(z))));
    }
}

/* limit is a literal: in the limit exp(z) takes the place of log(1 + exp(z)) and of its derivatives, and d + 1 is 1. */
FK_INLINE void burr12_sums_body(const double *x, const double *w, ptrdiff_t n, const double *c, int limit,
                             double *sums) {
    const double shape = c[BURR_C], scale = c[BURR_SCALE], inverse = c[BURR_INVERSE_SCALE];
    const double d = limit ? 0.0 : c[BURR_D], power = d + 1.0;
    double weight = 0.0, ls = 0.0, zs = 0.0, logs = 0.0, p_sum = 0.0, pz = 0.0, pq_sum = 0.0, pqz = 0.0, pqzz = 0.0;
    double logarithms[FK_BLOCK];
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) logarithms[i] = fk_log_ratio(x[i], scale, inverse);
    FK_SIMD_SUM(weight, ls, zs, logs, p_sum, pz, pq_sum, pqz, pqzz) for (ptrdiff_t i = 0; i < n; i++) {
        double wi = w ? w[i] : 1.0, l = logarithms[i], z = shape * l;
        double e = fk_exp(limit ? z : -fabs(z)), r = 1.0 / (1.0 + e);
        double y = limit ? e : burr12_softplus(z, e);
        double p = limit ? e : fk_select(z > 0.0, r, e * r), pq = limit ? e : e * r * r;
        weight += wi;
        ls += wi * l;
        zs += wi * z;
        logs += wi * y;
        p_sum += wi * p;
        pz += wi * (p * z);
        pq_sum += wi * pq;
        pqz += wi * (pq * z);
        pqzz += wi * (pq * z * z);
    }
    sums[0] = weight * c[BURR_NORMALISER] + (zs - ls) - power * logs;
    sums[1] = weight + zs - power * pz;
    sums[2] = limit ? 0.0 : weight - d * logs;
    sums[3] = power * p_sum - weight;
    sums[4] = zs - power * (pz + pqzz);
    sums[5] = -d * pz;
    sums[6] = power * (p_sum + pqz) - weight;
    sums[7] = limit ? -weight : -d * logs;
    sums[8] = d * p_sum;
    sums[9] = -power * pq_sum;
}

static FK_CLONES void burr12_sums(const double *x, const double *w, ptrdiff_t n, const double *c, double *sums) {
    if (!(c[BURR_D] < INFINITY)) burr12_sums_body(x, w, n, c, 1, sums);
    else if (w) burr12_sums_body(x, w, n, c, 0, sums);
    else burr12_sums_body(x, NULL, n, c, 0, sums);
}

static void burr12_constants(const double *params, double *c) {
    c[BURR_C] = params[0];
    c[BURR_D] = params[1];
    c[BURR_SCALE] = params[2];
    c[BURR_INVERSE_SCALE] = 1.0 / params[2];
    c[BURR_NORMALISER] = log(params[0]) + (params[1] < INFINITY ? log(params[1]) : 0.0) - log(params[2]);
}

static void burr12_move(const double *params, const double *step, double *moved) {
    moved[0] = params[0] * exp(step[0]);
    moved[1] = params[1] * exp(step[1]);
    moved[2] = params[2] * exp(step[2] / params[0]);
}

static const fk_column_kernel fk_kernel_burr12 = {
    .name = "burr12",
    .n_constants = BURR_CONSTANTS,
    .n_sums = BURR_SUMS,
    .log_density = burr12_log_density,
    .sums = burr12_sums,
    .n_parameters = 3,
    .constants = burr12_constants,
    .move = burr12_move,
};

#endif
