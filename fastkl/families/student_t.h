/* Student's t: log p(x) = -(df + 1) / 2 log(1 + z^2 / df) + normaliser, z = (x - loc) / scale; df = inf is the normal
 * distribution.
 *
 * The sums are taken in t = log df, u = loc / scale and v = log scale. The derivative by t holds df (log(1 + q) - q / (1 + q))
 * with q = z^2 / df, a difference of order q^2: for small q it is taken from the tail of the logarithm's series, so that large
 * df keep their digits. The normaliser and its first two derivatives by t come with the constants.
 */
#ifndef FK_FAMILY_STUDENT_T_H
#define FK_FAMILY_STUDENT_T_H

#include "fk_column.h"
#include "fk_gamma_functions.h"
#include "fk_log_ratio.h"
#include <math.h>

enum { T_DF, T_INVERSE_DF, T_LOG_DF, T_LOC, T_INVERSE_SCALE, T_NORMALISER, T_SLOPE, T_CURVATURE, T_CONSTANTS };
enum { T_SUMS = 10 };

/* log(1 + z^2 / df) and q = z^2 / df; where z^2 overflows the logarithm is taken of |z|. */
FK_INLINE double student_t_log(double z, const double *c, double *q) {
    double size = fabs(z), square = size * (size * c[T_INVERSE_DF]), w = 1.0 + square;
    int far = !(square < 1e300);
    double lost = (square - (w - 1.0)) / w, y = fk_log(fk_select(far, size, w));
    *q = square;
    return fk_select(far, 2.0 * y - c[T_LOG_DF], y + lost);
}

static FK_CLONES void student_t_log_density(const double *FK_RESTRICT x, ptrdiff_t n, const double *FK_RESTRICT c,
                                            double *FK_RESTRICT out) {
    const double loc = c[T_LOC], inverse = c[T_INVERSE_SCALE], normaliser = c[T_NORMALISER], power = 0.5 * (c[T_DF] + 1.0);
    if (c[T_INVERSE_DF] == 0.0) {
        FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {
            double z = (x[i] - loc) * inverse;
            out[i] += normaliser - 0.5 * z * z;
        }
        return;
    }
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {
        double q, y = student_t_log((x[i] - loc) * inverse, c, &q);
        out[i] += normaliser - power * y;
    }
}

/* The limit: the normal distribution, whose gradient by df is 0. */
FK_INLINE void student_t_normal_sums(const double *x, const double *w, ptrdiff_t n, const double *c, double *sums) {
    double weight = 0.0, first = 0.0, second = 0.0;
    FK_SIMD_SUM(weight, first, second) for (ptrdiff_t i = 0; i < n; i++) {
        double wi = w ? w[i] : 1.0, z = (x[i] - c[T_LOC]) * c[T_INVERSE_SCALE];
        weight += wi;
        first += wi * z;
        second += wi * z * z;
    }
    for (int k = 0; k < T_SUMS; k++) sums[k] = 0.0;
    sums[0] = weight * c[T_NORMALISER] - 0.5 * second;
    sums[2] = first;
    sums[3] = second - weight;
    sums[7] = -weight;
    sums[8] = -2.0 * first;
    sums[9] = -2.0 * second;
}

