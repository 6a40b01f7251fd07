/* Random labels on a graph of neighbours: many permutations at once, one in each lane.
 *
 * A permutation of the labels is a set of n_p rows out of n, all sets equally likely. It is drawn row by row: a row joins with
 * the probability that is left, (rows still to be chosen) / (rows still to come). For each row the labels of its neighbours are
 * counted, a vector of lanes at a time.
 */
#ifndef FK_LABELS_H
#define FK_LABELS_H

#include "fk_config.h"

#define FK_LABELS 64                 /* permutations of one pass */

/* Uniform in [0, 1): 53 bits of SplitMix64 (Steele, Lea and Flood 2014, doi:10.1145/2714064.2660195). */
FK_INLINE double fk_uniform(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/* Fills labels (n, FK_LABELS) with 1 for n_p rows in each lane, 0 for the others. */
FK_CLONES static void fk_draw_labels(uint64_t *seeds, ptrdiff_t n, ptrdiff_t n_p, uint8_t *labels) {
    double left[FK_LABELS];
    for (int l = 0; l < FK_LABELS; l++) left[l] = (double)n_p;
    for (ptrdiff_t i = 0; i < n; i++) {
        double rows = (double)(n - i);
        FK_SIMD
        for (int l = 0; l < FK_LABELS; l++) {
            int chosen = fk_uniform(seeds + l) * rows < left[l];
            left[l] -= chosen;
            labels[i * FK_LABELS + l] = (uint8_t)chosen;
        }
    }
}

/* Sums of score[c] over the rows with label 1, and over all rows, where c of a row's k neighbours have its own label. */
FK_CLONES static void fk_score_labels(const uint8_t *labels, const int32_t *neighbors, ptrdiff_t n, ptrdiff_t k,
                                      const double *score, double *in_p, double *in_q) {
    for (int l = 0; l < FK_LABELS; l++) in_p[l] = in_q[l] = 0.0;
    for (ptrdiff_t i = 0; i < n; i++) {
        const uint8_t *own = labels + i * FK_LABELS;
        int32_t count[FK_LABELS] = {0};
        for (ptrdiff_t j = 0; j < k;) {
            uint8_t some[FK_LABELS] = {0};           /* up to 255 neighbours fit a byte */
            ptrdiff_t end = k - j > 255 ? j + 255 : k;
            for (; j < end; j++) {
                const uint8_t *other = labels + (ptrdiff_t)neighbors[i * k + j] * FK_LABELS;
                FK_SIMD
                for (int l = 0; l < FK_LABELS; l++) some[l] = (uint8_t)(some[l] + other[l]);
            }
            FK_SIMD
            for (int l = 0; l < FK_LABELS; l++) count[l] += some[l];
        }
        FK_SIMD
        for (int l = 0; l < FK_LABELS; l++) {
            double value = score[count[l]];          /* of the other label it is the negative: score[k - c] = -score[c] */
            in_p[l] += own[l] ? value : 0.0;
            in_q[l] -= own[l] ? 0.0 : value;
        }
    }
}

#endif
