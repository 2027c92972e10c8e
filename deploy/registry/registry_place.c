/* registry_place.c - see registry_place.h. */
#include "deploy/registry/registry_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "common/path.h"

enum { REASONS_MAX = 4 };

/* File systems that several hosts may have mounted; any other is taken for this host's own. */
static const struct {
    long magic;
    const char *name;
    bool locks_hold;                 /* between hosts ... */
    const char *unless[REASONS_MAX]; /* ... but with one of these options */
} shared[] = {
    {0x6969, "NFS", true, {"nolock", "local_lock=all", "local_lock=posix", "local_lock=flock"}},
    {0xff534d42, "CIFS", true, {"nobrl"}},
    {0xfe534d42, "SMB", true, {"nobrl"}},
    {0x0bd00bd0, "Lustre", true, {"localflock", "noflock"}},
    {0x00c36400, "CephFS", true, {NULL}},
    {0x47504653, "GPFS", true, {NULL}},
    {0x01161970, "GFS2", true, {"localflocks"}},
    {0x7461636f, "OCFS2", true, {"localflocks"}},
    {0x65735546, "FUSE", false, {NULL}},
    {0x01021997, "9p", false, {NULL}},
    {0x5346414f, "AFS", false, {NULL}},
    {0x6b414653, "AFS", false, {NULL}},
    {0x73757245, "Coda", false, {NULL}},
    {0x517b, "SMB", false, {NULL}},
    {0x19830326, "BeeGFS", false, {NULL}},
};

static bool has_option(const char *options, const char *wanted)
{
    const size_t length = strlen(wanted);
    while (options) {
        if (strncmp(options, wanted, length) == 0 && (options[length] == ',' || options[length] == '\0'))
            return true;
        options = strchr(options, ',');
        options = options ? options + 1 : NULL;
    }
    return false;
}

ps_status registry_place_judge(const char *folder, long magic, const char *options, registry_place *place,
                               ps_error *error)
{
    *place = PLACE_OF_ONE_HOST;
    for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++) {
        if (shared[i].magic != (magic & 0xffffffff))
            continue;
        *place = PLACE_OF_MANY_HOSTS;
        if (!shared[i].locks_hold)
            return ps_fail(
                error, PS_ECONFIG,
                "the registry %s lies on %s, whose locks cannot be relied on; put it on a local disk, "
                "or on NFS with locks",
                folder, shared[i].name);
        for (size_t k = 0; k < REASONS_MAX && shared[i].unless[k]; k++)
            if (has_option(options, shared[i].unless[k]))
                return ps_fail(
                    error, PS_ECONFIG,
                    "the registry %s lies on %s that is mounted with %s: its locks hold on this host "
                    "alone; mount it without, or put the registry elsewhere",
                    folder, shared[i].name, shared[i].unless[k]);
    }
    return PS_OK;
}

/* The options of a mount and of its file system, "rw,relatime,rw,vers=4.2", by the device number that
 * /proc/self/mountinfo has. Empty if it is not there. */
static void read_options(dev_t device, char *options, size_t bytes)
{
    char *line = NULL;
    size_t room = 0;
    options[0] = '\0';
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    while (mounts && getline(&line, &room, mounts) > 0) {
        unsigned major_number, minor_number;
        int at = 0;
        /* 36 35 98:0 /root /mountpoint rw,noatime master:1 - ext4 /dev/root rw,errors=continue */
        if (sscanf(line, "%*s %*s %u:%u %*s %*s %n", &major_number, &minor_number, &at) != 2 || at == 0 ||
            makedev(major_number, minor_number) != device)
            continue;
        const char *more = strstr(line + at, " - ");
        char super[1024] = "";
        if (more)
            sscanf(more, " - %*s %*s %1023s", super);
        snprintf(options, bytes, "%.*s,%s", (int)strcspn(line + at, " \n"), line + at, super);
    }
    free(line);
    if (mounts)
        fclose(mounts);
}

ps_status registry_place_find(const char *folder, registry_place *place, ps_error *error)
{
    struct statfs system;
    struct stat about;
    char options[2048];
    if (statfs(folder, &system) != 0 || stat(folder, &about) != 0)
        return path_fail(error, "read", folder);
    read_options(about.st_dev, options, sizeof options);
    return registry_place_judge(folder, (long)system.f_type, options, place, error);
}
