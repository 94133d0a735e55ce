/* A record as it grows: see follow.h. Only whole lines are ever left behind, so that what the
 * writer cuts off (writer.c) has not been read. */
#include "record/follow.h"
#include "record/reader.h"
#include "record/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROOM = 1024 * 1024 }; /* a longer line is no event (reader.c) */

struct record_follow {
        int fd;             /* owned */
        off_t at;           /* of the first line that has not been given */
        size_t len, given;  /* bytes of room in use, and of these given */
        bool skipping, cut; /* in a line that is too long; at half a line */
        char room[ROOM];
};

int record_follow_open(struct record_follow **out, const char *path)
{
        struct record_follow *follow = calloc(1, sizeof *follow);
        struct stat st;
        int result = 0;

        if (follow == NULL)
                return -ENOMEM;
        follow->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (follow->fd < 0 || fstat(follow->fd, &st) < 0)
                result = -errno;
        else if (!S_ISREG(st.st_mode))
                result = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
        if (result < 0) {
                record_follow_free(follow);
                return result;
        }
        *out = follow;
        return 0;
}

/* Read again what follows the last whole line. Returns whether there is a whole line. */
static bool fill(struct record_follow *f)
{
        ssize_t n;

        f->at += (off_t)f->given;
        f->len = f->given = 0;
        n = pread(f->fd, f->room, ROOM, f->at);
        f->len = n > 0 ? (size_t)n : 0;
        f->cut = f->len > 0;
        if (memchr(f->room, '\n', f->len) != NULL)
                return true;
        if (f->len == ROOM) {
                f->skipping = true;
                f->given = ROOM;
                return fill(f);
        }
        return false;
}

json_t *record_follow_next(struct record_follow *f)
{
        for (;;) {
                char *line = f->room + f->given;
                char *end = memchr(line, '\n', f->len - f->given);
                json_t *event = NULL;

                if (end == NULL && !fill(f))
                        return NULL;
                if (end == NULL)
                        continue;
                if (!f->skipping)
                        event = record_parse(line, (size_t)(end + 1 - line));
                f->skipping = false;
                f->given += (size_t)(end + 1 - line);
                if (event != NULL)
                        return event;
        }
}

bool record_follow_is_written(const struct record_follow *follow)
{
        return record_has_writer(follow->fd);
}

bool record_follow_is_cut(const struct record_follow *follow)
{
        return follow->cut;
}

void record_follow_free(struct record_follow *follow)
{
        if (follow == NULL)
                return;
        if (follow->fd >= 0)
                close(follow->fd);
        free(follow);
}
