/* The old ways to look a name up, each once: NAME. Prints what each returned. Run by
 * tests/e2e/test_passed.py and test_resolve.py. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

static void show(const char *call, const struct hostent *host, int error)
{
        char literal[INET6_ADDRSTRLEN];

        printf("%s %s", call, host != NULL ? host->h_name : "none");
        if (host == NULL)
                printf(" %d", error);
        for (char **at = host != NULL ? host->h_addr_list : NULL; at != NULL && *at != NULL; at++)
                printf(" %s", inet_ntop(host->h_addrtype, *at, literal, sizeof literal));
        puts(host != NULL && host->h_aliases[0] != NULL ? " and aliases" : "");
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
        gethostbyname2_r(argv[1], AF_INET6, &own, buffer + 1, sizeof buffer - 1, &host, &error);
        show("gethostbyname2_r IPv6", host, error);
        return 0;
}
