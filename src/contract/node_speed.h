/* SPDX-License-Identifier: Apache-2.0 */
/* contract/node_speed.h - how fast a node is, as far as planning cares.
 *
 * Measured where somebody measured (execute/speed), else from the configuration; 0 in a field
 * means that nobody knows, and the planner puts its default there (partition/cost.h).
 */
#ifndef POMONA_CONTRACT_NODE_SPEED_H
#define POMONA_CONTRACT_NODE_SPEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NODE_SPEED_VERSION = 2 }; /* of how it is measured: kept figures of another are of no use */

struct node_speed {
    double memory_gbs;   /* weights that an engine reads, 1e9 bytes/s, not what the maker prints */
    double compute_gops; /* of its matrix kernels, 1e9 multiplications and additions a second */
    double overlap;      /* p of (reading^p + computing^p)^(1/p), the time of both: 1 is one after
                          * the other, many is the longer of them alone; 0: that, too */
    double attend_gops;  /* of attention's scores and sums */
    double layer_us;     /* of each layer whatever its size: kernels to start, barriers */
    double row_ns;       /* of each row and hidden element in a layer beside its products: norms,
                          * activations made ready, narrow matrices */
    double sample_ns;    /* of each entry of the vocabulary, to choose one token */
    double disk_gbs;     /* model files, 1e9 bytes/s */
    double watts;        /* drawn while it computes */
    double step_us;  /* processor time to tell gateways of a step, however many tokens it made */
    double token_us; /* of each of its tokens */
};

/* A machine that several nodes may share: as fast as all its cores together.  They take
 * turns at it. */
struct node_machine {
    uint64_t id; /* the same for nodes of one machine; 0: unknown, then not shared */
    struct node_speed speed;
};

/* What was measured at one time. */
struct node_measure {
    struct node_speed node, machine;
    double others; /* share of the machine's cores that others used meanwhile: 0 to 1 */
};

/* Others used so little that another measure would tell no better. */
bool node_measure_is_quiet(const struct node_measure *measure);

/* The fields by name, for files and JSON. */
struct node_speed_field {
    const char *name; /* "memory_gbs" */
    size_t offset;    /* of a double in struct node_speed */
};
enum { NODE_SPEED_FIELDS = 11 };
extern const struct node_speed_field node_speed_fields[NODE_SPEED_FIELDS];

double *node_speed_at(struct node_speed *speed, size_t field);

/* Finite, not negative, and not beyond what any machine will do: figures come from files and peers. */
bool node_speed_is_sane(const struct node_speed *speed);

#endif
