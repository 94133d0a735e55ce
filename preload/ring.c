/* The program's end of its ring; see ring.h. A mapping is never undone: another thread may be in
 * the middle of a slot. */
#include "ring.h"
#include "control.h"
#include "sys.h"
#include "tapline_ring.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum {
        RING_AFTER = 16,    /* messages that a process tells before it asks: most never do */
        RING_TRIES = 10,    /* each after twice as many as the one before */
        RING_SPINS = 100,   /* for another thread's message to be written */
        RING_DEAD_MS = 500, /* a relay that has not read for so long is gone, or stands still */
};

static _Atomic(struct ring *) ring;
static _Atomic(pid_t) owner; /* of it; another process has only inherited it */
static _Atomic uint32_t told, tries;
static _Atomic bool asking;        /* a thread waits for the relay's answer: one is enough */
static _Atomic bool locked;        /* a message is being written */
static _Atomic uint32_t last_read; /* as far as the relay had come */
static _Atomic int64_t moved_ms;   /* when it did */

static void forget(void)
{
        atomic_store(&ring, NULL);
        atomic_store(&told, 0);
}

/* The descriptor in an answer, or -1. */
static int take_descriptor(struct msghdr *message)
{
        struct cmsghdr *c = CMSG_FIRSTHDR(message);
        int fd;

        if (c == NULL || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
            c->cmsg_len != CMSG_LEN(sizeof fd))
                return -1;
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
        return fd;
}

static int receive(int control)
{
        _Alignas(struct cmsghdr) char space[CMSG_SPACE(sizeof(int))];
        struct wire_head head;
        struct iovec part = {&head, sizeof head};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = space,
                                 .msg_controllen = sizeof space};
        struct timeval limit = {.tv_usec = CONTROL_EVENT_MS * 1000L};
        long n;

        sys6(SYS_setsockopt, control, SOL_SOCKET, SO_RCVTIMEO, SYS_LONG(&limit), sizeof limit, 0);
        n = sys(SYS_recvmsg, control, &message, MSG_CMSG_CLOEXEC);
        return n > 0 ? take_descriptor(&message) : -1;
}

static struct ring *ask(void)
{
        struct wire_head question;
        int control = control_open(), fd = -1;
        long address = -1;

        if (control < 0)
                return NULL;
        if (control_send(control, WIRE_RING, &question, sizeof question) == 0)
                fd = receive(control);
        control_close(control);
        if (fd < 0)
                return NULL;
        address = sys6(SYS_mmap, 0, sizeof(struct ring), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        control_close(fd);
        return address > 0 ? (struct ring *)address : NULL;
}

/* This process's ring, or NULL. */
static struct ring *mine(void)
{
        pid_t self = (pid_t)sys(SYS_getpid, 0, 0, 0);
        struct ring *r;
        uint32_t tried;

        if (atomic_load(&owner) != self) {
                forget();
                atomic_store(&tries, 0);
                atomic_store(&asking, false);
                atomic_store(&locked, false); /* its holder is in the parent */
                atomic_store(&owner, self);
        }
        r = atomic_load(&ring);
        tried = atomic_load(&tries);
        if (r != NULL || tried >= RING_TRIES || atomic_load(&asking) ||
            atomic_fetch_add(&told, 1) + 1 < (uint32_t)RING_AFTER << tried ||
            atomic_exchange(&asking, true))
                return r;
        /* Whoever asked meanwhile has set these before it let go. */
        r = atomic_load(&ring);
        if (r == NULL && atomic_load(&tries) == tried) {
                r = ask();
                atomic_store(&ring, r);
                atomic_store(&told, 0);
                atomic_store(&tries, tried + 1);
        }
        atomic_store(&asking, false);
        return r;
}

/* What lies in it unread, has it done so for too long? */
static bool is_dead(struct ring *r)
{
        uint32_t read = atomic_load(&r->read);
        int64_t now_ms = control_now_ms();

        if (read != atomic_load(&last_read) || read == atomic_load(&r->written)) {
                atomic_store(&last_read, read);
                atomic_store(&moved_ms, now_ms);
                return false;
        }
        return now_ms - atomic_load(&moved_ms) > RING_DEAD_MS;
}

/* One at a time. Who holds it may be stopped in the middle, or be this very thread, below a
 * signal's handler: nobody waits for long. */
static bool lock(void)
{
        for (int i = 0; i < RING_SPINS; i++)
                if (!atomic_exchange(&locked, true))
                        return true;
        return false;
}

/* Returns false if there is no room. */
static bool put(struct ring *r, const struct iovec *parts, size_t count)
{
        const struct wire_head *head = parts[0].iov_base;
        struct ring_slot slot = {.len = head->len};
        uint32_t at = atomic_load(&r->written), end = at + ring_slot_size(slot.len);

        if (end - atomic_load(&r->read) > RING_DATA)
                return false;
        ring_copy_in(r, at, &slot, sizeof slot);
        at += (uint32_t)sizeof slot;
        for (size_t i = 0; i < count; at += (uint32_t)parts[i++].iov_len)
                ring_copy_in(r, at, parts[i].iov_base, parts[i].iov_len);
        atomic_store(&r->written, end);
        return true;
}

static void ring_the_bell(void)
{
        struct wire_head bell;

        if (control_report(WIRE_BELL, &bell, sizeof bell) < 0)
                forget();
}

/* With the lock. Returns false if the message has to take the other way. */
static bool write_down(struct ring *r, enum wire_type type, struct iovec *parts, size_t count)
{
        if (atomic_load(&r->state) == RING_CLOSED || is_dead(r)) {
                forget();
                return false;
        }
        control_complete(type, parts, count);
        return put(r, parts, count);
}

void ring_report_parts(enum wire_type type, struct iovec *parts, size_t count, bool at_once)
{
        struct ring *r = at_once ? NULL : mine();
        bool written = false;

        if (r != NULL && lock()) {
                written = write_down(r, type, parts, count);
                atomic_store(&locked, false);
        }
        if (!written)
                control_note_absent(control_report_parts(type, parts, count));
        else if (atomic_load(&r->state) == RING_ASLEEP) /* asked once the message is there */
                ring_the_bell();
}
