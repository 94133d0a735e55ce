/* The supervisor's own events; see run_record.h. */
#include "cli/run_record.h"
#include "net/message.h"
#include "record/mask.h"
#include "tapline_version.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void write_variable(struct event *e, const char *name)
{
        const char *value = getenv(name);
        char masked[4096];

        if (value == NULL)
                return;
        mask_url(value, strlen(value), masked, sizeof masked);
        event_str(e, name, masked);
}

/* The catalogue's variables may name one twice; JSON wants each once. */
static bool was_written(const struct catalogue *cat, size_t tool, size_t at, const char *name)
{
        for (size_t i = 0; i <= tool; i++) {
                const struct catalogue_tool *t = catalogue_get(cat, i);

                for (size_t k = 0; t->variables[k] != NULL && (i < tool || k < at); k++)
                        if (strcmp(t->variables[k], name) == 0)
                                return true;
        }
        return false;
}

static bool is_base(const char *name, const char *const *base)
{
        for (; *base != NULL; base++)
                if (strcmp(*base, name) == 0)
                        return true;
        return false;
}

static void write_environment(struct event *e, const struct catalogue *cat)
{
        static const char *const base[] = {
                "HOME",
                "PATH",
                "TMPDIR",
                "XDG_CACHE_HOME",
                "XDG_CONFIG_HOME",
                "XDG_DATA_HOME",
                "XDG_STATE_HOME",
                "XDG_RUNTIME_DIR",
                "VIRTUAL_ENV",
                "https_proxy",
                "HTTPS_PROXY",
                "http_proxy",
                "HTTP_PROXY",
                "all_proxy",
                "ALL_PROXY",
                "no_proxy",
                "NO_PROXY",
                "SSL_CERT_FILE",
                "SSL_CERT_DIR",
                "REQUESTS_CA_BUNDLE",
                "CURL_CA_BUNDLE",
                "PIP_CERT",
                "NODE_EXTRA_CA_CERTS",
                NULL,
        };

        event_open_object(e, "environment");
        for (const char *const *name = base; *name != NULL; name++)
                write_variable(e, *name);
        for (size_t i = 0; cat != NULL && i < catalogue_count(cat); i++) {
                const struct catalogue_tool *tool = catalogue_get(cat, i);

                for (size_t k = 0; tool->variables[k] != NULL; k++)
                        if (!is_base(tool->variables[k], base) &&
                            !was_written(cat, i, k, tool->variables[k]))
                                write_variable(e, tool->variables[k]);
        }
        event_close_object(e);
}

static void write_command(struct event *e, char **command)
{
        const char *previous = NULL;
        char masked[4096];

        event_open_array(e, "command");
        for (; command != NULL && *command != NULL; previous = *command++) {
                mask_argument_after(previous, *command, masked, sizeof masked);
                event_str(e, NULL, masked);
        }
        event_close_array(e);
}

static mode_t current_umask(void)
{
        mode_t mask = umask(022);

        umask(mask);
        return mask;
}

void run_record_start(struct record *rec, const struct options *o, const struct way *way,
                      char **command, const struct catalogue *catalogue)
{
        static const char *const modes[] = {"never", "auto", "always"};
        char text[PATH_MAX];
        struct event e;

        event_begin(&e, EVENT_RUN_START, NULL, 0);
        event_int(&e, "schema", 1);
        event_str(&e, "version", TAPLINE_VERSION);
        event_str(&e, "mode", command != NULL ? "run" : "relay");
        write_command(&e, command);
        event_str(&e, "cwd", getcwd(text, sizeof text) != NULL ? text : "");
        event_int(&e, "uid", geteuid());
        event_int(&e, "gid", getegid());
        snprintf(text, sizeof text, "%04o", current_umask());
        event_str(&e, "umask", text);
        event_str(&e, "home", getenv("HOME"));
        event_str(&e, "upstream", way->shown);
        event_str(&e, "upstream_from", way->shown != NULL ? way->from : NULL);
        event_str(&e, "inspect", modes[o->inspect_mode]);
        write_environment(&e, catalogue);
        record_write(rec, &e);
}

void run_record_uncovered(struct record *rec, const struct program *command)
{
        struct event e;

        event_begin(&e, EVENT_PROCESS_UNCOVERED, NULL, 0);
        event_str(&e, "target", command->path);
        event_str(&e, "reason", message_uncovered_reason(command->reason));
        record_write(rec, &e);
}

void run_record_end(struct record *rec, const struct outcome *outcome, int64_t duration_us,
                    bool relay_ok)
{
        struct event e;

        event_begin(&e, EVENT_RUN_END, NULL, 0);
        if (outcome != NULL) {
                event_int(&e, "status", outcome->status);
                if (outcome->signal != 0)
                        event_str(&e, "signal", sigabbrev_np(outcome->signal));
                if (outcome->oom_kills > 0)
                        event_int(&e, "oom_kills", outcome->oom_kills);
        }
        event_ms(&e, "duration_ms", duration_us);
        event_str(&e, "relay", relay_ok ? "ok" : "lost");
        if (record_dropped(rec) > 0)
                event_int(&e, "dropped", (int64_t)record_dropped(rec));
        record_write(rec, &e);
}

static void write_lines(struct event *e, const char *key, char *const *lines, size_t count)
{
        event_open_array(e, key);
        for (size_t i = 0; i < count; i++)
                event_str(e, NULL, lines[i]);
        event_close_array(e);
}

void run_record_findings(struct record *rec, const struct explanation *ex)
{
        struct event e;

        for (size_t i = 0; i < ex->finding_count; i++) {
                const struct finding *f = &ex->findings[i];

                event_begin(&e, EVENT_FINDING, NULL, 0);
                event_str(&e, "code", f->code);
                event_str(&e, "severity", severity_name(f->severity));
                event_str(&e, "confidence", confidence_name(f->confidence));
                event_str(&e, "summary", f->summary);
                write_lines(&e, "evidence", f->evidence, f->evidence_count);
                write_lines(&e, "commands", f->commands, f->command_count);
                record_write(rec, &e);
        }
}
