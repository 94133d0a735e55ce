/* Which file this program is; see own_exe.h. /proc/self/exe knows, but to ask it is the dearest
 * thing that the library does when a program starts: the kernel has to make this process's part of
 * /proc for it. What execve(2) was given says the same in most programs, and the kernel can be
 * asked whether it does. */
#include "own_exe.h"
#include "sys.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/auxv.h>

enum { LINKS_MAX = 40 }; /* as the kernel follows, path_resolution(7) */

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

/* 0: no symbolic link is on the way; -ELOOP: one is; else: it cannot be told. */
static long look_for_symlinks(const char *path)
{
        struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
        long fd = sys6(SYS_openat2, AT_FDCWD, SYS_LONG(path), SYS_LONG(&how), sizeof how, 0, 0);

        if (fd < 0)
                return fd;
        sys(SYS_close, fd, 0, 0);
        return 0;
}

/* The links of these say more than where something is: fexecve(3) names /dev/fd/N. */
static bool is_magic(const char *path)
{
        return strncmp(path, "/proc/", 6) == 0 || strncmp(path, "/dev/", 5) == 0;
}

/* Take the last component off. */
static size_t parent(const char *path, size_t len)
{
        while (len > 0 && path[--len] != '/')
                ;
        return len;
}

/* Put the link at path, of len bytes so far, before what is left of the way. Returns false if that
 * is too long. */
static bool follow(char *way, const char **left, const char *link, size_t len)
{
        size_t rest = strlen(*left);

        if (len + rest >= OWN_EXE_MAX)
                return false;
        memmove(way + len, *left, rest + 1);
        memcpy(way, link, len);
        *left = way;
        return true;
}

/* The length of the next component at *left, which moves to it. */
static size_t next_name(const char **left)
{
        size_t len = 0;

        while (**left == '/')
                (*left)++;
        while ((*left)[len] != '\0' && (*left)[len] != '/')
                len++;
        return len;
}

bool own_exe_resolve(const char *path, char *out)
{
        char way[OWN_EXE_MAX], link[OWN_EXE_MAX];
        const char *left = way;
        size_t len = 0, name_len;
        int links = 0;
        long n;

        if (strlen(path) >= sizeof way)
                return false;
        memcpy(way, path, strlen(path) + 1);
        while ((name_len = next_name(&left)) > 0) {
                const char *name = left;

                left += name_len;
                if (name_len == 1 && name[0] == '.')
                        continue;
                if (name_len == 2 && name[0] == '.' && name[1] == '.') {
                        len = parent(out, len);
                        continue;
                }
                if (len + 1 + name_len >= OWN_EXE_MAX)
                        return false;
                out[len] = '/';
                memcpy(out + len + 1, name, name_len);
                out[len + 1 + name_len] = '\0';
                n = sys_readlink(out, link, sizeof link);
                if (n == -EINVAL) { /* no link */
                        len += 1 + name_len;
                        continue;
                }
                if (n <= 0 || n == (long)sizeof link || ++links > LINKS_MAX ||
                    !follow(way, &left, link, (size_t)n))
                        return false;
                len = link[0] == '/' ? 0 : len;
        }
        out[len] = '\0';
        return len > 0;
}

/* NULL if what execve(2) was given does not tell. Where the linker was started as a program (there
 * is no AT_BASE then) it is another file's name. /bin is a link nearly everywhere. */
static const char *as_executed(int argc, char **argv, char *space)
{
        const char *path = (const char *)getauxval(AT_EXECFN);
        long result;

        if (path == NULL || path[0] != '/' || getauxval(AT_BASE) == 0 || !is_plain(path) ||
            is_argument(path, argc, argv))
                return NULL;
        result = look_for_symlinks(path);
        if (result == -ELOOP && !is_magic(path))
                return own_exe_resolve(path, space) ? space : NULL;
        return result == 0 ? path : NULL;
}

size_t own_exe(int argc, char **argv, char *out, size_t cap)
{
        char space[OWN_EXE_MAX];
        const char *path = as_executed(argc, argv, space);
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
