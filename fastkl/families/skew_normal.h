/* Skew-normal distribution: log p(x) = log 2 - z^2 / 2 + log Phi(shape z) - log(2 pi) / 2 - log(scale), z = (x - loc) / scale.
 *
 * At an infinite shape it is half of a normal distribution, on the side of its sign. The sums are taken in the shape (in units of
 * 1 + |shape|), u = loc / scale and v = log scale. The normal distribution function is that of the C library, which is no loop
 * for vectors: nothing is compiled more than once here.
 */
#ifndef FK_FAMILY_SKEW_NORMAL_H
#define FK_FAMILY_SKEW_NORMAL_H

#include "fk_column.h"
#include "fk_math.h"
#include <math.h>

enum { SN_SHAPE, SN_LOC, SN_INVERSE_SCALE, SN_NORMALISER, SN_CONSTANTS };
enum { SN_SUMS = 10 };

#define SN_FAR 30.0 /* standard deviations below 0 from which Phi is its asymptotic series */
#define SN_LOG_2 0.693147180559945309417
#define SN_ROOT_HALF 0.707106781186547524401

/* log Phi(t), and phi(t) / Phi(t) */
static inline double skew_normal_log_phi(double t, double *ratio) {
    if (t < -SN_FAR) {
        const double s = 1.0 / (t * t), rest = 1.0 - s * (1.0 - 3.0 * s * (1.0 - 5.0 * s * (1.0 - 7.0 * s * (1.0 - 9.0 * s))));
        *ratio = -t / rest;
        return -0.5 * t * t - log(-t) - FK_HALF_LOG_2PI + log(rest);
    }
    const double tail = 0.5 * erfc(SN_ROOT_HALF * fabs(t)), phi = t > 0.0 ? 1.0 - tail : tail;
    *ratio = exp(-0.5 * t * t - FK_HALF_LOG_2PI) / phi;
    return t > 0.0 ? log1p(-tail) : log(tail);
}

/* log(2 Phi(shape z)): at an infinite shape log 2 on its side, 0 beyond, an end that belongs to the support */
static inline double skew_normal_log_share(double shape, double z, double *ratio) {
    if (!isinf(shape)) return SN_LOG_2 + skew_normal_log_phi(shape * z, ratio);
    *ratio = 0.0;
    return (shape > 0.0 ? z >= 0.0 : z <= 0.0) ? SN_LOG_2 : -INFINITY;
}

static void skew_normal_log_density(const double *x, ptrdiff_t n, const double *c, double *out) {
    for (ptrdiff_t i = 0; i < n; i++) {
        const double z = (x[i] - c[SN_LOC]) * c[SN_INVERSE_SCALE];
        double ratio;
        out[i] += c[SN_NORMALISER] - 0.5 * z * z + skew_normal_log_share(c[SN_SHAPE], z, &ratio);
    }
}

static void skew_normal_sums(const double *x, const double *w, ptrdiff_t n, const double *c, double *sums) {
    const double shape = c[SN_SHAPE], unit = 1.0 + fabs(shape);
    double weight = 0.0;
    for (int k = 0; k < SN_SUMS; k++) sums[k] = 0.0;
    for (ptrdiff_t i = 0; i < n; i++) {
        const double wi = w ? w[i] : 1.0, z = (x[i] - c[SN_LOC]) * c[SN_INVERSE_SCALE];
        double ratio;
        const double f = skew_normal_log_share(shape, z, &ratio) - 0.5 * z * z;
        const double bend = isinf(shape) ? 0.0 : -ratio * (shape * z + ratio), a = isinf(shape) ? 0.0 : shape;
        const double by_z = a * ratio - z, by_zz = a * a * bend - 1.0, both = ratio + a * z * bend;
        weight += wi;
        sums[0] += wi * f;
        sums[1] += wi * (z * ratio);
        sums[2] -= wi * by_z;
        sums[3] -= wi * (z * by_z);
        sums[4] += wi * (z * z * bend);
        sums[5] -= wi * both;
        sums[6] -= wi * (z * both);
        sums[7] += wi * by_zz;
        sums[8] += wi * (by_z + z * by_zz);
        sums[9] += wi * (z * (by_z + z * by_zz));
    }
    sums[0] += weight * c[SN_NORMALISER];
    sums[3] -= weight;
    if (isinf(shape)) return;
    sums[1] *= unit;
    sums[4] *= unit * unit;
    sums[5] *= unit;
    sums[6] *= unit;
}

static void skew_normal_constants(const double *params, double *c) {
    c[SN_SHAPE] = params[0];
    c[SN_LOC] = params[1];
    c[SN_INVERSE_SCALE] = 1.0 / params[2];
    c[SN_NORMALISER] = -FK_HALF_LOG_2PI - log(params[2]);
}

static void skew_normal_move(const double *params, const double *step, double *moved) {
    moved[0] = params[0] + (1.0 + fabs(params[0])) * step[0];
    moved[1] = params[1] + params[2] * step[1];
    moved[2] = params[2] * exp(step[2]);
}

static const fk_column_kernel fk_kernel_skew_normal = {
    .name = "skew_normal",
    .n_constants = SN_CONSTANTS,
    .n_sums = SN_SUMS,
    .log_density = skew_normal_log_density,
    .sums = skew_normal_sums,
    .n_parameters = 3,
    .constants = skew_normal_constants,
    .move = skew_normal_move,
};

#endif
