/* Differences of gamma-function terms that cancel when taken literally.
 *
 * From 10 on they are their asymptotic series (Abramowitz and Stegun 6.1.41, 6.3.18, 6.4.12; the first term left out
 * is below 3e-17 of the value). Below, ten steps of the recurrence lead there; terms of the recurrence are summed as
 * differences that are small themselves. No branches: loops over them vectorise.
 */
#ifndef FK_GAMMA_FUNCTIONS_H
#define FK_GAMMA_FUNCTIONS_H

#include "fk_log_phi.h"
#include "fk_stirling.h"

#define FK_GAMMA_STEPS 10
#define FK_GAMMA_LARGE 10.0
#define FK_PIECE 256 /* values that are looked over together */

typedef struct {
    double log_excess; /* log a - psi(a), about 1 / (2 a) */
    double curvature;  /* a^2 (psi'(a) - 1 / a), from 1 at 0 to 1/2 at infinity: its derivative by 1 / a */
} fk_digamma_terms;

/* a^3 (psi'(a) - 1 / a - 1 / (2 a^2)) given z = 1 / a^2, for a of at least 10 */
FK_INLINE double fk_trigamma_series(double z) {
    double slope = -3617.0 / 510;
    slope = slope * z + 7.0 / 6;
    slope = slope * z - 691.0 / 2730;
    slope = slope * z + 5.0 / 66;
    slope = slope * z - 1.0 / 30;
    slope = slope * z + 1.0 / 42;
    slope = slope * z - 1.0 / 30;
    return slope * z + 1.0 / 6;
}

FK_INLINE fk_digamma_terms fk_digamma(double a) {
    const int small = a < FK_GAMMA_LARGE;
    const double x = fk_select(small, a + FK_GAMMA_STEPS, a), v = 1.0 / x, z = v * v, slope = fk_trigamma_series(z);
    double psi = -3617.0 / 8160;
    psi = psi * z + 1.0 / 12;
    psi = psi * z - 691.0 / 32760;
    psi = psi * z + 1.0 / 132;
    psi = psi * z - 1.0 / 240;
    psi = psi * z + 1.0 / 252;
    psi = psi * z - 1.0 / 120;
    psi = psi * z + 1.0 / 12;
    psi = psi * z + 0.5 * v; /* log x - psi(x) */
    /* 1 / (a + k) + 1 / (a + 9 - k), and the same of their squares, from one quotient */
    const double pair = a + a + (FK_GAMMA_STEPS - 1);
    double sum = 0.0, squares = 0.0;
    for (int k = 0; k < FK_GAMMA_STEPS / 2; k++) {
        double r = 1.0 / ((a + k) * (a + (FK_GAMMA_STEPS - 1 - k)));
        sum += pair * r;
        squares += r * (pair * pair * r - 2.0);
    }
    const double near_slope = a * (a * (v + 0.5 * z + slope * z * v + squares) - 1.0);
    return (fk_digamma_terms){
        fk_select(small, psi + (fk_log(a * v) + sum), psi),
        fk_select(small, near_slope, 0.5 + slope * v),
    };
}

/* phi(u) = u - log(1 + u) given 1 + u as well, which near u = -1 knows more than u. The long series in between is left
 * out of pieces that hold no such u. */
static FK_CLONES void fk_log_excesses(const double *FK_RESTRICT u, const double *FK_RESTRICT one_plus_u, ptrdiff_t n,
                                      double *FK_RESTRICT out) {
    for (ptrdiff_t at = 0; at < n; at += FK_PIECE) {
        const ptrdiff_t end = n - at < FK_PIECE ? n : at + FK_PIECE;
        int64_t some = 0;
        FK_SIMD_SUM(some) for (ptrdiff_t i = at; i < end; i++) some += fk_is_between(u[i]);
        if (!some) {
            FK_SIMD for (ptrdiff_t i = at; i < end; i++) out[i] = fk_phi(u[i], fk_log(one_plus_u[i]));
            continue;
        }
        FK_SIMD for (ptrdiff_t i = at; i < end; i++) {
            const int between = fk_is_between(u[i]);
            const double x = fk_select(between, u[i], 0.0), ratio = fk_select(between, one_plus_u[i], 1.0);
            out[i] = fk_select(between, fk_phi_between(x, ratio), fk_phi(u[i], fk_log(one_plus_u[i])));
        }
    }
}

static FK_CLONES void fk_log_minus_digamma(const double *FK_RESTRICT a, ptrdiff_t n, double *FK_RESTRICT out) {
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) out[i] = fk_digamma(a[i]).log_excess;
}

/* psi'(a), the smallest terms first */
static FK_CLONES void fk_trigamma(const double *FK_RESTRICT a, ptrdiff_t n, double *FK_RESTRICT out) {
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {
        const int small = a[i] < FK_GAMMA_LARGE;
        const double x = fk_select(small, a[i] + FK_GAMMA_STEPS, a[i]), v = 1.0 / x, z = v * v;
        const double rest = z * (0.5 + fk_trigamma_series(z) * v);
        double sum = rest + v;
        for (int k = FK_GAMMA_STEPS - 1; k >= 0; k--) sum += 1.0 / ((a[i] + k) * (a[i] + k));
        out[i] = fk_select(small, sum, rest + v);
    }
}

