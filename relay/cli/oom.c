/* See oom.h. */
#include "cli/oom.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool read_kills(const char *path, int64_t *kills)
{
        FILE *in = fopen(path, "re");
        char line[256];
        bool found = false;
        long long value;

        while (in != NULL && !found && fgets(line, sizeof line, in) != NULL)
                found = sscanf(line, "oom_kill %lld", &value) == 1;
        if (in != NULL)
                fclose(in);
        *kills = found ? (int64_t)value : -1;
        return found;
}

/* "0::/a/b" is the path in the one tree of version 2, "7:memory:/a/b" that of the controller in
 * version 1; cgroups(7). */
static bool read_cgroup(int64_t *kills)
{
        FILE *in = fopen("/proc/self/cgroup", "re");
        char line[PATH_MAX], path[2 * PATH_MAX];
        bool found = false;

        while (in != NULL && !found && fgets(line, sizeof line, in) != NULL) {
                char *at;

                line[strcspn(line, "\n")] = '\0';
                if (strncmp(line, "0::/", 4) == 0) {
                        snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.events", line + 3);
                        found = read_kills(path, kills);
                } else if ((at = strstr(line, ":memory:/")) != NULL) {
                        snprintf(path, sizeof path, "/sys/fs/cgroup/memory%s/memory.oom_control",
                                 at + 8);
                        found = read_kills(path, kills);
                }
        }
        if (in != NULL)
                fclose(in);
        return found;
}

void oom_read(struct oom_count *out)
{
        out->scope = "cgroup";
        if (read_cgroup(&out->kills))
                return;
        out->scope = "machine";
        read_kills("/proc/vmstat", &out->kills);
}
