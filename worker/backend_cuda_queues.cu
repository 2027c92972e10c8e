/* backend_cuda_queues.cu - memory, copies, marks and graphs of a CUDA backend.
 *
 * Queues are streams, marks are events, and a graph is what streams were captured into. Nothing here waits
 * for the device but `synchronize`, `await`, and scratch memory that grows: it does so in the first steps,
 * and then no more. */
#include <new>

#include "worker/backend_cuda_state.cuh"

/* ---- memory ---- */

void *cuda_allocate_for(cuda_place *place, size_t bytes, const char *what)
{
    void *memory = nullptr;
    const cudaError_t result = cudaMalloc(&memory, bytes ? bytes : 1);
    if (result == cudaSuccess)
        return memory;
    if (cuda_check(place, result, "cudaMalloc", __FILE__, __LINE__) == PS_ENOMEM)
        cuda_out_of_memory(place, bytes, what);
    return nullptr;
}

void *cuda_allocate(backend *self, size_t bytes)
{
    return cuda_allocate_for(&cuda_of(self)->place, bytes, "a model and its batch");
}

void cuda_release(backend *self, void *memory)
{
    (void)CUDA_CHECK(&cuda_of(self)->place, cudaFree(memory));
}

ps_status cuda_free_bytes(backend *self, size_t *bytes)
{
    size_t total;
    return CUDA_CHECK(&cuda_of(self)->place, cudaMemGetInfo(bytes, &total));
}

void *cuda_allocate_host(backend *self, size_t bytes)
{
    void *memory = nullptr;
    const ps_status status =
        CUDA_CHECK(&cuda_of(self)->place, cudaHostAlloc(&memory, bytes ? bytes : 1, cudaHostAllocDefault));
    return status == PS_OK ? memory : nullptr;
}

void cuda_release_host(backend *self, void *memory)
{
    (void)CUDA_CHECK(&cuda_of(self)->place, cudaFreeHost(memory));
}

ps_status cuda_register_host(backend *self, void *memory, size_t bytes)
{
    return CUDA_CHECK(&cuda_of(self)->place, cudaHostRegister(memory, bytes, cudaHostRegisterDefault));
}

void cuda_unregister_host(backend *self, void *memory)
{
    (void)CUDA_CHECK(&cuda_of(self)->place, cudaHostUnregister(memory));
}

/* cudaFree waits for all that the device does, so what uses the smaller memory has done so. */
ps_status cuda_grow(cuda_backend *b, scratch *s, size_t bytes)
{
    if (s->bytes >= bytes)
        return PS_OK;
    CUDA_TRY(&b->place, cudaFree(s->memory));
    b->moves++;
    s->bytes = 0;
    s->memory = cuda_allocate_for(&b->place, bytes, "what a kernel sets down");
    if (!s->memory)
        return b->place.failure.status;
    s->bytes = bytes;
    return PS_OK;
}

/* ---- copies and marks ---- */

ps_status cuda_upload(backend *self, void *device, const void *host, size_t bytes)
{
    cuda_backend *b = cuda_of(self);
    return CUDA_CHECK(&b->place,
                      cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, b->streams[QUEUE_UPLOAD]));
}

ps_status cuda_download(backend *self, void *host, const void *device, size_t bytes)
{
    cuda_backend *b = cuda_of(self);
    return CUDA_CHECK(
        &b->place, cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, b->streams[QUEUE_DOWNLOAD]));
}

ps_status cuda_synchronize(backend *self)
{
    cuda_backend *b = cuda_of(self);
    for (cudaStream_t stream : b->streams)
        CUDA_TRY(&b->place, cudaStreamSynchronize(stream));
    return PS_OK;
}

static cudaEvent_t event_of(backend_mark *mark)
{
    return reinterpret_cast<cudaEvent_t>(mark);
}

