/* Non-blocking, waiting with io_uring(7): IORING_OP_POLL_ADD, by raw system calls. With the one
 * argument "probe": may this process use io_uring? Says why not. */
#include "idiom.h"

#include <linux/io_uring.h>
#include <linux/time_types.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { ENTRIES = 4, TIMEOUT = 1, POLL = 2 };

/* The two rings, mapped. */
struct ring {
        int fd;
        struct io_uring_params params;
        char *submitted, *completed;
        struct io_uring_sqe *entries;
};

static void *map(const struct ring *r, size_t size, off_t what)
{
        return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd, what);
}

static bool ring_open(struct ring *r)
{
        memset(r, 0, sizeof *r);
        r->fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &r->params);
        if (r->fd < 0)
                return false;
        r->submitted = map(r, r->params.sq_off.array + r->params.sq_entries * sizeof(unsigned),
                           IORING_OFF_SQ_RING);
        r->completed =
                map(r, r->params.cq_off.cqes + r->params.cq_entries * sizeof(struct io_uring_cqe),
                    IORING_OFF_CQ_RING);
        r->entries = map(r, r->params.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
        return r->submitted != MAP_FAILED && r->completed != MAP_FAILED && r->entries != MAP_FAILED;
}

static unsigned *word(char *ring, unsigned offset)
{
        return (unsigned *)(void *)(ring + offset);
}

static void add(struct ring *r, const struct io_uring_sqe *entry)
{
        unsigned *tail = word(r->submitted, r->params.sq_off.tail);
        unsigned at = *tail & *word(r->submitted, r->params.sq_off.ring_mask);

        r->entries[at] = *entry;
        word(r->submitted, r->params.sq_off.array)[at] = at;
        __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
        syscall(SYS_io_uring_enter, r->fd, 1, 0, 0, NULL, 0);
}

/* Waits for the next completion. Returns its result, *what is its user_data. */
static int take(struct ring *r, uint64_t *what)
{
        unsigned *head = word(r->completed, r->params.cq_off.head);
        const struct io_uring_cqe *all = (const void *)word(r->completed, r->params.cq_off.cqes);
        const struct io_uring_cqe *next;
        int result;

        while (__atomic_load_n(word(r->completed, r->params.cq_off.tail), __ATOMIC_ACQUIRE) ==
               *head)
                syscall(SYS_io_uring_enter, r->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0);
        next = &all[*head & *word(r->completed, r->params.cq_off.ring_mask)];
        *what = next->user_data;
        result = next->res;
        __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
        return result;
}

int main(int argc, char **argv)
{
        struct __kernel_timespec limit = {.tv_sec = WAIT_MS / 1000};
        uint64_t what;
        struct ring ring;
        int fd, result;

        if (argc == 2) {
                puts(ring_open(&ring) ? "ok" : outcome(-1));
                return 0;
        }
        idiom_start(argc, argv);
        if (!ring_open(&ring))
                return 66;
        fd = tcp_socket(SOCK_NONBLOCK);
        if (!begin_nonblocking(fd))
                return 0;
        add(&ring, &(struct io_uring_sqe){.opcode = IORING_OP_TIMEOUT,
                                          .addr = (uintptr_t)&limit,
                                          .len = 1,
                                          .user_data = TIMEOUT});
        add(&ring, &(struct io_uring_sqe){.opcode = IORING_OP_POLL_ADD,
                                          .fd = fd,
                                          .poll32_events = POLLIN | POLLOUT | POLLRDHUP,
                                          .user_data = POLL});
        result = take(&ring, &what);
        say("%s %s", what == POLL ? "event" : "time out, event",
            result < 0 ? error_name(-result) : event_names((unsigned)result));
        settle(fd);
        return 0;
}
