/* The relay's end of the rings; see rings.h. What is in the memory may change while it is read: a
 * length is read once, a packet copied before it is looked at, and our own position kept here. */
#include "net/rings.h"
#include "net/control.h"
#include "net/message.h"
#include "net/relay.h"
#include "tapline_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utlist.h>

enum {
        RINGS_MAX = 64,     /* 68 KiB and a descriptor each */
        TURN_US = 500,      /* between looks, however fast the turns follow each other */
        LOOK_MS = 10,       /* while something comes */
        SLEEPY_US = 300000, /* after that long without a message the bell is wanted */
};

struct reader {
        struct watch ends; /* its pidfd is owned: readable when the process has ended */
        struct rings *rings;
        struct reader *prev, *next;
        pid_t pid;
        struct ring *ring; /* owned mapping */
        uint32_t at;       /* read so far, whatever ring->read may say */
        uint32_t end;      /* what was there when the look began */
        int64_t used_us;   /* when a message came last */
        bool asleep, broken;
        struct deferred gone;
};

struct rings {
        struct relay *relay;
        struct reader *readers; /* owned list */
        unsigned count, awake;
        uv_timer_t *timer; /* the loop's; NULL while all are asleep */
        int64_t looked_us;
        bool looking;
};

/* ---- one ring ---- */

static bool has_more(const struct reader *r)
{
        return atomic_load(&r->ring->written) != r->at;
}

/* The slot at r->at and what of its packet is its head. Returns false if there is none, or no sense
 * in it: then the ring is broken. */
static bool peek(struct reader *r, uint32_t *len, struct wire_head *head)
{
        uint32_t there = atomic_load(&r->ring->written) - r->at;
        struct ring_slot slot;

        if (there == 0 || r->broken)
                return false;
        r->broken = there > RING_DATA || there < sizeof slot + sizeof *head;
        if (r->broken)
                return false;
        ring_copy_out(r->ring, r->at, &slot, sizeof slot);
        ring_copy_out(r->ring, r->at + (uint32_t)sizeof slot, head, sizeof *head);
        *len = slot.len;
        r->broken = *len < sizeof *head || *len > WIRE_MAX || ring_slot_size(*len) > there;
        return !r->broken;
}

/* Only what is told often comes this way. A handshake has gone over the connection by then, so its
 * announcement has long been heard. */
static void take(struct reader *r, uint32_t len)
{
        _Alignas(8) unsigned char packet[WIRE_MAX];
        const struct wire_head *head = (const struct wire_head *)packet;

        ring_copy_out(r->ring, r->at + (uint32_t)sizeof(struct ring_slot), packet, len);
        r->at += ring_slot_size(len);
        atomic_store(&r->ring->read, r->at);
        r->used_us = loop_now_us(r->rings->relay->loop);
        if (message_is_whole(packet, len) && head->type == WIRE_TAP)
                message_report(r->rings->relay, r->pid, packet, len);
}

/* Up to a position, which bounds what one who writes all the time is given; before (NULL: all) is
 * the number of a message that comes after. */
static void read_until(struct reader *r, uint32_t end, const uint32_t *before)
{
        struct wire_head head;
        uint32_t len;

        while ((int32_t)(end - r->at) > 0 && peek(r, &len, &head) &&
               (before == NULL || (int32_t)(head.seq - *before) < 0))
                take(r, len);
}

/* ---- all of them ---- */

static void free_reader(struct deferred *d)
{
        free((struct reader *)((char *)d - offsetof(struct reader, gone)));
}

static void stop_looking(struct rings *rings)
{
        loop_timer_give(rings->relay->loop, rings->timer);
        rings->timer = NULL;
}

static void fall_asleep(struct reader *r)
{
        r->asleep = true;
        if (--r->rings->awake == 0)
                stop_looking(r->rings);
}

