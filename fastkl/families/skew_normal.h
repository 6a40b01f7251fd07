/* Skew-normal distribution: log p(x) = log 2 - z^2 / 2 + log Phi(shape z) - log(2 pi) / 2 - log(scale), z = (x - loc) / scale.
 *
 * At an infinite shape it is half of a normal distribution, on the side of its sign. The sums are taken in the shape (in units of
 * 1 + |shape|), u = loc / scale and v = log scale. The normal distribution function is that of the C library, which is no loop
 * for vectors.
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

/* Sums at a finite shape. The tail of the normal distribution at |t|, t = shape z, comes from the C library; the rest is a loop
 * for vectors. */
FK_INLINE void skew_normal_finite_sums(const double *x, const double *w, ptrdiff_t n, const double *c, double *sums) {
    const double shape = c[SN_SHAPE], loc = c[SN_LOC], inverse = c[SN_INVERSE_SCALE];
    double tails[FK_BLOCK];
    double weight = 0.0, value = 0.0, by_a = 0.0, by_u = 0.0, by_v = 0.0;
    double aa = 0.0, au = 0.0, av = 0.0, uu = 0.0, uv = 0.0, vv = 0.0;
    for (ptrdiff_t i = 0; i < n; i++) tails[i] = 0.5 * erfc(SN_ROOT_HALF * fabs(shape * ((x[i] - loc) * inverse)));
    FK_SIMD_SUM(weight, value, by_a, by_u, by_v, aa, au, av, uu, uv, vv)
    for (ptrdiff_t i = 0; i < n; i++) {
        const double wi = w ? w[i] : 1.0, z = (x[i] - loc) * inverse, t = shape * z, tail = tails[i];
        const int right = t > 0.0, far = t < -SN_FAR;
        /* log Phi(t) and phi(t) / Phi(t), as skew_normal_log_phi has them */
        const double s = 1.0 / (t * t), rest = 1.0 - s * (1.0 - 3.0 * s * (1.0 - 5.0 * s * (1.0 - 7.0 * s * (1.0 - 9.0 * s))));
        const double phi = right ? 1.0 - tail : tail, lost = right ? ((1.0 - phi) - tail) / phi : 0.0, half = -0.5 * t * t;
        const double log_phi = fk_log(far ? rest / -t : phi) + (far ? half - FK_HALF_LOG_2PI : lost);
        const double ratio = far ? -t / rest : fk_exp_regular(half - FK_HALF_LOG_2PI) / phi;
        const double bend = -ratio * (t + ratio), by_z = shape * ratio - z, by_zz = shape * shape * bend - 1.0;
        const double both = ratio + t * bend, turn = by_z + z * by_zz;
        weight += wi;
        value += wi * (SN_LOG_2 + log_phi - 0.5 * z * z);
        by_a += wi * (z * ratio);
        by_u -= wi * by_z;
        by_v -= wi * (z * by_z);
        aa += wi * (z * z * bend);
        au -= wi * both;
        av -= wi * (z * both);
        uu += wi * by_zz;
        uv += wi * turn;
        vv += wi * (z * turn);
    }
    const double unit = 1.0 + fabs(shape);
    const double found[SN_SUMS] = {value + weight * c[SN_NORMALISER], by_a * unit, by_u, by_v - weight, aa * unit * unit,
                                   au * unit, av * unit, uu, uv, vv};
    memcpy(sums, found, sizeof found);
}

/* Sums at an infinite shape, which does not move: a normal distribution on one side. */
static void skew_normal_limit_sums(const double *x, const double *w, ptrdiff_t n, const double *c, double *sums) {
    double weight = 0.0, ratio;
    memset(sums, 0, SN_SUMS * sizeof(double));
    for (ptrdiff_t i = 0; i < n; i++) {
        const double wi = w ? w[i] : 1.0, z = (x[i] - c[SN_LOC]) * c[SN_INVERSE_SCALE];
        weight += wi;
        sums[0] += wi * (skew_normal_log_share(c[SN_SHAPE], z, &ratio) - 0.5 * z * z);
        sums[2] += wi * z;
        sums[3] += wi * (z * z);
        sums[7] -= wi;
        sums[8] -= wi * (2.0 * z);
        sums[9] -= wi * (2.0 * z * z);
    }
    sums[0] += weight * c[SN_NORMALISER];
    sums[3] -= weight;
}

static FK_CLONES void skew_normal_sums(const double *x, const double *w, ptrdiff_t n, const double *c, double *sums) {
    if (isinf(c[SN_SHAPE])) skew_normal_limit_sums(x, w, n, c, sums);
    else if (w) skew_normal_finite_sums(x, w, n, c, sums);
    else skew_normal_finite_sums(x, NULL, n, c, sums);
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
