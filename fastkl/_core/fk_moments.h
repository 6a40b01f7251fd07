/* Weight, mean and centred sum of squares of a block, and their merge (Chan, Golub, LeVeque 1983,
 * doi:10.2307/2683386). */
#ifndef FK_MOMENTS_H
#define FK_MOMENTS_H

#include "fk_sum_about.h"
#include <math.h>

enum { FK_WEIGHT, FK_MEAN, FK_M2, FK_MOMENTS };

/* Weighted mean of a block, summed about the first value so that an offset costs no digits. */
FK_INLINE double fk_mean_body(const double *x, const double *w, ptrdiff_t n, double *weight) {
    const double origin = x[0];
    double total = (double)n, sum = 0.0;
    if (w) {
        total = 0.0;
        FK_SIMD_SUM(total, sum) for (ptrdiff_t i = 0; i < n; i++) {
            total += w[i];
            sum += w[i] * (x[i] - origin);
        }
    } else {
        sum = fk_sum_about(x, n, origin);
    }
    *weight = total;
    return origin + sum / total;
}

/* Sums of u and of u^2 with u = factor (x - mean). */
FK_INLINE double fk_squares_about(const double *x, const double *w, ptrdiff_t n, double mean, double factor, double *left) {
    double squares = 0.0, rest = 0.0;
    if (w) {
        FK_SIMD_SUM(squares, rest) for (ptrdiff_t i = 0; i < n; i++) {
            double u = factor * (x[i] - mean);
            rest += w[i] * u;
            squares += w[i] * u * u;
        }
    } else {
        const ptrdiff_t half = n / 2;
        const double *second = x + half;
        FK_SIMD_SUM(squares, rest) for (ptrdiff_t i = 0; i < half; i++) {
            double u = factor * (x[i] - mean), v = factor * (second[i] - mean);
            rest += u + v;
            squares += u * u + v * v;
        }
        if (n % 2) {
            double u = factor * (x[n - 1] - mean);
            rest += u;
            squares += u * u;
        }
    }
    *left = rest;
    return squares;
}

FK_INLINE void fk_moments_body(const double *x, const double *w, ptrdiff_t n, double *record) {
    double weight, left, mean = fk_mean_body(x, w, n, &weight);
    double m2 = fk_squares_about(x, w, n, mean, 1.0, &left);
    record[FK_WEIGHT] = weight;
    record[FK_MEAN] = mean + left / weight;
    record[FK_M2] = m2 - left * (left / weight);
}

/* The body is inlined with w a literal NULL in one copy of the loop: no test of the weights inside either. */
static FK_CLONES void fk_moments(const double *x, const double *w, ptrdiff_t n, double *record) {
    if (w) fk_moments_body(x, w, n, record);
    else fk_moments_body(x, NULL, n, record);
}

static void fk_merge_moments(double *into, const double *from) {
    double weight = into[FK_WEIGHT] + from[FK_WEIGHT], shift = from[FK_MEAN] - into[FK_MEAN];
    double share = from[FK_WEIGHT] / weight;
    into[FK_M2] += from[FK_M2] + shift * shift * into[FK_WEIGHT] * share;
    into[FK_MEAN] += shift * share;
    into[FK_WEIGHT] = weight;
}

/* Sums of squares between these bounds have lost nothing to underflow, and did not overflow. */
#define FK_LEAST_SQUARES 0x1p-900
#define FK_MOST_SQUARES 0x1p1000

FK_INLINE int fk_squares_are_safe(double squares) { return (squares > FK_LEAST_SQUARES) & (squares < FK_MOST_SQUARES); }

/* The power of two next to the largest |x - origin|: with it as unit no square is lost. 1 if all are 0, or one is not
 * finite. */
FK_INLINE double fk_unit_about(const double *x, ptrdiff_t n, double origin) {
    double largest = 0.0;
    int exponent;
    for (ptrdiff_t i = 0; i < n; i++) {
        double size = fabs(x[i] - origin);
        if (!(size < INFINITY)) return 1.0;
        largest = size > largest ? size : largest;
    }
    if (largest == 0.0) return 1.0;
    frexp(largest, &exponent);
    return ldexp(1.0, exponent < -1021 ? -1021 : exponent - 1);
}

#endif
