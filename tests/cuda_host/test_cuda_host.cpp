/* test_cuda_host.cpp - the stand-in computes what CUDA would, and finds what no program may do. */
#include <csetjmp>
#include <csignal>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

extern "C" {
#include <cmocka.h>
}
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cublas_v2.h>
#include <cuda_bf16.h>
#include <cuda_host.h>
#include <cuda_runtime.h>

namespace
{

constexpr unsigned int BLOCK = 64;
constexpr int SEEDS = 40;
constexpr int DEVICES = 3;

template <typename... parameters, typename... arguments>
cudaError_t launch(cudaStream_t stream, unsigned int blocks, unsigned int threads,
                   void (*kernel)(parameters...), arguments... given)
{
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(blocks);
    config.blockDim = dim3(threads);
    config.stream = stream;
    return cudaLaunchKernelEx(&config, kernel, given...);
}

/* ---- kernels ---- */

__global__ void add_kernel(unsigned int count, float amount, float *__restrict__ x)
{
    const unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count)
        x[i] += amount;
}

__global__ void __launch_bounds__(BLOCK) sum_kernel(const float *x, float *sums)
{
    __shared__ float together[BLOCK];
    together[threadIdx.x] = x[blockIdx.x * BLOCK + threadIdx.x];
    for (unsigned int half = BLOCK / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half)
            together[threadIdx.x] += together[threadIdx.x + half];
    }
    if (threadIdx.x == 0)
        sums[blockIdx.x] = together[0];
}

__global__ void shuffle_kernel(float *x)
{
    float sum = x[threadIdx.x];
    for (int lanes = 16; lanes > 0; lanes /= 2)
        sum += __shfl_xor_sync(0xffffffff, sum, lanes);
    const float next = __shfl_down_sync(0xffffffff, x[threadIdx.x], 1);
    __syncthreads();
    x[threadIdx.x] = sum + next;
}

/* Without a barrier between what a thread writes and another reads. */
__global__ void unsynchronized_kernel(float *x)
{
    __shared__ float together[BLOCK];
    together[threadIdx.x] = 1.0f;
    x[threadIdx.x] = together[BLOCK - 1 - threadIdx.x];
}

__global__ void diverging_kernel(float *x)
{
    if (threadIdx.x == 3)
        return;
    __syncthreads();
    x[threadIdx.x] = 0.0f;
}

__global__ void two_barriers_kernel(float *x)
{
    if (threadIdx.x % 2)
        __syncthreads();
    else
        __syncthreads();
    x[threadIdx.x] = 0.0f;
}

/* ---- a device with two streams and a buffer on each side ---- */

constexpr unsigned int COUNT = 256;

struct place {
    cudaStream_t one, two;
    cudaEvent_t event;
    float *device, *host;
};

place *open_place()
{
    place *p = new place{};
    assert_int_equal(cudaStreamCreateWithFlags(&p->one, cudaStreamNonBlocking), cudaSuccess);
    assert_int_equal(cudaStreamCreateWithFlags(&p->two, cudaStreamNonBlocking), cudaSuccess);
    assert_int_equal(cudaEventCreateWithFlags(&p->event, cudaEventDisableTiming), cudaSuccess);
    void *memory;
    assert_int_equal(cudaMalloc(&memory, COUNT * sizeof(float)), cudaSuccess);
    p->device = static_cast<float *>(memory);
    assert_int_equal(cudaHostAlloc(&memory, COUNT * sizeof(float), cudaHostAllocDefault), cudaSuccess);
    p->host = static_cast<float *>(memory);
    for (unsigned int i = 0; i < COUNT; i++)
        p->host[i] = static_cast<float>(i);
    return p;
}

void close_place(place *p)
{
    assert_int_equal(cudaDeviceSynchronize(), cudaSuccess);
    assert_int_equal(cudaFree(p->device), cudaSuccess);
    assert_int_equal(cudaFreeHost(p->host), cudaSuccess);
    assert_int_equal(cudaEventDestroy(p->event), cudaSuccess);
    assert_int_equal(cudaStreamDestroy(p->one), cudaSuccess);
    assert_int_equal(cudaStreamDestroy(p->two), cudaSuccess);
    delete p;
}

