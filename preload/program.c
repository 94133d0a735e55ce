/* Looks at a program before it is started; see tapline_program.h. Linked into both halves. */
#include "tapline_program.h"
#include "sys.h"
#include "text.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

enum {
        HEAD_MAX = 1024,   /* holds the program headers of nearly every file */
        SHEBANG_MAX = 256, /* what the kernel reads of a #! line: BINPRM_BUF_SIZE */
        DEPTH_MAX = 5,     /* interpreters of interpreters, as the kernel counts */
        PROGRAM_HEADERS_MAX = 128,
        DYNAMIC_MAX = 64,      /* entries of the dynamic section; linkers write some 30 */
        LIBRARY_NAME_MAX = 32, /* enough to know it by its beginning */
        MOUNTED_NOSUID = 2,    /* ST_NOSUID of statfs(2) */
};

#if defined(__x86_64__)
enum { OUR_MACHINE = EM_X86_64 };
#elif defined(__aarch64__)
enum { OUR_MACHINE = EM_AARCH64 };
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
enum { OUR_DATA = ELFDATA2LSB };
#else
enum { OUR_DATA = ELFDATA2MSB };
#endif

struct file {
        int fd;
        const char *path; /* as the program or the #! line has it */
        size_t len;       /* of head */
        _Alignas(8) char head[HEAD_MAX];
};

struct fd_path {
        char text[32];
};

/* /proc/self/fd/N */
static struct fd_path fd_path(int fd)
{
        struct fd_path path = {"/proc/self/fd/"};
        char digits[12];
        size_t at = sizeof digits;
        unsigned value = (unsigned)fd;

        digits[--at] = '\0';
        do
                digits[--at] = (char)('0' + value % 10);
        while ((value /= 10) != 0);
        memcpy(path.text + strlen(path.text), digits + at, sizeof digits - at);
        return path;
}

/* Copy len bytes at offset, from the head if they are there. False if the file has fewer. */
static bool read_at(const struct file *file, uint64_t offset, void *out, size_t len)
{
        if (offset <= file->len && len <= file->len - offset) {
                memcpy(out, file->head + offset, len);
                return true;
        }
        return sys6(SYS_pread64, file->fd, SYS_LONG(out), SYS_LONG(len), SYS_LONG(offset), 0, 0) ==
               (long)len;
}

/* The linker's name, of itself or in a program: only glibc's can load our library. */
static bool is_glibc_linker(const char *path)
{
        static const char *const names[] = {"ld-linux", "ld-lsb", "ld-2.", "ld.so"};
        const char *name = text_base(path);

        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
                if (strncmp(name, names[i], strlen(names[i])) == 0)
                        return true;
        return false;
}

/* Offset in the file of what will be at this address; false if the file has none of it. */
static bool offset_of(const struct file *file, const ElfW(Ehdr) * head, uint64_t address,
                      uint64_t *offset)
{
        ElfW(Phdr) part;

        for (unsigned i = 0; i < head->e_phnum; i++) {
                if (!read_at(file, head->e_phoff + i * sizeof part, &part, sizeof part))
                        return false;
                if (part.p_type != PT_LOAD || address < part.p_vaddr ||
                    address - part.p_vaddr >= part.p_filesz)
                        continue;
                *offset = part.p_offset + (address - part.p_vaddr);
                return true;
        }
        return false;
}

/* The first library that the program asks for. AddressSanitizer insists on being that one, so a
 * program that works has it there. */
static bool first_needed(const struct file *file, const ElfW(Ehdr) * head,
                         const ElfW(Phdr) * dynamic, char *out, size_t cap)
{
        ElfW(Dyn) entries[DYNAMIC_MAX];
        size_t len = dynamic->p_filesz < sizeof entries ? dynamic->p_filesz : sizeof entries;
        const ElfW(Dyn) *needed = NULL, *strings = NULL;
        uint64_t offset;
        long n;

        if (!read_at(file, dynamic->p_offset, entries, len))
                return false;
        for (size_t i = 0; i < len / sizeof *entries && entries[i].d_tag != DT_NULL; i++) {
                if (entries[i].d_tag == DT_NEEDED && needed == NULL)
                        needed = &entries[i];
                else if (entries[i].d_tag == DT_STRTAB)
                        strings = &entries[i];
        }
        if (needed == NULL || strings == NULL ||
            !offset_of(file, head, strings->d_un.d_ptr, &offset))
                return false;
        n = sys6(SYS_pread64, file->fd, SYS_LONG(out), SYS_LONG(cap - 1),
                 SYS_LONG(offset + needed->d_un.d_val), 0, 0);
        out[n > 0 ? n : 0] = '\0';
        return n > 0;
}

