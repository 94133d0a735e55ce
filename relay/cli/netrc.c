/* netrc files; see netrc.h. */
#include "cli/netrc.h"
#include "net/upstream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TOKEN_CAP = 512, FILE_CAP = 1 << 20 };

/* The next token: a word, or a string in double quotes with \" \\ \n \r \t in it. A "#" where a
 * token may begin makes the rest of the line a comment. Returns false at the end. */
static bool next_token(const char **at, char out[TOKEN_CAP])
{
        const char *p = *at;
        size_t len = 0;
        bool quoted;

        for (;;) {
                p += strspn(p, " \t\r\n");
                if (*p != '#')
                        break;
                p += strcspn(p, "\n");
        }
        if (*p == '\0')
                return false;
        quoted = *p == '"';
        p += quoted;
        for (; *p != '\0' && (quoted ? *p != '"' : strchr(" \t\r\n", *p) == NULL); p++) {
                char c = *p;

                if (quoted && c == '\\' && p[1] != '\0') {
                        c = *++p;
                        c = c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
                }
                if (len < TOKEN_CAP - 1)
                        out[len++] = c;
        }
        out[len] = '\0';
        *at = p + (quoted && *p == '"');
        return true;
}

/* A macro goes up to an empty line. */
static const char *skip_macro(const char *p)
{
        const char *end = strstr(p, "\n\n");

        return end != NULL ? end + 2 : p + strlen(p);
}

struct entry {
        bool matches; /* it is for the host */
        char user[TOKEN_CAP], password[TOKEN_CAP];
        bool has_user, has_password;
};

static char *result_of(const struct entry *e, const char *user)
{
        char *out;

        if (!e->matches || !e->has_password || (user == NULL && !e->has_user) ||
            (user != NULL && e->has_user && strcmp(user, e->user) != 0))
                return NULL;
        return asprintf(&out, "%s:%s", user != NULL ? user : e->user, e->password) < 0 ? NULL : out;
}

char *netrc_find(const char *text, const char *host, const char *user)
{
        struct entry e = {.matches = false};
        char word[TOKEN_CAP], *found = NULL;

        while (found == NULL && next_token(&text, word)) {
                bool machine = strcmp(word, "machine") == 0;

                if (machine || strcmp(word, "default") == 0) {
                        found = result_of(&e, user);
                        explicit_bzero(&e, sizeof e);
                        e.matches = !machine ||
                                    (next_token(&text, word) && strcasecmp(word, host) == 0);
                } else if (strcmp(word, "login") == 0) {
                        e.has_user = next_token(&text, e.user);
                } else if (strcmp(word, "password") == 0) {
                        e.has_password = next_token(&text, e.password);
                } else if (strcmp(word, "account") == 0) {
                        next_token(&text, word);
                } else if (strcmp(word, "macdef") == 0) {
                        text = skip_macro(text);
                }
        }
        if (found == NULL)
                found = result_of(&e, user);
        explicit_bzero(&e, sizeof e);
        explicit_bzero(word, sizeof word);
        return found;
}

static char *read_all(int fd, size_t size, int *error)
{
        char *text = calloc(1, size + 1);
        size_t len = 0;

        if (text == NULL) {
                *error = -ENOMEM;
                return NULL;
        }
        while (len < size) {
                ssize_t n = read(fd, text + len, size - len);

                if (n < 0) {
                        *error = -errno;
                        wipe_free(text);
                        return NULL;
                }
                if (n == 0)
                        break;
                len += (size_t)n;
        }
        return text;
}

char *netrc_read(const char *path, int *error)
{
        const char *home = getenv("HOME");
        char *own = NULL, *text = NULL;
        struct stat st;
        int fd;

        *error = 0;
        if (*path == '\0' && (home == NULL || asprintf(&own, "%s/.netrc", home) < 0))
                return NULL;
        fd = open(own != NULL ? own : path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0 || fstat(fd, &st) < 0)
                *error = errno == ENOENT ? 0 : -errno;
        else if (!S_ISREG(st.st_mode) || st.st_size > FILE_CAP)
                *error = -EINVAL;
        else if ((st.st_mode & 077) != 0 || (st.st_uid != geteuid() && st.st_uid != 0))
                *error = -EPERM;
        else
                text = read_all(fd, (size_t)st.st_size, error);
        if (fd >= 0)
                close(fd);
        free(own);
        return text;
}