cudaError_t upload(place *p, cudaStream_t stream)
{
    return cudaMemcpyAsync(p->device, p->host, COUNT * sizeof(float), cudaMemcpyHostToDevice, stream);
}

cudaError_t download(place *p, cudaStream_t stream)
{
    return cudaMemcpyAsync(p->host, p->device, COUNT * sizeof(float), cudaMemcpyDeviceToHost, stream);
}

/* What a process of its own says on standard error when it does `misuse`, which must end it. */
std::string last_words(void (*misuse)())
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(nullptr);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit none = {};
        setrlimit(RLIMIT_CORE, &none);
        dup2(ends[1], STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        misuse();
        _exit(0);
    }
    close(ends[1]);
    std::string said;
    char part[512];
    for (ssize_t got; (got = read(ends[0], part, sizeof part)) > 0;)
        said.append(part, static_cast<size_t>(got));
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return said;
}

void assert_says(void (*misuse)(), const char *text)
{
    const std::string said = last_words(misuse);
    if (said.find(text) == std::string::npos)
        fail_msg("'%s' is not in '%s'", text, said.c_str());
}

/* ---- what must work ---- */

void copies_and_kernels_do_what_they_say(void **)
{
    for (int seed = 0; seed < SEEDS; seed++) {
        cuda_host_seed(static_cast<uint64_t>(seed));
        place *p = open_place();
        assert_int_equal(upload(p, p->one), cudaSuccess);
        assert_int_equal(launch(p->one, 3, 100, add_kernel, COUNT - 1, 0.5f, p->device), cudaSuccess);
        assert_int_equal(cudaEventRecord(p->event, p->one), cudaSuccess);
        assert_int_equal(cudaStreamWaitEvent(p->two, p->event, 0), cudaSuccess);
        assert_int_equal(download(p, p->two), cudaSuccess);
        assert_int_equal(cudaStreamSynchronize(p->two), cudaSuccess);
        for (unsigned int i = 0; i < COUNT; i++)
            assert_true(p->host[i] == static_cast<float>(i) + (i < COUNT - 1 ? 0.5f : 0.0f));
        close_place(p);
    }
}

void barriers_and_shuffles_join_threads(void **)
{
    for (int seed = 0; seed < SEEDS; seed++) {
        cuda_host_seed(static_cast<uint64_t>(seed));
        place *p = open_place();
        assert_int_equal(upload(p, p->one), cudaSuccess);
        assert_int_equal(launch(p->one, 2, BLOCK, sum_kernel, p->device, p->device + 2 * BLOCK), cudaSuccess);
        assert_int_equal(launch(p->one, 1, 32, shuffle_kernel, p->device), cudaSuccess);
        assert_int_equal(download(p, p->one), cudaSuccess);
        assert_int_equal(cudaStreamSynchronize(p->one), cudaSuccess);
        assert_true(p->host[2 * BLOCK] == 2016.0f && p->host[2 * BLOCK + 1] == 2016.0f + 64 * 64);
        assert_true(p->host[0] == 496.0f + 1.0f && p->host[31] == 496.0f + 31.0f);
        close_place(p);
    }
}

void a_product_is_by_columns_in_each_precision(void **)
{
    place *p = open_place();
    cublasHandle_t handle;
    assert_int_equal(cublasCreate(&handle), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cublasSetStream(handle, p->one), CUBLAS_STATUS_SUCCESS);
    const float one = 1.0f, zero = 0.0f, lost = 1.0f + 1.0f / 4096.0f; /* not to be told from 1 in tf32 */
    p->host[0] = 1.0f;                                                 /* a: (2 x 1) */
    p->host[1] = lost;
    p->host[2] = 3.0f; /* b: (1 x 2) */
    p->host[3] = 4.0f;
    assert_int_equal(upload(p, p->one), cudaSuccess);
    const cublasComputeType_t computes[] = {CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_32F_FAST_TF32};
    for (int i = 0; i < 2; i++)
        assert_int_equal(cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 1, &one, p->device, CUDA_R_32F,
                                      2, p->device + 2, CUDA_R_32F, 1, &zero, p->device + 8 + 4 * i,
                                      CUDA_R_32F, 2, computes[i], CUBLAS_GEMM_DEFAULT),
                         CUBLAS_STATUS_SUCCESS);
    assert_int_equal(download(p, p->one), cudaSuccess);
    assert_int_equal(cudaStreamSynchronize(p->one), cudaSuccess);
    assert_true(p->host[8] == 3.0f && p->host[9] == 3.0f * lost && p->host[10] == 4.0f);
    assert_true(p->host[12] == 3.0f && p->host[13] == 3.0f && p->host[15] == 4.0f);
    assert_int_equal(cublasDestroy(handle), CUBLAS_STATUS_SUCCESS);
    close_place(p);
}