static enum wire_uncovered_reason judge_needs(const struct file *file, const ElfW(Ehdr) * head,
                                              const ElfW(Phdr) * dynamic)
{
        char name[LIBRARY_NAME_MAX];

        return dynamic->p_type == PT_DYNAMIC &&
                               first_needed(file, head, dynamic, name, sizeof name) &&
                               program_is_asan(name)
                       ? WIRE_SANITIZER
                       : WIRE_COVERED;
}

static enum wire_uncovered_reason judge_linker(const struct file *file, const ElfW(Phdr) * interp)
{
        char path[SHEBANG_MAX];
        size_t len = interp->p_filesz < sizeof path ? interp->p_filesz : sizeof path - 1;

        if (!read_at(file, interp->p_offset, path, len))
                return WIRE_COVERED;
        path[len] = '\0';
        return is_glibc_linker(path) ? WIRE_COVERED : WIRE_FOREIGN;
}

static enum wire_uncovered_reason judge_linkage(const struct file *file)
{
        ElfW(Ehdr) head;
        ElfW(Phdr) part, interp = {.p_type = PT_NULL}, dynamic = {.p_type = PT_NULL};
        enum wire_uncovered_reason reason;

        if (!read_at(file, 0, &head, sizeof head) || head.e_phentsize != sizeof part ||
            head.e_phnum > PROGRAM_HEADERS_MAX)
                return WIRE_COVERED;
        for (unsigned i = 0; i < head.e_phnum; i++) {
                if (!read_at(file, head.e_phoff + i * sizeof part, &part, sizeof part))
                        return WIRE_COVERED;
                if (part.p_type == PT_INTERP)
                        interp = part;
                else if (part.p_type == PT_DYNAMIC)
                        dynamic = part;
        }
        if (interp.p_type == PT_INTERP) {
                reason = judge_linker(file, &interp);
                return reason != WIRE_COVERED ? reason : judge_needs(file, &head, &dynamic);
        }
        /* The linker itself, called as a program, has none either. */
        return is_glibc_linker(file->path) ? WIRE_COVERED : WIRE_STATIC;
}

/* The kernel goes by neither mode bits nor capabilities where the mount or the process says so. */
static bool is_nosuid(const struct file *file)
{
        struct statfs fs;

        return sys(SYS_fstatfs, file->fd, &fs, 0) == 0 && (fs.f_flags & MOUNTED_NOSUID) != 0;
}

static bool has_no_new_privileges(void)
{
        return sys6(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0, 0) == 1;
}

/* Will the linker run in secure-execution mode, in which it loads nothing of ours? As the kernel
 * decides: a real id that differs from the effective one, or capabilities of the file,
 * getauxval(3). */
