/* Which file this program is; see own_exe.h. /proc/self/exe knows, but to ask it is the dearest
 * thing that the library does when a program starts: the kernel has to make this process's part of
 * /proc for it. What execve(2) was given says the same in most programs, and the kernel can be
 * asked whether it does. */
#include "own_exe.h"
#include "sys.h"
#include "text.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/auxv.h>

/* Names no file twice over: "//", "/./", "/../". */
static bool is_plain(const char *path)
{
        size_t len = strlen(path);

        return memmem(path, len, "//", 2) == NULL && memmem(path, len, "/./", 3) == NULL &&
               memmem(path, len, "/../", 4) == NULL;
}

/* The kernel puts the name of a script among the arguments of its interpreter, which the program
 * then is; binfmt_misc(5) does the same. */
static bool is_argument(const char *path, int argc, char **argv)
{
        for (int i = 1; i < argc && argv[i] != NULL; i++)
                if (strcmp(argv[i], path) == 0)
                        return true;
        return false;
}

static bool has_symlinks(const char *path)
{
        struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
        long fd = sys6(SYS_openat2, AT_FDCWD, SYS_LONG(path), SYS_LONG(&how), sizeof how, 0, 0);

        if (fd >= 0)
                sys(SYS_close, fd, 0, 0);
        return fd < 0; /* or cannot be asked */
}

/* NULL if what execve(2) was given does not tell. Where the linker was started as a program (there
 * is no AT_BASE then) it is another file's name. */
static const char *as_executed(int argc, char **argv)
{
        const char *path = (const char *)getauxval(AT_EXECFN);

        if (path == NULL || path[0] != '/' || getauxval(AT_BASE) == 0 || !is_plain(path) ||
            is_argument(path, argc, argv) || has_symlinks(path))
                return NULL;
        return path;
}

size_t own_exe(int argc, char **argv, char *out, size_t cap)
{
        const char *path = as_executed(argc, argv);
        long n;

        if (path != NULL) {
                n = (long)text_len(path, cap - 1);
                memcpy(out, path, (size_t)n);
        } else {
                n = sys_readlink("/proc/self/exe", out, cap - 1);
        }
        n = n > 0 ? n : 0;
        out[n] = '\0';
        return (size_t)n;
}
