/* network.c - see network.h. */
#include "deploy/launch/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "deploy/launch/ports.h"

enum { QUEUED_PACKETS = 10000 /* by the kernel, until we read them */ };

static const char tun_path[] = "/dev/net/tun";
static const char own_space[] = "/proc/thread-self/ns/net";

static ps_status failed(ps_error *error, const char *step)
{
    return ps_fail(error, PS_EIO, "cannot set up a network namespace: %s: %s", step, strerror(errno));
}

/* ---- devices, of the namespace that we are in ---- */

static ps_status change(int control, unsigned long request, struct ifreq *what, const char *step,
                        ps_error *error)
{
    return ioctl(control, request, what) == 0 ? PS_OK : failed(error, step);
}

static ps_status set_address(int control, unsigned long request, struct ifreq *what, uint32_t address,
                             const char *step, ps_error *error)
{
    const struct sockaddr_in value = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
    memcpy(&what->ifr_addr, &value, sizeof value);
    return change(control, request, what, step, error);
}

static ps_status bring_up(int control, const char *name, ps_error *error)
{
    struct ifreq device = {.ifr_flags = IFF_UP | IFF_RUNNING};
    snprintf(device.ifr_name, sizeof device.ifr_name, "%s", name);
    return change(control, SIOCSIFFLAGS, &device, "SIOCSIFFLAGS", error);
}

static ps_status open_device(int *fd, struct ifreq *device, ps_error *error)
{
    *fd = open(tun_path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (*fd < 0)
        return failed(error, tun_path);
    device->ifr_flags = IFF_TUN | IFF_NO_PI;
    return change(*fd, TUNSETIFF, device, "TUNSETIFF", error);
}

static ps_status set_up_devices(int control, uint32_t address, int *fd, ps_error *error)
{
    struct ifreq device = {.ifr_name = "link0"};
    ps_status status = bring_up(control, "lo", error);
    if (status == PS_OK)
        status = open_device(fd, &device, error);
    if (status == PS_OK)
        status = set_address(control, SIOCSIFADDR, &device, address, "SIOCSIFADDR", error);
    if (status == PS_OK)
        status = set_address(control, SIOCSIFNETMASK, &device, UINT32_MAX << (32 - NETWORK_PREFIX),
                             "SIOCSIFNETMASK", error);
    device.ifr_mtu = NETWORK_MTU;
    if (status == PS_OK)
        status = change(control, SIOCSIFMTU, &device, "SIOCSIFMTU", error);
    device.ifr_qlen = QUEUED_PACKETS;
    if (status == PS_OK)
        (void)ioctl(control, SIOCSIFTXQLEN, &device); /* without root we get along with the kernel's 500 */
    if (status == PS_OK)
        status = bring_up(control, device.ifr_name, error);
    return status;
}

/* ---- the right ---- */

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    int cause = errno;
    if (fd >= 0)
        close(fd);
    errno = cause;
    return good;
}

/* Namespaces of users and networks, where we have all rights and are who we were. */
static bool become_own_master(void)
{
    char users[64], groups[64];
    snprintf(users, sizeof users, "%u %u 1", (unsigned)geteuid(), (unsigned)geteuid());
    snprintf(groups, sizeof groups, "%u %u 1", (unsigned)getegid(), (unsigned)getegid());
    return unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 && write_text("/proc/self/setgroups", "deny") &&
           write_text("/proc/self/uid_map", users) && write_text("/proc/self/gid_map", groups);
}

static ps_status open_loopback(ps_error *error)
{
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (control < 0)
        return failed(error, "socket");
    ps_status status = bring_up(control, "lo", error);
    close(control);
    return status;
}

static ps_status refuse(ps_error *error, const char *what)
{
    return ps_fail(error, PS_ECONFIG, "%s: %s", what,
                   errno == ENOSPC ? "a limit in /proc/sys/user is reached" : strerror(errno));
}

ps_status network_gain_right(int *home, ps_error *error)
{
    *home = -1;
    int device = open(tun_path, O_RDWR | O_CLOEXEC);
    if (device < 0)
        return refuse(error, "/dev/net/tun cannot be opened");
    close(device);
    int first = open(own_space, O_RDONLY | O_CLOEXEC);
    if (first < 0)
        return refuse(error, own_space);
    bool privileged = unshare(CLONE_NEWNET) == 0;
    if (privileged && setns(first, CLONE_NEWNET) == 0) {
        *home = first;
        return PS_OK;
    }
    close(first);
    if (privileged)
        return refuse(error, "no way back from a network namespace");
    if (!become_own_master())
        return refuse(error,
                      "no right to make network namespaces (CAP_SYS_ADMIN, or user namespaces for all)");
    *home = open(own_space, O_RDONLY | O_CLOEXEC);
    return *home < 0 ? refuse(error, own_space) : open_loopback(error);
}

/* ---- namespaces ---- */

static ps_status go_home(int home, ps_status status, ps_error *error)
{
    return setns(home, CLONE_NEWNET) == 0 || status != PS_OK ? status : failed(error, "setns");
}

ps_status network_create(int home, uint32_t address, network *out, ps_error *error)
{
    *out = (network){.space = -1, .device = -1};
    if (unshare(CLONE_NEWNET) != 0)
        return failed(error, "unshare");
    ps_status status = PS_OK;
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    out->space = open(own_space, O_RDONLY | O_CLOEXEC);
    if (control < 0 || out->space < 0)
        status = failed(error, control < 0 ? "socket" : own_space);
    if (status == PS_OK)
        status = set_up_devices(control, address, &out->device, error);
    if (control >= 0)
        close(control);
    status = go_home(home, status, error);
    if (status != PS_OK)
        network_close(out);
    return status;
}

void network_close(network *n)
{
    if (n->space >= 0)
        close(n->space);
    if (n->device >= 0)
        close(n->device);
    *n = (network){.space = -1, .device = -1};
}

ps_status network_reserve(const network *n, int home, uint32_t address, bool listening, int *socket_fd,
                          uint16_t *port, ps_error *error)
{
    if (setns(n->space, CLONE_NEWNET) != 0)
        return failed(error, "setns");
    ps_status status = port_reserve_at(address, listening, socket_fd, port, error);
    return go_home(home, status, error);
}
