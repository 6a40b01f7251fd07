/* The sum of the logarithms of a block without a logarithm per value: values are multiplied in fours, the mantissas of
 * the products again, and the exponents added.
 *
 * A product of mantissas of [1, 2) has at most 512 factors, so that nothing overflows, and every value takes part in
 * about two roundings: together less than the logarithms themselves would be off by when summed.
 */
#ifndef FK_SUM_LOG_H
#define FK_SUM_LOG_H

#include "fk_math.h"

#define FK_SUM_LOG_MANY 512  /* values from which multiplying mantissas pays */
#define FK_SUM_LOG_ROWS 2048 /* values whose products of four may be multiplied in one row */
#define FK_SUM_LOG_LEAST 123 /* biased exponent of 2^-900, below which a product of four may have lost digits on the way */

/* A value times the factor is at most 2^12, a product of two at most 2^24: none overflows, and where a product of four
 * is above 2^-900 neither of its halves was subnormal. */
FK_INLINE double fk_sum_log_part(const double *FK_RESTRICT x, ptrdiff_t n, double factor, ptrdiff_t *irregular) {
    const ptrdiff_t q = n / 4;
    const double *second = x + q, *third = second + q, *fourth = third + q;
    double mantissa = 1.0, sum = 0.0;
    uint64_t exponent = 0, wrong = 0;
    FK_PRAGMA(omp simd reduction(* : mantissa) reduction(+ : exponent, wrong))
    for (ptrdiff_t i = 0; i < q; i++) {
        double product = ((x[i] * factor) * (second[i] * factor)) * ((third[i] * factor) * (fourth[i] * factor));
        uint64_t u = fk_bits(product);
        mantissa *= fk_double((u & 0x000fffffffffffffULL) | 0x3ff0000000000000ULL);
        exponent += u >> 52;
        wrong += (u >> 52) - FK_SUM_LOG_LEAST >= 2047 - FK_SUM_LOG_LEAST; /* or not finite */
    }
    for (ptrdiff_t i = 4 * q; i < n; i++) {
        sum += fk_log(x[i] * factor);
        wrong += !((x[i] * factor >= 0x1p-1022) & (x[i] * factor < INFINITY));
    }
    *irregular += (ptrdiff_t)wrong;
    double power = (double)((int64_t)exponent - 1023 * (int64_t)q);
    return sum + fk_log(mantissa) + (power * FK_LN2_HI + power * FK_LN2_LO);
}

/* Sum of log(factor x_i) over n <= FK_BLOCK values, factor x_i <= FK_BLOCK; if *irregular is not 0 there are products
 * too small for it, or not finite, and it is wrong. */
FK_INLINE double fk_sum_log(const double *FK_RESTRICT x, ptrdiff_t n, double factor, ptrdiff_t *irregular) {
    double sum = 0.0;
    *irregular = 0;
    for (ptrdiff_t i = 0; i < n; i += FK_SUM_LOG_ROWS)
        sum += fk_sum_log_part(x + i, n - i < FK_SUM_LOG_ROWS ? n - i : FK_SUM_LOG_ROWS, factor, irregular);
    return sum;
}

/* Weighted sum of log(x_i) of a block: by products about `size` where there are many values without weights, each at most
 * FK_BLOCK times the size, and one by one otherwise. */
FK_INLINE double fk_sum_log_about(const double *FK_RESTRICT x, const double *FK_RESTRICT w, ptrdiff_t n, double size) {
    double logs = 0.0;
    if (!w && n >= FK_SUM_LOG_MANY) {
        ptrdiff_t irregular;
        logs = fk_sum_log(x, n, 1.0 / size, &irregular);
        if (!irregular) return logs + (double)n * fk_log(size);
        logs = 0.0;
    }
    FK_SIMD_SUM(logs) for (ptrdiff_t i = 0; i < n; i++) logs += (w ? w[i] : 1.0) * fk_log(x[i]);
    return logs;
}

#endif
