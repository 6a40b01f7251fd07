/* A normal distribution as rows of which some values are unknown meet it: the columns in another order, the known ones first.
 *
 * The Cholesky factor of the covariance in that order holds all that is needed: its first part that of the known columns, for
 * the density; the rows below the regression of the unknown columns on these, and the factor of what is left of their
 * covariance. No matrix is inverted, and no difference of large numbers is formed. */
#ifndef FK_INCOMPLETE_H
#define FK_INCOMPLETE_H

#include "fk_math.h"

/* The lower Cholesky factor of covariance[order][order]; entries above the diagonal are left as they are. A pivot that is not
 * above 0 becomes NaN, and with it whatever follows. */
static FK_CLONES void fk_ordered_cholesky(const double *covariance, const ptrdiff_t *order, ptrdiff_t d,
                                          double *FK_RESTRICT lower) {
    for (ptrdiff_t i = 0; i < d; i++)
        for (ptrdiff_t j = 0; j <= i; j++) {
            const double *own = lower + i * d, *other = lower + j * d;
            double sum = 0.0;
            FK_SIMD_SUM(sum) for (ptrdiff_t l = 0; l < j; l++) sum += own[l] * other[l];
            sum = covariance[order[i] * d + order[j]] - sum;
            lower[i * d + j] = j < i ? sum / other[j] : (sum > 0.0 ? sqrt(sum) : NAN);
        }
}

/* tr (L L')^-1 S for the factor L of the known columns, whose rows are d numbers long; S is overwritten. */
static FK_CLONES double fk_trace_of_solved(ptrdiff_t d, ptrdiff_t known, const double *lower, double *FK_RESTRICT s) {
    double trace = 0.0;
    for (ptrdiff_t i = 0; i < known; i++) {
        const double *row = lower + i * d;
        double *own = s + i * known;
        for (ptrdiff_t l = 0; l < i; l++) FK_SIMD for (ptrdiff_t c = 0; c < known; c++) own[c] -= row[l] * s[l * known + c];
        FK_SIMD for (ptrdiff_t c = 0; c < known; c++) own[c] /= row[i];
    }
    for (ptrdiff_t i = 0; i < known; i++) {
        double *own = s + i * known;
        for (ptrdiff_t j = 0; j <= i; j++) {
            double sum = 0.0;
            FK_SIMD_SUM(sum) for (ptrdiff_t l = 0; l < j; l++) sum += own[l] * lower[j * d + l];
            own[j] = (own[j] - sum) / lower[j * d + j];
        }
        trace += own[i];
    }
    return trace;
}

/* The rows of the unknown columns become the regression on the known ones: b with b L = l, for the factor L of the known. */
static FK_CLONES void fk_regression(ptrdiff_t d, ptrdiff_t known, double *FK_RESTRICT lower) {
    for (ptrdiff_t i = known; i < d; i++) {
        double *own = lower + i * d;
        for (ptrdiff_t j = known - 1; j >= 0; j--) {
            const double *row = lower + j * d, value = own[j] / row[j];
            own[j] = value;
            FK_SIMD for (ptrdiff_t l = 0; l < j; l++) own[l] -= value * row[l];
        }
    }
}

/* Expected weight, mean and scatter of all columns, in their own order, from those of the known ones (weight, mean, scatter side
 * by side), after fk_regression. `scratch` holds d numbers. */
static FK_CLONES void fk_expected_moments(ptrdiff_t d, ptrdiff_t known, const ptrdiff_t *order, const double *mean,
                                          const double *lower, const double *of_known, double *FK_RESTRICT scratch,
                                          double *FK_RESTRICT record) {
    const double weight = of_known[0], *centre = of_known + 1, *scatter = centre + known;
    double *out = record + 1, *matrix = record + 1 + d;
    record[0] = weight;
    for (ptrdiff_t j = 0; j < known; j++) {
        out[order[j]] = centre[j];
        for (ptrdiff_t l = 0; l < known; l++) matrix[order[j] * d + order[l]] = scatter[j * known + l];
    }
    for (ptrdiff_t i = known; i < d; i++) {
        const double *slope = lower + i * d;
        double sum = 0.0;
        for (ptrdiff_t l = 0; l < known; l++) sum += slope[l] * (centre[l] - mean[order[l]]);
        out[order[i]] = mean[order[i]] + sum;
        for (ptrdiff_t j = 0; j < known; j++) {
            sum = 0.0;
            FK_SIMD_SUM(sum) for (ptrdiff_t l = 0; l < known; l++) sum += slope[l] * scatter[j * known + l];
            scratch[j] = sum;
            matrix[order[i] * d + order[j]] = matrix[order[j] * d + order[i]] = sum;
        }
        for (ptrdiff_t j = known; j <= i; j++) {
            const double *other = lower + j * d;
            double spread = 0.0;
            sum = 0.0;
            FK_SIMD_SUM(sum) for (ptrdiff_t l = 0; l < known; l++) sum += scratch[l] * other[l];
            for (ptrdiff_t l = known; l <= j; l++) spread += slope[l] * other[l];
            matrix[order[i] * d + order[j]] = matrix[order[j] * d + order[i]] = sum + weight * spread;
        }
    }
}

#endif
