/* confine.c: in a child, since it cannot be taken back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char own[] = "/tmp/tapline-confine-own-XXXXXX",
            other[] = "/tmp/tapline-confine-other-XXXXXX";

/* Exit statuses of the child: 0, or which promise was broken; 77: this kernel has no landlock. */
static int confined(void)
{
        char path[100], kept[100], socket[100];
        const char *const files[] = {socket, "/nonexistent/x", NULL};
        struct rlimit core;
        int before, result;

        snprintf(kept, sizeof kept, "%s/kept", other);
        before = open(kept, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        snprintf(socket, sizeof socket, "%s/s.sock", own);
        result = confine(files);
        if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || getrlimit(RLIMIT_CORE, &core) < 0 ||
            core.rlim_max != 0)
                return 1;
        if (result == -ENOSYS || result == -EOPNOTSUPP)
                return 77;
        if (result != 0)
                return 2;
        snprintf(path, sizeof path, "%s/new", own);
        if (open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0 || unlink(path) < 0)
                return 3;
        snprintf(path, sizeof path, "%s/new", other);
        if (open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0 || errno != EACCES)
                return 4;
        if (unlink(kept) == 0 || open(kept, O_WRONLY | O_CLOEXEC) >= 0 || mkdir(path, 0700) == 0)
                return 5;
        if (write(before, "line\n", 5) != 5 || ftruncate(before, 0) < 0)
                return 6;
        if (open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0)
                return 7;
        execl("/bin/true", "true", (char *)NULL);
        return errno == EACCES ? 0 : 8;
}

static void test_confined(void **state)
{
        char kept[100];
        int status;
        pid_t pid;

        (void)state;
        assert_non_null(mkdtemp(own));
        assert_non_null(mkdtemp(other));
        pid = fork();
        if (pid == 0)
                _exit(confined());
        assert_int_equal(waitpid(pid, &status, 0), pid);
        snprintf(kept, sizeof kept, "%s/kept", other);
        unlink(kept);
        assert_int_equal(rmdir(own), 0);
        assert_int_equal(rmdir(other), 0);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77)
                skip(); /* the kernel's: there is no landlock to test */
        assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_confined)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
