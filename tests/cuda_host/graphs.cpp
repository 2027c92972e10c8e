/* graphs.cpp - captures of streams, and graphs made of them.
 *
 * A graph keeps of each operation what it comes after, and nothing else: at each launch all orders that this
 * leaves open are possible, as if each node had a stream of its own. Copies look at their host memory when
 * the graph is launched. */
#include "queues.h"

#include <algorithm>
#include <cstring>
#include <thread>

namespace cuda_host
{

struct capture {
    cudaStream_t origin;
    std::thread::id thread; /* that began it, and alone may end it */
    bool invalid, ended;
    std::vector<node> nodes;
    std::vector<cudaStream_t> members; /* streams; the origin first */
};

} // namespace cuda_host

struct CUgraph_st {
    std::vector<cuda_host::node> nodes;
};

struct CUgraphExec_st {
    std::vector<cuda_host::node> nodes;
    std::vector<cudaStream_t> streams; /* one for each */
    cuda_host::mark ended;             /* the latest launch; NULL before the first */
};

namespace
{

using cuda_host::capture;
using cuda_host::node;
using cuda_host::report;

std::vector<std::shared_ptr<capture>> captures; /* under way */

void leave_capture(const std::shared_ptr<capture> &c)
{
    c->ended = true;
    for (cudaStream_t member : c->members) {
        member->capture = nullptr;
        member->after.clear();
    }
    captures.erase(std::remove(captures.begin(), captures.end(), c), captures.end());
}

cudaError_t spoil(const std::shared_ptr<capture> &c, cudaError_t why)
{
    c->invalid = true;
    return report(why);
}

void add(std::vector<size_t> &to, const std::vector<size_t> &more)
{
    for (size_t one : more)
        if (std::find(to.begin(), to.end(), one) == to.end())
            to.push_back(one);
}

/* Whether all that was captured comes before what the origin would be given next. */
bool is_joined(const capture &c)
{
    std::vector<bool> reached(c.nodes.size());
    std::vector<size_t> left = c.origin->after;
    while (!left.empty()) {
        const size_t at = left.back();
        left.pop_back();
        if (reached[at])
            continue;
        reached[at] = true;
        left.insert(left.end(), c.nodes[at].after.begin(), c.nodes[at].after.end());
    }
    return std::find(reached.begin(), reached.end(), false) == reached.end();
}

/* What CUDA calls unsafe while this thread captures; a little more than it does. */
const char *const forbidden[] = {
    "cudaMalloc",       "cudaFree",           "cudaHostAlloc",         "cudaFreeHost",
    "cudaHostRegister", "cudaHostUnregister", "cudaDeviceSynchronize", "cudaStreamSynchronize",
    "cudaStreamQuery",  "cudaStreamDestroy",  "cudaEventSynchronize",  "cudaEventQuery",
    "cudaGraphLaunch",  "cublasCreate",       "cublasDestroy"};

} // namespace

namespace cuda_host
{

bool capture_forbids(const char *function)
{
    if (captures.empty())
        return false;
    for (const char *name : forbidden) {
        if (strcmp(function, name) != 0)
            continue;
        bool mine = false;
        for (const auto &c : captures)
            if (c->thread == std::this_thread::get_id())
                mine = c->invalid = true;
        return mine;
    }
    return false;
}

cudaError_t write_down(cudaStream_t stream, node next)
{
    const std::shared_ptr<capture> c = stream->capture;
    if (c->invalid)
        return report(cudaErrorStreamCaptureInvalidated);
    next.after = stream->after;
    c->nodes.push_back(std::move(next));
    stream->after = {c->nodes.size() - 1};
    return cudaSuccess;
}

void record_captured(cudaEvent_t event, cudaStream_t stream)
{
    event->latest = nullptr;
    event->capture = stream->capture;
    event->nodes = stream->after;
}

cudaError_t wait_captured(cudaStream_t stream, cudaEvent_t event)
{
    const std::shared_ptr<capture> from = event->capture, into = stream->capture;
    if (!from)
        return spoil(into, cudaErrorStreamCaptureIsolation);
    if (from->ended)
        return into ? spoil(into, cudaErrorStreamCaptureIsolation) : report(cudaErrorStreamCaptureIsolation);
    if (into && into != from) {
        from->invalid = true;
        return spoil(into, cudaErrorStreamCaptureMerge);
    }
    if (!into) {
        stream->capture = from;
        stream->after.clear();
        from->members.push_back(stream);
    }
    add(stream->after, event->nodes);
    return cudaSuccess;
}

} // namespace cuda_host

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode)
{
    CUDA_HOST_BEGIN;
    if (!stream)
        return report(cudaErrorStreamCaptureUnsupported);
    if (!cuda_host::find(stream))
        return report(cudaErrorInvalidResourceHandle);
    if (mode != cudaStreamCaptureModeThreadLocal)
        return report(cudaErrorInvalidValue); /* the others are not known here */
    if (stream->capture)
        return report(cudaErrorIllegalState);
    auto c = std::make_shared<capture>();
    c->origin = stream;
    c->thread = std::this_thread::get_id();
    c->members.push_back(stream);
    captures.push_back(c);
    stream->capture = c;
    stream->after.clear();
    return cudaSuccess;
}

