/* What the relay is to do; see plan.h. */
#include "cli/plan.h"
#include "cli/limits.h"
#include "net/logins.h"

#include <stdio.h>
#include <stdlib.h>

static int read_logins(struct plan *plan)
{
        const struct options *o = &plan->options;
        bool open_to_others;
        char why[512];

        if (o->auth_file == NULL)
                return 0;
        plan->logins = logins_read(o->auth_file, &open_to_others, why, sizeof why);
        if (plan->logins == NULL) {
                fprintf(stderr, "tapline: %s: %s\n", options_from(o, "auth-file"), why);
                return -1;
        }
        if (open_to_others)
                fprintf(stderr,
                        "tapline: warning: others can read the passwords in %s; chmod 600 is for "
                        "that\n",
                        o->auth_file);
        return 0;
}

static int read_allow(struct plan *plan)
{
        const struct options *o = &plan->options;
        char *bad = NULL;

        if (o->allow == NULL)
                return 0;
        plan->allow = host_list_parse(o->allow, &bad);
        if (plan->allow == NULL)
                fprintf(stderr, "tapline: %s: '%s' is not an address or CIDR block\n",
                        options_from(o, "allow"), bad != NULL ? bad : o->allow);
        free(bad);
        return plan->allow != NULL ? 0 : -1;
}

static void unused(struct relay_options *options)
{
        plan_free((struct plan *)((char *)options - offsetof(struct plan, relay)));
}

static int fill(struct plan *plan)
{
        struct relay_limits limits;
        int workers = limits_workers(&plan->options);

        if (way_read(&plan->way, &plan->options) < 0 || read_logins(plan) < 0 ||
            read_allow(plan) < 0 || limits_read(&limits, &plan->options) < 0 || workers < 0)
                return -1;
        plan->relay =
                (struct relay_options){.listen = (const char *const *)plan->options.listen,
                                       .routing = &plan->way.routing,
                                       .via = options_via(&plan->options),
                                       .bypass = plan->way.bypass,
                                       .resolve = (enum relay_resolve)plan->options.resolve_mode,
                                       .logins = plan->logins,
                                       .allow = plan->allow,
                                       .admin = plan->options.admin,
                                       .digest = plan->options.digest,
                                       .limits = limits,
                                       .workers = (unsigned)workers,
                                       .drain_ms = plan->options.drain_ms,
                                       .lifetime_fd = -1,
                                       .ready_fd = -1,
                                       .unused = unused};
        return 0;
}

struct plan *plan_read(int argc, char **argv, int *next)
{
        struct plan *plan = calloc(1, sizeof *plan);

        *next = 0;
        if (plan == NULL) {
                fputs("tapline: out of memory\n", stderr);
                return NULL;
        }
        if (options_read(&plan->options, FOR_RELAY, argc, argv, next) < 0 ||
            (!plan->options.help && *next >= argc && fill(plan) < 0)) {
                plan_free(plan);
                return NULL;
        }
        return plan;
}

void plan_free(struct plan *plan)
{
        if (plan == NULL)
                return;
        way_free(&plan->way);
        logins_free(plan->logins);
        host_list_free(plan->allow);
        options_free(&plan->options);
        free(plan);
}
