#include "identity/passphrase.h"

#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The group may read: that is how a service manager hands credentials over (systemd shows the mask
 * of an access list there). */
#define FORBIDDEN (S_IWGRP | S_IXGRP | S_IRWXO)
#define MODE_BITS ((mode_t)07777)
/* Bytes of the end of a line. */
#define END_MAX 2

void pqi_passphrase_wipe(pqi_passphrase *passphrase)
{
    pqi_secret_wipe(passphrase, sizeof(*passphrase));
}

static pql_status check_file(int fd, const char *file, pql_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return pqi_fail_errno(err, PQL_E_IO, errno, "Cannot look at the passphrase file %s", file);
    }
    if (!S_ISREG(st.st_mode)) {
        return pqi_fail(err, PQL_E_IDENTITY, "The passphrase has to be in a file, and %s is none.",
                        file);
    }
    if ((st.st_mode & FORBIDDEN) != 0) {
        return pqi_fail(err, PQL_E_IDENTITY,
                        "The passphrase file %s is open to others than its owner (mode %04o). If "
                        "nobody else can have read it, run: chmod 600 %s",
                        file, (unsigned)(st.st_mode & MODE_BITS), file);
    }
    return PQL_OK;
}

/* Up to |size| bytes; negative with errno set when that fails. */
static ssize_t read_all(int fd, char *out, size_t size)
{
    size_t have = 0;
    while (have < size) {
        const ssize_t n = read(fd, out + have, size - have);
        if (n == 0) {
            break;
        }
        if (n > 0) {
            have += (size_t)n;
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return (ssize_t)have;
}

/* The length of the one line of |bytes|, without its end. */
static size_t line_length(const char *bytes, size_t len)
{
    if (len > 0 && bytes[len - 1] == '\n') {
        len--;
        if (len > 0 && bytes[len - 1] == '\r') {
            len--;
        }
    }
    return len;
}

static pql_status take_line(pqi_passphrase *out, const char *bytes, size_t len, const char *file,
                            pql_error *err)
{
    len = line_length(bytes, len);
    if (len == 0) {
        return pqi_fail(err, PQL_E_IDENTITY, "The passphrase file %s is empty.", file);
    }
    if (len > PQI_PASSPHRASE_MAX) {
        return pqi_fail(err, PQL_E_IDENTITY,
                        "The passphrase file %s is longer than a line of %d bytes.", file,
                        PQI_PASSPHRASE_MAX);
    }
    if (memchr(bytes, '\0', len) != NULL || memchr(bytes, '\n', len) != NULL ||
        memchr(bytes, '\r', len) != NULL) {
        return pqi_fail(err, PQL_E_IDENTITY,
                        "The passphrase file %s holds more than one line, or a zero byte.", file);
    }
    memcpy(out->text, bytes, len);
    out->text[len] = '\0';
    out->len = len;
    return PQL_OK;
}

static pql_status read_line(pqi_passphrase *out, int fd, const char *file, pql_error *err)
{
    char bytes[PQI_PASSPHRASE_MAX + END_MAX + 1]; /* one more tells what is too long */
    const ssize_t n = read_all(fd, bytes, sizeof(bytes));
    const pql_status status =
        n < 0 ? pqi_fail_errno(err, PQL_E_IO, errno, "Cannot read the passphrase file %s", file)
              : take_line(out, bytes, (size_t)n, file, err);
    pqi_secret_wipe(bytes, sizeof(bytes));
    return status;
}

pql_status pqi_passphrase_read(pqi_passphrase *out, const char *file, pql_error *err)
{
    *out = (pqi_passphrase){.len = 0};
    /* Not blocking: a named pipe must not keep a program from starting. */
    const int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return pqi_fail_errno(err, PQL_E_IO, errno, "Cannot open the passphrase file %s", file);
    }
    pql_status status = check_file(fd, file, err);
    if (status == PQL_OK) {
        status = read_line(out, fd, file, err);
    }
    (void)close(fd);
    if (status != PQL_OK) {
        pqi_passphrase_wipe(out);
    }
    return status;
}
