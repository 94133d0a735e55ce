/* What the fuzz targets share. Each is one file with LLVMFuzzerTestOneInput(), linked with
 * libFuzzer by `make fuzz`, or with replay.c, which runs the committed corpus through it in `make
 * check`. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A statement about the code under test that has to hold for every input. */
#define REQUIRE(condition)                                                                         \
        do {                                                                                       \
                if (!(condition)) {                                                                \
                        fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);  \
                        abort();                                                                   \
                }                                                                                  \
        } while (0)

/* A copy of exactly that length, so that a read beyond it is seen. Caller frees. */
static inline char *fuzz_copy(const uint8_t *data, size_t len)
{
        char *copy = malloc(len > 0 ? len : 1);

        if (copy == NULL)
                abort();
        if (len > 0)
                memcpy(copy, data, len);
        return copy;
}

/* The same as a string. Caller frees. */
static inline char *fuzz_string(const uint8_t *data, size_t len)
{
        char *copy = malloc(len + 1);

        if (copy == NULL)
                abort();
        if (len > 0)
                memcpy(copy, data, len);
        copy[len] = '\0';
        return copy;
}

/* A file of these bytes, in memory; its path is written into path. Returns the descriptor, which
 * the caller closes. */
static inline int fuzz_file(const uint8_t *data, size_t len, char path[32])
{
        int fd = memfd_create("fuzz", MFD_CLOEXEC);

        if (fd < 0 || write(fd, data, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) != 0)
                abort();
        snprintf(path, 32, "/proc/self/fd/%d", fd);
        return fd;
}

#endif
