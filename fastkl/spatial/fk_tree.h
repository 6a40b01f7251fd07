/* The tree of nearest-neighbour searches: what it holds and the distances between boxes.
 *
 * A balanced kd-tree. Its leaves hold `leaf` consecutive positions each (the last one may be shorter); `order` says which row
 * of the sample sits at a position. The node over the leaves [first, last) with left part [first, middle) has its left child
 * next to it and its right child after the 2 (middle - first) - 1 nodes of the left one, so no child is ever stored.
 *
 * Why pruning is exact: a box distance is formed like a point distance, from rounded differences that are monotone, but the
 * compiler may fuse one and not the other; FK_LESS and FK_MORE (a relative 2^-40) are far wider than that and decide nothing.
 */
#ifndef FK_TREE_H
#define FK_TREE_H

#include "fk_config.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FK_LANES 16                  /* queries that walk the tree together */
#define FK_DEPTH 64                  /* more than the levels of any tree */
#define FK_LESS (1.0 - 0x1p-40)
#define FK_MORE (1.0 + 0x1p-40)

typedef struct {
    const double *rows64;            /* the sample, (n, d): one of the two is NULL */
    const float *rows32;
    ptrdiff_t n, d, leaf, n_leaves;
    int32_t *order;                  /* (n): position -> row */
    double *low, *high;              /* (2 n_leaves - 1, d): boxes of the nodes */
    double *points;                  /* (n_leaves, d, leaf): coordinates, NaN after the last row; or NULL */
    float *near_points;              /* (n_leaves, d, leaf): coordinates from the leaf's centre in its unit; or NULL */
    float *half_norm;                /* (n_leaves, leaf): half their squared lengths, infinite after the last row */
    float *largest;                  /* (n_leaves): the largest of them */
} fk_tree;

typedef struct { ptrdiff_t node, first, last; } fk_branch; /* a node and the leaves below it */

FK_INLINE ptrdiff_t fk_middle(fk_branch b) { return b.first + (b.last - b.first + 1) / 2; }

FK_INLINE fk_branch fk_left(fk_branch b) {
    fk_branch child = {b.node + 1, b.first, fk_middle(b)};
    return child;
}

FK_INLINE fk_branch fk_right(fk_branch b) {
    fk_branch child = {b.node + 2 * (fk_middle(b) - b.first), fk_middle(b), b.last};
    return child;
}

FK_INLINE ptrdiff_t fk_positions_end(const fk_tree *tree, ptrdiff_t leaf) {
    ptrdiff_t end = leaf * tree->leaf;
    return end < tree->n ? end : tree->n;
}

FK_INLINE double fk_coordinate(const fk_tree *tree, ptrdiff_t row, ptrdiff_t j) {
    return tree->rows64 ? tree->rows64[row * tree->d + j] : (double)tree->rows32[row * tree->d + j];
}

/* Sixteen queries and the box around them. Lanes after `used` repeat the last query. */
typedef struct {
    double *x;                       /* (d, FK_LANES) */
    double *low, *high;              /* (d) */
    ptrdiff_t position[FK_LANES];
    int used;
} fk_block;

FK_INLINE void fk_load_block(const fk_tree *queries, const int32_t *positions, ptrdiff_t start, ptrdiff_t end,
                             fk_block *block) {
    ptrdiff_t d = queries->d;
    int packed = !positions && end - start >= FK_LANES && queries->points && queries->leaf % FK_LANES == 0;
    block->used = (int)(end - start < FK_LANES ? end - start : FK_LANES);
    for (ptrdiff_t j = 0; j < d && packed; j++) {
        const double *points = queries->points + (start / queries->leaf * d + j) * queries->leaf + start % queries->leaf;
        memcpy(block->x + j * FK_LANES, points, FK_LANES * sizeof(double));
    }
    for (int l = 0; l < FK_LANES; l++) {
        ptrdiff_t at = start + (l < block->used ? l : block->used - 1);
        block->position[l] = positions ? positions[at] : at;
        if (packed) continue;
        ptrdiff_t row = queries->order[block->position[l]];
        for (ptrdiff_t j = 0; j < d; j++) block->x[j * FK_LANES + l] = fk_coordinate(queries, row, j);
    }
    for (ptrdiff_t j = 0; j < d; j++) {
        const double *x = block->x + j * FK_LANES;
        double low = x[0], high = x[0];
        for (int l = 1; l < FK_LANES; l++) {
            low = x[l] < low ? x[l] : low;
            high = x[l] > high ? x[l] : high;
        }
        block->low[j] = low;
        block->high[j] = high;
    }
}

/* Squared distance between the block's box and a node's, never above that of any query to any point of the node. */
FK_INLINE double fk_box_distance(const fk_tree *tree, const fk_block *block, ptrdiff_t node, ptrdiff_t d, double scale) {
    const double *low = tree->low + node * d, *high = tree->high + node * d;
    double sum = 0.0;
    for (ptrdiff_t j = 0; j < d; j++) {
        double below = low[j] - block->high[j], above = block->low[j] - high[j];
        double gap = below > above ? below : above;
        gap = (gap > 0.0 ? gap : 0.0) * scale;
        sum += gap * gap;
    }
    return sum * FK_LESS;
}

#endif