void bfloat16_is_rounded_to_even(void **)
{
    assert_true(__bfloat162float(__float2bfloat16(1.0f + 1.0f / 256)) == 1.0f);
    assert_true(__bfloat162float(__float2bfloat16(1.0f + 3.0f / 256)) == 1.0f + 4.0f / 256);
    assert_true(std::isnan(__bfloat162float(__float2bfloat16(NAN))));
    assert_true(std::isinf(__bfloat162float(__float2bfloat16(INFINITY))));
}

void faults_come_when_asked_for(void **)
{
    void *memory;
    cuda_host_fail("cudaMalloc", 2, cudaErrorMemoryAllocation);
    assert_int_equal(cudaMalloc(&memory, 8), cudaSuccess);
    void *second;
    assert_int_equal(cudaMalloc(&second, 8), cudaErrorMemoryAllocation);
    assert_int_equal(cudaGetLastError(), cudaErrorMemoryAllocation);
    assert_int_equal(cudaGetLastError(), cudaSuccess);
    assert_int_equal(cudaMalloc(&second, 8), cudaSuccess);
    cuda_host_fail("*", 1, cudaErrorIllegalAddress);
    assert_int_equal(cudaFree(second), cudaErrorIllegalAddress);
    assert_int_equal(cudaFree(memory), cudaErrorIllegalAddress);
    assert_int_equal(cudaGetLastError(), cudaErrorIllegalAddress);
    assert_int_equal(cudaGetLastError(), cudaErrorIllegalAddress);
    cuda_host_heal();
    assert_int_equal(cudaFree(second), cudaSuccess);
    assert_int_equal(cudaFree(memory), cudaSuccess);
    assert_int_equal(cudaGetLastError(), cudaSuccess);
    cuda_host_limit_memory(1000);
    assert_int_equal(cudaMalloc(&memory, 600), cudaSuccess);
    assert_int_equal(cudaMalloc(&second, 600), cudaErrorMemoryAllocation);
    cuda_host_limit_memory(SIZE_MAX);
    assert_int_equal(cudaFree(memory), cudaSuccess);
    cudaGetLastError();
}

void waits_and_allocations_are_counted(void **)
{
    place *p = open_place();
    cuda_host_counts before, after;
    cuda_host_read_counts(&before);
    assert_int_equal(upload(p, p->one), cudaSuccess);
    assert_int_equal(cudaEventRecord(p->event, p->one), cudaSuccess);
    cuda_host_read_counts(&after);
    assert_int_equal(after.synchronizations, before.synchronizations);
    assert_int_equal(after.allocations, before.allocations);
    assert_int_equal(after.calls, before.calls + 2);
    assert_int_equal(cudaEventSynchronize(p->event), cudaSuccess);
    cuda_host_read_counts(&after);
    assert_int_equal(after.synchronizations, before.synchronizations + 1);
    assert_int_equal(after.uploaded_bytes, before.uploaded_bytes + COUNT * sizeof(float));
    close_place(p);
}

/* NULL names a stream that comes after all that blocking streams were given, and before what they are given
 * next; it takes no notice of others. */
