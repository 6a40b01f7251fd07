/* The sum of the logarithms of a block without a logarithm per value: mantissas are multiplied, exponents added.
 *
 * A lane multiplies at most FK_BLOCK / FK_LANES = 256 mantissas of [1, 2), so that nothing overflows, and is off by about
 * 256 roundings: 3e-14 for the whole lane, less than the logarithms themselves would be off by when summed.
 */
#ifndef FK_SUM_LOG_H
#define FK_SUM_LOG_H

#include "fk_math.h"

#define FK_LANES 16

/* Sum of log(factor x_i), n <= FK_BLOCK; *irregular counts the products that are 0 or subnormal, for which it is wrong. */
FK_INLINE double fk_sum_log(const double *FK_RESTRICT x, ptrdiff_t n, double factor, ptrdiff_t *irregular) {
    double mantissa[FK_LANES];
    uint64_t exponent[FK_LANES], small[FK_LANES];
    for (int l = 0; l < FK_LANES; l++) mantissa[l] = 1.0, exponent[l] = 0, small[l] = 0;
    ptrdiff_t whole = n - n % FK_LANES;
    for (ptrdiff_t i = 0; i < whole; i += FK_LANES) {
        for (int l = 0; l < FK_LANES; l++) {
            uint64_t u = fk_bits(x[i + l] * factor);
            mantissa[l] *= fk_double((u & 0x000fffffffffffffULL) | 0x3ff0000000000000ULL);
            exponent[l] += u >> 52;
            small[l] += (u >> 52) == 0;
        }
    }
    double sum = 0.0;
    int64_t total = -1023 * (int64_t)whole;
    ptrdiff_t found = 0;
    for (int l = 0; l < FK_LANES; l++) {
        sum += fk_log(mantissa[l]);
        total += (int64_t)exponent[l];
        found += (ptrdiff_t)small[l];
    }
    for (ptrdiff_t i = whole; i < n; i++) {
        sum += fk_log(x[i] * factor);
        found += !(x[i] * factor >= 0x1p-1022);
    }
    *irregular = found;
    return sum + ((double)total * FK_LN2_HI + (double)total * FK_LN2_LO);
}

#endif