FK_INLINE void student_t_sums_body(const double *x, const double *w, ptrdiff_t n, const double *c, double *sums) {
    const double df = c[T_DF], xi = c[T_INVERSE_DF], half = 0.5 * df, power = 0.5 * (df + 1.0), growth = 1.0 + xi;
    double weight = 0.0, f = 0.0, ft = 0.0, ftt = 0.0, psi = 0.0, z_psi = 0.0, slope = 0.0, z_slope = 0.0, zz_slope = 0.0;
    double psi_t = 0.0, z_psi_t = 0.0;
    FK_SIMD_SUM(weight, f, ft, ftt, psi, z_psi, slope, z_slope, zz_slope, psi_t, z_psi_t)
    for (ptrdiff_t i = 0; i < n; i++) {
        double wi = w ? w[i] : 1.0, z = (x[i] - c[T_LOC]) * c[T_INVERSE_SCALE], q;
        double y = student_t_log(z, c, &q), p = 1.0 / (1.0 + q), share = fk_select(q < 1e300, q * p, 1.0);
        double half_square = 0.5 * q * q;
        double near = q * share - half_square + fk_log_tail(q, half_square);
        double excess = fk_select(q < 0.4, near, y - share); /* log(1 + q) - q / (1 + q) */
        double ps = -growth * (z * p), sl = -growth * (p * (p - share)), pt = p * (xi * z) - growth * (z * p) * share;
        double square = df * share; /* z^2 / (1 + q), finite for any z */
        weight += wi;
        f += wi * y;
        ft += wi * (0.5 * share - half * excess);
        ftt += wi * (half * (share * share - excess) + 0.5 * (share * share - share));
        psi += wi * ps;
        z_psi -= wi * (growth * square);
        slope += wi * sl;
        z_slope += wi * (z * sl);
        zz_slope -= wi * (growth * square * (p - share));
        psi_t += wi * pt;
        z_psi_t += wi * (share - growth * square * share);
    }
    sums[0] = weight * c[T_NORMALISER] - power * f;
    sums[1] = weight * c[T_SLOPE] + ft;
    sums[2] = -psi;
    sums[3] = -z_psi - weight;
    sums[4] = weight * c[T_CURVATURE] + ftt;
    sums[5] = -psi_t;
    sums[6] = -z_psi_t;
    sums[7] = slope;
    sums[8] = psi + z_slope;
    sums[9] = z_psi + zz_slope;
}

static FK_CLONES void student_t_sums(const double *x, const double *w, ptrdiff_t n, const double *c, double *sums) {
    if (c[T_INVERSE_DF] == 0.0) {
        student_t_normal_sums(x, w, n, c, sums);
    } else if (w) {
        student_t_sums_body(x, w, n, c, sums);
    } else {
        student_t_sums_body(x, NULL, n, c, sums);
    }
}

/* As special.gamma_functions.half_step: log Gamma(a + 1/2) - log Gamma(a) - log(a) / 2 and its derivatives by log a, from 16 on
 * by their series, below from differences of what Stirling's formula and the logarithm lack. */
FK_INLINE void student_t_half_step(double a, double *out) {
    if (a >= 16.0) {
        static const double c[] = {-1.0 / 8,       1.0 / 192,      -1.0 / 640,      17.0 / 14336,
                                   -31.0 / 18432, 691.0 / 180224, -5461.0 / 425984};
        const double inverse = 1.0 / a, z = inverse * inverse;
        out[0] = out[1] = out[2] = 0.0;
        for (int k = 6; k >= 0; k--) {
            const double power = -(2 * k + 1);
            for (int order = 0; order < 3; order++)
                out[order] = out[order] * z + c[k] * (order == 0 ? 1.0 : order == 1 ? power : power * power);
        }
        for (int order = 0; order < 3; order++) out[order] *= inverse;
        return;
    }
    const fk_digamma_terms here = fk_digamma(a), there = fk_digamma(a + 0.5);
    const double grown = a / (a + 0.5), rise = log1p(0.5 / a);
    const double slope = rise + (here.log_excess - there.log_excess); /* psi(a + 1/2) - psi(a) */
    out[0] = a * rise - 0.5 + (fk_stirling_error(a + 0.5) - fk_stirling_error(a));
    out[1] = a * slope - 0.5;
    out[2] = a * slope + (a * grown - a) + (there.curvature * grown * grown - here.curvature);
}

static void student_t_constants(const double *params, double *c) {
    double steps[3];
    student_t_half_step(0.5 * params[0], steps);
    c[T_DF] = params[0];
    c[T_INVERSE_DF] = 1.0 / params[0];
    c[T_LOG_DF] = log(params[0]);
    c[T_LOC] = params[1];
    c[T_INVERSE_SCALE] = 1.0 / params[2];
    c[T_NORMALISER] = steps[0] - 0.918938533204672741780 - log(params[2]); /* log(2 pi) / 2 */
    c[T_SLOPE] = steps[1];
    c[T_CURVATURE] = steps[2];
}

static void student_t_move(const double *params, const double *step, double *moved) {
    moved[0] = params[0] * exp(step[0]);
    moved[1] = params[1] + params[2] * step[1];
    moved[2] = params[2] * exp(step[2]);
}

static const fk_column_kernel fk_kernel_student_t = {
    .name = "student_t",
    .n_constants = T_CONSTANTS,
    .n_sums = T_SUMS,
    .log_density = student_t_log_density,
    .sums = student_t_sums,
    .n_parameters = 3,
    .constants = student_t_constants,
    .move = student_t_move,
};

#endif
