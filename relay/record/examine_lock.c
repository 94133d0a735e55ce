/* See examine_lock.h. */
#include "record/examine_lock.h"
#include "record/mask.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 32, PROCESSES_MAX = 5000 };

/* "1: FLOCK  ADVISORY  WRITE 1234 08:01:567 0 EOF"; "1: -> ..." is one that waits. */
struct line {
        long pid; /* -1: a lock of an open file description, which has no owner */
        unsigned major, minor;
        unsigned long long inode;
};

static bool parse(const char *text, struct line *out)
{
        return strstr(text, "->") == NULL &&
               sscanf(text, "%*s %*s %*s %*s %ld %x:%x:%llu", &out->pid, &out->major, &out->minor,
                      &out->inode) == 4;
}

/* Some file systems (btrfs, overlay) show another device number to stat(2): then the inode has to
 * do. */
static pid_t holder_in(FILE *in, pid_t waiter, uint64_t device, uint64_t inode)
{
        struct line found;
        char text[256];
        pid_t best = 0;

        while (fgets(text, sizeof text, in) != NULL) {
                if (!parse(text, &found) || found.inode != inode || found.pid == waiter)
                        continue;
                if (best == 0)
                        best = (pid_t)found.pid;
                if (makedev(found.major, found.minor) == device)
                        return (pid_t)found.pid;
        }
        return best;
}

static bool has_lock(const char *process, uint64_t inode)
{
        char path[NAME_MAX + 64], text[256];
        const struct dirent *entry;
        struct line found;
        bool has = false;
        DIR *list;

        snprintf(path, sizeof path, "/proc/%s/fdinfo", process);
        list = opendir(path);
        while (list != NULL && !has && (entry = readdir(list)) != NULL) {
                FILE *in;

                snprintf(path, sizeof path, "/proc/%s/fdinfo/%.20s", process, entry->d_name);
                in = entry->d_name[0] != '.' ? fopen(path, "re") : NULL;
                while (in != NULL && !has && fgets(text, sizeof text, in) != NULL)
                        has = strncmp(text, "lock:", 5) == 0 && parse(text + 5, &found) &&
                              found.inode == inode;
                if (in != NULL)
                        fclose(in);
        }
        if (list != NULL)
                closedir(list);
        return has;
}

/* The descriptors of every process that we may look into. */
static pid_t holder_of_description(pid_t waiter, uint64_t inode)
{
        const struct dirent *entry;
        DIR *list = opendir("/proc");
        pid_t found = 0;

        for (int n = 0;
             list != NULL && found == 0 && n < PROCESSES_MAX && (entry = readdir(list)) != NULL;
             n++)
                if (atoi(entry->d_name) > 0 && atoi(entry->d_name) != waiter &&
                    has_lock(entry->d_name, inode))
                        found = atoi(entry->d_name);
        if (list != NULL)
                closedir(list);
        return found;
}

static void write_argv(struct event *e, pid_t pid)
{
        char path[40], line[4096], masked[4096], *previous = NULL;
        size_t len, n = 0;
        FILE *in;

        snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
        in = fopen(path, "re");
        if (in == NULL)
                return;
        len = fread(line, 1, sizeof line - 1, in);
        fclose(in);
        line[len] = '\0';
        event_open_array(e, "holder_argv");
        for (char *at = line; at < line + len && n < ARGUMENTS_MAX; at += strlen(at) + 1, n++) {
                mask_argument_after(previous, at, masked, sizeof masked);
                event_str(e, NULL, masked);
                previous = at;
        }
        event_close_array(e);
}

static void write_process(struct event *e, pid_t pid)
{
        char path[40], exe[PATH_MAX];
        ssize_t n;

        event_int(e, "holder", pid);
        snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
        n = readlink(path, exe, sizeof exe - 1);
        if (n > 0)
                event_strn(e, "holder_exe", exe, (size_t)n);
        write_argv(e, pid);
}

void examine_lock_write(struct event *e, pid_t waiter, uint64_t device, uint64_t inode)
{
        FILE *in = inode != 0 ? fopen("/proc/locks", "re") : NULL;
        pid_t holder;

        if (in == NULL)
                return;
        holder = holder_in(in, waiter, device, inode);
        fclose(in);
        if (holder < 0)
                holder = holder_of_description(waiter, inode);
        if (holder > 0)
                write_process(e, holder);
}
