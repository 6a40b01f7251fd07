/* Cauchy distribution: log p(x) = -log(1 + z^2) - log(pi scale); beyond |z| = 1e150, where z^2 overflows, log(1 + z^2)
 * is 2 log|z|. */
#ifndef FK_FAMILY_CAUCHY_H
#define FK_FAMILY_CAUCHY_H

#include "fk_location_scale.h"

FK_INLINE double cauchy_terms(double z, double *psi, double *slope) {
    double size = fabs(z), square = z * z, w = 1.0 + square;
    int far = size > 1e150;
    double lost = (square - (w - 1.0)) / w, y = fk_log(fk_select(far, size, w)), inverse = fk_select(far, 0.0, 1.0 / w);
    *psi = fk_select(far, -2.0 / z, -2.0 * z * inverse);
    *slope = fk_select(far, 0.0, -2.0 * (inverse - square * inverse) * inverse);
    return fk_select(far, -2.0 * y, -(y + lost));
}
FK_DEFINE_LOCATION_SCALE_LOOPS(cauchy)

static void cauchy_constants(const double *params, double *c) {
    fk_ls_constants(params, c);
    c[LS_NORMALISER] = -log(3.14159265358979323846 * params[1]);
}

static const fk_column_kernel fk_kernel_cauchy = {
    .name = "cauchy",
    .n_constants = LS_CONSTANTS,
    .n_sums = LS_SUMS,
    .log_density = cauchy_log_density,
    .sums = cauchy_sums,
    .n_parameters = 2,
    .constants = cauchy_constants,
    .move = fk_ls_move,
};

#endif
