/* Burr XII law: with l = log(x / scale) and z = c l
 *
 *     log p(x) = log(c d / scale) + (c - 1) l - (d + 1) log(1 + exp(z))      on x > 0.
 *
 * d = inf is the Weibull law of shape c, for which "scale" is the limit of scale d^(-1/c). The sums are taken in log c, log d
 * and c log scale (c held where it is).
 */
#ifndef FK_FAMILY_BURR12_H
#define FK_FAMILY_BURR12_H

#include "fk_column.h"
#include "fk_log_ratio.h"

enum { BURR_C, BURR_D, BURR_SCALE, BURR_INVERSE_SCALE, BURR_NORMALISER, BURR_CONSTANTS };
enum { BURR_SUMS = 10 };

/* log(1 + exp(z)), or its stand-in exp(z) in the limit, where (d + 1) becomes 1 */
FK_INLINE double burr12_softplus(double z, double e, int limit) {
    double y = (z > 0.0 ? z : 0.0) + fk_log1p(e);
    return limit ? fk_exp(z) : y;
}

static FK_CLONES void burr12_log_density(const double *FK_RESTRICT x, ptrdiff_t n, const double *FK_RESTRICT c,
                                         double *FK_RESTRICT out) {
    const double shape = c[BURR_C], scale = c[BURR_SCALE], inverse = c[BURR_INVERSE_SCALE], normaliser = c[BURR_NORMALISER];
    const int limit = !(c[BURR_D] < INFINITY);
    const double power = limit ? 1.0 : c[BURR_D] + 1.0;
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {
        double l = fk_log_ratio(x[i], scale, inverse), z = shape * l;
        out[i] += normaliser + ((z - l) - power * burr12_softplus(z, fk_exp(-fabs(z)), limit));
    }
}

FK_INLINE void burr12_sums_body(const double *x, const double *w, ptrdiff_t n, const double *c, double *sums) {
    const double shape = c[BURR_C], scale = c[BURR_SCALE], inverse = c[BURR_INVERSE_SCALE];
    const int limit = !(c[BURR_D] < INFINITY);
    const double d = limit ? 0.0 : c[BURR_D], power = d + 1.0;
    double weight = 0.0, ls = 0.0, zs = 0.0, logs = 0.0, p_sum = 0.0, pz = 0.0, pq_sum = 0.0, pqz = 0.0, pqzz = 0.0;
    FK_SIMD_SUM(weight, ls, zs, logs, p_sum, pz, pq_sum, pqz, pqzz) for (ptrdiff_t i = 0; i < n; i++) {
        double wi = w ? w[i] : 1.0, l = fk_log_ratio(x[i], scale, inverse), z = shape * l, e = fk_exp(-fabs(z));
        double y = burr12_softplus(z, e, limit), r = 1.0 / (1.0 + e);
        double p = limit ? y : (z > 0.0 ? r : e * r), pq = limit ? y : e * r * r;
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
    if (w) burr12_sums_body(x, w, n, c, sums);
    else burr12_sums_body(x, NULL, n, c, sums);
}

static const fk_column_kernel fk_kernel_burr12 = {
    .name = "burr12",
    .n_constants = BURR_CONSTANTS,
    .n_sums = BURR_SUMS,
    .log_density = burr12_log_density,
    .sums = burr12_sums,
};

#endif
