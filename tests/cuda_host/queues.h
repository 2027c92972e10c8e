/* queues.h - streams and events from within, for those two that put things into them: streams.cpp, and
 * graphs.cpp, which writes down what a stream is given in place of running it. Under the lock of state.h. */
#ifndef PENSTOCK_CUDA_HOST_QUEUES_H
#define PENSTOCK_CUDA_HOST_QUEUES_H

#include <chrono>
#include <deque>
#include <memory>
#include <vector>

#include "state.h"

namespace cuda_host
{

/* One recording of an event, or that a node of a graph has run. */
struct recording {
    bool done;
    moment when;
    std::chrono::steady_clock::time_point time;
};

typedef std::shared_ptr<recording> mark;

struct operation {
    cuda_host::work work;
    mark records;
    std::vector<mark> awaits;
    uint64_t turn; /* the how manyth of all that was enqueued */
};

/* What is written down for a graph. */
struct node {
    preparing prepare;         /* none: a node that records */
    cudaEvent_t event;         /* that is recorded at each launch, or NULL */
    std::vector<size_t> after; /* nodes that it comes after */
};

struct capture;

enum class stream_kind {
    legacy,   /* the one that NULL names; each device has one */
    blocking, /* takes turns with that one */
    non_blocking,
    of_graph, /* carries a node of a graph: not a program's */
};

} // namespace cuda_host

struct CUstream_st {
    uint64_t number;
    int device;
    cuda_host::stream_kind kind;
    uint64_t done;
    cuda_host::moment seen; /* what has certainly happened before its next operation */
    std::deque<cuda_host::operation> queue;
    std::shared_ptr<cuda_host::capture> capture; /* while what it is given is written down */
    std::vector<size_t> after;                   /* then: what its next node comes after */
};

struct CUevent_st {
    int device;
    cuda_host::mark latest; /* NULL before the first, and where that was written down */
    std::shared_ptr<cuda_host::capture> capture;
    std::vector<size_t> nodes; /* that it stands behind there */
};

namespace cuda_host
{

/* ---- streams.cpp ---- */

/* On the current device. */
cudaStream_t make_stream(stream_kind kind);
void end_stream(cudaStream_t stream);
/* The stream that the program means, of which NULL is one; NULL if there is none. */
cudaStream_t find(cudaStream_t named);
bool known(cudaEvent_t event);
/* Into the queue, behind what it has to wait for by its kind; nothing runs yet. */
void push(cudaStream_t stream, operation next);
/* Runs some of what may run, as the dice say. */
void maybe_run();
void run_until_empty(cudaStream_t stream);

/* ---- graphs.cpp ---- */

/* In place of running it. */
cudaError_t write_down(cudaStream_t stream, node next);
/* An event recorded in a stream that is captured, or waited for by one or in one. */
void record_captured(cudaEvent_t event, cudaStream_t stream);
cudaError_t wait_captured(cudaStream_t stream, cudaEvent_t event);

} // namespace cuda_host

#endif