void the_null_stream_takes_turns_with_blocking_streams_alone(void **)
{
    int early = 0;
    for (int seed = 1; seed <= SEEDS; seed++) {
        cuda_host_seed(static_cast<uint64_t>(seed));
        place *p = open_place();
        cudaStream_t blocking, other;
        assert_int_equal(cudaStreamCreateWithFlags(&blocking, cudaStreamDefault), cudaSuccess);
        assert_int_equal(cudaStreamCreateWithFlags(&other, cudaStreamDefault), cudaSuccess);
        assert_int_equal(upload(p, blocking), cudaSuccess);
        assert_int_equal(launch(nullptr, 1, COUNT, add_kernel, COUNT, 1.0f, p->device), cudaSuccess);
        assert_int_equal(launch(other, 1, COUNT, add_kernel, COUNT, 2.0f, p->device), cudaSuccess);
        assert_int_equal(launch(nullptr, 1, COUNT, add_kernel, COUNT, 4.0f, p->device), cudaSuccess);
        assert_int_equal(download(p, nullptr), cudaSuccess);
        assert_int_equal(cudaStreamSynchronize(nullptr), cudaSuccess);
        assert_true(p->host[1] == 8.0f);
        assert_int_equal(launch(p->one, 1, COUNT, add_kernel, COUNT, 1.0f, p->device), cudaSuccess);
        assert_int_equal(download(p, nullptr), cudaSuccess);
        assert_int_equal(cudaStreamSynchronize(nullptr), cudaSuccess);
        early += p->host[1] == 8.0f;
        assert_int_equal(cudaStreamDestroy(blocking), cudaSuccess);
        assert_int_equal(cudaStreamDestroy(other), cudaSuccess);
        close_place(p);
    }
    assert_in_range(early, 1, SEEDS - 1);
}

void devices_have_memory_and_streams_of_their_own(void **)
{
    const size_t all = static_cast<size_t>(1) << 31;
    int count;
    cudaDeviceProp properties;
    setenv("CUDA_VISIBLE_DEVICES", "2,0,7", 1);
    assert_int_equal(cudaGetDeviceCount(&count), cudaSuccess);
    assert_int_equal(count, 2); /* the third names none */
    assert_int_equal(cudaGetDeviceProperties(&properties, 0), cudaSuccess);
    assert_int_equal(properties.pciBusID, 2);
    unsetenv("CUDA_VISIBLE_DEVICES");
    assert_int_equal(cudaGetDeviceCount(&count), cudaSuccess);
    assert_int_equal(count, DEVICES);
    assert_int_equal(cudaSetDevice(DEVICES), cudaErrorInvalidDevice);

    place *p = open_place();
    size_t available, total;
    assert_int_equal(cudaMemGetInfo(&available, &total), cudaSuccess);
    assert_true(total == all && available < all);
    assert_int_equal(cudaSetDevice(1), cudaSuccess);
    assert_int_equal(cudaMemGetInfo(&available, &total), cudaSuccess);
    assert_true(available == all);
    /* Kernels and events want their own device; copies go where they like. */
    assert_int_equal(launch(p->one, 1, COUNT, add_kernel, COUNT, 1.0f, p->device),
                     cudaErrorInvalidResourceHandle);
    cudaEvent_t event;
    assert_int_equal(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess);
    assert_int_equal(cudaEventRecord(event, p->one), cudaErrorInvalidResourceHandle);
    assert_int_equal(cudaEventDestroy(event), cudaSuccess);
    assert_int_equal(upload(p, p->one), cudaSuccess);
    assert_int_equal(cudaSetDevice(0), cudaSuccess);
    assert_int_equal(launch(p->one, 1, COUNT, add_kernel, COUNT, 1.0f, p->device), cudaSuccess);
    cudaGetLastError();
    close_place(p);
}

