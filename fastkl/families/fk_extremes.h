/* What the extreme-value distributions have in common: with z = (x - loc) / scale they are those of
 *
 *     y = log(1 + shape z) / shape,      y = z at shape 0,
 *
 * which is infinite at the end of the support, loc - scale / shape. There 1 + shape z is a difference of large numbers; it
 * is taken from the distance to the end instead, which the descriptor gives as two doubles.
 */
#ifndef FK_EXTREMES_H
#define FK_EXTREMES_H

#include "fk_column.h"
#include "fk_log_ratio.h"
#include <math.h>

enum { EX_SHAPE, EX_INVERSE_SHAPE, EX_LOC, EX_INVERSE_SCALE, EX_END_HIGH, EX_END_LOW, EX_NORMALISER, EX_CONSTANTS };

#define FK_EX_NEAR 0.02 /* |shape z| below which the derivatives by the shape are series */

typedef struct {
    double z, y, r; /* r = 1 / (1 + shape z), the derivative of y by z */
    double by_shape, by_shape_2; /* derivatives of y by the shape; only where they are used are they computed */
    int outside;
} fk_extreme;

FK_INLINE fk_extreme fk_extreme_at(double x, const double *c) {
    const double shape = c[EX_SHAPE], z = (x - c[EX_LOC]) * c[EX_INVERSE_SCALE], q = shape * z;
    const int by_end = q < -0.5, flat = c[EX_INVERSE_SHAPE] == 0.0, near = fabs(q) < FK_EX_NEAR;
    const double distance = ((x - c[EX_END_HIGH]) - c[EX_END_LOW]) * (shape * c[EX_INVERSE_SCALE]);
    const double w = fk_select(by_end, distance, 1.0 + q), r = 1.0 / w;
    const double lost = fk_select(by_end, 0.0, (q - (w - 1.0)) * r);
    fk_extreme at;
    at.z = z;
    at.r = r;
    at.outside = !(w >= 0.0);
    at.y = fk_select(flat, z, (fk_log(w) + fk_select(lost == lost, lost, 0.0)) * c[EX_INVERSE_SHAPE]);
    /* y = z - shape z^2 / 2 + shape^2 z^3 / 3 - ... */
    const double first = -1.0 / 2.0 + q * (2.0 / 3.0 + q * (-3.0 / 4.0 + q * (4.0 / 5.0 + q * (-5.0 / 6.0 + q * (6.0 / 7.0 +
                         q * (-7.0 / 8.0 + q * (8.0 / 9.0 - q * (9.0 / 10.0))))))));
    const double second = 2.0 / 3.0 + q * (-6.0 / 4.0 + q * (12.0 / 5.0 + q * (-20.0 / 6.0 + q * (30.0 / 7.0 +
                          q * (-42.0 / 8.0 + q * (56.0 / 9.0 - q * (72.0 / 10.0)))))));
    const double zr = z * r;
    at.by_shape = fk_select(near, z * z * first, (zr - at.y) * c[EX_INVERSE_SHAPE]);
    at.by_shape_2 = fk_select(near, z * z * z * second, (-zr * zr - 2.0 * at.by_shape) * c[EX_INVERSE_SHAPE]);
    return at;
}

/* Constants at a shape, a location and a scale. */
static void fk_extreme_constants(double shape, double loc, double scale, double *c) {
    c[EX_SHAPE] = shape;
    c[EX_INVERSE_SHAPE] = fabs(shape) < 1e-290 ? 0.0 : 1.0 / shape;
    c[EX_LOC] = loc;
    c[EX_INVERSE_SCALE] = 1.0 / scale;
    c[EX_NORMALISER] = -log(scale);
    const double reach = scale * c[EX_INVERSE_SHAPE];
    const double rest = reach == 0.0 ? 0.0 : -fma(reach, shape, -scale) * c[EX_INVERSE_SHAPE];
    const double end = loc - reach, back = end + reach; /* Knuth's sum of two numbers with its rounding */
    c[EX_END_HIGH] = end;
    c[EX_END_LOW] = ((loc - back) - (reach - (back - end))) - rest;
}

#endif
