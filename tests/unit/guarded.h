/* Memory that ends where reading on is a crash: a piece fed to a parser from here shows every byte
 * read beyond it. Used by the tests of parsers. */
#ifndef GUARDED_H
#define GUARDED_H

#include <assert.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { GUARDED_CAP = 1 << 17 };

/* A copy of data whose last byte is the last of its page, before one that cannot be touched. Valid
 * until the next call. */
static inline const void *guarded(const void *data, size_t len)
{
        static char *area;

        assert(len <= GUARDED_CAP);
        if (!area) {
                area = mmap(NULL, GUARDED_CAP + 65536, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                assert(area != MAP_FAILED);
                assert(mprotect(area + GUARDED_CAP, 65536, PROT_NONE) == 0);
        }
        return memcpy(area + GUARDED_CAP - len, data, len);
}

#endif
