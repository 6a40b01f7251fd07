/* The values of one column that lie in a bracket, moved to the front of a buffer, and the weight below the bracket and in it.
 *
 * About one value in thirty is inside. A first loop, without branches, marks every value inside; a second looks
 * at the marks in eights, most of which are empty. NaN counts as inside, so that the caller finds it among what was kept.
 */
#ifndef FK_INSIDE_H
#define FK_INSIDE_H

#include <string.h>

#include "fk_config.h"

/* How many of the n <= FK_BLOCK values are inside; `values`, and `weights` where w is given, have room for n.
 * record = weight below, inside. */
static FK_CLONES ptrdiff_t fk_inside(const double *FK_RESTRICT x, const double *FK_RESTRICT w, ptrdiff_t n, double low,
                                     double high, double *FK_RESTRICT values, double *FK_RESTRICT weights,
                                     double *FK_RESTRICT record) {
    uint8_t inside[FK_BLOCK + 8];
    double below = 0.0, within = 0.0;
    ptrdiff_t kept = 0;
    if (w == NULL) {
        FK_SIMD_SUM(below)
        for (ptrdiff_t i = 0; i < n; i++) {
            below += x[i] < low ? 1.0 : 0.0;
            inside[i] = (uint8_t)(!(x[i] < low) & !(x[i] > high));
        }
    } else {
        FK_SIMD_SUM(below, within)
        for (ptrdiff_t i = 0; i < n; i++) {
            below += x[i] < low ? w[i] : 0.0;
            within += x[i] < low || x[i] > high ? 0.0 : w[i];
            inside[i] = (uint8_t)(!(x[i] < low) & !(x[i] > high));
        }
    }
    memset(inside + n, 0, 8);
    for (ptrdiff_t first = 0; first < n; first += 8) {
        uint64_t any;
        memcpy(&any, inside + first, 8);
        if (any == 0) continue;
        for (ptrdiff_t i = first; i < first + 8 && i < n; i++) {
            values[kept] = x[i];
            if (w != NULL) weights[kept] = w[i];
            kept += inside[i];
        }
    }
    record[0] = below;
    record[1] = w == NULL ? (double)kept : within;
    return kept;
}

#endif
