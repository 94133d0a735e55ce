/* Times and numbers; see limits.h. */
#include "cli/limits.h"

#include <stdio.h>
#include <stdlib.h>

struct bounds {
        const char *name;
        double fallback, max;
        bool whole; /* no fractions */
};

static const struct bounds head = {"head-timeout", 30, 3600, false};
static const struct bounds connecting = {"connect-timeout", 60, 3600, false};
static const struct bounds answer = {"answer-timeout", 900, 604800, false};
static const struct bounds idle = {"idle-timeout", 7200, 604800, false};
static const struct bounds linger = {"linger", 600, 604800, false};
static const struct bounds keepalive = {"keepalive", 120, 32767, true};
static const struct bounds threads = {"workers", 0, 64, true};
static const struct bounds connections = {"max-connections", 0, 1000000, true};

static int number(const struct options *o, const struct bounds *b, const char *text, double *out)
{
        char *end;

        *out = text != NULL ? strtod(text, &end) : b->fallback;
        if (text == NULL || (end != text && *end == '\0' && *out >= 0 && *out <= b->max &&
                             (!b->whole || *out == (double)(long)*out)))
                return 0;
        fprintf(stderr, "tapline: %s: '%s' is not a %snumber%s from 0 to %.0f\n",
                options_from(o, b->name), text, b->whole ? "whole " : "",
                b == &connections || b == &threads ? "" : " of seconds", b->max);
        return -1;
}

static int milliseconds(const struct options *o, const struct bounds *b, const char *text, int *out)
{
        double seconds;

        if (number(o, b, text, &seconds) < 0)
                return -1;
        *out = (int)(seconds * 1000);
        return 0;
}

int limits_workers(const struct options *o)
{
        double count;

        return number(o, &threads, o->workers, &count) < 0 ? -1 : (int)count;
}

int limits_read(struct relay_limits *out, const struct options *o)
{
        double probes, most;

        if (milliseconds(o, &head, o->head_timeout, &out->head_ms) < 0 ||
            milliseconds(o, &connecting, o->connect_timeout, &out->connect_ms) < 0 ||
            milliseconds(o, &answer, o->answer_timeout, &out->answer_ms) < 0 ||
            milliseconds(o, &idle, o->idle_timeout, &out->idle_ms) < 0 ||
            milliseconds(o, &linger, o->linger, &out->linger_ms) < 0 ||
            number(o, &keepalive, o->keepalive, &probes) < 0 ||
            number(o, &connections, o->max_connections, &most) < 0)
                return -1;
        out->keepalive_s = (int)probes;
        out->max_connections = (unsigned)most;
        return 0;
}
