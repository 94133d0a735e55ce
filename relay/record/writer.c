/* The record's file. See writer.h. */
#include "record/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER_CAP = 256 * 1024 };

struct record {
        int fd; /* owned; -1: events are counted and dropped */
        size_t len;
        int error; /* first failure since the last flush, -errno */
        void (*echo)(const char *line, size_t len);
        bool told;        /* the failure has been reported on standard error */
        uint64_t dropped; /* events */
        uint64_t pending; /* events in the buffer */
        char *path;       /* owned */
        char buffer[BUFFER_CAP];
};

/* Who writes holds a lock on a byte of its own, this far into the file and no data of ours, for as
 * long as it is open: bytes that are locked may be written. That nobody does shows a reader that
 * nothing more will come, however the writer ended. No process has a number above 2^22 (proc(5),
 * pid_max). */
enum { WRITERS = 1 << 30, WRITERS_LEN = 1 << 23 };

static void mark_writer(int fd)
{
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

        lock.l_start = WRITERS + getpid();
        lock.l_len = 1;
        (void)fcntl(fd, F_OFD_SETLK, &lock);
}

bool record_has_writer(int fd)
{
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

        lock.l_start = WRITERS;
        lock.l_len = WRITERS_LEN;
        return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static int open_file(const char *path)
{
        struct stat st;
        /* Without O_NONBLOCK a FIFO that somebody has put there would hold us for ever. */
        int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
                      0600);

        if (fd < 0)
                return errno == ELOOP ? -EPERM : -errno;
        /* A second name of a file is a way to have another one written to. */
        if (fstat(fd, &st) < 0 || st.st_uid != geteuid() || st.st_nlink > 1) {
                close(fd);
                return -EPERM;
        }
        mark_writer(fd);
        return fd;
}

int record_open(struct record **out, const char *path)
{
        struct record *rec = calloc(1, sizeof *rec);

        if (rec == NULL)
                return -ENOMEM;
        rec->fd = -1;
        if (path != NULL) {
                rec->fd = open_file(path);
                rec->path = strdup(path);
        }
        if (path != NULL && (rec->fd < 0 || rec->path == NULL)) {
                int error = rec->fd < 0 ? rec->fd : -ENOMEM;

                record_free(rec);
                return error;
        }
        *out = rec;
        return 0;
}

/* A short write on a full disk leaves half a line; cut off the done bytes again, so that the next
 * whole line that fits is readable. They end where the descriptor stands (O_APPEND). */
static void write_failed(struct record *rec, int error, size_t done)
{
        off_t whole = done > 0 ? lseek(rec->fd, 0, SEEK_CUR) - (off_t)done : -1;

        rec->error = rec->error != 0 ? rec->error : -error;
        rec->dropped += rec->pending;
        if (whole >= 0 && ftruncate(rec->fd, whole) < 0)
                rec->error = -errno;
        if (!rec->told)
                fprintf(stderr, "tapline: cannot write the record %s: %s; events are being lost\n",
                        rec->path, strerror(error));
        rec->told = true;
}

int record_flush(struct record *rec)
{
        int result;

        for (size_t done = 0; rec->fd >= 0 && done < rec->len;) {
                ssize_t n = write(rec->fd, rec->buffer + done, rec->len - done);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0) {
                        write_failed(rec, n < 0 ? errno : ENOSPC, done);
                        break;
                }
                done += (size_t)n;
        }
        rec->len = 0;
        rec->pending = 0;
        result = rec->error;
        rec->error = 0;
        return result;
}

void record_write(struct record *rec, struct event *e)
{
        size_t len;
        const char *line = event_finish(e, &len);

        if (rec->echo != NULL)
                rec->echo(line, len);
        if (rec->fd < 0)
                return;
        if (len > BUFFER_CAP - rec->len)
                record_flush(rec);
        memcpy(rec->buffer + rec->len, line, len);
        rec->len += len;
        rec->pending++;
}

void record_note(struct record *rec, const struct event_who *who, uint64_t flow, const char *note)
{
        struct event e;

        event_begin(&e, EVENT_RELAY_NOTE, who, flow);
        event_str(&e, "note", note);
        event_str(&e, "severity", "note");
        record_write(rec, &e);
}

bool record_is_kept(const struct record *rec)
{
        return rec->fd >= 0 || rec->echo != NULL;
}

void record_echo(struct record *rec, void (*echo)(const char *line, size_t len))
{
        rec->echo = echo;
}

uint64_t record_dropped(const struct record *rec)
{
        return rec->dropped;
}

void record_free(struct record *rec)
{
        if (rec == NULL)
                return;
        record_flush(rec);
        if (rec->fd >= 0)
                close(rec->fd);
        free(rec->path);
        free(rec);
}
