/* Runs the command as if tapline were not there: same process group and terminal, signals passed
 * on, stops and continues followed, exit status kept. */
#ifndef CLI_SUPERVISE_H
#define CLI_SUPERVISE_H

#include <stdint.h>
#include <sys/types.h>

struct capture;

struct outcome {
        int status; /* exit status as a shell has it: 128+n for signal n; 126, 127 if exec failed */
        int signal; /* that ended it, or 0 */
        int exec_error;    /* errno of a failed exec, or 0 */
        int64_t oom_kills; /* programs that the kernel ended for want of memory meanwhile */
};

/* Block the signals that supervise_command waits for. Call it before any child is forked. */
void supervise_prepare(void);

/* In a child: undo supervise_prepare. */
void supervise_restore(void);

/* Fork, exec command with environment env, wait for its end. With capture (may be NULL) its output
 * goes there. Returns 0, or -errno if fork failed. */
int supervise_command(char **command, char **env, struct capture *capture, struct outcome *out);

#endif
