/* The tree of nearest-neighbour searches: what it holds, and the distance of a block of queries to its boxes.
 *
 * A balanced kd-tree with eight children to a node, so that one pass of vector instructions meets all of them. Leaves hold
 * `leaf` consecutive positions each (the last one may be shorter); `order` says which row of the sample sits at a position. The
 * i-th child of a node over the leaves [first, last) takes the leaves from first + (last - first) i / 8 on; with fewer than
 * eight leaves some children are empty.
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

#define FK_TILE_ROWS 32              /* rows of one pass, a bit for each: leaves for preselection hold a multiple of it */
#define FK_LANES 16                  /* queries that walk the tree together */
#define FK_CHILDREN 8
#define FK_STACK 128                 /* more than 7 children for each of the levels of any tree */
#define FK_LESS (1.0 - 0x1p-40)
#define FK_MORE (1.0 + 0x1p-40)

typedef struct {
    const double *rows64;            /* the sample, (n, d): one of the two is NULL */
    const float *rows32;
    ptrdiff_t n, d, leaf, n_leaves, n_nodes;
    int together;                    /* several blocks of queries should walk at once */
    int32_t *order;                  /* (n): position -> row */
    double *low, *high;              /* (n_leaves, d): boxes of the leaves */
    double *boxes;                   /* (n_nodes, 2, d, FK_CHILDREN): low and high ends of the boxes of the children */
    int32_t *child, *first;          /* (n_nodes, FK_CHILDREN), (n_nodes, FK_CHILDREN + 1): their nodes, their first leaves */
    double *points;                  /* (n_leaves, d, leaf): coordinates, NaN after the last row; or NULL */
    double *ordered64;               /* (n, d): the rows by position, for preselection: one of the two, or neither */
    float *ordered32;
    float *near_points;              /* (n_leaves, leaf / FK_TILE_ROWS, d, FK_TILE_ROWS): coordinates from the leaf's centre
                                        in its unit, in the order in which they are read; or NULL */
    float *half_norm;                /* (n_leaves, leaf): half their squared lengths, infinite after the last row */
    float *largest;                  /* (n_leaves): the largest of them */
    double *factor;                  /* (n_leaves): what coordinates are multiplied by for the leaf's unit */
} fk_tree;

FK_INLINE ptrdiff_t fk_positions_end(const fk_tree *tree, ptrdiff_t leaf) {
    ptrdiff_t end = leaf * tree->leaf;
    return end < tree->n ? end : tree->n;
}

FK_INLINE double fk_coordinate(const fk_tree *tree, ptrdiff_t row, ptrdiff_t j) {
    return tree->rows64 ? tree->rows64[row * tree->d + j] : (double)tree->rows32[row * tree->d + j];
}

/* Sixteen queries and the box around them. Lanes after `used` repeat the last query. */
typedef struct {
    double *x, *rows;                /* (d, FK_LANES), and the same by rows (only where asked for) */
    double *low, *high;              /* (d) */
    ptrdiff_t position[FK_LANES];
    int used;
} fk_block;

FK_INLINE void fk_load_block(const fk_tree *queries, const int32_t *positions, ptrdiff_t start, ptrdiff_t end,
                             int by_rows, fk_block *block) {
    ptrdiff_t d = queries->d;
    int packed = !by_rows && !positions && end - start >= FK_LANES && queries->points && queries->leaf % FK_LANES == 0;
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
        double *x = block->rows + l * d;
        if (queries->ordered64) memcpy(x, queries->ordered64 + block->position[l] * d, (size_t)d * sizeof(double));
        else if (queries->rows64) memcpy(x, queries->rows64 + row * d, (size_t)d * sizeof(double));
        else
            for (ptrdiff_t j = 0; j < d; j++) x[j] = (double)queries->rows32[row * d + j];
    }
    for (ptrdiff_t j = 0; j < d && !packed; j++)
        for (int l = 0; l < FK_LANES; l++) block->x[j * FK_LANES + l] = block->rows[l * d + j];
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

FK_INLINE double fk_largest(const double *x) {
    double largest = x[0];
    for (int l = 1; l < FK_LANES; l++) largest = x[l] > largest ? x[l] : largest;
    return largest;
}

/* Squared distances between the queries' box and the children's, never above that of any query to any point in them. */
FK_INLINE void fk_box_distances(const fk_tree *tree, const double *query_low, const double *query_high, ptrdiff_t node,
                                ptrdiff_t d, double scale, double *out) {
    const double *low = tree->boxes + node * 2 * d * FK_CHILDREN, *high = low + d * FK_CHILDREN;
    double sum[FK_CHILDREN] = {0.0};
    for (ptrdiff_t j = 0; j < d; j++) {
        double block_low = query_low[j], block_high = query_high[j];
        FK_SIMD
        for (int i = 0; i < FK_CHILDREN; i++) {
            double below = low[j * FK_CHILDREN + i] - block_high, above = block_low - high[j * FK_CHILDREN + i];
            double gap = below > above ? below : above;
            gap = (gap > 0.0 ? gap : 0.0) * scale;
            sum[i] += gap * gap;
        }
    }
    for (int i = 0; i < FK_CHILDREN; i++) out[i] = sum[i] * FK_LESS;
}

#endif
