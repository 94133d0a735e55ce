/* The control socket; see control.h. */
#include "net/control.h"
#include "net/bound.h"
#include "net/hellos.h"
#include "net/hold.h"
#include "net/listener.h"
#include "net/message.h"
#include "net/process.h"
#include "net/rings.h"
#include "net/verdict.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

enum {
        BACKLOG = 4096,
        BATCH = 256,
        PENDING_MS = 5, /* after that a blocking connect() is told that it will take longer: then it
                           can be interrupted */
};

struct control {
        struct watch watch; /* its fd is owned */
        struct relay *relay;
        int fd;                /* of watch, also while that waits */
        char *path;            /* owned: unlinked at the end */
        unsigned silent;       /* clients that have yet to send their first message */
        uid_t uid;             /* ours */
        uint64_t turn;         /* in which somebody came last */
        struct hellos *hellos; /* owned; NULL: they come here */
        bool hearing;          /* announcements */
};

struct control_client {
        struct watch watch; /* its fd is owned while registered; see fd */
        int fd;
        struct relay *relay;
        struct control_client *prev, *next;
        struct flow *flow; /* borrowed: dialled for it, not joined yet */
        pid_t pid;
        bool closed, silent, by_v6;
        struct deferred answer; /* the first verdict, once the dial has begun */
        uv_timer_t *pending;    /* owned; from the loop's spares */
};

static void stop_pending(struct control_client *c)
{
        loop_timer_give(c->relay->loop, c->pending);
        c->pending = NULL;
}

static void has_spoken(struct control_client *c)
{
        if (c->silent)
                c->relay->control->silent--;
        c->silent = false;
}

static void client_close(struct control_client *c)
{
        if (c->closed)
                return;
        has_spoken(c);
        stop_pending(c);
        loop_forget(&c->watch);
        close(c->fd);
        c->fd = -1;
        c->closed = true;
        if (c->flow != NULL)
                c->flow->control = NULL;
        c->flow = NULL;
}

void control_forget_flow(struct control_client *client)
{
        client->flow = NULL;
}

