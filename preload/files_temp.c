/* Temporary files: glibc makes them without coming through open() or mkdir(). The template's
 * directory is what counts; its X's may have been replaced already. */
#include "files.h"
#include "real.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int made(int fd, const char *name, const char *template)
{
        if (__builtin_expect(fd < 0, 0))
                files_failed_open(name, AT_FDCWD, template, O_CREAT | O_RDWR);
        return fd;
}

EXPORT int mkstemp(char *template)
{
        return made(REAL(mkstemp)(template), "mkstemp", template);
}

EXPORT int mkstemp64(char *template)
{
        return made(REAL(mkstemp64)(template), "mkstemp", template);
}

EXPORT int mkostemp(char *template, int flags)
{
        return made(REAL(mkostemp)(template, flags), "mkostemp", template);
}

EXPORT int mkostemp64(char *template, int flags)
{
        return made(REAL(mkostemp64)(template, flags), "mkostemp", template);
}

EXPORT int mkstemps(char *template, int suffix_len)
{
        return made(REAL(mkstemps)(template, suffix_len), "mkstemps", template);
}

EXPORT int mkstemps64(char *template, int suffix_len)
{
        return made(REAL(mkstemps64)(template, suffix_len), "mkstemps", template);
}

EXPORT int mkostemps(char *template, int suffix_len, int flags)
{
        return made(REAL(mkostemps)(template, suffix_len, flags), "mkostemps", template);
}

EXPORT int mkostemps64(char *template, int suffix_len, int flags)
{
        return made(REAL(mkostemps64)(template, suffix_len, flags), "mkostemps", template);
}

EXPORT char *mkdtemp(char *template)
{
        char *path = REAL(mkdtemp)(template);

        if (__builtin_expect(path == NULL, 0))
                files_failed_path("mkdtemp", AT_FDCWD, template);
        return path;
}

/* tmpfile(3) uses P_tmpdir, whatever TMPDIR says. */
EXPORT FILE *tmpfile(void)
{
        FILE *stream = REAL(tmpfile)();

        if (__builtin_expect(stream == NULL, 0))
                files_failed_path("tmpfile", AT_FDCWD, P_tmpdir);
        return stream;
}

EXPORT FILE *tmpfile64(void)
{
        FILE *stream = REAL(tmpfile64)();

        if (__builtin_expect(stream == NULL, 0))
                files_failed_path("tmpfile", AT_FDCWD, P_tmpdir);
        return stream;
}