/* Nobody will look at this ring any more. */
static void drop(struct reader *r)
{
        struct rings *rings = r->rings;
        int fd = r->ends.fd;

        atomic_store(&r->ring->state, RING_CLOSED);
        if (!r->asleep)
                fall_asleep(r);
        DL_DELETE(rings->readers, r);
        rings->count--;
        loop_remove(rings->relay->loop, &r->ends);
        close(fd);
        munmap(r->ring, sizeof *r->ring);
        loop_bury(rings->relay->loop, &r->gone);
}

/* What one thread has told over the socket, and before it told what is in its ring now, has come by
 * now, but may not have been heard. */
static void look(struct rings *rings)
{
        struct reader *r, *next;
        bool any = false;

        if (rings->looking)
                return; /* a message has led here */
        rings->looking = true;
        rings->looked_us = loop_now_us(rings->relay->loop);
        DL_FOREACH (rings->readers, r) {
                r->end = r->asleep ? r->at : atomic_load(&r->ring->written);
                any = any || r->end != r->at;
        }
        if (any)
                control_hear(rings->relay);
        DL_FOREACH_SAFE (rings->readers, r, next) {
                read_until(r, r->end, NULL);
                if (r->broken)
                        drop(r);
        }
        rings->looking = false;
}

/* No other look is under way. */
static void look_last(struct reader *r)
{
        struct rings *rings = r->rings;

        rings->looking = true;
        control_hear(rings->relay);
        read_until(r, atomic_load(&r->ring->written), NULL);
        drop(r);
        rings->looking = false;
}

/* Who writes after this looked away sees that the bell is wanted; who wrote before is seen here. */
static void send_to_sleep(struct reader *r)
{
        atomic_store(&r->ring->state, RING_ASLEEP);
        if (has_more(r))
                atomic_store(&r->ring->state, RING_WATCHED);
        else
                fall_asleep(r);
}

static void timer_reached(uv_timer_t *timer)
{
        struct rings *rings = timer->data;
        struct reader *r;

        rings_look(rings);
        DL_FOREACH (rings->readers, r)
                if (!r->asleep && rings->looked_us - r->used_us > SLEEPY_US)
                        send_to_sleep(r);
}

static bool start_looking(struct rings *rings)
{
        if (rings->timer == NULL)
                rings->timer = loop_timer_take(rings->relay->loop);
        if (rings->timer == NULL)
                return false;
        rings->timer->data = rings;
        return uv_timer_start(rings->timer, timer_reached, LOOK_MS, LOOK_MS) == 0;
}

static void wake(struct reader *r)
{
        if (!r->asleep || !start_looking(r->rings))
                return;
        r->asleep = false;
        r->rings->awake++;
        r->used_us = loop_now_us(r->rings->relay->loop);
        atomic_store(&r->ring->state, RING_WATCHED);
}

static void ended(struct watch *w, uint32_t events)
{
        struct reader *r = (struct reader *)((char *)w - offsetof(struct reader, ends));

        (void)events;
        look_last(r);
}

static struct reader *find(struct rings *rings, pid_t pid)
{
        struct reader *r;

        DL_FOREACH (rings->readers, r)
                if (r->pid == pid)
                        return r;
        return NULL;
}

/* ---- making one ---- */

