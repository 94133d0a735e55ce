/* Flows whose program waits at the hold (hold.h): letting it in, refusing it, and seeing that it
 * has gone. */
#ifndef NET_HELD_H
#define NET_HELD_H

#include "net/flow.h"

/* The program waits from now on. If the dial has ended it is answered at once. */
void held_begin(struct flow *flow);

/* The dial has ended, well or not: answer. */
void held_answer(struct flow *flow);

/* A limit set here was reached: is the program still there? */
void held_check(struct flow *flow);

/* The same for all that wait, at once. */
void held_check_all(struct relay *relay);

#endif
