/* The environment of the command: a copy of ours with what the library and the clients need. */
#ifndef CLI_CHILDENV_H
#define CLI_CHILDENV_H

#include <stdbool.h>
#include <stdint.h>

struct childenv;

/* A copy of environ. Returns NULL when out of memory. Caller owns. */
struct childenv *childenv_new(void);
void childenv_free(struct childenv *env);

/* Set or replace; ctx is the childenv (the shape of trust_export's callback). */
void childenv_set(void *ctx, const char *name, const char *value);

/* The same for a variable that the library is to put back where a program has cleaned its
 * environment. */
void childenv_set_kept(void *ctx, const char *name, const char *value);

/* Put library before what LD_PRELOAD has already, once. */
void childenv_preload(struct childenv *env, const char *library);

/* Take it away again, for a command whose linker cannot load it. */
void childenv_withhold(struct childenv *env);

/* Where a proxy variable is set, let it lead to the relay's port. */
void childenv_take_over_proxies(struct childenv *env, uint16_t port);

/* NULL-terminated, borrowed. */
char **childenv_list(struct childenv *env);
/* False when memory ran out in one of the calls above. */
bool childenv_is_whole(const struct childenv *env);

#endif
