/* lock_holder.c - see lock_holder.h. The kernel tells in /proc/locks. */
#include "deploy/registry/lock_holder.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static void read_command(int process, char *name, size_t bytes)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/comm", process);
    name[0] = '\0';
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    if (fgets(name, (int)bytes, file))
        name[strcspn(name, "\n")] = '\0';
    fclose(file);
}

bool lock_holder_name(const char *path, char *text, size_t bytes)
{
    struct stat about;
    FILE *locks = stat(path, &about) == 0 ? fopen("/proc/locks", "re") : NULL;
    char line[256], command[64];
    bool found = false;
    if (!locks)
        return false;
    while (!found && fgets(line, sizeof line, locks)) {
        char kind[16], access[16];
        int process;
        unsigned major_number, minor_number;
        unsigned long long inode;
        /* 1: POSIX  ADVISORY  WRITE 4711 08:01:393322 120 120 */
        found = sscanf(line, "%*s %15s %*s %15s %d %x:%x:%llu", kind, access, &process, &major_number,
                       &minor_number, &inode) == 6 &&
                strcmp(access, "WRITE") == 0 && process != getpid() && inode == about.st_ino &&
                major_number == major(about.st_dev) && minor_number == minor(about.st_dev);
        if (found) {
            read_command(process, command, sizeof command);
            snprintf(text, bytes, "process %d (%s)", process, command[0] ? command : "gone");
        }
    }
    fclose(locks);
    return found;
}
