/* copies.cpp - copies between host and device, and whether the host leaves their buffers alone meanwhile.
 *
 * What is read from the host must be the same when the copy runs as when it was enqueued. What is written to
 * the host is NaN from the enqueuing on, and comes only when the host has waited for it. Copies from or to
 * memory that is not pinned would wait in CUDA: they end the process, or, with CUDA_HOST_PAGEABLE=1, are
 * counted and run as if pinned. */
#include "state.h"

#include <cstring>
#include <list>
#include <memory>
#include <vector>

namespace
{

constexpr int UNTOUCHED = 0xff;

struct copy {
    char *host; /* read only where `upload` */
    size_t bytes;
    bool upload;
    bool overwritten; /* the host buffer was filled at the enqueuing */
    bool ran;
    uint64_t sum; /* of what the host is to leave alone */
    cuda_host::moment when;
    std::vector<char> result;
};

std::list<std::shared_ptr<copy>> under_way;

uint64_t sum_up(const char *memory, size_t bytes)
{
    uint64_t sum = bytes;
    for (; bytes >= sizeof sum; memory += sizeof sum, bytes -= sizeof sum) {
        uint64_t word;
        memcpy(&word, memory, sizeof word);
        sum = (sum ^ word) * 0x9e3779b97f4a7c15;
        sum ^= sum >> 29;
    }
    for (; bytes; memory++, bytes--)
        sum = (sum ^ static_cast<unsigned char>(*memory)) * 0x100000001b3;
    return sum;
}

bool overlap(const copy &c, const void *memory, size_t bytes)
{
    const char *at = static_cast<const char *>(memory);
    return at < c.host + c.bytes && c.host < at + bytes;
}

/* Whether what happened by `when` has happened by `seen`. */
bool covers(const cuda_host::moment &seen, const cuda_host::moment &when)
{
    for (const auto &one : when) {
        const auto found = seen.find(one.first);
        if (found == seen.end() || found->second < one.second)
            return false;
    }
    return true;
}

void publish(const copy &c)
{
    if (c.overwritten && sum_up(c.host, c.bytes) != c.sum)
        cuda_host::misuse("the host wrote into the target of a copy from the device, %zu bytes at %p, before "
                          "it had waited for that",
                          c.bytes, static_cast<void *>(c.host));
    memcpy(c.host, c.result.data(), c.bytes);
}

void publish_by(const cuda_host::moment &seen)
{
    for (auto at = under_way.begin(); at != under_way.end();) {
        if (!(*at)->upload && (*at)->ran && covers(seen, (*at)->when)) {
            publish(**at);
            at = under_way.erase(at);
        } else {
            ++at;
        }
    }
}

void check_pinned(const void *host, size_t bytes)
{
    if (cuda_host::is_device(host, 0))
        cuda_host::misuse("a copy takes device memory at %p for the host's", host);
    if (cuda_host::is_pinned(host, bytes))
        return;
    cuda_host::counts.pageable_copies++;
    if (!cuda_host::setting("CUDA_HOST_PAGEABLE", 0))
        cuda_host::misuse("a copy of %zu bytes at %p, which is not pinned", bytes, host);
}

/* Looks at the host's memory now, and again when the copy runs. */
cuda_host::work prepare_upload(void *to, const void *from, size_t bytes)
{
    auto c = std::make_shared<copy>();
    c->host = static_cast<char *>(const_cast<void *>(from));
    c->bytes = bytes;
    c->upload = true;
    bool awaits_host = true; /* else the device itself writes what it then reads */
    for (const auto &other : under_way)
        awaits_host = awaits_host && (other->upload || !overlap(*other, from, bytes));
    c->sum = sum_up(c->host, bytes);
    under_way.push_back(c);
    return [c, to, awaits_host](const cuda_host::moment &now) {
        publish_by(now);
        if (awaits_host && sum_up(c->host, c->bytes) != c->sum)
            cuda_host::misuse(
                "the source of a copy to the device, %zu bytes at %p, changed before the copy ran", c->bytes,
                static_cast<void *>(c->host));
        memcpy(to, c->host, c->bytes);
        cuda_host::counts.uploaded_bytes += c->bytes;
        under_way.remove(c);
    };
}

cuda_host::work prepare_download(void *to, const void *from, size_t bytes)
{
    auto c = std::make_shared<copy>();
    c->host = static_cast<char *>(to);
    c->bytes = bytes;
    c->overwritten = true;
    for (const auto &other : under_way)
        c->overwritten = c->overwritten && !overlap(*other, to, bytes);
    if (c->overwritten) {
        memset(to, UNTOUCHED, bytes);
        c->sum = sum_up(c->host, bytes);
    }
    under_way.push_back(c);
    return [c, from](const cuda_host::moment &now) {
        const char *source = static_cast<const char *>(from);
        c->result.assign(source, source + c->bytes);
        c->when = now;
        c->ran = true;
        cuda_host::counts.downloaded_bytes += c->bytes;
    };
}

cudaError_t upload(void *to, const void *from, size_t bytes, cudaStream_t stream)
{
    check_pinned(from, bytes);
    return cuda_host::enqueue(stream, [=] { return prepare_upload(to, from, bytes); });
}

cudaError_t download(void *to, const void *from, size_t bytes, cudaStream_t stream)
{
    check_pinned(to, bytes);
    return cuda_host::enqueue(stream, [=] { return prepare_download(to, from, bytes); });
}

} // namespace

namespace cuda_host
{

void publish_copies(const moment &seen)
{
    publish_by(seen);
}

void forbid_copies(const void *memory, size_t bytes, const char *function)
{
    for (const auto &c : under_way)
        if (overlap(*c, memory, bytes))
            misuse("%s of %p while a copy %s it is under way", function, memory, c->upload ? "from" : "to");
}

void end_copies()
{
    if (device_lost()) {
        under_way.clear();
        return;
    }
    for (const auto &c : under_way)
        if (!c->upload && c->ran)
            publish(*c);
    under_way.remove_if([](const std::shared_ptr<copy> &c) { return c->ran; });
}

} // namespace cuda_host

using cuda_host::report;

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    CUDA_HOST_BEGIN;
    if (bytes == 0)
        return cudaSuccess;
    const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (!to_device && !from_device)
        return report(cudaErrorInvalidMemcpyDirection);
    if ((to_device && !cuda_host::is_device(to, bytes)) ||
        (from_device && !cuda_host::is_device(from, bytes)))
        return report(cudaErrorInvalidValue);
    if (!from_device)
        return upload(to, from, bytes, stream);
    if (!to_device)
        return download(to, from, bytes, stream);
    return cuda_host::enqueue_work(
        stream, [to, from, bytes](const cuda_host::moment &) { memmove(to, from, bytes); });
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream)
{
    CUDA_HOST_BEGIN;
    if (!cuda_host::is_device(memory, bytes))
        return report(cudaErrorInvalidValue);
    return cuda_host::enqueue_work(
        stream, [memory, value, bytes](const cuda_host::moment &) { memset(memory, value, bytes); });
}