/* Ends the capture also where it fails. */
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    const std::lock_guard<std::mutex> guard(cuda_host::lock);
    const int fault = cuda_host::begin_call(__func__);
    *graph = nullptr;
    if (!stream || !cuda_host::find(stream))
        return report(cudaErrorInvalidResourceHandle);
    const std::shared_ptr<capture> c = stream->capture;
    if (!c)
        return report(fault ? static_cast<cudaError_t>(fault) : cudaErrorIllegalState);
    if (c->thread != std::this_thread::get_id())
        return report(cudaErrorStreamCaptureWrongThread);
    if (c->origin != stream)
        return spoil(c, cudaErrorStreamCaptureUnmatched);
    const bool joined = is_joined(*c);
    leave_capture(c);
    if (fault)
        return report(static_cast<cudaError_t>(fault));
    if (c->invalid)
        return report(cudaErrorStreamCaptureInvalidated);
    if (!joined)
        return report(cudaErrorStreamCaptureUnjoined);
    *graph = new CUgraph_st{c->nodes};
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *ready, cudaGraph_t graph, unsigned long long flags)
{
    CUDA_HOST_BEGIN;
    *ready = nullptr;
    if (!graph || flags)
        return report(cudaErrorInvalidValue);
    *ready = new CUgraphExec_st{graph->nodes, {}, nullptr};
    for (size_t i = 0; i < graph->nodes.size(); i++)
        (*ready)->streams.push_back(cuda_host::make_stream(cuda_host::stream_kind::of_graph));
    return cudaSuccess;
}

/* Tells of errors before it, and destroys all the same. */
cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    const std::lock_guard<std::mutex> guard(cuda_host::lock);
    const int fault = cuda_host::begin_call(__func__);
    if (!graph)
        return report(cudaErrorInvalidValue);
    delete graph;
    return report(static_cast<cudaError_t>(fault));
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t ready)
{
    CUDA_HOST_BEGIN;
    if (!ready)
        return report(cudaErrorInvalidValue);
    for (cudaStream_t stream : ready->streams) {
        cuda_host::run_until_empty(stream);
        cuda_host::end_stream(stream);
    }
    delete ready;
    return cudaSuccess;
}

/* After all that `stream` was given before, and the launch before. */
cudaError_t cudaGraphLaunch(cudaGraphExec_t ready, cudaStream_t named)
{
    CUDA_HOST_BEGIN;
    const cudaStream_t stream = cuda_host::find(named);
    if (!ready || !stream)
        return report(cudaErrorInvalidResourceHandle);
    const auto start = std::make_shared<cuda_host::recording>();
    std::vector<cuda_host::mark> ran;
    cuda_host::push(stream, {nullptr, start,
                             ready->ended ? std::vector{ready->ended} : std::vector<cuda_host::mark>{}, 0});
    for (size_t i = 0; i < ready->nodes.size(); i++) {
        const node &n = ready->nodes[i];
        const auto done = std::make_shared<cuda_host::recording>();
        std::vector<cuda_host::mark> awaits = {start};
        for (size_t before : n.after)
            awaits.push_back(ran[before]);
        if (n.event && !cuda_host::known(n.event))
            cuda_host::misuse("a graph records an event that was destroyed");
        if (n.event) {
            n.event->latest = done;
            n.event->capture = nullptr;
        }
        cuda_host::push(ready->streams[i], {n.prepare ? n.prepare() : nullptr, done, awaits, 0});
        ran.push_back(done);
    }
    ready->ended = std::make_shared<cuda_host::recording>();
    cuda_host::push(stream, {nullptr, ready->ended, ran, 0});
    cuda_host::counts.graph_launches++;
    cuda_host::maybe_run();
    return cudaSuccess;
}
