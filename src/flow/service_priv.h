/* SPDX-License-Identifier: Apache-2.0 */
/* flow/service_priv.h - what the files of a service share. */
#ifndef POMONA_FLOW_SERVICE_PRIV_H
#define POMONA_FLOW_SERVICE_PRIV_H

#include <stdbool.h>

#include "balance/policy.h"
#include "base/energy.h"
#include "base/log_level.h"
#include "base/paths.h"
#include "cluster/cluster.h"
#include "flow/admission.h"
#include "flow/reload.h"
#include "flow/service.h"
#include "flow/upstream/pools.h"
#include "gateway/gateway.h"
#include "trace/tracer.h"

enum {
    FLOWS_MAX = 4096,
    INSTANCES_MAX = 256,
    MODELS_MAX = 1024,
    READY_MODELS_MAX = INSTANCES_MAX + 1024,
};

struct placing; /* admin_place.c */

struct service {
    struct loop *loop;
    char listen_host[HOST_MAX];
    uint16_t listen_port;
    char cluster_name[NODE_NAME_MAX], node_name[NODE_NAME_MAX], version[32];
    char data_dir[PATH_MAX_BYTES];
    const char *hub_endpoint, *hub_token; /* borrowed */
    uint64_t begun_ns;
    enum kv_format kv_format;
    enum activation_format activations;

    struct cluster *cluster; /* borrowed; NULL until service_start() */
    struct gateway *gateway;
    struct text_cache *texts;
    struct clients *clients;

    struct flow *flows;
    size_t n_flows;
    struct pools *pools;
    uint64_t n_turns; /* of choosing an instance */
    struct admission admission;
    size_t n_pulls;     /* jobs that fetch models */
    size_t n_encodings; /* jobs; they may outlive their flows */
    struct placing *placings;
    struct drain *drain;
    struct upkeep *upkeep;
    struct reload *reload;
    char log_levels[LOG_LEVELS_TEXT_MAX]; /* given at the start; "": none */
    char file_log_levels[LOG_LEVELS_TEXT_MAX];
    bool is_reload_asked; /* by SIGHUP */
    struct exporter *exporter;
    struct tracer *tracer;
    uint64_t
        traces_until_ns; /* of draining: for their collector to take the last; 0: nobody waits for it yet */
    struct exo *exo;
    char quotas[PATH_MAX_BYTES];
    struct loop_timer *tick;
    struct energy energy;

    bool is_draining;
    uint64_t drain_until_ns;
    loop_fn *on_drained;
    void *on_drained_arg;
};

/* Every model that can be asked for, *ret_n of them: given, free(); NULL: no memory.  models.c */
struct model_info *service_models(const struct service *service, size_t *ret_n);

/* The model a client means by `name`, of all the cluster holds; and of upstreams' beside them. */
bool service_find_model(const struct service *service, const char *name, struct model_info *ret);
bool service_find_any_model(const struct service *service, const char *name,
                            struct model_info *ret);

/* Those that would be answered at once, [READY_MODELS_MAX] both; context 0: not known.  How many. */
size_t service_ready_models(struct service *service, struct model_info *ret, uint32_t *ret_context);

/* *ret_instances given: free(); NULL where there are none. */
size_t service_instances(struct service *service, struct cluster_instance **ret_instances);

/* Everything the cluster tells, for a renderer: admin_state_release().  False: no memory. */
struct admin_state;
bool admin_take_state(struct service *service, struct admin_state *ret);
void admin_state_release(struct admin_state *state);

void admin_no_memory(struct exchange *x);
enum status admin_unknown_model(const char *name, struct api_error *e); /* ST_NOTFOUND */

/* The handlers of the admin API, admin.c and admin_place.c. */
void admin_models(void *arg, struct exchange *x);
void admin_model(void *arg, struct exchange *x, const char *name);
/* Ollama's words about models: ollama.c; fetching one: pull.c */
void ollama_tags(void *arg, struct exchange *x);
void ollama_ps(void *arg, struct exchange *x);
void ollama_show(void *arg, struct exchange *x, const char *model);
void service_pull(void *arg, struct exchange *x, const char *what, bool streams);

/* metrics.c */
void metrics_show(void *arg, struct exchange *x);
void metrics_resumed(uint64_t after_ns); /* an answer that had lost its instance goes on */
void metrics_failed_over(
    bool has_resumed);              /* an answer of a lost instance: or it ended with an error */
void metrics_lost(enum status why); /* an instance, as this node sees it */

void admin_props(void *arg, struct exchange *x);
void admin_live(void *arg, struct exchange *x);
void admin_ready(void *arg, struct exchange *x);
void admin_state_handler(void *arg, struct exchange *x);
void admin_plan(void *arg, struct exchange *x, const struct place_request *request);
void admin_place(void *arg, struct exchange *x, const struct place_request *request);
void admin_unplace(void *arg, struct exchange *x, const char *model);
void admin_replace(void *arg, struct exchange *x, const char *instance_id);
void admin_drain(void *arg, struct exchange *x, const char *node, const char *by);
void admin_undrain(void *arg, struct exchange *x, const char *node);
void admin_release(struct service *service); /* forget every placing watched */

#endif
