/* Programs that say hello; see hellos.h. */
#include "net/hellos.h"
#include "net/bound.h"
#include "net/control.h"
#include "tapline_names.h"
#include "tapline_wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
        BACKLOG = 4096,
        REST_MS = 20, /* between two looks, while programs start */
};

struct hellos {
        struct watch watch; /* its fd is that below; -1 while it rests */
        struct relay *relay;
        int fd;           /* owned */
        int next;         /* owned: accepted, and not of the past yet; -1: none */
        uv_timer_t *rest; /* owned; from the loop's spares */
        bool hearing;
        char *path; /* owned: unlinked at the end */
};

static int64_t now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* When it was said; what has not come yet, or is nothing of ours, is as good as said. */
static int64_t said_ns(int fd)
{
        struct wire_head head;

        if (recv(fd, &head, sizeof head, MSG_PEEK | MSG_DONTWAIT) != (ssize_t)sizeof head)
                return INT64_MIN;
        return head.time_ns;
}

/* Returns false if nothing was there. */
static bool hear_some(struct hellos *h, int64_t until_ns)
{
        int count = 0;

        if (h->hearing)
                return true;
        h->hearing = true;
        control_hear_earlier(h->relay);
        for (; count < BACKLOG; count++) {
                int fd = h->next;

                if (fd < 0)
                        fd = accept4(h->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
                h->next = -1;
                if (fd < 0)
                        break;
                if (until_ns != INT64_MAX && said_ns(fd) > until_ns) {
                        h->next = fd;
                        break;
                }
                control_take(h->relay, fd);
        }
        h->hearing = false;
        return count > 0 || h->next >= 0;
}

void hellos_hear_until(struct hellos *hellos, int64_t time_ns)
{
        if (hellos != NULL)
                hear_some(hellos, time_ns);
}

/* What came to the control socket before is heard before. */
static bool hear_past(struct hellos *h)
{
        int64_t now = h->next < 0 ? now_ns() : INT64_MAX; /* a clock set back holds up none */

        control_take_waiting(h->relay);
        return hear_some(h, now);
}

void hellos_hear(struct hellos *hellos)
{
        if (hellos != NULL)
                hear_some(hellos, INT64_MAX);
}

static void rested(uv_timer_t *timer);

static void rest(struct hellos *h)
{
        uv_timer_start(h->rest, rested, REST_MS, 0);
}

static void rested(uv_timer_t *timer)
{
        struct hellos *h = timer->data;

        if (hear_past(h)) {
                rest(h);
                return;
        }
        h->watch.fd = h->fd;
        if (loop_add_level(h->relay->loop, &h->watch) < 0) {
                h->watch.fd = -1;
                rest(h);
        }
}

static void ready(struct watch *w, uint32_t events)
{
        struct hellos *h = (struct hellos *)((char *)w - offsetof(struct hellos, watch));

        (void)events;
        hear_past(h);
        loop_remove(h->relay->loop, w);
        rest(h);
}

/* The control socket beside it is ours already: whoever listened here is gone. */
static void clear(const char *path)
{
        struct stat st;

        if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
                unlink(path);
}

struct hellos *hellos_open(struct relay *relay, const char *control_path)
{
        struct hellos *h = calloc(1, sizeof *h);

        if (h == NULL)
                return NULL;
        *h = (struct hellos){.relay = relay, .fd = -1, .next = -1};
        h->rest = loop_timer_take(relay->loop);
        if (h->rest != NULL && asprintf(&h->path, "%s" TAPLINE_HELLO_END, control_path) >= 0) {
                clear(h->path);
                h->fd = bound_packets(h->path, BACKLOG);
        }
        h->watch = (struct watch){.ready = ready, .fd = h->fd};
        if (h->fd >= 0 && loop_add_level(relay->loop, &h->watch) == 0) {
                h->rest->data = h;
                return h;
        }
        h->watch.fd = -1;
        hellos_close(h);
        return NULL;
}

void hellos_close(struct hellos *hellos)
{
        if (hellos == NULL)
                return;
        loop_timer_give(hellos->relay->loop, hellos->rest);
        if (hellos->watch.fd >= 0)
                loop_remove(hellos->relay->loop, &hellos->watch);
        if (hellos->next >= 0)
                close(hellos->next);
        if (hellos->fd >= 0) {
                close(hellos->fd);
                unlink(hellos->path);
        }
        free(hellos->path);
        free(hellos);
}
