/* cluster_state.h - a simulated cluster's state, and what its sources share. Private to tests/sim/cluster*.c:
 *
 *   cluster.c         builds it, runs it to the end, and takes it down
 *   cluster_nodes.c   the processes: carries messages and time to them, and checks what they make of it
 *   cluster_faults.c  kills, stops and misleads them
 *   cluster_orders.c  an administrator, and what it is told
 *   cluster_end.c     what must hold in the end
 */
#ifndef PENSTOCK_TESTS_SIM_CLUSTER_STATE_H
#define PENSTOCK_TESTS_SIM_CLUSTER_STATE_H

#include <assert.h>

#include "ps/shard.h"
#include "tests/sim/cluster.h"
#include "tests/sim/disk.h"
#include "tests/sim/history.h"
#include "tests/sim/ledger.h"
#include "tests/sim/trainee.h"

enum {
    NODES_MAX = SCENARIO_SERVERS_MAX + SCENARIO_WORKERS_MAX + SCENARIO_EVALUATORS_MAX,
    PLACES_MAX = NODES_MAX + SCENARIO_WORKERS_MAX,
    /* From one process to the next: a member that goes back takes further ones itself, and lists of members
     * take their numbers from those of ps 0. */
    INCARNATIONS = 1000000,
    ADDRESSES_RESERVED = 128, /* for processes that have to come back */
};
static_assert(NODES_MAX < (int)NETWORK_HOSTS_MAX, "each is on a host of its own");

/* A process, or the place where it was and will be again. Its number is its host's. */
typedef struct {
    wire_role role;
    uint32_t index, host, address;
    uint64_t incarnation; /* of the newest process under its name, be it another's that stands in for it */
    uint64_t process;     /* that of its own */
    bool stands_in; /* beside the chief, on its host, for the worker of that index; often there is none */
    bool for_good;  /* it is down, and does not come back */
    bool given_up;  /* some ps has, once: the job may have ended without it */
    shard *shard;   /* both NULL: it is down, or its job has come to its end */
    trainee *trainee;
    bool ended;           /* its ps saw the end of the job, */
    bool ended_alone;     /* having come back after it, and waited for members that did not come */
    bool said_all;        /* so had its member, when it died; */
    bool said_some;       /* or it was about to: the ps knew its end */
    uint64_t clock_ms;    /* how far its clock is ahead */
    uint64_t wake_at_ms;  /* before that, what wakes it is of a life before */
    history *history;     /* of a ps that keeps a log, else NULL */
    uint64_t log_at_ms;   /* when its log wakes it; 0: it does not */
    uint64_t log_end;     /* before the message that it takes in */
    uint64_t log_durable; /* when it was last woken */
    uint64_t end_at_ms;   /* when a ps that has seen the end of the job goes; 0: not yet */
    uint32_t again;       /* crashes that are still to follow the last one, */
    uint64_t crash_at_ms; /* the next of them; 0: none */
} node;

/* An administrator. Like deploy/admin it gives an order until it is carried out, or cannot be. */
typedef struct {
    dice dice;
    uint64_t request, requests; /* the number of what it has asked last; and of checkpoints, so far */
    wire_type order;            /* what that was */
    uint64_t step;              /* of which a checkpoint is to be kept; 0: it only looks where the ps are */
    uint64_t furthest;          /* of the ps that have said so */
    uint32_t waits;             /* the set of ps that have not answered */
    bool stopped, kept;         /* it has had its will, or never will */
    bool end_is_lost;           /* ps 0 and the chief were, at once, and knew of it */
} administrator;

/* What is left of a fault of the plan. */
typedef struct {
    bool due, over;
} fault_state;

typedef struct {
    scenario scenario;
    bool has_scenario;
    partition partition;
    trajectory trajectory;
    network *network;
    oracle *oracle; /* NULL where ps crash or go back, or members change: it does not know what they forget */
    ledger *ledger;
    disk *disk; /* NULL where no ps keeps images */
    plant *plant;
    dice dice; /* of faults */
    const trace *trace;
    uint32_t node_count;
    node nodes[PLACES_MAX]; /* ps, workers, evaluators; where workers may be lost, who stands in for each */
    fault_state faults[FAULTS_MAX];
    uint32_t addresses; /* given out so far */
    administrator admin;
    cluster_summary *summary;
    ps_error *error;
} cluster;

/* ---- cluster_nodes.c ---- */

/* Starts the process of a node, and gives a member an address of its own. */
ps_status cluster_start(cluster *c, node *n);

/* The chief's process starts another, under the index of a lost worker, unless it has one; that ends, or all
 * do. */
ps_status cluster_stand_in(cluster *c, const node *chief, uint32_t worker);
void cluster_end_stand_in(cluster *c, node *n);
void cluster_end_stand_ins(cluster *c);

/* An event of a process that is not down. */
ps_status cluster_wake(cluster *c, node *n);
ps_status cluster_deliver(cluster *c, node *n, network_event *event);

/* From now on nobody follows each message. */
void cluster_dismiss_oracle(cluster *c);

/* The node that has this address now, or NULL. */
node *cluster_node_at(cluster *c, uint32_t address);

/* Takes an address for a member. */
ps_status cluster_take_address(cluster *c, node *n);

/* ---- cluster_faults.c ---- */

/* Has each fault of the plan happen in its time. The fault of number i is woken at cluster_fault_address. */
ps_status cluster_plan_faults(cluster *c);
uint32_t cluster_fault_address(const cluster *c, uint32_t number);
ps_status cluster_fault_wakes(cluster *c, uint32_t number);

/* Does a crash come now, at this moment in the life of that node? Then it has happened. */
ps_status cluster_crash_at(cluster *c, const node *n, fault_moment moment, bool *crashed);

/* A ps ends that cannot write its log any more, and is started again a little later. */
ps_status cluster_end_for_log(cluster *c, node *n);

/* One that follows the last one soon. */
ps_status cluster_crash_again(cluster *c, node *n, bool *crashed);

/* A worker that was away for so long that another process has taken its place: it ends, and is started again
 * later, or never. */
ps_status cluster_end_replaced(cluster *c, node *n);

/* ---- cluster_orders.c ---- */

/* Where the administrator has its answers, and is woken. */
uint32_t cluster_admin_address(const cluster *c);

/* Gives the orders of the scenario in their time. */
ps_status cluster_plan_orders(cluster *c);
ps_status cluster_admin_wakes(cluster *c);
ps_status cluster_admin_hears(cluster *c, const network_event *event);

/* What a ps tells the administrator is true. */
ps_status cluster_check_told(const cluster *c, const node *n, const wire_message *answer);

/* After each event: which step is the last, and does anybody know it still who has to? */
ps_status cluster_follow_end(cluster *c);

/* ---- cluster_end.c ---- */

ps_status cluster_check_end(const cluster *c);

static inline bool cluster_is_server(const node *n)
{
    return n->role == WIRE_PS;
}

/* NULL: it keeps none. */
static inline sim_journal *cluster_log_of(const cluster *c, const node *n)
{
    return c->disk && cluster_is_server(n) ? disk_log(c->disk, n->index) : NULL;
}

static inline bool cluster_is_up(const node *n)
{
    return n->shard || n->trainee;
}

/* The node of a worker itself. */
static inline node *cluster_worker(cluster *c, uint32_t index)
{
    return &c->nodes[c->scenario.job.servers + index];
}

static inline bool cluster_is_calm(const cluster *c)
{
    return network_now(c->network) >= c->scenario.weather.calm_at_ms;
}

#endif
