/* stdio's writes, which glibc makes without coming through write(): curl and wget write so. */
#include "files.h"
#include "real.h"

#include <errno.h>
#include <stdio.h>

#undef fwrite_unlocked /* some headers make a macro of it */

static void flushed(const char *name, FILE *stream)
{
        int saved = errno, fd = fileno(stream);

        errno = saved;
        if (fd >= 0)
                files_failed_fd(name, fd, WIRE_INTENT_WRITE);
}

EXPORT size_t fwrite(const void *restrict data, size_t size, size_t count, FILE *restrict stream)
{
        size_t n = REAL(fwrite)(data, size, count, stream);

        if (__builtin_expect(n < count, 0) && size != 0)
                flushed("fwrite", stream);
        return n;
}

EXPORT size_t fwrite_unlocked(const void *restrict data, size_t size, size_t count,
                              FILE *restrict stream)
{
        size_t n = REAL(fwrite_unlocked)(data, size, count, stream);

        if (__builtin_expect(n < count, 0) && size != 0)
                flushed("fwrite", stream);
        return n;
}

EXPORT int fflush(FILE *stream)
{
        int result = REAL(fflush)(stream);

        if (__builtin_expect(result != 0, 0) && stream != NULL)
                flushed("fflush", stream);
        return result;
}

/* The stream is gone afterwards: which file it was, nobody can tell any more. */
EXPORT int fclose(FILE *stream)
{
        int result = REAL(fclose)(stream);

        if (__builtin_expect(result != 0, 0) && errno != EBADF)
                files_failed_bare("fclose");
        return result;
}
