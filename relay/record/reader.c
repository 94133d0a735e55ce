/* Reads a record back: see reader.h. A record may end anywhere (the relay was killed, the disk
 * filled up) and may have been edited; each whole line is judged by itself. */
#include "record/reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* A line is one event, and an event is at most 64 KiB (event.h). What is longer is no record, and
 * is not worth the memory. */
enum { LINE_CAP = 1024 * 1024 };

static bool is_event(const json_t *item)
{
        return event_get_str(item, "event") != NULL && event_get_str(item, "time") != NULL;
}

static int append(struct record_events *out, json_t *item)
{
        /* Room doubles: the count is a power of two when it is used up. */
        if ((out->count & (out->count - 1)) == 0) {
                size_t room = out->count > 0 ? out->count * 2 : 1;
                json_t **grown = reallocarray(out->items, room, sizeof *grown);

                if (grown == NULL)
                        return -ENOMEM;
                out->items = grown;
        }
        out->items[out->count++] = item;
        return 0;
}

json_t *record_parse(const char *line, size_t len)
{
        json_t *item = len <= LINE_CAP ? json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL) : NULL;

        if (item != NULL && is_event(item))
                return item;
        json_decref(item);
        return NULL;
}

/* Returns 0, -EINVAL if the line is no event, -ENOMEM. */
static int take_line(struct record_events *out, const char *line, size_t len)
{
        json_t *item = record_parse(line, len);
        int result;

        if (item == NULL)
                return -EINVAL;
        result = append(out, item);
        if (result < 0)
                json_decref(item);
        return result;
}

static bool is_blank(const char *line, size_t len)
{
        return strspn(line, " \t\r\n") >= len;
}

/* All lines of the file. Returns 0 or -errno. */
static int read_lines(FILE *file, struct record_events *out)
{
        char *line = NULL;
        size_t cap = 0;
        ssize_t len;
        int result = 0;

        while (result == 0 && (len = getline(&line, &cap, file)) > 0) {
                if (line[len - 1] != '\n') {
                        out->truncated = true;
                        break;
                }
                if (is_blank(line, (size_t)len))
                        continue;
                result = take_line(out, line, (size_t)len);
                if (result != -EINVAL || out->count == 0)
                        continue;
                out->bad_lines++;
                result = 0;
        }
        if (result == 0 && ferror(file))
                result = errno != 0 ? -errno : -EIO;
        free(line);
        return result;
}

/* A directory opens for reading, too; its error would come late and say less. The first byte tells
 * a record from a device or a disk image that has no line to end. */
static int check_file(FILE *file)
{
        struct stat st;
        int first;

        if (fstat(fileno(file), &st) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        first = getc(file);
        if (first == EOF)
                return ferror(file) ? -EIO : -ENODATA;
        return ungetc(first, file) == '{' ? 0 : -EINVAL;
}

int record_read(const char *path, struct record_events *out)
{
        FILE *file = fopen(path, "re");
        int result;

        *out = (struct record_events){0};
        if (file == NULL)
                return -errno;
        result = check_file(file);
        if (result == 0)
                result = read_lines(file, out);
        fclose(file);
        if (result == 0 && out->count == 0)
                result = -EINVAL;
        if (result < 0)
                record_events_free(out);
        return result;
}

void record_events_free(struct record_events *events)
{
        for (size_t i = 0; i < events->count; i++)
                json_decref(events->items[i]);
        free(events->items);
        *events = (struct record_events){0};
}

const char *event_get_str(const json_t *event, const char *key)
{
        return json_string_value(json_object_get(event, key));
}

int64_t event_get_int(const json_t *event, const char *key, int64_t fallback)
{
        const json_t *value = json_object_get(event, key);

        return json_is_integer(value) ? (int64_t)json_integer_value(value) : fallback;
}

bool event_get_bool(const json_t *event, const char *key, bool fallback)
{
        const json_t *value = json_object_get(event, key);

        return json_is_boolean(value) ? json_is_true(value) : fallback;
}

/* ".123456Z" to microseconds; -1 if it is something else. */
static int64_t fraction_us(const char *text)
{
        int64_t us = 0, unit = 100000;

        if (*text == '.')
                for (text++; *text >= '0' && *text <= '9'; text++, unit /= 10)
                        us += unit * (*text - '0');
        return strcmp(text, "Z") == 0 ? us : -1;
}

int64_t event_get_time_us(const json_t *event)
{
        const char *text = event_get_str(event, "time");
        const char *rest = NULL;
        struct tm tm = {0};
        int64_t us;

        if (text != NULL)
                rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
        us = rest != NULL ? fraction_us(rest) : -1;
        return us >= 0 ? (int64_t)timegm(&tm) * 1000000 + us : -1;
}
