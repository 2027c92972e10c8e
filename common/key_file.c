/* key_file.c - see key_file.h. */
#include "common/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/text_lines.h"

bool key_is_valid(const char *text, size_t length)
{
    static const char z85[] =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
    for (size_t i = 0; length == KEY_TEXT && i < KEY_TEXT; i++)
        if (text[i] == '\0' || !strchr(z85, text[i]))
            return false;
    return length == KEY_TEXT;
}

void key_pair_wipe(key_pair *pair)
{
    explicit_bzero(pair->secret_key, sizeof pair->secret_key);
}

/* ---- reading ---- */

/* "WORD KEY", and not for the second time. */
static bool take_key(const char *line, size_t length, const char *word, char *key)
{
    const size_t before = strlen(word);
    if (length != before + 1 + KEY_TEXT || strncmp(line, word, before) != 0 || line[before] != ' ' ||
        !key_is_valid(line + before + 1, KEY_TEXT) || key[0] != '\0')
        return false;
    memcpy(key, line + before + 1, KEY_TEXT);
    key[KEY_TEXT] = '\0';
    return true;
}

static bool parse(const char *text, size_t bytes, key_pair *pair)
{
    text_lines lines = {text, text + bytes};
    const char *line;
    size_t length;
    while (text_lines_next(&lines, &line, &length))
        if (!take_key(line, length, "public", pair->public_key) &&
            !take_key(line, length, "secret", pair->secret_key))
            return false;
    return pair->public_key[0] != '\0';
}

/* `for_owner`: a file that others may read is refused. */
static ps_status read_keys(const char *path, bool for_owner, key_pair *pair, ps_error *error)
{
    char *text;
    size_t bytes;
    struct stat about;
    memset(pair, 0, sizeof *pair);
    ps_status status = file_read_regular(path, KEY_FILE_BYTES_MAX, &text, &bytes, &about, error);
    if (status != PS_OK)
        return status;
    if (for_owner && file_is_read_by_others(&about)) {
        status = ps_fail(error, PS_ECONFIG, "%s: others may read this secret key (mode %04o): chmod 600",
                         path, (unsigned)about.st_mode & 07777);
    } else if (!parse(text, bytes, pair)) {
        key_pair_wipe(pair);
        status = ps_fail(error, PS_ECONFIG, "%s is no key file (penstock keygen makes them)", path);
    }
    explicit_bzero(text, bytes);
    free(text);
    return status;
}

ps_status key_file_read_pair(const char *path, key_pair *pair, ps_error *error)
{
    ps_status status = read_keys(path, true, pair, error);
    if (status == PS_OK && pair->secret_key[0] == '\0')
        status = ps_fail(error, PS_ECONFIG, "%s holds no secret key", path);
    return status;
}

ps_status key_file_read_public(const char *path, char *key, ps_error *error)
{
    key_pair pair;
    ps_status status = read_keys(path, false, &pair, error);
    if (status == PS_OK)
        memcpy(key, pair.public_key, sizeof pair.public_key);
    key_pair_wipe(&pair);
    return status;
}

/* ---- writing ---- */

/* All or nothing: what a failure leaves is removed. */
static ps_status write_new(const char *path, mode_t mode, const char *text, ps_error *error)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return ps_fail(error, errno == EEXIST ? PS_ESTATE : PS_EIO, "cannot make %s: %s", path,
                       strerror(errno));
    const size_t bytes = strlen(text);
    errno = 0; /* a disk that takes only a part of so little is full */
    int failed = write(fd, text, bytes) == (ssize_t)bytes ? 0 : errno ? errno : ENOSPC;
    if (!failed && fsync(fd) != 0)
        failed = errno;
    if (close(fd) != 0 && !failed)
        failed = errno;
    if (!failed)
        return PS_OK;
    unlink(path);
    return ps_fail(error, PS_EIO, "cannot write %s: %s", path, strerror(failed));
}

ps_status key_file_write_pair(const char *path, const key_pair *pair, const char *whose, ps_error *error)
{
    char text[KEY_FILE_BYTES_MAX];
    snprintf(text, sizeof text, "# Penstock: the secret key of %s\npublic %s\nsecret %s\n", whose,
             pair->public_key, pair->secret_key);
    ps_status status = write_new(path, 0600, text, error);
    explicit_bzero(text, sizeof text);
    return status;
}

ps_status key_file_write_public(const char *path, const key_pair *pair, const char *whose, ps_error *error)
{
    char text[KEY_FILE_BYTES_MAX];
    snprintf(text, sizeof text, "# Penstock: the public key of %s\npublic %s\n", whose, pair->public_key);
    return write_new(path, 0644, text, error);
}
