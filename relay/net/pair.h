/* Two ends of one TCP connection over loopback, both ours. */
#ifndef NET_PAIR_H
#define NET_PAIR_H

/* Returns 0 with two non-blocking descriptors that the caller owns, or -errno. Waits for the
 * kernel, for 100 ms at most. */
int pair_open(int *one, int *other);

/* Close what this thread keeps for it. */
void pair_forget(void);

#endif
