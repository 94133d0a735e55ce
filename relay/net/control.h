/* The control socket: one short-lived connection per message of the library (tapline_wire.h).
 * Checks every message, dispatches it, and carries verdicts back. */
#ifndef NET_CONTROL_H
#define NET_CONTROL_H

#include "net/flow.h"

/* Make the socket (0600) and listen. Returns 0 or -errno. */
int control_open(struct relay *relay, const char *path);

/* Send flow's present verdict to the program that waits for it. */
void control_send_verdict(struct control_client *client, struct flow *flow);

/* The flow is gone: the client may stay, but must not refer to it. */
void control_forget_flow(struct control_client *client);

/* Handle what lies unread (all programs may have ended), without waiting. */
void control_drain(struct relay *relay);

/* Handle what has been sent on connections that nothing was heard of yet, without waiting. */
void control_hear(struct relay *relay);

/* Take a client and handle what it has sent; for hellos.c. fd becomes the control's. */
void control_take(struct relay *relay, int fd);
/* The same for all that wait at the control socket itself. */
void control_take_waiting(struct relay *relay);
/* Those that had said nothing when they were taken may have by now. */
void control_hear_earlier(struct relay *relay);

/* Accept again, if that had to wait (listener_wait). */
void control_resume(struct relay *relay);

/* Free those that are closed; at the end of each turn. */
void control_sweep(struct relay *relay);
void control_close(struct relay *relay);

#endif
