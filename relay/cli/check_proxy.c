/* The proxy: is it there, does it speak CONNECT, does it take our credentials? It is asked for a
 * host that cannot exist (RFC 2606), so nothing outside is reached: that it cannot get there is the
 * answer of one that works. */
#include "cli/check.h"
#include "net/bridge.h"
#include "net/dial.h"
#include "net/loop.h"
#include "record/event.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define ABSENT_HOST "index.example"

enum { PORT = 443, GIVE_UP_MS = 15000, SKEW_SECONDS = 600 };

/* What came of it. */
struct attempt {
        struct loop *loop; /* borrowed */
        struct dial *dial;
        struct dial_result result;
        char head[4096]; /* the proxy's answer, NUL-terminated */
};

static void on_done(void *ctx, struct dial_result *result)
{
        struct attempt *a = ctx;
        size_t len = result->proxy_head_len < sizeof a->head ? result->proxy_head_len
                                                             : sizeof a->head - 1;

        if (len > 0)
                memcpy(a->head, result->proxy_head, len);
        if (result->fd >= 0)
                close(result->fd);
        a->result = *result;
        a->dial = NULL;
        loop_stop(a->loop);
}

static void on_timeout(uv_timer_t *timer)
{
        struct attempt *a = timer->data;

        loop_stop(a->loop);
}

static bool try_proxy(const struct upstream *via, struct attempt *a)
{
        struct dial_request request = {.name = ABSENT_HOST, .port = PORT, .via = via};
        struct loop *loop = loop_new();
        uv_timer_t timer = {.data = a};

        *a = (struct attempt){.loop = loop, .result = {.fd = -1}};
        if (loop == NULL)
                return false;
        uv_timer_init(loop_uv(loop), &timer);
        uv_timer_start(&timer, on_timeout, GIVE_UP_MS, 0);
        a->dial = dial_start(loop, &request, on_done, a);
        if (a->dial != NULL)
                loop_run(loop);
        if (a->dial != NULL) {
                dial_cancel(a->dial);
                a->result.stage = DIAL_PROXY;
                a->result.error = ETIMEDOUT;
                snprintf(a->result.text, sizeof a->result.text, "it does not answer");
        }
        bridge_end_all();
        uv_timer_stop(&timer);
        uv_close((uv_handle_t *)&timer, NULL);
        uv_run(loop_uv(loop), UV_RUN_NOWAIT);
        loop_free(loop);
        return true;
}

/* It answered, and did not say that it does not want us. (Tinyproxy says 401 to a wrong password.)
 */
static bool is_well(const struct dial_result *result)
{
        bool socks = result->hop != NULL && !hop_is_http(result->hop);

        if (socks && result->stage == DIAL_PROXY)
                return !result->down && !result->auth_wanted;
        return result->stage == DIAL_DONE ||
               (result->proxy_status >= 400 && result->proxy_status != 407 &&
                result->proxy_status != 401);
}

/* The schemes of a challenge: the first word of each Proxy-Authenticate field. */
static void write_challenge(struct event *e, const char *head)
{
        static const char name[] = "Proxy-Authenticate:";
        char schemes[128] = "";
        size_t used = 0;

        for (const char *line = head; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
                size_t len;

                line += *line == '\n';
                if (strncasecmp(line, name, sizeof name - 1) != 0)
                        continue;
                line += sizeof name - 1;
                line += strspn(line, " \t");
                len = strcspn(line, " \t\r\n,");
                used += (size_t)snprintf(schemes + used, sizeof schemes - used, "%s%.*s",
                                         used > 0 ? ", " : "", (int)(len < 30 ? len : 30), line);
                if (used > sizeof schemes - 34)
                        break;
        }
        event_str(e, "proxy_challenge", used > 0 ? schemes : NULL);
}

static json_t *finish(struct event *e)
{
        size_t len;
        const char *text = event_finish(e, &len);

        return json_loadb(text, len, 0, NULL);
}

static json_t *make_connect(const struct event_who *who)
{
        struct event e;

        event_begin(&e, EVENT_CONNECT, who, 1);
        event_str(&e, "kind", "redirected");
        event_str(&e, "name", ABSENT_HOST);
        event_int(&e, "port", PORT);
        return finish(&e);
}

static json_t *make_upstream(const struct event_who *who, const char *via, const struct attempt *a)
{
        static const char *const stages[] = {"resolve", "connect", "proxy"};
        const struct dial_result *result = &a->result;
        struct event e;

        event_begin(&e, EVENT_UPSTREAM, who, 1);
        event_str(&e, "via", via);
        event_str(&e, "host", ABSENT_HOST);
        event_int(&e, "port", PORT);
        event_str(&e, "address", result->address[0] != '\0' ? result->address : NULL);
        event_str(&e, "result", "failed");
        event_str(&e, "stage", result->stage < DIAL_DONE ? stages[result->stage] : NULL);
        event_str(&e, "errno", result->error != 0 ? event_errno_name(result->error) : NULL);
        event_str(&e, "error", result->text);
        if (result->proxy_status != 0)
                event_int(&e, "proxy_status", result->proxy_status);
        write_challenge(&e, a->head);
        event_bool(&e, "credentials", result->credentials);
        if (result->auth_wanted)
                event_bool(&e, "proxy_login", true);
        event_ms(&e, "duration_ms", result->duration_us);
        return finish(&e);
}

/* Its clock against ours: RFC 9110 section 6.6.1. */
static void compare_clocks(struct check *check, const char *head)
{
        const char *date = strcasestr(head, "\nDate: ");
        struct check_item *item;
        struct tm tm = {0};
        long long ahead;

        if (date == NULL || strptime(date + 7, "%a, %d %b %Y %H:%M:%S GMT", &tm) == NULL)
                return;
        ahead = (long long)time(NULL) - (long long)timegm(&tm);
        if (llabs(ahead) < SKEW_SECONDS)
                return;
        item = check_add(check, "clock", CHECK_WARNING,
                         "This machine's clock and the proxy's differ by %lld minutes: this one is "
                         "%s.",
                         llabs(ahead) / 60, ahead > 0 ? "ahead" : "behind");
        if (item != NULL)
                item->code = "clock-skew";
        check_advise(item, "If the proxy is right, set this clock (timedatectl set-ntp true, as "
                           "root).");
}

static void add_failure(struct check *check, const char *via, const struct attempt *a)
{
        struct event_who who = {.pid = getpid(), .tid = getpid()};
        json_t *events[] = {make_connect(&who), make_upstream(&who, via, a)};
        struct check_item *item = check_explain(check, "proxy", events, 2);

        if (item == NULL)
                item = check_add(check, "proxy", CHECK_PROBLEM, "The proxy %s cannot be used: %s.",
                                 via, a->result.text);
        if (item != NULL)
                item->state = CHECK_PROBLEM;
}

static void check_one(struct check *check, const struct upstream *via)
{
        struct attempt a;

        if (!try_proxy(via, &a)) {
                check->oom = true;
                return;
        }
        if (is_well(&a.result))
                check_add(check, "proxy", CHECK_OK, "%s answers%s", via->shown,
                          a.result.credentials ? " and takes the credentials" : "");
        else
                add_failure(check, via->shown, &a);
        compare_clocks(check, a.head);
}

void check_proxy(struct check *check)
{
        const struct upstream *via = check->way->https;

        if (via == NULL)
                check_add(check, "proxy", CHECK_OK, "none is configured");
        for (; via != NULL; via = via->next)
                if (!upstream_is_direct(via))
                        check_one(check, via);
}