/* The recurrence is left out of pieces that hold large arguments alone. */
static FK_CLONES void fk_stirling_errors(const double *FK_RESTRICT a, ptrdiff_t n, double *FK_RESTRICT out) {
    for (ptrdiff_t at = 0; at < n; at += FK_PIECE) {
        const ptrdiff_t end = n - at < FK_PIECE ? n : at + FK_PIECE;
        int64_t some = 0;
        FK_SIMD_SUM(some) for (ptrdiff_t i = at; i < end; i++) some += a[i] < FK_STIRLING_LARGE;
        if (some) {
            FK_SIMD for (ptrdiff_t i = at; i < end; i++) out[i] = fk_stirling_error(a[i]);
        } else {
            FK_SIMD for (ptrdiff_t i = at; i < end; i++) out[i] = fk_stirling_series(1.0 / a[i]);
        }
    }
}

static FK_CLONES void fk_stirling_errors_of_counts(const double *FK_RESTRICT a, ptrdiff_t n, double *FK_RESTRICT out) {
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) out[i] = fk_stirling(1.0 / a[i]);
}

/* One Newton step on 1 / a towards log a - psi(a) = excess, for n values; the number of those that moved so far that
 * the square of the move, which is what is left, would show. The function is monotone in 1 / a; where a step
 * overshoots the axis, 1 / a is halved. */
static FK_CLONES ptrdiff_t fk_gamma_shape_step(const double *FK_RESTRICT excess, ptrdiff_t n, double *FK_RESTRICT a) {
    int64_t moved = 0;
    FK_SIMD_SUM(moved) for (ptrdiff_t i = 0; i < n; i++) {
        fk_digamma_terms f = fk_digamma(a[i]);
        double inverse = 1.0 / a[i] - (f.log_excess - excess[i]) / f.curvature;
        double next = fk_select(inverse > 0.0, 1.0 / inverse, 2.0 * a[i]);
        moved += fabs(next - a[i]) > 1e-8 * next;
        a[i] = next;
    }
    return (ptrdiff_t)moved;
}

/* a^2 (psi'(a) - 1 / a) */
static FK_CLONES void fk_trigamma_curvatures(const double *FK_RESTRICT a, ptrdiff_t n, double *FK_RESTRICT out) {
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) out[i] = fk_digamma(a[i]).curvature;
}

/* One Newton step towards the maximum of a beta likelihood, for n columns with these means of x, of 1 - x, and excesses
 * log(mean) - mean log of either. Writes the longer of both steps; infinity where the step would not do, because the Hessian is
 * not negative definite there or the step longer than 1: such a column stays where it is.
 *
 * The coordinates are log(a + b) and log(a / b): for shapes of 1e8 and more the likelihood knows the second far better
 * than the first, and in (log a, log b) the first would drown in the rounding of the second. All that is of order a + b has
 * cancelled here by algebra: t = a mean(1 - x) - b mean(x) is what is left of it. */
static FK_CLONES void fk_beta_shape_step(const double *FK_RESTRICT mean, const double *FK_RESTRICT rest,
                                         const double *FK_RESTRICT low, const double *FK_RESTRICT high, ptrdiff_t n,
                                         double *FK_RESTRICT a, double *FK_RESTRICT b, double *FK_RESTRICT length) {
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {
        const double x = a[i], y = b[i], both = x + y, u = x / both, v = y / both;
        const fk_digamma_terms f = fk_digamma(x), g = fk_digamma(y), h = fk_digamma(both);
        const double t = x * rest[i] - y * mean[i], s = -t / x, r = t / y;
        const double log_s = fk_log1p(s), log_r = fk_log1p(r), phis = x * fk_phi(s, log_s) + y * fk_phi(r, log_r);
        const double by_size = (x * f.log_excess + y * g.log_excess - both * h.log_excess) - (x * low[i] + y * high[i]) - phis;
        const double by_share = x * v * ((f.log_excess - g.log_excess) + (log_s - log_r) - (low[i] - high[i]));
        const double size_size = by_size - ((f.curvature + g.curvature) - h.curvature);
        const double share_share = (v - u) * by_share - (v * v * (x + f.curvature) + u * u * (y + g.curvature));
        const double mixed = by_share - (v * f.curvature - u * g.curvature);
        const double determinant = size_size * share_share - mixed * mixed;
        const double step_size = (mixed * by_share - share_share * by_size) / determinant;
        const double step_share = (mixed * by_size - size_size * by_share) / determinant;
        const double longest = fabs(step_size) > fabs(step_share) ? fabs(step_size) : fabs(step_share);
        const int good = (determinant > 0.0) & (size_size < 0.0) & (longest < 1.0);
        const double grown = fk_exp(step_size), ratio = fk_exp(step_share), scale = grown / (u * ratio + v);
        a[i] = fk_select(good, x * ratio * scale, x);
        b[i] = fk_select(good, y * scale, y);
        length[i] = fk_select(good, longest, INFINITY);
    }
}

#endif
