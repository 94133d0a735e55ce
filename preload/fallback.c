/* Failed writes without a relay; see fallback.h. The line in the record has the shape of
 * docs/record.md's file.failure, less what only the relay can look up. */
#include "fallback.h"
#include "config.h"
#include "sys.h"
#include "text.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

struct line {
        size_t len;
        char text[6144];
};

static void put(struct line *l, const char *text)
{
        size_t len = strlen(text);

        if (len > sizeof l->text - l->len)
                len = sizeof l->text - l->len;
        memcpy(l->text + l->len, text, len);
        l->len += len;
}

/* A number with at least `width` digits. */
static void put_number(struct line *l, unsigned long value, int width)
{
        char digits[24];
        size_t at = sizeof digits - 1;

        digits[at] = '\0';
        for (int i = 0; i < width || value != 0; i++, value /= 10)
                digits[--at] = (char)('0' + value % 10);
        put(l, digits + at);
}

/* Length of a UTF-8 sequence, 0 if s does not begin one. */
static size_t sequence_len(const unsigned char *s)
{
        size_t n = s[0] < 0x80   ? 1
                   : s[0] < 0xc2 ? 0
                   : s[0] < 0xe0 ? 2
                   : s[0] < 0xf0 ? 3
                   : s[0] < 0xf5 ? 4
                                 : 0;

        for (size_t i = 1; i < n; i++)
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
        return n;
}

static void put_escaped(struct line *l, unsigned char c)
{
        static const char hex[] = "0123456789abcdef";

        put(l, (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15], '\0'});
}

/* A JSON string; what is not UTF-8 becomes U+FFFD, so the line is valid whatever the bytes. */
static void put_string(struct line *l, const char *text)
{
        const unsigned char *s = (const unsigned char *)text;

        put(l, "\"");
        while (*s != '\0' && l->len < sizeof l->text - 256) {
                size_t n = sequence_len(s);

                if (n == 0)
                        put(l, "\\ufffd");
                else if (n == 1 && (*s < 0x20 || *s == 0x7f || *s == '"' || *s == '\\'))
                        put_escaped(l, *s);
                else
                        for (size_t i = 0; i < n; i++)
                                put(l, (char[]){(char)s[i], '\0'});
                s += n != 0 ? n : 1;
        }
        put(l, "\"");
}

static const char *error_name(int error)
{
        static const struct {
                int error;
                const char *name;
        } names[] = {
                {EACCES, "EACCES"},   {EPERM, "EPERM"},     {EIO, "EIO"},
                {ELOOP, "ELOOP"},     {ENOTDIR, "ENOTDIR"}, {ENAMETOOLONG, "ENAMETOOLONG"},
                {ESTALE, "ESTALE"},   {EMFILE, "EMFILE"},   {ENFILE, "ENFILE"},
                {EROFS, "EROFS"},     {ENOSPC, "ENOSPC"},   {EDQUOT, "EDQUOT"},
                {EFBIG, "EFBIG"},     {EXDEV, "EXDEV"},     {EISDIR, "EISDIR"},
                {ETXTBSY, "ETXTBSY"}, {ENOLCK, "ENOLCK"},   {EOPNOTSUPP, "EOPNOTSUPP"},
                {ENOENT, "ENOENT"},   {EEXIST, "EEXIST"},   {ENOSYS, "ENOSYS"},
        };

        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
                if (names[i].error == error)
                        return names[i].name;
        return "EIO";
}

/* Seconds since 1970 as RFC 3339 (days to civil date: the usual shift of the year to March). */
static void put_time(struct line *l, int64_t ns)
{
        long seconds = (long)(ns / 1000000000), days = seconds / 86400 + 719468;
        long era = days / 146097, doe = days % 146097;
        long yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
        long doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
        long month = mp < 10 ? mp + 3 : mp - 9, year = yoe + era * 400 + (month <= 2);

        put(l, "\"");
        put_number(l, (unsigned long)year, 4);
        put(l, "-");
        put_number(l, (unsigned long)month, 2);
        put(l, "-");
        put_number(l, (unsigned long)(doy - (153 * mp + 2) / 5 + 1), 2);
        put(l, "T");
        put_number(l, (unsigned long)(seconds / 3600 % 24), 2);
        put(l, ":");
        put_number(l, (unsigned long)(seconds / 60 % 60), 2);
        put(l, ":");
        put_number(l, (unsigned long)(seconds % 60), 2);
        put(l, ".");
        put_number(l, (unsigned long)(ns % 1000000000 / 1000), 6);
        put(l, "Z\"");
}

