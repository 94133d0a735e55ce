/* Programs that could not be executed: no permission, or a mount that runs none (noexec). */
#include "files.h"
#include "text.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_program(int dir, const char *path)
{
        mode_t type = files_type_at(dir, path);

        return type != 0 && type != S_IFDIR;
}

/* ENOENT is the answer to most of a search; EACCES also where the search may not go on. */
void files_failed_exec(const char *name, int dir, const char *path)
{
        int saved = errno;

        if ((saved == EACCES || saved == EPERM) && path != NULL && is_program(dir, path)) {
                errno = saved;
                files_failed(&(struct file_call){
                        .name = name, .dir = dir, .path = path, .intent = WIRE_INTENT_EXECUTE});
        }
        errno = saved;
}

/* The first that is there is the one meant: execvp(3) goes on behind it, and finds none. */
void files_failed_search(const char *name, const char *file)
{
        const char *path = getenv("PATH");
        size_t len = file != NULL ? text_len(file, NAME_MAX + 1) : 0;
        char full[PATH_MAX];

        if ((errno != EACCES && errno != EPERM) || len == 0 || len > NAME_MAX)
                return;
        if (strchr(file, '/') != NULL) {
                files_failed_exec(name, AT_FDCWD, file);
                return;
        }
        for (const char *at = path, *end; at != NULL; at = end != NULL ? end + 1 : NULL) {
                size_t n = (end = strchr(at, ':')) != NULL ? (size_t)(end - at) : strlen(at);
                int saved = errno;

                if (n > 0 && n + len + 2 <= sizeof full) {
                        memcpy(full, at, n);
                        full[n] = '/';
                        memcpy(full + n + 1, file, len + 1);
                        if (is_program(AT_FDCWD, full)) {
                                errno = saved;
                                files_failed_exec(name, AT_FDCWD, full);
                                return;
                        }
                }
                errno = saved;
        }
}
