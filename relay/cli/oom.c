/* The kernel's count of programs ended for want of memory; see oom.h. */
#include "cli/oom.h"

#include <stdio.h>
#include <string.h>

enum { PATH_CAP = 600 };

/* The number after "oom_kill" in a file of lines "name number". */
static int64_t read_count(const char *path)
{
        FILE *in = fopen(path, "re");
        char line[256];
        long long count = -1;

        while (in != NULL && fgets(line, sizeof line, in) != NULL)
                if (sscanf(line, "oom_kill %lld", &count) == 1)
                        break;
        if (in != NULL)
                fclose(in);
        return count;
}

/* cgroup version 2 ("0::/path"), whose count includes the groups below. */
static int64_t count_unified(const char *group)
{
        char path[PATH_CAP];

        snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.events", group);
        return read_count(path);
}

/* Version 1 ("4:memory:/path"). */
static int64_t count_memory(const char *group)
{
        char path[PATH_CAP];

        snprintf(path, sizeof path, "/sys/fs/cgroup/memory%s/memory.oom_control", group);
        return read_count(path);
}

static int64_t count_group(const char *line)
{
        const char *controllers = strchr(line, ':');
        const char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;

        if (group == NULL)
                return -1;
        if (strncmp(line, "0::", 3) == 0)
                return count_unified(group + 1);
        return strncmp(controllers, ":memory:", 8) == 0 ? count_memory(group + 1) : -1;
}

int64_t oom_count(void)
{
        FILE *in = fopen("/proc/self/cgroup", "re");
        int64_t count = -1;
        char line[512];

        while (in != NULL && count < 0 && fgets(line, sizeof line, in) != NULL) {
                line[strcspn(line, "\n")] = '\0';
                count = count_group(line);
        }
        if (in != NULL)
                fclose(in);
        return count >= 0 ? count : read_count("/proc/vmstat");
}
