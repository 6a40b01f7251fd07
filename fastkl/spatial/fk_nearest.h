/* The k smallest squared distances of each query of a block.
 *
 * Few neighbours (k <= FK_CHAIN): all lanes together. Row j + 1 of `best`, (k + 1, FK_LANES), holds the j-th smallest; row 0 is
 * below every distance, so that a candidate enters every row by the same formula, the middle of three values, without a branch.
 * More neighbours: one max-heap for each lane, best[l * k + j].
 */
#ifndef FK_NEAREST_H
#define FK_NEAREST_H

#include "fk_tree.h"

#define FK_CHAIN 12

FK_INLINE void fk_clear(double *best, ptrdiff_t k) {
    for (ptrdiff_t i = 0; i < (k + 1) * FK_LANES; i++) best[i] = k <= FK_CHAIN && i < FK_LANES ? -1.0 : INFINITY;
}

FK_INLINE void fk_chain(double *best, ptrdiff_t k, const double *candidate) {
    for (ptrdiff_t j = k; j > 0; j--) {
        double *row = best + j * FK_LANES, *before = row - FK_LANES;
        FK_SIMD
        for (int l = 0; l < FK_LANES; l++) {
            double lesser = candidate[l] < row[l] ? candidate[l] : row[l];
            row[l] = lesser > before[l] ? lesser : before[l];
        }
    }
}

FK_INLINE double fk_chain_one(double *best, ptrdiff_t k, int lane, double value) {
    double *row = best + k * FK_LANES + lane;
    for (; row[-FK_LANES] > value; row -= FK_LANES) row[0] = row[-FK_LANES];
    row[0] = value;
    return best[k * FK_LANES + lane];
}

FK_INLINE void fk_sift(double *heap, ptrdiff_t k, double value) {
    ptrdiff_t i = 0;
    for (ptrdiff_t child = 1; child < k; child = 2 * i + 1) {
        child += child + 1 < k && heap[child + 1] > heap[child];
        if (heap[child] <= value) break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = value;
}

/* Takes `value`, which is below the lane's k-th best, into the lane's list; returns the new k-th best. */
FK_INLINE double fk_take(double *best, ptrdiff_t k, int lane, double value) {
    if (k <= FK_CHAIN) return fk_chain_one(best, k, lane, value);
    fk_sift(best + lane * k, k, value);
    return best[lane * k];
}

/* Sorts a heap in place, ascending. */
FK_INLINE void fk_heap_sort(double *heap, ptrdiff_t k) {
    for (ptrdiff_t size = k - 1; size > 0; size--) {
        double largest = heap[0];
        fk_sift(heap, size, heap[size]);
        heap[size] = largest;
    }
}

#endif
