"""Where the relay cannot have its hold (no sock_diag(7): gVisor, systemd's RestrictAddressFamilies=), descriptors that do not
block look connected before they are. All else stays: blocking ones see no difference, a failure comes with the upstream's errno,
and the record says so. The relay is run under a seccomp filter that refuses netlink sockets."""
import pytest

from idioms import ORIGINS, Matrix, lines, place_clients, skip_reason
from slow_origins import Origins

BLOCKING = ["blocking", "closefrom", "threads"]
EVENTS = ["poll", "select", "epoll_edge_before", "epoll_level_after", "io_uring", "mapped", "fork"]
AT_ONCE = ["answers", "unreachable", "no_route", "resets"]  # known when connect() returns, or it does not matter
LATE = {"silent": "ETIMEDOUT", "refuses": "ECONNREFUSED"}
NOTE = "on this kernel a connection that does not block looks connected before it is"


@pytest.fixture(scope="module")
def matrix(make_sandbox, session_dir):
    clients = place_clients(session_dir / "no-hold")
    with Origins() as origins:
        made = Matrix(make_sandbox, clients, origins, [clients / "without_netlink"])
        made.early = Matrix(make_sandbox, clients, origins, made.launcher, attempts=1)
        for idiom in BLOCKING + EVENTS:
            for origin in ORIGINS:
                if not skip_reason(idiom, origin):
                    (made if is_equal(idiom, origin) else made.early).begin(idiom, origin)
        yield made
        made.pool.shutdown(cancel_futures=True)
        made.early.pool.shutdown(cancel_futures=True)


def is_equal(idiom, origin):
    return idiom in BLOCKING or origin in AT_ONCE


def result(matrix, idiom, origin):
    reason = skip_reason(idiom, origin)
    if reason:
        pytest.skip(reason)
    pair = matrix.result(idiom, origin)
    assert [e["note"] for e in pair.tapped.of("relay.note")] == [NOTE], str(pair.tapped)
    assert {e["kind"] for e in pair.tapped.of("connect")} == {"redirected"}, str(pair.tapped)
    return pair


@pytest.mark.parametrize("idiom, origin", [(i, o) for i in BLOCKING + EVENTS for o in ORIGINS if is_equal(i, o)])
def test_no_difference(matrix, idiom, origin):
    pair = result(matrix, idiom, origin)
    assert not pair.differences, f"{pair.differences}\n--- bare\n{pair.bare}\n--- tapline\n{pair.tapped}"


@pytest.mark.parametrize("idiom", EVENTS)
def test_a_slow_origin_is_only_told_too_early(matrix, idiom):
    pair = result(matrix.early, idiom, "slow")
    bare, tapped = ([text for text, _ in lines(run)] for run in (pair.bare, pair.tapped))
    assert tapped == bare, f"--- bare\n{pair.bare}\n--- tapline\n{pair.tapped}"


@pytest.mark.parametrize("origin", LATE)
@pytest.mark.parametrize("idiom", EVENTS)
def test_a_failure_has_the_upstreams_errno(matrix, idiom, origin):
    pair = result(matrix.early, idiom, origin)
    assert LATE[origin] in pair.tapped.stdout and "ECONNRESET" not in pair.tapped.stdout, str(pair.tapped)
    assert pair.tapped.returncode == pair.bare.returncode, f"--- bare\n{pair.bare}\n--- tapline\n{pair.tapped}"
