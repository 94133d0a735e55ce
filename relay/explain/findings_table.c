/* The table of findings: one entry for each code, in the order of the enum (findings.h). Help text,
 * the pages of docs/findings and `tapline explain` follow it; tests/gates/test_findings.py
 * compares.
 */
#include "explain/findings.h"

#include <string.h>

#define BIT(name) FINDING_BIT(FINDING_##name)

#define PROXIES                                                                                    \
        (BIT(PROXY_UNREACHABLE) | BIT(PROXY_AUTH_REQUIRED) | BIT(PROXY_AUTH_REJECTED) |            \
         BIT(PROXY_BLOCK_PAGE) | BIT(PROXY_REFUSED_TUNNEL))
#define ROUTES                                                                                     \
        (BIT(RESOLVER_UNREACHABLE) | BIT(NAME_NOT_FOUND) | BIT(IPV6_BROKEN) |                      \
         BIT(CONNECTION_REFUSED) | BIT(CONNECTION_TIMED_OUT) | BIT(HOST_UNREACHABLE))
#define CERTIFICATES                                                                               \
        (BIT(ORIGIN_CERTIFICATE_EXPIRED) | BIT(ORIGIN_CERTIFICATE_NOT_YET_VALID) |                 \
         BIT(ORIGIN_CERTIFICATE_WRONG_NAME) | BIT(ORIGIN_CERTIFICATE_INCOMPLETE_CHAIN) |           \
         BIT(ORIGIN_UNTRUSTED))
#define TRUST                                                                                      \
        (CERTIFICATES | BIT(TLS_INTERCEPTED_BY_OTHER) | BIT(TLS_VERSION_MISMATCH) |                \
         BIT(CLIENT_DISTRUSTS_TAPLINE) | BIT(CLOCK_SKEW))
#define DETOURS (BIT(NO_PROXY_MISMATCH) | BIT(PROXY_IGNORED_BY_TOOL) | BIT(SLOW_PROXY))
#define NETWORK (PROXIES | ROUTES | TRUST | DETOURS)
#define STATUSES                                                                                   \
        (BIT(HTTP_UNAUTHORIZED) | BIT(HTTP_FORBIDDEN) | BIT(HTTP_NOT_FOUND) | BIT(HTTP_GONE) |     \
         BIT(RATE_LIMITED) | BIT(SERVER_ERROR) | BIT(REDIRECT_LOOP))
#define BODIES                                                                                     \
        (BIT(SLOW_ORIGIN) | BIT(STALLED_DOWNLOAD) | BIT(TRUNCATED_ANSWER) | BIT(DIGEST_MISMATCH))
#define SPACE (BIT(DISK_FULL) | BIT(INODES_EXHAUSTED) | BIT(QUOTA_EXCEEDED))
#define BLOCKS                                                                                     \
        (SPACE | BIT(HOME_MISSING) | BIT(HOME_NOT_WRITABLE) | BIT(TEMP_NOT_WRITABLE) |             \
         BIT(READ_ONLY_FILESYSTEM) | BIT(CACHE_OWNED_BY_OTHER_USER) | BIT(CACHE_NOT_WRITABLE) |    \
         BIT(PATH_COMPONENT_NOT_A_DIRECTORY) | BIT(CACHE_NOT_READABLE) | BIT(NOEXEC) |             \
         BIT(LOCK_HELD) | BIT(LOCKS_UNSUPPORTED) | BIT(TOO_MANY_OPEN_FILES))
#define FILES (BLOCKS | BIT(CROSS_DEVICE_RENAME))
#define ENDS  (BIT(OUT_OF_MEMORY_KILL) | BIT(KILLED_BY_SIGNAL))

const uint64_t finding_network_bits = NETWORK, finding_file_bits = FILES;

#define PAST_PROXY "tapline run --upstream http://PROXY:PORT -- COMMAND"

