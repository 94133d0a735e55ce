/* The old ways to look a name up, each once: NAME. Prints what each returned. Run by
 * tests/e2e/test_passed.py. */
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

static void show(const char *call, const struct hostent *host, int error)
{
        printf("%s %s %d\n", call, host != NULL ? host->h_name : "none", host != NULL ? 0 : error);
}

int main(int argc, char **argv)
{
        struct hostent own, *host = NULL;
        char buffer[4096];
        int error = 0;

        if (argc < 2)
                return 64;
        host = gethostbyname(argv[1]);
        show("gethostbyname", host, h_errno);
        host = gethostbyname2(argv[1], AF_INET);
        show("gethostbyname2", host, h_errno);
        gethostbyname_r(argv[1], &own, buffer, sizeof buffer, &host, &error);
        show("gethostbyname_r", host, error);
        printf("too small %d\n", gethostbyname_r(argv[1], &own, buffer, 8, &host, &error));
        gethostbyname2_r(argv[1], AF_INET, &own, buffer, sizeof buffer, &host, &error);
        show("gethostbyname2_r", host, error);
        return 0;
}
