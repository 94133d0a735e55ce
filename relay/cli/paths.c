/* Where tapline keeps things; see paths.h. */
#include "cli/paths.h"
#include "tapline_names.h"

#include <dirent.h>
#include <fcntl.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

__attribute__((format(printf, 1, 2))) static char *format(const char *text, ...)
{
        char *out;
        va_list list;
        int n;

        va_start(list, text);
        n = vasprintf(&out, text, list);
        va_end(list);
        return n >= 0 ? out : NULL;
}

char *path_absolute(const char *path)
{
        char cwd[PATH_MAX];

        if (path[0] == '/')
                return strdup(path);
        return getcwd(cwd, sizeof cwd) != NULL ? format("%s/%s", cwd, path) : NULL;
}

/* An XDG base directory: the variable if it is absolute, else below HOME. */
static char *base(const char *variable, const char *below_home)
{
        const char *value = getenv(variable), *home = getenv("HOME");

        if (value != NULL && value[0] == '/')
                return strdup(value);
        return home != NULL && home[0] == '/' && below_home != NULL
                       ? format("%s/%s", home, below_home)
                       : NULL;
}

/* Where things for a while can go: the first is what everybody takes, and may be what is broken. */
static const char *temp(size_t at)
{
        static const char *const others[] = {"/tmp", "/var/tmp", "/dev/shm"};
        const char *dir = getenv("TMPDIR");
        bool told = dir != NULL && dir[0] == '/';

        if (at == 0 && told)
                return dir;
        at -= told;
        return at < sizeof others / sizeof others[0] ? others[at] : NULL;
}

char *path_config(const char *name)
{
        char *dir = base("XDG_CONFIG_HOME", ".config"), *path = NULL;

        if (dir != NULL)
                path = format("%s/" TAPLINE_DIR_NAME "/%s", dir, name);
        free(dir);
        return path;
}

/* Make dir and its parents; the last one 0700. Returns 0 if it is there, a directory and ours. */
static int make_dir(const char *dir)
{
        char part[PATH_MAX];
        struct stat st;

        for (const char *slash = strchr(dir + 1, '/'); slash != NULL;
             slash = strchr(slash + 1, '/')) {
                snprintf(part, sizeof part, "%.*s", (int)(slash - dir), dir);
                if (mkdir(part, 0755) < 0 && errno != EEXIST && errno != EROFS && errno != EACCES)
                        return -errno;
        }
        if (mkdir(dir, 0700) < 0 && errno != EEXIST)
                return -errno;
        if (lstat(dir, &st) < 0)
                return -errno;
        return S_ISDIR(st.st_mode) && st.st_uid == geteuid() ? 0 : -EPERM;
}

/* The user's own directory below a temp directory: of the first, the library computes the same
 * name. */
static char *temp_dir(const char *temp)
{
        return format("%s/" TAPLINE_DIR_NAME "-%u", temp, (unsigned)geteuid());
}

char *path_default_socket(void)
{
        char *runtime = base("XDG_RUNTIME_DIR", NULL), *path = NULL;
        char *dir = runtime != NULL ? format("%s/" TAPLINE_DIR_NAME, runtime) : temp_dir(temp(0));

        if (dir != NULL && make_dir(dir) == 0 && chmod(dir, 0700) == 0)
                path = format("%s/" TAPLINE_SOCKET_NAME, dir);
        free(runtime);
        free(dir);
        return path;
}

static char *make_temp(const char *parent)
{
        char *dir = format("%s/" TAPLINE_DIR_NAME "-XXXXXX", parent);
        struct sockaddr_un address;

        /* The control socket in it must fit into a socket address. */
        if (dir != NULL &&
            strlen(dir) + sizeof "/" TAPLINE_SOCKET_NAME <= sizeof address.sun_path &&
            strpbrk(dir, ": ") == NULL && mkdtemp(dir) != NULL) {
                /* What root runs may drop to another user (apt does) and must still find the
                 * certificates; the socket in it stays 0600. */
                if (geteuid() == 0 && chmod(dir, 0711) < 0)
                        fprintf(stderr, "tapline: note: %s stays closed to other users\n", dir);
                return dir;
        }
        free(dir);
        return NULL;
}

