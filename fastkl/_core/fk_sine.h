/* The sine by its Taylor polynomial, to rounding relative to its value, for |r| up to pi / 2: no reduction, no branch. */
#ifndef FK_SINE_H
#define FK_SINE_H

#include "fk_config.h"

FK_INLINE double fk_sin_near_zero(double r) {
    double z = r * r, p = 1.9572941063391263e-20;
    p = p * z - 8.2206352466243297e-18;
    p = p * z + 2.8114572543455206e-15;
    p = p * z - 7.6471637318198165e-13;
    p = p * z + 1.6059043836821613e-10;
    p = p * z - 2.5052108385441720e-08;
    p = p * z + 2.7557319223985893e-06;
    p = p * z - 1.9841269841269841e-04;
    p = p * z + 8.3333333333333333e-03;
    p = p * z - 1.6666666666666667e-01;
    return r + r * (z * p);
}

#endif