/* Up, a kernel, and down by the other stream, as one; `event` tells the host. */
cudaGraphExec_t capture_round(place *p)
{
    cudaGraph_t graph;
    cudaGraphExec_t ready;
    cudaEvent_t turn;
    assert_int_equal(cudaEventCreateWithFlags(&turn, cudaEventDisableTiming), cudaSuccess);
    assert_int_equal(cudaStreamBeginCapture(p->one, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    assert_int_equal(upload(p, p->one), cudaSuccess);
    assert_int_equal(launch(p->one, 1, COUNT, add_kernel, COUNT, 0.5f, p->device), cudaSuccess);
    assert_int_equal(cudaEventRecord(turn, p->one), cudaSuccess);
    assert_int_equal(cudaStreamWaitEvent(p->two, turn, 0), cudaSuccess);
    assert_int_equal(download(p, p->two), cudaSuccess);
    assert_int_equal(cudaEventRecordWithFlags(p->event, p->two, cudaEventRecordExternal), cudaSuccess);
    assert_int_equal(cudaEventRecord(turn, p->two), cudaSuccess);
    assert_int_equal(cudaStreamWaitEvent(p->one, turn, 0), cudaSuccess);
    assert_int_equal(cudaStreamEndCapture(p->one, &graph), cudaSuccess);
    assert_int_equal(cudaGraphInstantiateWithFlags(&ready, graph, 0), cudaSuccess);
    assert_int_equal(cudaGraphDestroy(graph), cudaSuccess);
    assert_int_equal(cudaEventDestroy(turn), cudaSuccess);
    return ready;
}

void a_graph_does_at_each_launch_what_was_captured(void **)
{
    for (int seed = 0; seed < SEEDS; seed++) {
        cuda_host_seed(static_cast<uint64_t>(seed));
        place *p = open_place();
        const cudaGraphExec_t ready = capture_round(p);
        assert_true(p->host[1] == 1.0f); /* nothing has run */
        for (int round = 0; round < 3; round++) {
            p->host[1] = static_cast<float>(10 * round);
            assert_int_equal(cudaGraphLaunch(ready, p->one), cudaSuccess);
            assert_int_equal(cudaEventSynchronize(p->event), cudaSuccess);
            assert_true(p->host[1] == static_cast<float>(10 * round) + 0.5f);
        }
        assert_int_equal(cudaGraphExecDestroy(ready), cudaSuccess);
        close_place(p);
    }
}

/* What comes behind a launch in its stream waits for all of it; another stream for nothing. */
void a_graph_keeps_its_place_in_its_stream_alone(void **)
{
    int early = 0;
    for (int seed = 1; seed <= SEEDS; seed++) {
        cuda_host_seed(static_cast<uint64_t>(seed));
        place *p = open_place();
        assert_int_equal(upload(p, p->one), cudaSuccess);
        assert_int_equal(cudaStreamSynchronize(p->one), cudaSuccess);
        const cudaGraphExec_t ready = capture_round(p);
        assert_int_equal(cudaGraphLaunch(ready, p->one), cudaSuccess);
        assert_int_equal(cudaStreamSynchronize(p->two), cudaSuccess);
        early += p->host[1] != 1.5f;
        assert_int_equal(launch(p->one, 1, COUNT, add_kernel, COUNT, 1.0f, p->device), cudaSuccess);
        assert_int_equal(cudaStreamSynchronize(p->one), cudaSuccess);
        assert_true(p->host[1] == 1.5f);
        assert_int_equal(cudaGraphExecDestroy(ready), cudaSuccess);
        close_place(p);
    }
    assert_int_not_equal(early, 0);
}

/* Each spoils the capture, which then gives no graph; afterwards the stream is what it was. */
void captures_are_spoilt_by_what_cuda_forbids(void **)
{
    cudaError_t (*const spoilers[])(place * p) = {
        [](place *) {
            void *memory;
            return cudaMalloc(&memory, 8);
        },
        [](place *p) { return cudaFree(p->device); },
        [](place *p) { return cudaStreamSynchronize(p->one); },
        [](place *p) { return cudaEventSynchronize(p->event); },
        [](place *) { return cudaDeviceSynchronize(); },
    };
    place *p = open_place();
    cudaGraph_t graph;
    for (auto spoil : spoilers) {
        assert_int_equal(cudaStreamBeginCapture(p->one, cudaStreamCaptureModeThreadLocal), cudaSuccess);
        assert_int_equal(spoil(p), cudaErrorStreamCaptureUnsupported);
        assert_int_equal(upload(p, p->one), cudaErrorStreamCaptureInvalidated);
        assert_int_equal(cudaStreamEndCapture(p->one, &graph), cudaErrorStreamCaptureInvalidated);
        assert_null(graph);
    }
    /* A stream that does not come back, */
    assert_int_equal(cudaStreamBeginCapture(p->one, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    assert_int_equal(cudaEventRecord(p->event, p->one), cudaSuccess);
    assert_int_equal(cudaEventSynchronize(p->event), cudaErrorStreamCaptureUnsupported);
    assert_int_equal(cudaStreamEndCapture(p->one, &graph), cudaErrorStreamCaptureInvalidated);
    assert_int_equal(cudaEventSynchronize(p->event), cudaErrorCapturedEvent);
    assert_int_equal(cudaStreamBeginCapture(p->one, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    assert_int_equal(cudaEventRecord(p->event, p->one), cudaSuccess);
    assert_int_equal(cudaStreamWaitEvent(p->two, p->event, 0), cudaSuccess);
    assert_int_equal(upload(p, p->two), cudaSuccess);
    assert_int_equal(cudaStreamEndCapture(p->one, &graph), cudaErrorStreamCaptureUnjoined);
    /* what is captured and waits for what is not, and the other way round, */
    assert_int_equal(cudaStreamWaitEvent(p->two, p->event, 0), cudaErrorStreamCaptureIsolation);
    assert_int_equal(cudaEventRecord(p->event, p->two), cudaSuccess);
    assert_int_equal(cudaStreamBeginCapture(p->one, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    assert_int_equal(cudaStreamWaitEvent(p->one, p->event, 0), cudaErrorStreamCaptureIsolation);
    assert_int_equal(cudaStreamEndCapture(p->one, &graph), cudaErrorStreamCaptureInvalidated);
    /* an event for the host without a capture, and an end without a beginning. */
    assert_int_equal(cudaEventRecordWithFlags(p->event, p->one, cudaEventRecordExternal),
                     cudaErrorIllegalState);
    assert_int_equal(cudaStreamEndCapture(p->one, &graph), cudaErrorIllegalState);
    cudaGetLastError();
    close_place(p);
}

/* ---- what must be found ---- */

void a_missing_event_shows_at_some_seed(void **)
{
    int wrong = 0;
    for (int seed = 1; seed <= SEEDS; seed++) {
        cuda_host_seed(static_cast<uint64_t>(seed));
        place *p = open_place();
        assert_int_equal(upload(p, p->one), cudaSuccess);
        assert_int_equal(launch(p->two, 1, COUNT, add_kernel, COUNT, 1.0f, p->device), cudaSuccess);
        assert_int_equal(cudaDeviceSynchronize(), cudaSuccess);
        assert_int_equal(download(p, p->one), cudaSuccess);
        assert_int_equal(cudaStreamSynchronize(p->one), cudaSuccess);
        wrong += p->host[0] != 1.0f;
        close_place(p);
    }
    assert_in_range(wrong, 1, SEEDS - 1);
}

void a_missing_barrier_shows(void **)
{
    place *p = open_place();
    assert_int_equal(launch(p->one, 1, BLOCK, unsynchronized_kernel, p->device), cudaSuccess);
    assert_int_equal(download(p, p->one), cudaSuccess);
    assert_int_equal(cudaStreamSynchronize(p->one), cudaSuccess);
    int unset = 0;
    for (unsigned int i = 0; i < BLOCK; i++)
        unset += std::isnan(p->host[i]);
    assert_int_not_equal(unset, 0);
    close_place(p);
}

void touching_device_memory_is_found(void **)
{
    assert_says(
        [] {
            place *p = open_place();
            cuda_host_watch(); /* cmocka has put its own handler there */
            *const_cast<volatile float *>(p->device + 2) = 1.0f;
        },
        "the host touched device memory at");
}

void changing_the_source_of_a_copy_is_found(void **)
{
    assert_says(
        [] {
            cuda_host_seed(0);
            place *p = open_place();
            upload(p, p->one);
            p->host[7] = -1.0f;
            cudaStreamSynchronize(p->one);
        },
        "changed before the copy ran");
}

void changing_the_source_of_a_launched_graph_is_found(void **)
{
    assert_says(
        [] {
            cuda_host_seed(0);
            place *p = open_place();
            const cudaGraphExec_t ready = capture_round(p);
            p->host[7] = -1.0f; /* before the launch it may */
            cudaGraphLaunch(ready, p->one);
            p->host[7] = -2.0f;
            cudaStreamSynchronize(p->one);
        },
        "changed before the copy ran");
}

void writing_into_the_target_of_a_copy_is_found(void **)
{
    assert_says(
        [] {
            place *p = open_place();
            download(p, p->one);
            p->host[7] = -1.0f;
            cudaStreamSynchronize(p->one);
        },
        "before it had waited");
}

void the_target_of_a_copy_is_nan_until_it_was_waited_for(void **)
{
    for (int seed = 0; seed < SEEDS; seed++) {
        cuda_host_seed(static_cast<uint64_t>(seed));
        place *p = open_place();
        upload(p, p->one);
        cudaStreamSynchronize(p->one);
        download(p, p->one);
        cudaStreamSynchronize(p->two);
        assert_true(std::isnan(p->host[1]));
        cudaStreamSynchronize(p->one);
        assert_true(p->host[1] == 1.0f);
        close_place(p);
    }
}

void pageable_memory_is_found(void **)
{
    assert_says(
        [] {
            place *p = open_place();
            float pageable[COUNT] = {};
            cudaMemcpyAsync(p->device, pageable, sizeof pageable, cudaMemcpyHostToDevice, p->one);
        },
        "which is not pinned");
}

void releasing_a_buffer_under_a_copy_is_found(void **)
{
    assert_says(
        [] {
            cuda_host_seed(0);
            place *p = open_place();
            upload(p, p->one);
            cudaFreeHost(p->host);
        },
        "is under way");
}

void barriers_that_not_all_reach_are_found(void **)
{
    assert_says(
        [] {
            place *p = open_place();
            launch(p->one, 1, BLOCK, diverging_kernel, p->device);
            cudaStreamSynchronize(p->one);
        },
        "thread 3 has left the kernel");
    assert_says(
        [] {
            place *p = open_place();
            launch(p->one, 1, BLOCK, two_barriers_kernel, p->device);
            cudaStreamSynchronize(p->one);
        },
        "waits at the barrier of");
}

#if defined(__SANITIZE_ADDRESS__)
void reaching_past_the_end_is_found(void **)
{
    assert_says(
        [] {
            place *p = open_place();
            launch(p->one, 1, COUNT + 1, add_kernel, COUNT + 1, 1.0f, p->device);
            cudaStreamSynchronize(p->one);
        },
        "AddressSanitizer");
}
#endif

void a_bad_launch_or_copy_is_refused(void **)
{
    place *p = open_place();
    assert_int_equal(launch(p->one, 1, 2000, add_kernel, COUNT, 1.0f, p->device),
                     cudaErrorInvalidConfiguration);
    assert_int_equal(launch(p->one, 0, 1, add_kernel, COUNT, 1.0f, p->device), cudaErrorInvalidConfiguration);
    assert_int_equal(
        cudaMemcpyAsync(p->device + 1, p->host, COUNT * sizeof(float), cudaMemcpyHostToDevice, p->one),
        cudaErrorInvalidValue);
    assert_int_equal(cudaHostRegister(p->host, 8, 0), cudaErrorHostMemoryAlreadyRegistered);
    cudaGetLastError();
    close_place(p);
}

} // namespace

int main()
{
    setenv("CUDA_HOST_DEVICES", "3", 1); /* DEVICES */
    unsetenv("CUDA_VISIBLE_DEVICES");    /* which tests are given empty */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_and_kernels_do_what_they_say),
        cmocka_unit_test(barriers_and_shuffles_join_threads),
        cmocka_unit_test(a_product_is_by_columns_in_each_precision),
        cmocka_unit_test(bfloat16_is_rounded_to_even),
        cmocka_unit_test(faults_come_when_asked_for),
        cmocka_unit_test(waits_and_allocations_are_counted),
        cmocka_unit_test(the_null_stream_takes_turns_with_blocking_streams_alone),
        cmocka_unit_test(devices_have_memory_and_streams_of_their_own),
        cmocka_unit_test(a_graph_does_at_each_launch_what_was_captured),
        cmocka_unit_test(a_graph_keeps_its_place_in_its_stream_alone),
        cmocka_unit_test(captures_are_spoilt_by_what_cuda_forbids),
        cmocka_unit_test(a_missing_event_shows_at_some_seed),
        cmocka_unit_test(a_missing_barrier_shows),
        cmocka_unit_test(touching_device_memory_is_found),
        cmocka_unit_test(changing_the_source_of_a_copy_is_found),
        cmocka_unit_test(changing_the_source_of_a_launched_graph_is_found),
        cmocka_unit_test(writing_into_the_target_of_a_copy_is_found),
        cmocka_unit_test(the_target_of_a_copy_is_nan_until_it_was_waited_for),
        cmocka_unit_test(pageable_memory_is_found),
        cmocka_unit_test(releasing_a_buffer_under_a_copy_is_found),
        cmocka_unit_test(barriers_that_not_all_reach_are_found),
#if defined(__SANITIZE_ADDRESS__)
        cmocka_unit_test(reaching_past_the_end_is_found),
#endif
        cmocka_unit_test(a_bad_launch_or_copy_is_refused),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
