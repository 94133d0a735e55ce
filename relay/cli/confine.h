/* What the relay gives up before it serves: it speaks to strangers and needs nothing but sockets,
 * reading, and the directories of its own files. */
#ifndef CLI_CONFINE_H
#define CLI_CONFINE_H

/* From here on this process and its threads get no new privileges (prctl(2)), leave no core file,
 * in which keys would be (setrlimit(2)), start no program, and write, make and remove files only in
 * and below the directories in which files are (absolute paths or not, ended by NULL; they need not
 * exist) by landlock(7). Descriptors that are open stay as they are. Call it before threads are
 * started. Returns 0, or -errno with the rest in force: -ENOSYS or -EOPNOTSUPP if the kernel has no
 * landlock, which is no reason not to serve. */
int confine(const char *const files[]);

#endif
