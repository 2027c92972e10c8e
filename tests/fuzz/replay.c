/* replay.c - feeds stored inputs to a fuzz target where libFuzzer is not at hand.
 *
 * Arguments are files and folders of files. Each input lies in memory of exactly its size, so that
 * AddressSanitizer sees a read beyond it. */
#include <dirent.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

static bool feed_file(const char *path)
{
    struct stat about;
    FILE *file = fopen(path, "rb");
    if (!file || fstat(fileno(file), &about) != 0) {
        perror(path);
        if (file)
            fclose(file);
        return false;
    }
    const size_t bytes = (size_t)about.st_size;
    uint8_t *data = malloc(bytes ? bytes : 1);
    const bool read = data && fread(data, 1, bytes, file) == bytes;
    fclose(file);
    if (read) {
        printf("%s\n", path);
        fflush(stdout); /* names the input even if the target aborts */
        LLVMFuzzerTestOneInput(data, bytes);
    } else {
        fprintf(stderr, "%s: cannot be read\n", path);
    }
    free(data);
    return read;
}

/* Counts the inputs fed in `fed`. */
static bool feed_folder(const char *path, size_t *fed)
{
    DIR *folder = opendir(path);
    if (!folder) {
        perror(path);
        return false;
    }
    bool ok = true;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        char name[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        ok = feed_file(name) && ok;
        ++*fed;
    }
    closedir(folder);
    return ok;
}

int main(int argc, char **argv)
{
    bool ok = true;
    size_t fed = 0;
    for (int i = 1; i < argc; i++) {
        struct stat about;
        if (stat(argv[i], &about) == 0 && S_ISDIR(about.st_mode)) {
            ok = feed_folder(argv[i], &fed) && ok;
        } else {
            ok = feed_file(argv[i]) && ok;
            fed++;
        }
    }
    if (fed == 0)
        fprintf(stderr, "no input was given\n");
    printf("%zu inputs replayed\n", fed);
    return ok && fed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
