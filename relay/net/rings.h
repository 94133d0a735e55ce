/* Memory that processes share with us (tapline_ring.h): what they tell often. While something comes
 * we look at it in each turn of the loop, and some times a second if the loop has nothing else to
 * do; then we ask for the bell, so that an idle relay sleeps. On the main thread only. */
#ifndef NET_RINGS_H
#define NET_RINGS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct relay;
struct rings;

/* NULL when out of memory: then there are none. Caller frees, before the relay. */
struct rings *rings_new(struct relay *relay);
void rings_free(struct rings *rings); /* NULL allowed */

/* pid asks on the control connection fd for a ring, in place of the one that it may have had. It
 * gets none if its end cannot be watched, or if there are enough. Does not block. */
void rings_answer(struct rings *rings, pid_t pid, int fd);

/* pid has rung the bell. */
void rings_wake(struct rings *rings, pid_t pid);

/* pid is another program now, by execve(2): it has lost its ring. */
void rings_forget(struct rings *rings, pid_t pid);

/* Handle what pid has written before the message of that number, which has come over the socket. */
void rings_look_before(struct rings *rings, pid_t pid, uint32_t seq);

/* Handle what has been written, before the end of a connection, say; and first what is still to be
 * heard at the control socket. Cheap if there is nothing. rings may be NULL. */
void rings_look(struct rings *rings);
/* The same at the end of a turn: not more often than there is use in it. */
void rings_turn(struct rings *rings);

/* Handle what there is a last time, and tell all that nobody will look any more. */
void rings_close(struct rings *rings);

#endif
