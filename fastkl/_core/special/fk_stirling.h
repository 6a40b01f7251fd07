/* The error of Stirling's formula, log Gamma(a) - ((a - 1/2) log a - a + log(2 pi) / 2), about 1 / (12 a).
 *
 * fk_stirling_error is for any a > 0: from 10 on the asymptotic series (Abramowitz and Stegun 6.1.41), below it by ten steps of
 * the recurrence. fk_stirling is for a >= 1 alone, as kernels of counts want it: one polynomial and no logarithm, some seventeen
 * times as fast, which is why there are two.
 */
#ifndef FK_STIRLING_H
#define FK_STIRLING_H

#include "fk_log_ratio.h"

#define FK_STIRLING_STEPS 10
#define FK_STIRLING_LARGE 10.0

/* given v = 1 / a, for a of at least 10 */
FK_INLINE double fk_stirling_series(double v) {
    const double z = v * v;
    double series = -3617.0 / 122400;
    series = series * z + 1.0 / 156;
    series = series * z - 691.0 / 360360;
    series = series * z + 1.0 / 1188;
    series = series * z - 1.0 / 1680;
    series = series * z + 1.0 / 1260;
    series = series * z - 1.0 / 360;
    return (series * z + 1.0 / 12) * v;
}

FK_INLINE double fk_stirling_error(double a) {
    const int small = a < FK_STIRLING_LARGE;
    const double series = fk_stirling_series(1.0 / fk_select(small, a + FK_STIRLING_STEPS, a));
    double steps = 0.0;
    for (int k = 0; k < FK_STIRLING_STEPS; k++) steps += (a + (k + 0.5)) * fk_log1p(1.0 / (a + k)) - 1.0;
    return series + fk_select(small, steps, 0.0);
}

/* delta(x) = log x! - ((x + 1/2) log x - x + log(2 pi) / 2) of any real x >= 1, given 1 / x. It is 1 / x times a
 * smooth function of 1 / x on [0, 1]: the first 23 terms of that function's Chebyshev series, as a polynomial in t = 2
 * / x - 1, are 2e-17 off (a table of the small whole numbers would keep loops from vectorising). */
FK_INLINE double fk_stirling(double inverse) {
    double t = 2.0 * inverse - 1.0;
    double p = 5.1202352025127822737e-11;
    p = p * t - 7.5359042099767858674e-11;
    p = p * t - 2.2089651818644468614e-10;
    p = p * t + 4.4048868297137672163e-10;
    p = p * t + 7.8045035116138795695e-11;
    p = p * t - 4.7136548397545866699e-10;
    p = p * t + 2.1750971075662721595e-10;
    p = p * t - 9.2784759473413938555e-10;
    p = p * t + 3.0778424109320771743e-9;
    p = p * t - 4.4767521285459783367e-9;
    p = p * t + 1.1854883042283611473e-9;
    p = p * t + 1.5495567040292990946e-8;
    p = p * t - 5.9875134291576270922e-8;
    p = p * t + 1.2995811379479393913e-7;
    p = p * t - 1.1717449942331085536e-7;
    p = p * t - 4.2740368220462395729e-7;
    p = p * t + 2.5473663653581223532e-6;
    p = p * t - 6.4040426432190863573e-6;
    p = p * t - 1.2621643103336691181e-6;
    p = p * t + 0.00010076829938315877038;
    p = p * t - 0.00048510438810089630488;
    p = p * t - 0.001230010064906036698;
    p = p * t + 0.082681391910818587775;
    return p * inverse;
}

#endif
