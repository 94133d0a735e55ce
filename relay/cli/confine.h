/* What the relay gives up before it serves: it speaks to strangers and needs nothing but sockets,
 * reading, and the directories of its own files. */
#ifndef CLI_CONFINE_H
#define CLI_CONFINE_H

/* From here on this process and its threads get no new privileges (prctl(2)) and leave no core
 * file, in which keys would be (setrlimit(2)). Returns 0 or -errno. */
int confine_self(void);

/* After confine_self, and before threads are started: they start no program, and write, make and
 * remove files only in and below the directories in which files are (absolute paths or not, ended
 * by NULL; they need not exist), by landlock(7). Descriptors that are open stay as they are. The
 * price: what a process runs
 * (/proc/PID/exe) is not to be seen from there, so the relay of a run, which has to name programs,
 * does without. Returns 0, or -errno: -ENOSYS or -EOPNOTSUPP if the kernel has no landlock, which
 * is no reason not to serve. */
int confine_files(const char *const files[]);

#endif