/* clang-format off */
const struct finding_kind finding_kinds[FINDING_CODE_COUNT] = {
        [FINDING_TOO_MANY_OPEN_FILES] = {"too-many-open-files", SEVERITY_ERROR, 0,
                "The program has as many files open as it may",
                "a file call that failed with EMFILE or ENFILE in a run that failed",
                "Raise the limit of this shell (ulimit -n), or let the tool work on fewer things at once."},
        [FINDING_PATH_COMPONENT_NOT_A_DIRECTORY] = {"path-component-not-a-directory", SEVERITY_ERROR, 0,
                "A file stands where a directory must be",
                "a call in a tool's cache or in the home directory that failed with ENOTDIR, and what stands there",
                "Move the file out of the way."},
        [FINDING_CACHE_NOT_READABLE] = {"cache-not-readable", SEVERITY_ERROR, 0,
                "A tool's cache cannot be read",
                "an open for reading in a tool's cache that failed for want of permission, before any connection or with no other cause",
                "Give the cache back to its user, or move it."},
        [FINDING_NOEXEC] = {"noexec", SEVERITY_ERROR, 0,
                "A program cannot be started from a file system that is mounted noexec",
                "an exec that failed with EACCES on a file that is executable, on a mount with noexec",
                "Move the directory to a file system from which programs may be started."},
        [FINDING_LOCK_HELD] = {"lock-held", SEVERITY_ERROR, 0,
                "Another process holds the lock that the tool waits for",
                "a lock call that was refused or waited long, and the holder from /proc/locks",
                "Wait for the other process, or end it if it hangs."},
        [FINDING_LOCKS_UNSUPPORTED] = {"locks-unsupported", SEVERITY_ERROR, 0,
                "The file system under a tool's cache gives no locks",
                "a lock call that failed with ENOLCK, EOPNOTSUPP or ENOSYS",
                "Move the cache to a local file system."},
        [FINDING_CLOCK_SKEW] = {"clock-skew", SEVERITY_ERROR, 0,
                "This machine's clock is wrong",
                "a certificate refused for its dates, and Date headers of servers that differ from the clock by more than ten minutes",
                "Set the clock (timedatectl set-ntp true, as root). In a container or a virtual machine it is the host's."},
        [FINDING_RESOLVER_UNREACHABLE] = {"resolver-unreachable", SEVERITY_ERROR, BIT(NO_PROXY_MISMATCH) | BIT(PROXY_IGNORED_BY_TOOL),
                "No name server answers",
                "a lookup that ended with EAI_AGAIN or EAI_FAIL, and no later success for the name",
                "Check the name servers of this machine (/etc/resolv.conf) and the network (VPN). If names outside are resolved by a proxy only, give it: " PAST_PROXY "."},
        [FINDING_NAME_NOT_FOUND] = {"name-not-found", SEVERITY_ERROR, BIT(NO_PROXY_MISMATCH) | BIT(PROXY_IGNORED_BY_TOOL),
                "A host's name does not exist",
                "a lookup that ended with EAI_NONAME or EAI_NODATA, and no later success for the name",
                "Check the name in the project's sources, and this machine's name servers (/etc/resolv.conf). If names outside are resolved by a proxy only, give it: " PAST_PROXY "."},
        [FINDING_NO_PROXY_MISMATCH] = {"no-proxy-mismatch", SEVERITY_ERROR, 0,
                "The no_proxy list does not say what was meant",
                "a host that failed directly because no_proxy names it, or that failed through the proxy although an entry of no_proxy was meant for it",
                "Correct the list: names and suffixes without *, separated by commas."},
        [FINDING_PROXY_IGNORED_BY_TOOL] = {"proxy-ignored-by-tool", SEVERITY_ERROR, 0,
                "The tool does not use the proxy that the environment names",
                "a proxy variable in the environment, and a connection past it that failed",
                "Run the tool through the proxy without its help."},
        [FINDING_PROXY_UNREACHABLE] = {"proxy-unreachable", SEVERITY_ERROR, BIT(NO_PROXY_MISMATCH),
                "The proxy cannot be reached",
                "a connection to the upstream proxy that failed, and no later success for the same host",
                "Check the proxy's name and port, and that the network it stands in is reachable (VPN)."},
        [FINDING_PROXY_AUTH_REQUIRED] = {"proxy-auth-required", SEVERITY_ERROR, BIT(NO_PROXY_MISMATCH),
                "The proxy wants a user name and a password",
                "a 407 of the proxy to a request without credentials, and no later success",
                "Put your user name and password for the proxy in place of USER:PASSWORD; characters such as @ : / are written %40 %3A %2F."},
        [FINDING_PROXY_AUTH_REJECTED] = {"proxy-auth-rejected", SEVERITY_ERROR, BIT(NO_PROXY_MISMATCH),
                "The proxy does not accept the user name or the password",
                "a 407 of the proxy to a request with credentials, and no later success",
                "The user name or password is wrong or has expired. Put the right ones in place of USER:PASSWORD; characters such as @ : / are written %40 %3A %2F."},
        [FINDING_PROXY_BLOCK_PAGE] = {"proxy-block-page", SEVERITY_ERROR, BIT(NO_PROXY_MISMATCH),
                "The proxy blocks the host and answers with a page of its own",
                "a refusal of the proxy whose body is a page in HTML",
                "Ask who runs the proxy to allow the host; or, if it can be reached without the proxy, add it to no_proxy."},
        [FINDING_PROXY_REFUSED_TUNNEL] = {"proxy-refused-tunnel", SEVERITY_ERROR, BIT(NO_PROXY_MISMATCH),
                "The proxy gives no tunnel to the host",
                "an answer to CONNECT that is no success, or none, and no later success",
                "Ask who runs the proxy to allow the host; or, if it can be reached without the proxy, add it to no_proxy."},
        [FINDING_SLOW_PROXY] = {"slow-proxy", SEVERITY_ERROR, BIT(PROXY_UNREACHABLE) | BIT(PROXY_REFUSED_TUNNEL),
                "The proxy takes so long that the program gives up",
                "a connection that the program ended while the proxy had not answered for three seconds or more",
                "Give the tool a longer timeout, or take another proxy."},
        [FINDING_IPV6_BROKEN] = {"ipv6-broken", SEVERITY_ERROR, BIT(NO_PROXY_MISMATCH) | BIT(PROXY_IGNORED_BY_TOOL),
                "This machine has IPv6 addresses to go to and no way there",
                "connections to IPv6 addresses that failed while the host has IPv4 addresses too, or others were reached by IPv4",
                "Use IPv4 for this tool, or repair the machine's IPv6 (ip -6 route)."},
        [FINDING_CONNECTION_REFUSED] = {"connection-refused", SEVERITY_ERROR, BIT(NO_PROXY_MISMATCH) | BIT(PROXY_IGNORED_BY_TOOL),
                "A host refuses connections",
                "a connection that was refused or reset, and no later success with the same host and port",
                "Nothing listens there, or a firewall says so. Check host and port in the project's sources; behind a company's firewall, a proxy may be needed: " PAST_PROXY "."},
        [FINDING_CONNECTION_TIMED_OUT] = {"connection-timed-out", SEVERITY_ERROR, BIT(NO_PROXY_MISMATCH) | BIT(PROXY_IGNORED_BY_TOOL),
                "A host does not answer",
                "a connection that timed out, or that the program gave up waiting for, and no later success",
                "Nothing answers: a firewall may drop the packets, or the host is down. Behind a company's firewall, a proxy may be needed: " PAST_PROXY "."},
        [FINDING_HOST_UNREACHABLE] = {"host-unreachable", SEVERITY_ERROR, BIT(NO_PROXY_MISMATCH) | BIT(PROXY_IGNORED_BY_TOOL),
                "This machine has no way to the host",
                "a connection that failed with ENETUNREACH or EHOSTUNREACH, and no later success",
                "This machine has no way to the host: check the network connection, the VPN and the routes (ip route)."},
        [FINDING_TLS_INTERCEPTED_BY_OTHER] = {"tls-intercepted-by-other", SEVERITY_ERROR, 0,
                "Something on the way opens the TLS connections",
                "certificates that cannot be verified and that one issuer made for two hosts or more, or an issuer that is known for it",
                "A proxy or a virus scanner opens TLS. Ask who runs it for its CA certificate and let the tool trust it. Do not turn verification off."},
        [FINDING_ORIGIN_CERTIFICATE_EXPIRED] = {"origin-certificate-expired", SEVERITY_ERROR, BIT(CLOCK_SKEW),
                "A host's certificate has expired",
                "a handshake in which the host's certificate was past its last day",
                "Only who runs the host can renew it. Check this machine's clock first (date). Do not turn verification off."},
        [FINDING_ORIGIN_CERTIFICATE_NOT_YET_VALID] = {"origin-certificate-not-yet-valid", SEVERITY_ERROR, BIT(CLOCK_SKEW),
                "A host's certificate is not valid yet",
                "a handshake in which the host's certificate was before its first day",
                "Most often this machine's clock is behind: compare date with a watch. Do not turn verification off."},
        [FINDING_ORIGIN_CERTIFICATE_WRONG_NAME] = {"origin-certificate-wrong-name", SEVERITY_ERROR, 0,
                "A host's certificate is for another name",
                "a handshake in which the certificate did not name the host that was asked for",
                "Use the name that the certificate has, or have its owner add this one. Do not turn verification off."},
        [FINDING_ORIGIN_CERTIFICATE_INCOMPLETE_CHAIN] = {"origin-certificate-incomplete-chain", SEVERITY_ERROR, BIT(TLS_INTERCEPTED_BY_OTHER),
                "A host does not send the certificate of its issuer",
                "a handshake in which the host sent only its own certificate, whose issuer is unknown and can be had from a URL that the certificate names",
                "Who runs the host must send the whole chain; browsers hide this fault. Until then, add the missing certificate to the tool's bundle. Do not turn verification off."},
        [FINDING_ORIGIN_UNTRUSTED] = {"origin-untrusted", SEVERITY_ERROR, BIT(TLS_INTERCEPTED_BY_OTHER),
                "A host's certificate is signed by nobody that is trusted",
                "a handshake in which no trusted CA was found for the host's certificate",
                "If a company's proxy or a private index signs with its own CA, trust it: export SSL_CERT_FILE=/path/to/bundle.pem, and for Python's requests and Node REQUESTS_CA_BUNDLE and NODE_EXTRA_CA_CERTS. Do not turn verification off."},
        [FINDING_TLS_VERSION_MISMATCH] = {"tls-version-mismatch", SEVERITY_ERROR, 0,
                "The host and the program have no version of TLS in common",
                "a handshake that ended with the alert protocol_version, or for an unsupported protocol",
                "Update whichever is old. TLS below 1.2 is no longer safe."},
        [FINDING_CLIENT_DISTRUSTS_TAPLINE] = {"client-distrusts-tapline", SEVERITY_ERROR, 0,
                "The program does not trust tapline's certificates",
                "an alert of the program against tapline's certificate, and no later success with the host",
                "The program has its own list of CAs, or pins a certificate. It works without inspection; the record then holds its connections but not its requests."},
        [FINDING_HTTP_UNAUTHORIZED] = {"http-unauthorized", SEVERITY_ERROR, 0,
                "A host wants a user name, a password or a token",
                "a 401 for a URL that was not answered well later",
                "Give the tool the credentials for this host. In a URL, characters such as @ : / are written %40 %3A %2F."},
        [FINDING_HTTP_FORBIDDEN] = {"http-forbidden", SEVERITY_ERROR, 0,
                "A host refuses the request",
                "a 403 for a URL that was not answered well later",
                "The host knows what was asked for and does not give it: the account or token may lack the right, or the address this machine comes from is not allowed."},
        [FINDING_HTTP_NOT_FOUND] = {"http-not-found", SEVERITY_ERROR, NETWORK | BLOCKS | BODIES | BIT(HTTP_UNAUTHORIZED) | BIT(HTTP_FORBIDDEN) | BIT(RATE_LIMITED) | BIT(SERVER_ERROR),
                "A host does not have what was asked for",
                "a 404 for something that no other answer gave",
                "Check the spelling, the version and the index; a private package needs its private index."},
        [FINDING_HTTP_GONE] = {"http-gone", SEVERITY_ERROR, NETWORK | BLOCKS | BODIES,
                "What was asked for has been removed",
                "a 410 for something that no other answer gave",
                "It will not come back: choose another version."},
        [FINDING_RATE_LIMITED] = {"rate-limited", SEVERITY_ERROR, 0,
                "A host answers no more because too much was asked",
                "a 429 for a URL that was not answered well later",
                "Wait as long as the host says, ask for fewer things at once, or use a mirror or a cache."},
        [FINDING_SERVER_ERROR] = {"server-error", SEVERITY_ERROR, 0,
                "A host reports a fault of its own",
                "a 5xx for a URL that was not answered well later",
                "The fault is at the host or at a proxy in front of it. Try again later, or use a mirror."},
        [FINDING_REDIRECT_LOOP] = {"redirect-loop", SEVERITY_ERROR, 0,
                "Redirects lead round in a circle",
                "the same URL redirected again and again, or a chain of redirects that no answer ended",
                "The index or a proxy in front of it is set up wrongly, or it wants a login that the tool cannot give."},
        [FINDING_SLOW_ORIGIN] = {"slow-origin", SEVERITY_ERROR, NETWORK,
                "A host takes so long that the program gives up",
                "a connection that the program ended three seconds or more after a request to which no answer had begun",
                "Give the tool a longer timeout, or use a mirror."},
        [FINDING_STALLED_DOWNLOAD] = {"stalled-download", SEVERITY_ERROR, NETWORK,
                "A download stopped in the middle and the program gave up",
                "a body that the program ended after no byte had come for three seconds or more",
                "Give the tool a longer timeout and try again; if it happens always at the same place, a firewall or virus scanner may hold the file back."},
        [FINDING_TRUNCATED_ANSWER] = {"truncated-answer", SEVERITY_ERROR, 0,
                "A download ended before it was complete",
                "a body that the host ended or reset early, and no later complete answer for its URL",
                "The host or something on the way breaks the download off. Try again; if it happens always, use a mirror or another network."},
        [FINDING_DIGEST_MISMATCH] = {"digest-mismatch", SEVERITY_ERROR, BIT(TRUNCATED_ANSWER),
                "A file is not the one that its index or its own headers state",
                "the SHA-256 of a complete body that differs from the one stated for it",
                "A mirror, a proxy or a cache delivered another file. Do not turn the check off: empty that cache, or use another mirror."},
        [FINDING_HOME_MISSING] = {"home-missing", SEVERITY_ERROR, 0,
                "The home directory does not exist",
                "a failed write below the home directory, of which only a directory above exists",
                "The home directory does not exist and cannot be made: set HOME to a directory of your own."},
        [FINDING_HOME_NOT_WRITABLE] = {"home-not-writable", SEVERITY_ERROR, 0,
                "The home directory cannot be written",
                "a failed write that the home directory itself refused",
                "Make the home directory writable, or set HOME to a directory of your own."},
        [FINDING_TEMP_NOT_WRITABLE] = {"temp-not-writable", SEVERITY_ERROR, 0,
                "The directory for temporary files cannot be written",
                "a failed write in the directory for temporary files, and no later success there",
                "Set TMPDIR to a directory of your own."},
        [FINDING_READ_ONLY_FILESYSTEM] = {"read-only-filesystem", SEVERITY_ERROR, 0,
                "A file system is mounted read-only",
                "a failed write with EROFS in a tool's cache or in the home directory",
                "Move the directory to a file system that can be written."},
        [FINDING_DISK_FULL] = {"disk-full", SEVERITY_ERROR, 0,
                "A disk is full",
                "a failed write with ENOSPC, and the free space of its file system",
                "Free room on the disk."},
        [FINDING_INODES_EXHAUSTED] = {"inodes-exhausted", SEVERITY_ERROR, 0,
                "A disk has room left but no inodes",
                "a failed creation with ENOSPC on a file system with free blocks and no free inodes",
                "Remove files; large ones do not help, many do."},
        [FINDING_QUOTA_EXCEEDED] = {"quota-exceeded", SEVERITY_ERROR, 0,
                "The user's disk quota is used up",
                "a failed write with EDQUOT",
                "Remove files of your own, or have the quota raised."},
        [FINDING_CACHE_OWNED_BY_OTHER_USER] = {"cache-owned-by-other-user", SEVERITY_ERROR, 0,
                "A part of a tool's cache belongs to another user",
                "a failed write with EACCES in a tool's cache, on something that another user owns and could write",
                "Give the cache back to its user, or move it."},
        [FINDING_CACHE_NOT_WRITABLE] = {"cache-not-writable", SEVERITY_ERROR, 0,
                "A tool's cache cannot be written",
                "a failed write in a tool's cache, and the first directory that refused",
                "Make the cache writable, or move it."},
        [FINDING_CROSS_DEVICE_RENAME] = {"cross-device-rename", SEVERITY_ERROR, NETWORK | SPACE | BODIES,
                "A file cannot be moved because its new place is on another file system",
                "a rename or link that failed with EXDEV as the last thing that its program ran into",
                "Put both directories on one file system."},
        [FINDING_OUT_OF_MEMORY_KILL] = {"out-of-memory-kill", SEVERITY_ERROR, 0,
                "The kernel ended a program for want of memory",
                "the kernel's count of such kills, which rose during the run, and a run that failed",
                "Give the machine or container more memory, or let the tool do fewer things at once."},
        [FINDING_KILLED_BY_SIGNAL] = {"killed-by-signal", SEVERITY_ERROR, BIT(OUT_OF_MEMORY_KILL),
                "The program was ended by a signal",
                "the signal in the program's exit status",
                "Nothing on the network or the disk ended it."},
        [FINDING_RETRY_STORM] = {"retry-storm", SEVERITY_WARNING, BIT(CLIENT_GAVE_UP) | FILES,
                "The program asks for the same thing again and again",
                "ten requests or more of one process for one URL",
                "Repetition is a symptom: what the answers say, or what happens to them, is the cause."},
        [FINDING_CLIENT_GAVE_UP] = {"client-gave-up-after-success", SEVERITY_ERROR, NETWORK | STATUSES | BODIES | FILES | ENDS,
                "The program was answered well and gave up all the same",
                "a URL answered below 400 again and again, each time on a connection that the program closed at once, in a run that failed",
                "The network did its part, so the reason is inside the program: run it again with its most detailed output (for Poetry: -vvv)."},
        [FINDING_PROCESS_NOT_COVERED] = {"process-not-covered", SEVERITY_NOTE, 0,
                "A program could not be watched",
                "the start of a program into which the library cannot come",
                "tapline has not seen the connections and file calls of these programs."},
};
/* clang-format on */

enum finding_code finding_find(const char *code)
{
        enum finding_code at = 0;

        while (at < FINDING_CODE_COUNT && strcmp(finding_kinds[at].code, code) != 0)
                at++;
        return at;
}
