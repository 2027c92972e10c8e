/* device.c - see device.h. Nothing is computed here. */
#include "worker/device.h"

#include <stdlib.h>
#include <string.h>

#include "common/name_list.h"
#include "common/options.h"

NAME_LIST_DEFINE(precision, precision_kind, PRECISION_LIST, "precision")

ps_status device_parse(const char *text, device_wish *wish, ps_error *error)
{
    static const char cuda[] = "cuda:";
    uint64_t index = 0;
    wish->index_given = false;
    if (strcmp(text, "auto") == 0) {
        wish->kind = DEVICE_AUTO;
    } else if (strcmp(text, "cpu") == 0) {
        wish->kind = DEVICE_CPU;
    } else if (strcmp(text, "cuda") == 0) {
        wish->kind = DEVICE_CUDA;
    } else if (strncmp(text, cuda, sizeof cuda - 1) == 0) {
        ps_status status =
            option_unsigned("device cuda:N", text + sizeof cuda - 1, 0, DEVICE_INDEX_MAX, &index, error);
        if (status != PS_OK)
            return status;
        wish->kind = DEVICE_CUDA;
        wish->index_given = true;
        wish->index = (uint32_t)index;
    } else {
        return ps_fail(error, PS_EINVAL, "unknown device '%s'; choose auto, cpu, cuda or cuda:N", text);
    }
    return PS_OK;
}

static ps_status open_cuda(const device_wish *wish, uint32_t rank, backend **out, device_choice *chosen,
                           ps_error *error)
{
    uint32_t count;
    *out = NULL;
    ps_status status = backend_cuda_count(&count, error);
    if (status != PS_OK)
        return status;
    uint32_t index = wish->index_given ? wish->index : rank % count;
    status = backend_cuda_create(index, wish->precision, out, error);
    if (status != PS_OK)
        return status;
    cuda_device found;
    status = backend_cuda_describe(index, &found, error);
    if (status != PS_OK) {
        (*out)->ops->destroy(*out);
        *out = NULL;
        return status;
    }
    snprintf(chosen->name, sizeof chosen->name, "cuda:%u of %u, %s, in %s", index, count, found.name,
             precision_name(wish->precision));
    return PS_OK;
}

static ps_status open_cpu(const device_wish *wish, uint32_t threads, const char *why, backend **out,
                          device_choice *chosen, ps_error *error)
{
    *out = NULL;
    if (wish->precision != PRECISION_FP32)
        return ps_fail(error, PS_EINVAL,
                       "--precision %s takes a CUDA device, and it is computed on cpu%s%.400s",
                       precision_name(wish->precision), why[0] ? ": " : "", why);
    snprintf(chosen->name, sizeof chosen->name, "cpu");
    snprintf(chosen->why, sizeof chosen->why, "%s", why);
    return backend_cpu_create(threads, out, error);
}

ps_status device_open(const device_wish *wish, uint32_t rank, uint32_t threads, backend **out,
                      device_choice *chosen, ps_error *error)
{
    *chosen = (device_choice){"", ""};
    ps_error why = {PS_OK, ""};
    ps_status status = PS_OK;
    if (wish->kind == DEVICE_CPU)
        return open_cpu(wish, threads, "", out, chosen, error);
    status = open_cuda(wish, rank, out, chosen, &why);
    if (status == PS_OK)
        return PS_OK;
    /* A device that is lost at the moment is waited for: on another the bits would differ. */
    if (wish->kind == DEVICE_AUTO && status != PS_EDEVICE)
        return open_cpu(wish, threads, why.text, out, chosen, error);
    /* What was asked for is not there: that is a matter of configuration. */
    if (status == PS_ENOENT)
        status = PS_ECONFIG;
    return ps_fail(error, status, "--device %s: %.480s", wish->kind == DEVICE_AUTO ? "auto" : "cuda",
                   why.text);
}

static void list_device(FILE *to, uint32_t index)
{
    cuda_device found;
    ps_error why;
    if (backend_cuda_describe(index, &found, &why) == PS_OK)
        fprintf(to,
                "cuda:%-3u %s, compute capability %d.%d, %d multiprocessors, %.1f GiB, PCI %04x:%02x:%02x\n",
                index, found.name, found.major, found.minor, found.multiprocessors,
                (double)found.memory_bytes / (1 << 30), (unsigned)found.pci_domain, (unsigned)found.pci_bus,
                (unsigned)found.pci_device);
    else
        fprintf(to, "cuda:%-3u %s\n", index, why.text);
}

void device_list(FILE *to)
{
    uint32_t count;
    ps_error why;
    char libraries[DEVICE_TEXT];
    bool usable = backend_cuda_count(&count, &why) == PS_OK;
    fprintf(to, "cpu      OpenBLAS\n");
    for (uint32_t i = 0; usable && i < count; i++)
        list_device(to, i);
    if (usable && backend_cuda_libraries(libraries, sizeof libraries, &why) == PS_OK)
        fprintf(to, "CUDA: %s\n", libraries);
    else
        fprintf(to, "no CUDA: %s\n", why.text);
}
