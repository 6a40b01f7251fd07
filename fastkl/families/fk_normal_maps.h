/* The second half of an EM map of normal components, for small tables, where a map takes microseconds: from the sums of a pass to
 * the parameters of the next. Each function returns how many components it has done: fewer than all where one is not regular
 * (no rows, a singular covariance, deviations lost to a distant mean), which is left to lines that say why.
 */
#ifndef FK_NORMAL_MAPS_H
#define FK_NORMAL_MAPS_H

#include "fk_math.h"

#define FK_NO_ROWS 1e-12               /* share of all rows */
#define FK_SINGULAR 2.220446049250313e-15 /* pivot of a correlation matrix, by column */
#define FK_LOST 1e-6                   /* share of the squares about the old mean that is about the new one */
#define FK_CONSTANT 8.881784197001252e-16 /* deviation in units of the mean's size that is rounding */

/* Sum of the first of every `length` numbers. */
static double fk_sum_of_weights(const double *records, ptrdiff_t components, ptrdiff_t length) {
    double total = 0.0;
    for (ptrdiff_t k = 0; k < components; k++) total += records[k * length];
    return total;
}

/* lower := the Cholesky factor of a covariance, found from its correlations; the logarithm of its determinant's root, or NAN. */
static double fk_regular_cholesky(const double *covariance, ptrdiff_t d, double *lower) {
    double half = 0.0;
    for (ptrdiff_t i = 0; i < d; i++) {
        const double root = sqrt(covariance[i * d + i]);
        for (ptrdiff_t j = 0; j <= i; j++) {
            double left = covariance[i * d + j] / (root * sqrt(covariance[j * d + j]));
            for (ptrdiff_t m = 0; m < j; m++) left -= lower[i * d + m] * lower[j * d + m];
            if (j < i) lower[i * d + j] = left / lower[j * d + j];
            else if (left > FK_SINGULAR * (double)d) lower[i * d + i] = sqrt(left);
            else return NAN;
        }
    }
    for (ptrdiff_t i = 0; i < d; i++) {
        const double root = sqrt(covariance[i * d + i]);
        for (ptrdiff_t j = 0; j < d; j++) lower[i * d + j] = j <= i ? root * lower[i * d + j] : 0.0;
        half += log(lower[i * d + i]);
    }
    return half;
}

/* Records of weight, mean and scatter (1 + d + d^2 each); a tied covariance is that of all components together. A ridge (d^2,
 * or NULL) is added to every covariance, and a component of less weight than `fewest` has no rows. */
static ptrdiff_t fk_next_normals(double *records, ptrdiff_t components, ptrdiff_t d, int tied, const double *fixed,
                                 const double *ridge, double fewest, double *weights, double *constants, double *means,
                                 double *covariances, double *lowers) {
    const ptrdiff_t length = 1 + d + d * d;
    const double total = fk_sum_of_weights(records, components, length);
    if (tied)
        for (ptrdiff_t k = 1; k < components; k++)
            for (ptrdiff_t i = 1 + d; i < length; i++) records[i] += records[k * length + i];
    for (ptrdiff_t k = 0; k < components; k++) {
        const double *record = records + k * length, *scatter = tied ? records + 1 + d : record + 1 + d;
        double *covariance = covariances + k * d * d, half = 0.0;
        if (!(record[0] > FK_NO_ROWS * total) || record[0] < fewest) return k;
        for (ptrdiff_t i = 0; i < d * d; i++) covariance[i] = scatter[i] / (tied ? total : record[0]);
        if (ridge) for (ptrdiff_t i = 0; i < d * d; i++) covariance[i] += ridge[i];
        half = fk_regular_cholesky(covariance, d, lowers + k * d * d);
        if (!(half > -INFINITY)) return k;
        weights[k] = fixed ? fixed[k] : record[0] / total;
        constants[k] = log(weights[k]) - (double)d * FK_HALF_LOG_2PI - half;
        for (ptrdiff_t j = 0; j < d; j++) means[k * d + j] = record[1 + j];
    }
    return components;
}

/* Records of weight, and of sums of weight * z and weight * z^2 by column (1 + 2 d each). */
static ptrdiff_t fk_next_diagonals(const double *records, ptrdiff_t components, ptrdiff_t d, int spherical, const double *fixed,
                                   double *weights, double *constants, double *means, double *deviations, double *inverse) {
    const ptrdiff_t length = 1 + 2 * d;
    const double total = fk_sum_of_weights(records, components, length);
    for (ptrdiff_t k = 0; k < components; k++) {
        const double *record = records + k * length, weight = record[0];
        double *own = deviations + k * d, pooled = 0.0, logs = 0.0;
        if (!(weight > FK_NO_ROWS * total)) return k;
        for (ptrdiff_t j = 0; j < d; j++) {
            const double shift = record[1 + j] / weight, square = record[1 + d + j] / weight, left = square - shift * shift;
            const double mean = means[k * d + j] + own[j] * shift, deviation = own[j] * sqrt(left);
            if (!(left >= FK_LOST * square) || !(deviation > FK_CONSTANT * fabs(mean))) return k;
            means[k * d + j] = mean;
            own[j] = deviation;
            pooled += deviation * deviation;
        }
        for (ptrdiff_t j = 0; j < d; j++) {
            if (spherical) own[j] = sqrt(pooled / (double)d);
            inverse[k * d + j] = 1.0 / own[j];
            logs += log(own[j]);
        }
        weights[k] = fixed ? fixed[k] : weight / total;
        constants[k] = log(weights[k]) - (double)d * FK_HALF_LOG_2PI - logs;
    }
    return components;
}

#endif