/* Its size is sealed: what we map cannot be taken away under us (SIGBUS). */
static int make_memory(struct ring **out)
{
        struct rlimit limit;
        void *memory;
        int fd, error;

        /* Who goes beyond it gets a signal that ends the process: setrlimit(2). */
        if (getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur < sizeof(struct ring))
                return -EFBIG;
        fd = memfd_create("tapline", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return -errno;
        if (ftruncate(fd, sizeof(struct ring)) == 0 &&
            fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) {
                memory = mmap(NULL, sizeof(struct ring), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
                if (memory != MAP_FAILED) {
                        *out = memory;
                        return fd;
                }
        }
        error = errno;
        close(fd);
        return -error;
}

static int watch_process(struct reader *r)
{
        int result;

        r->ends = (struct watch){.ready = ended, .fd = (int)syscall(SYS_pidfd_open, r->pid, 0)};
        if (r->ends.fd < 0)
                return -errno;
        result = loop_add_level(r->rings->relay->loop, &r->ends);
        if (result < 0)
                close(r->ends.fd);
        return result;
}

static struct reader *reader_new(struct rings *rings, pid_t pid)
{
        struct reader *r = calloc(1, sizeof *r);

        if (r != NULL)
                *r = (struct reader){
                        .rings = rings, .pid = pid, .asleep = true, .gone.run = free_reader};
        return r;
}

/* Returns a descriptor of the memory, which the caller closes, or -errno. */
static int open_ring(struct rings *rings, pid_t pid)
{
        struct reader *old, *r;
        int fd, result;

        if (rings == NULL || rings->looking)
                return -EBUSY;
        old = find(rings, pid);
        if (old != NULL)
                look_last(old);
        if (rings->count >= RINGS_MAX)
                return -ENOSPC;
        r = reader_new(rings, pid);
        fd = r != NULL ? make_memory(&r->ring) : -ENOMEM;
        result = fd < 0 ? fd : watch_process(r);
        if (result < 0) {
                if (fd >= 0) {
                        munmap(r->ring, sizeof *r->ring);
                        close(fd);
                }
                free(r);
                return result;
        }
        DL_APPEND(rings->readers, r);
        rings->count++;
        atomic_store(&r->ring->state, RING_ASLEEP);
        wake(r);
        return fd;
}

/* A descriptor travels beside a message: unix(7). */
static void pass_on(int control, int fd)
{
        struct wire_head head = {.magic = WIRE_MAGIC,
                                 .version = WIRE_VERSION,
                                 .type = WIRE_RING,
                                 .len = sizeof head};
        _Alignas(struct cmsghdr) char space[CMSG_SPACE(sizeof fd)] = {0};
        struct iovec part = {&head, sizeof head};
        struct msghdr answer = {.msg_iov = &part,
                                .msg_iovlen = 1,
                                .msg_control = space,
                                .msg_controllen = sizeof space};
        struct cmsghdr *beside = CMSG_FIRSTHDR(&answer);

        beside->cmsg_level = SOL_SOCKET;
        beside->cmsg_type = SCM_RIGHTS;
        beside->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(beside), &fd, sizeof fd);
        /* A program that waits no longer tells us what it has to tell as it did before. */
        if (sendmsg(control, &answer, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                return;
}

void rings_answer(struct rings *rings, pid_t pid, int fd)
{
        int memory = open_ring(rings, pid);

        if (memory < 0)
                return;
        pass_on(fd, memory);
        close(memory);
}

/* ---- the others' calls ---- */

struct rings *rings_new(struct relay *relay)
{
        struct rings *rings = calloc(1, sizeof *rings);

        if (rings != NULL)
                rings->relay = relay;
        return rings;
}

void rings_wake(struct rings *rings, pid_t pid)
{
        struct reader *r = rings != NULL ? find(rings, pid) : NULL;

        if (r == NULL)
                return;
        wake(r);
        look(rings);
}

void rings_look_before(struct rings *rings, pid_t pid, uint32_t seq)
{
        struct reader *r = rings != NULL && rings->awake > 0 ? find(rings, pid) : NULL;

        if (r != NULL && !r->asleep)
                read_until(r, atomic_load(&r->ring->written), &seq);
}

void rings_forget(struct rings *rings, pid_t pid)
{
        struct reader *r = rings != NULL && !rings->looking ? find(rings, pid) : NULL;

        if (r != NULL)
                look_last(r);
}

void rings_look(struct rings *rings)
{
        if (rings != NULL && rings->awake > 0)
                look(rings);
}

void rings_turn(struct rings *rings)
{
        if (rings == NULL || rings->awake == 0 ||
            loop_now_us(rings->relay->loop) - rings->looked_us < TURN_US)
                return;
        look(rings);
}

void rings_close(struct rings *rings)
{
        struct reader *r, *next;

        if (rings == NULL)
                return;
        DL_FOREACH_SAFE (rings->readers, r, next) {
                atomic_store(&r->ring->state, RING_CLOSED); /* what comes later is told elsewhere */
                look_last(r);
        }
}

void rings_free(struct rings *rings)
{
        rings_close(rings);
        free(rings);
}