/* As the relay opens its own (record/writer.c): not what a stranger has put there. */
static long open_record(void)
{
        long fd = sys6(SYS_openat, AT_FDCWD, SYS_LONG(config.record), FALLBACK_OPEN, 0600, 0, 0);
        struct stat st;

        if (fd < 0)
                return fd;
        if (sys(SYS_fstat, fd, &st, 0) == 0 && st.st_nlink == 1 &&
            st.st_uid == (uid_t)sys(SYS_geteuid, 0, 0, 0))
                return fd;
        sys(SYS_close, fd, 0, 0);
        return -1;
}

static void write_record(const struct wire_file *file, const char *paths)
{
        static const char *const intents[] = {"read", "write", "lock", "execute"};
        struct line l = {.len = 0};
        long fd = open_record();

        if (fd < 0)
                return;
        put(&l, "{\"time\":");
        put_time(&l, file->head.time_ns);
        put(&l, ",\"event\":\"file.failure\",\"pid\":");
        put_number(&l, (unsigned long)sys(SYS_getpid, 0, 0, 0), 1);
        put(&l, ",\"tid\":");
        put_number(&l, (unsigned long)file->head.tid, 1);
        put(&l, ",\"call\":");
        put_string(&l, file->call);
        if (paths[0] != '\0') {
                put(&l, ",\"path\":");
                put_string(&l, paths);
        }
        put(&l, ",\"errno\":");
        put_string(&l, error_name(file->error));
        put(&l, ",\"intent\":");
        put_string(&l, intents[file->intent % WIRE_INTENT_COUNT]);
        put(&l, ",\"uid\":");
        put_number(&l, (unsigned long)sys(SYS_geteuid, 0, 0, 0), 1);
        put(&l, "}\n");
        sys(SYS_write, fd, l.text, l.len);
        sys(SYS_close, fd, 0, 0);
}

/* True the first time that this errno is seen for a path in this directory. Forgets nothing; when
 * the table is full it keeps quiet. */
static bool is_new_cause(const char *path, int error)
{
        static _Atomic uint32_t seen[32];
        const char *end = text_base(path);
        uint32_t hash = 2166136261u ^ (uint32_t)error;

        for (const char *p = path; p < end; p++)
                hash = (hash ^ (unsigned char)*p) * 16777619u;
        hash = hash != 0 ? hash : 1;
        for (size_t i = 0; i < 32; i++) {
                uint32_t none = 0;

                if (atomic_compare_exchange_strong(&seen[i], &none, hash))
                        return true;
                if (none == hash)
                        return false;
        }
        return false;
}

void fallback_init(void)
{
        struct stat now;

        if (sys(SYS_fstat, STDERR_FILENO, &now, 0) < 0)
                return;
        config.stderr_device = now.st_dev;
        config.stderr_inode = now.st_ino;
}

/* A program that was started without it, or has closed it, may have a file of its own there. */
static bool is_stderr_theirs(void)
{
        struct stat now;

        return config.stderr_inode == 0 || sys(SYS_fstat, STDERR_FILENO, &now, 0) < 0 ||
               now.st_ino != config.stderr_inode || now.st_dev != config.stderr_device;
}

static void tell_user(const struct wire_file *file, const char *paths)
{
        struct line l = {.len = 0};

        put(&l, "tapline: ");
        put(&l, file->call);
        put(&l, paths[0] != '\0' ? " of " : "");
        put(&l, paths);
        put(&l, " failed: ");
        put(&l, error_name(file->error));
        put(&l, "\n");
        sys(SYS_write, STDERR_FILENO, l.text, l.len);
}

void fallback_file(const struct wire_file *file, const char *paths)
{
        if (config.record[0] != '\0')
                write_record(file, paths);
        else if (!config.told_socket && file->intent != WIRE_INTENT_READ && !is_stderr_theirs() &&
                 is_new_cause(paths, file->error))
                tell_user(file, paths);
}