char *path_make_run_dir(void)
{
        const char *runtime = getenv("XDG_RUNTIME_DIR");
        char *dir = runtime != NULL && runtime[0] == '/' ? make_temp(runtime) : NULL;

        for (size_t i = 0; dir == NULL && temp(i) != NULL; i++)
                dir = make_temp(temp(i));
        return dir;
}

void path_remove_run_dir(const char *dir)
{
        DIR *list = opendir(dir);
        struct dirent *entry;

        while (list != NULL && (entry = readdir(list)) != NULL)
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        unlinkat(dirfd(list), entry->d_name, 0);
        if (list != NULL)
                closedir(list);
        rmdir(dir);
}

static char *state_dir(void)
{
        char *dir = base("XDG_STATE_HOME", ".local/state"), *path = NULL;

        if (dir != NULL)
                path = format("%s/" TAPLINE_DIR_NAME, dir);
        free(dir);
        return path;
}

/* A directory of the user's own that takes a file, or NULL. Takes dir. A temp directory that is
 * missing stays so: the command is to meet the same. */
static char *usable(char *dir, const char *parent)
{
        if (dir != NULL && (parent == NULL || access(parent, W_OK | X_OK) == 0) &&
            make_dir(dir) == 0 && access(dir, W_OK | X_OK) == 0)
                return dir;
        free(dir);
        return NULL;
}

char *path_new_record(int *fallback)
{
        char *dir = usable(state_dir(), NULL), stamp[32], *path = NULL;
        time_t now = time(NULL);
        struct tm tm;

        *fallback = dir == NULL;
        for (size_t i = 0; dir == NULL && temp(i) != NULL; i++)
                dir = usable(temp_dir(temp(i)), temp(i));
        gmtime_r(&now, &tm);
        strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm);
        if (dir != NULL)
                path = format("%s/%s-%d.jsonl", dir, stamp, (int)getpid());
        free(dir);
        return path;
}

static void look_for_newest(const char *dir, char **best, struct timespec *best_time)
{
        DIR *list = dir != NULL ? opendir(dir) : NULL;
        struct dirent *entry;
        struct stat st;

        while (list != NULL && (entry = readdir(list)) != NULL) {
                size_t len = strlen(entry->d_name);

                if (len < 6 || strcmp(entry->d_name + len - 6, ".jsonl") != 0 ||
                    fstatat(dirfd(list), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
                    !S_ISREG(st.st_mode) || st.st_uid != geteuid())
                        continue;
                if (*best != NULL && (st.st_mtim.tv_sec < best_time->tv_sec ||
                                      (st.st_mtim.tv_sec == best_time->tv_sec &&
                                       st.st_mtim.tv_nsec < best_time->tv_nsec)))
                        continue;
                free(*best);
                *best = format("%s/%s", dir, entry->d_name);
                *best_time = st.st_mtim;
        }
        if (list != NULL)
                closedir(list);
}

char *path_newest_record(void)
{
        char *dir = state_dir(), *best = NULL;
        struct timespec best_time = {0, 0};

        look_for_newest(dir, &best, &best_time);
        free(dir);
        for (size_t i = 0; temp(i) != NULL; i++) {
                dir = temp_dir(temp(i));
                look_for_newest(dir, &best, &best_time);
                free(dir);
        }
        return best;
}

/* NAME beside the running program, else in an installed directory. */
static char *beside(const char *name, const char *installed)
{
        char exe[PATH_MAX], *slash, *path;
        ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);

        exe[n > 0 ? n : 0] = '\0';
        slash = strrchr(exe, '/');
        if (slash != NULL) {
                path = format("%.*s/%s", (int)(slash - exe), exe, name);
                if (path != NULL && access(path, R_OK) == 0)
                        return path;
                free(path);
        }
        path = format("%s/%s", installed, name);
        if (path != NULL && access(path, R_OK) == 0)
                return path;
        free(path);
        return NULL;
}

char *path_library(void)
{
        return beside(TAPLINE_LIB_NAME, TAPLINE_LIBDIR);
}

char *path_catalogue(void)
{
        return beside("catalogue.conf", TAPLINE_DATADIR);
}