static void send_verdict(struct control_client *c, struct wire_verdict *verdict)
{
        verdict->head = (struct wire_head){.magic = WIRE_MAGIC,
                                           .version = WIRE_VERSION,
                                           .type = WIRE_VERDICT,
                                           .len = sizeof *verdict};
        verdict->port = c->relay->private_port;
        verdict->hold_port = hold_port(c->relay->hold, c->by_v6);
        /* A client that is gone needs no verdict; its own end of file is on the way. */
        if (send(c->fd, verdict, sizeof *verdict, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                return;
}

void control_send_verdict(struct control_client *client, struct flow *flow)
{
        struct wire_verdict verdict;

        stop_pending(client);
        flow->told = true;
        flow_verdict(flow, &verdict);
        send_verdict(client, &verdict);
}

static void pending_reached(uv_timer_t *timer)
{
        struct control_client *c = timer->data;

        if (c->flow != NULL)
                control_send_verdict(c, c->flow);
        else
                stop_pending(c);
}

static void start_pending(struct control_client *c)
{
        c->pending = loop_timer_take(c->relay->loop);
        if (c->pending == NULL)
                return;
        c->pending->data = c;
        uv_timer_start(c->pending, pending_reached, PENDING_MS, 0);
}

/* The dial has begun: what the kernel refuses at once (no route, for one) is known already. */
static void first_answer(struct deferred *d)
{
        struct control_client *c =
                (struct control_client *)((char *)d - offsetof(struct control_client, answer));

        if (c->closed || c->flow == NULL || c->flow->told)
                return;
        if (!c->flow->nonblock) {
                start_pending(c);
                return;
        }
        flow_expect_join(c->flow, true);
        control_send_verdict(c, c->flow);
}

static void handle_dial(struct control_client *c, const struct wire_dial *dial)
{
        struct flow *flow = c->flow == NULL ? message_dial(c->relay, c->pid, dial) : NULL;
        struct wire_verdict verdict = {.state = WIRE_STATE_DIRECT};

        c->by_v6 = (dial->flags & WIRE_DIAL_V6) != 0;
        if (flow == NULL) {
                process_table_set_bypassed(c->relay->processes, c->pid);
                send_verdict(c, &verdict);
                client_close(c);
                return;
        }
        c->flow = flow;
        flow->control = c;
        c->answer.run = first_answer;
        loop_defer(c->relay->loop, &c->answer);
}

/* The program waited for an answer in vain, and connects by itself. */
static void handle_passed(struct control_client *c, const void *packet, size_t len)
{
        struct flow *flow = c->flow;

        client_close(c);
        if (flow != NULL)
                flow_abort(flow, &(struct flow_end){
                                         "client", "error",
                                         "went out directly: the relay did not answer in time", 0});
        else
                message_report(c->relay, c->pid, packet, len);
}

static void handle_join(struct control_client *c, const struct wire_join *join)
{
        if (c->flow != NULL) {
                c->flow->control = NULL;
                message_join(c->flow, join);
        }
        c->flow = NULL;
        client_close(c);
}

static void handle_peer(struct control_client *c, const struct wire_join *question)
{
        struct wire_verdict verdict;

        message_peer(c->relay, question, &verdict);
        send_verdict(c, &verdict);
        client_close(c);
}

static void handle_name(struct control_client *c, const struct wire_name *question, size_t len)
{
        struct wire_verdict verdict;

        message_name(c->relay, question, len, &verdict);
        send_verdict(c, &verdict);
        client_close(c);
}

static void client_read(struct control_client *c);

/* What is said of a descriptor comes behind the announcement of where it is. */
static void hear_announcements(struct relay *relay)
{
        struct control *control = relay->control;
        struct control_client *c;

        if (relay->unjoined == 0 || control->hearing)
                return;
        control->hearing = true;
        DL_FOREACH (relay->control_clients, c)
                if (!c->closed && c->flow != NULL && c->flow->expects_join)
                        client_read(c);
        control->hearing = false;
}

static void dispatch(struct control_client *c, const void *packet, size_t len)
{
        const struct wire_head *head = packet;

        if (!message_is_whole(packet, len)) {
                client_close(c);
                return;
        }
        if (head->type != WIRE_HELLO && head->type != WIRE_JOIN)
                hellos_hear_until(c->relay->control->hellos, head->time_ns);
        rings_look_before(c->relay->rings, c->pid, head->seq); /* a thread's in its order */
        switch ((enum wire_type)head->type) {
        case WIRE_DIAL:
                handle_dial(c, packet);
                return;
        case WIRE_JOIN:
                handle_join(c, packet);
                return;
        case WIRE_PEER:
                hear_announcements(c->relay);
                handle_peer(c, packet);
                return;
        case WIRE_NAME:
                handle_name(c, packet, len);
                return;
        case WIRE_PASSED:
                handle_passed(c, packet, len);
                return;
        case WIRE_RING:
                rings_answer(c->relay->rings, c->pid, c->fd);
                break;
        case WIRE_BELL:
                rings_wake(c->relay->rings, c->pid);
                break;
        case WIRE_TAP:
                hear_announcements(c->relay);
                message_report(c->relay, c->pid, packet, len);
                break;
        case WIRE_HELLO:
        case WIRE_LOOKUP:
        case WIRE_FILE:
        case WIRE_LOCK:
        case WIRE_UNCOVERED:
        case WIRE_TRUST:
                message_report(c->relay, c->pid, packet, len);
                break;
        case WIRE_VERDICT:
                break;
        }
        client_close(c);
}

/* The program went away, or changed its mind (a signal's longjmp), before it joined. */
static void handle_end(struct control_client *c)
{
        struct flow *flow = c->flow;

        client_close(c);
        if (flow != NULL)
                flow_abort(flow, &(struct flow_end){"client", "eof",
                                                    "gave up before the connection was there", 0});
}

static void note_lost(struct relay *relay, int error)
{
        relay_note_lost(relay, "what a program had to say was not heard", error);
}

/* One message. Returns false if there is no more to be heard. */
static bool hear(struct control_client *c)
{
        _Alignas(8) char packet[WIRE_MAX]; /* one message may have others heard first */
        ssize_t n = recv(c->fd, packet, sizeof packet, MSG_DONTWAIT);
        int error = n < 0 ? errno : 0;

        /* That it has closed without reading our answer is told once, before what it sent. */
        if (error == ECONNRESET)
                n = recv(c->fd, packet, sizeof packet, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return false;
        if (n <= 0 && error != 0 && c->silent)
                note_lost(c->relay, error);
        has_spoken(c);
        if (n > 0)
                dispatch(c, packet, (size_t)n);
        else
                handle_end(c);
        return !c->closed;
}

static void client_read(struct control_client *c)
{
        while (!c->closed && hear(c))
                ;
}

static void client_ready(struct watch *w, uint32_t events)
{
        (void)events;
        client_read((struct control_client *)((char *)w - offsetof(struct control_client, watch)));
}

/* Only this user's programs (and root's, which can do as they like anyway). */
static bool credentials(struct relay *relay, int fd, pid_t *pid)
{
        uid_t uid = relay->control->uid;
        struct ucred who;
        socklen_t len = sizeof who;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0) {
                note_lost(relay, errno);
                return false;
        }
        *pid = who.pid;
        return who.uid == uid || who.uid == 0 || uid == 0;
}

void control_take(struct relay *relay, int fd)
{
        struct control_client *c = calloc(1, sizeof *c);
        int result;

        if (c == NULL || !credentials(relay, fd, &c->pid)) {
                if (c == NULL)
                        note_lost(relay, ENOMEM);
                free(c);
                close(fd);
                return;
        }
        c->relay = relay;
        c->fd = fd;
        c->silent = true;
        relay->control->silent++;
        c->watch = (struct watch){.ready = client_ready, .fd = -1};
        DL_APPEND(relay->control_clients, c);
        hear(c); /* most have sent already; what more there is, the loop will say */
        if (c->closed)
                return;
        c->watch.fd = fd;
        result = loop_add_reader(relay->loop, &c->watch);
        if (result == 0)
                return;
        note_lost(relay, -result);
        handle_end(c);
}

/* A thread's messages come on a connection each and must be handled in its order: those that were
 * accepted before their message had come have it by the time the next one connects. */
void control_hear_earlier(struct relay *relay)
{
        struct control_client *c;

        if (relay->control->silent == 0)
                return;
        DL_FOREACH (relay->control_clients, c)
                if (!c->closed && c->silent)
                        client_read(c);
}

/* Returns true if there may be more. */
static bool accept_some(struct control *control, int batch)
{
        for (int i = 0; i < batch; i++) {
                int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

                if (fd < 0)
                        return false;
                control_hear_earlier(control->relay);
                control_take(control->relay, fd);
        }
        return true;
}

static void ready(struct watch *w, uint32_t events)
{
        struct control *control = (struct control *)((char *)w - offsetof(struct control, watch));
        struct relay *relay = control->relay;
        /* Who comes alone needs no second look: level triggered, that comes by itself. */
        int batch = relay->turns - control->turn <= 1 ? BATCH : 1;

        (void)events;
        control->turn = relay->turns;
        errno = 0;
        if (accept_some(control, batch) || !listener_is_lack(errno))
                return;
        listener_wait(relay, strerror(errno));
        loop_remove(relay->loop, w);
}

void control_resume(struct relay *relay)
{
        struct control *control = relay->control;

        if (control == NULL || control->watch.fd >= 0)
                return;
        control->watch.fd = control->fd;
        if (loop_add_level(relay->loop, &control->watch) == 0)
                return;
        control->watch.fd = -1;
        listener_wait(relay, strerror(ENOMEM));
}

void control_hear(struct relay *relay)
{
        struct control *control = relay->control;

        if (control == NULL)
                return;
        control_take_waiting(relay);
        control_hear_earlier(relay);
        hellos_hear(control->hellos);
}

void control_take_waiting(struct relay *relay)
{
        accept_some(relay->control, BACKLOG); /* not who comes meanwhile, without end */
}

void control_drain(struct relay *relay)
{
        struct control_client *c, *next;

        control_hear(relay);
        DL_FOREACH_SAFE (relay->control_clients, c, next)
                client_read(c);
}

int control_open(struct relay *relay, const char *path)
{
        struct control *control = calloc(1, sizeof *control);
        int fd = bound_packets(path, BACKLOG);

        if (control == NULL || fd < 0) {
                free(control);
                if (fd >= 0)
                        close(fd);
                return fd < 0 ? fd : -ENOMEM;
        }
        control->watch = (struct watch){.ready = ready, .fd = fd};
        control->fd = fd;
        control->relay = relay;
        control->uid = geteuid();
        control->path = strdup(path);
        relay->control = control;
        control->hellos = hellos_open(relay, path);
        return loop_add_level(relay->loop, &control->watch);
}

void control_sweep(struct relay *relay)
{
        struct control_client *c, *next;

        DL_FOREACH_SAFE (relay->control_clients, c, next) {
                if (!c->closed || c->answer.queued)
                        continue;
                DL_DELETE(relay->control_clients, c);
                free(c);
        }
}

void control_close(struct relay *relay)
{
        struct control *control = relay->control;
        struct control_client *c;

        if (control == NULL)
                return;
        DL_FOREACH (relay->control_clients, c) {
                client_close(c);
                c->answer.queued = false; /* the loop runs no more */
        }
        control_sweep(relay);
        hellos_close(control->hellos);
        loop_remove(relay->loop, &control->watch);
        close(control->fd);
        unlink(control->path);
        free(control->path);
        free(control);
        relay->control = NULL;
}