static enum wire_uncovered_reason judge_privileges(const struct file *file, mode_t mode,
                                                   uid_t owner, gid_t group)
{
        uid_t uid = (uid_t)sys(SYS_getuid, 0, 0, 0), euid = (uid_t)sys(SYS_geteuid, 0, 0, 0);
        gid_t gid = (gid_t)sys(SYS_getgid, 0, 0, 0), egid = (gid_t)sys(SYS_getegid, 0, 0, 0);
        bool setuid = (mode & S_ISUID) != 0;
        bool setgid = (mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
        bool capable = uid != 0 && sys6(SYS_fgetxattr, file->fd, SYS_LONG("security.capability"), 0,
                                        0, 0, 0) > 0;

        if ((setuid || setgid || capable) && is_nosuid(file))
                setuid = setgid = capable = false;
        if ((setuid || setgid) && has_no_new_privileges())
                setuid = setgid = false;
        if ((setuid ? owner : euid) != uid)
                return WIRE_SETUID;
        if ((setgid ? group : egid) != gid)
                return WIRE_SETGID;
        return capable ? WIRE_CAPABILITIES : WIRE_COVERED;
}

static enum wire_uncovered_reason judge(const struct file *file)
{
        const unsigned char *id = (const unsigned char *)file->head;
        enum wire_uncovered_reason reason, privileges;
        uint16_t machine;
        struct stat st;

        if (file->len < EI_NIDENT + 4 || memcmp(id, ELFMAG, SELFMAG) != 0)
                return WIRE_COVERED;
        memcpy(&machine, file->head + EI_NIDENT + 2, sizeof machine);
        if (id[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) ||
            id[EI_DATA] != OUR_DATA || machine != OUR_MACHINE)
                return WIRE_FOREIGN;
        reason = judge_linkage(file);
        if (reason == WIRE_FOREIGN || sys(SYS_fstat, file->fd, &st, 0) < 0)
                return reason;
        privileges = judge_privileges(file, st.st_mode, st.st_uid, st.st_gid);
        return privileges != WIRE_COVERED ? privileges : reason;
}

/* The interpreter of a #! line. Returns false if there is none. */
static bool read_interpreter(const struct file *file, char *out)
{
        size_t len = file->len < SHEBANG_MAX ? file->len : SHEBANG_MAX, at = 2, used = 0;

        if (len < 3 || file->head[0] != '#' || file->head[1] != '!')
                return false;
        while (at < len && (file->head[at] == ' ' || file->head[at] == '\t'))
                at++;
        while (at < len && strchr(" \t\n", file->head[at]) == NULL) /* finds the NUL too */
                out[used++] = file->head[at++];
        out[used] = '\0';
        return used > 0;
}

/* O_NONBLOCK for a FIFO or a device that is tried as a program. */
static bool open_file(struct file *file, int dir, const char *path)
{
        long n, fd = sys6(SYS_openat, dir, SYS_LONG(path),
                          O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0, 0, 0);

        if (fd < 0)
                return false;
        file->fd = (int)fd;
        file->path = path;
        n = sys6(SYS_pread64, fd, SYS_LONG(file->head), sizeof file->head, 0, 0, 0);
        file->len = n > 0 ? (size_t)n : 0;
        return true;
}

/* A file that nobody may execute will not be. */
static void conclude(const struct file *file, struct program *out)
{
        struct fd_path link = fd_path(file->fd);
        long n;

        out->reason = judge(file);
        if (out->reason == WIRE_COVERED)
                return;
        if (sys(SYS_faccessat, AT_FDCWD, link.text, X_OK) < 0)
                out->reason = WIRE_COVERED;
        n = sys_readlink(link.text, out->path, sizeof out->path - 1);
        if (n > 0)
                out->path[n] = '\0';
        else
                memcpy(out->path, file->path, text_len(file->path, sizeof out->path - 1) + 1);
        out->path[sizeof out->path - 1] = '\0';
}

void program_look(int dir, const char *path, struct program *out)
{
        char interpreter[SHEBANG_MAX];
        struct file file;
        bool script = true;

        out->reason = WIRE_COVERED;
        for (int depth = 0; script && depth <= DEPTH_MAX && open_file(&file, dir, path); depth++) {
                script = read_interpreter(&file, interpreter);
                if (!script)
                        conclude(&file, out);
                sys(SYS_close, file.fd, 0, 0);
                dir = AT_FDCWD;
                path = interpreter;
        }
}

void program_look_fd(int fd, struct program *out)
{
        struct fd_path link = fd_path(fd);

        if (fd >= 0)
                program_look(AT_FDCWD, link.text, out);
        else
                out->reason = WIRE_COVERED;
}

/* PATH as execvp(3) takes it: the process's own, whatever environment the program will get. */
static const char *search_path(void)
{
        for (char **e = environ; e != NULL && *e != NULL; e++)
                if (strncmp(*e, "PATH=", 5) == 0)
                        return *e + 5;
        return "/bin:/usr/bin";
}

/* execvp(3) goes on with the next directory after most errors: the first that works counts. */
static bool can_be_executed(const char *path)
{
        struct stat st;

        return sys6(SYS_newfstatat, AT_FDCWD, SYS_LONG(path), SYS_LONG(&st), 0, 0, 0) == 0 &&
               S_ISREG(st.st_mode) && sys(SYS_faccessat, AT_FDCWD, path, X_OK) == 0;
}

/* DIR/NAME, or NAME for an empty DIR. Returns false if it is too long. */
static bool join(const char *dir, size_t dir_len, const char *name, char *out, size_t cap)
{
        size_t name_len = strlen(name), slash = dir_len > 0;

        if (dir_len + slash + name_len + 1 > cap)
                return false;
        memcpy(out, dir, dir_len);
        if (slash)
                out[dir_len] = '/';
        memcpy(out + dir_len + slash, name, name_len + 1);
        return true;
}

void program_search(const char *name, struct program *out)
{
        const char *dir = search_path();
        char path[PATH_MAX];

        out->reason = WIRE_COVERED;
        if (name == NULL || strchr(name, '/') != NULL) {
                program_look(AT_FDCWD, name, out);
                return;
        }
        while (*name != '\0' && dir != NULL) {
                const char *end = strchr(dir, ':');
                size_t len = end != NULL ? (size_t)(end - dir) : strlen(dir);

                if (join(dir, len, name, path, sizeof path) && can_be_executed(path)) {
                        program_look(AT_FDCWD, path, out);
                        return;
                }
                dir = end != NULL ? end + 1 : NULL;
        }
}