backend_mark *cuda_create_mark(backend *self)
{
    cudaEvent_t event = nullptr;
    const ps_status status =
        CUDA_CHECK(&cuda_of(self)->place, cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    return status == PS_OK ? reinterpret_cast<backend_mark *>(event) : nullptr;
}

void cuda_destroy_mark(backend *self, backend_mark *mark)
{
    (void)CUDA_CHECK(&cuda_of(self)->place, cudaEventDestroy(event_of(mark)));
}

ps_status cuda_record(backend *self, backend_queue queue, backend_mark *mark)
{
    return CUDA_CHECK(&cuda_of(self)->place, cudaEventRecord(event_of(mark), cuda_of(self)->streams[queue]));
}

ps_status cuda_follow(backend *self, backend_queue queue, backend_mark *mark)
{
    return CUDA_CHECK(&cuda_of(self)->place,
                      cudaStreamWaitEvent(cuda_of(self)->streams[queue], event_of(mark), 0));
}

ps_status cuda_announce(backend *self, backend_queue queue, backend_mark *mark)
{
    /* In a graph: an event that each launch records anew. Elsewhere CUDA has no such thing. */
    const unsigned int kind = cuda_of(self)->capturing ? cudaEventRecordExternal : cudaEventRecordDefault;
    return CUDA_CHECK(&cuda_of(self)->place,
                      cudaEventRecordWithFlags(event_of(mark), cuda_of(self)->streams[queue], kind));
}

ps_status cuda_await(backend *self, backend_mark *mark)
{
    return CUDA_CHECK(&cuda_of(self)->place, cudaEventSynchronize(event_of(mark)));
}

/* ---- graphs ---- */

struct backend_graph {
    cudaGraphExec_t ready;
    uint64_t moves; /* of scratch memory, when it was captured */
};

/* One stream comes after all that the other has been given. */
static ps_status hand_on(cuda_backend *b, backend_queue from, backend_queue to)
{
    CUDA_TRY(&b->place, cudaEventRecord(b->turn, b->streams[from]));
    return CUDA_CHECK(&b->place, cudaStreamWaitEvent(b->streams[to], b->turn, 0));
}

/* Other threads may call what they like: trainers that stand in for others have backends of their own. */
ps_status cuda_begin_capture(backend *self)
{
    cuda_backend *b = cuda_of(self);
    CUDA_TRY(&b->place, cudaStreamBeginCapture(b->streams[QUEUE_COMPUTE], cudaStreamCaptureModeThreadLocal));
    b->capturing = true;
    const ps_status status = hand_on(b, QUEUE_COMPUTE, QUEUE_DOWNLOAD);
    backend_graph *none;
    if (status != PS_OK)
        (void)cuda_end_capture(self, &none);
    return status;
}

static ps_status make_ready(cuda_backend *b, cudaGraph_t captured, backend_graph **graph)
{
    cudaGraphExec_t ready;
    CUDA_TRY(&b->place, cudaGraphInstantiateWithFlags(&ready, captured, 0));
    *graph = new (std::nothrow) backend_graph{ready, b->moves};
    if (*graph)
        return PS_OK;
    (void)CUDA_CHECK(&b->place, cudaGraphExecDestroy(ready));
    return ps_fail(&b->place.failure, PS_ENOMEM, "no memory for a graph");
}

ps_status cuda_end_capture(backend *self, backend_graph **graph)
{
    cuda_backend *b = cuda_of(self);
    *graph = nullptr;
    b->capturing = false;
    const ps_status joined = hand_on(b, QUEUE_DOWNLOAD, QUEUE_COMPUTE);
    cudaGraph_t captured = nullptr;
    ps_status status = CUDA_CHECK(&b->place, cudaStreamEndCapture(b->streams[QUEUE_COMPUTE], &captured));
    if (status == PS_OK)
        status = joined;
    if (status == PS_OK)
        status = make_ready(b, captured, graph);
    if (captured)
        (void)CUDA_CHECK(&b->place, cudaGraphDestroy(captured));
    return status;
}

ps_status cuda_launch(backend *self, backend_graph *graph)
{
    cuda_backend *b = cuda_of(self);
    if (graph->moves != b->moves)
        return PS_ESTATE;
    return CUDA_CHECK(&b->place, cudaGraphLaunch(graph->ready, b->streams[QUEUE_COMPUTE]));
}

void cuda_destroy_graph(backend *self, backend_graph *graph)
{
    (void)CUDA_CHECK(&cuda_of(self)->place, cudaGraphExecDestroy(graph->ready));
    delete graph;
}
