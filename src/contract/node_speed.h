/* SPDX-License-Identifier: Apache-2.0 */
/* contract/node_speed.h - how fast a node is, as far as planning cares.
 *
 * Measured where somebody measured, else from the configuration; 0 in a field
 * means that nobody knows, and the planner puts its default there.
 */
#ifndef POMONA_CONTRACT_NODE_SPEED_H
#define POMONA_CONTRACT_NODE_SPEED_H

struct node_speed {
    double memory_gbs;   /* weights that an engine reads, 1e9 bytes/s, not what the maker prints */
    double compute_gops; /* of its matrix kernels, 1e9 multiplications and additions a second */
    double layer_us;     /* of each layer whatever its size: kernels to start, barriers */
    double disk_gbs;     /* model files, 1e9 bytes/s */
    double watts;        /* drawn while it computes */
};

#endif
