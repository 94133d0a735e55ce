#!/bin/sh
# What `make check-vm` does in the guest, in the tree and with BUILD and PYTHON set. All parts run; the status is 1 if one failed.
status=0
slower=10 # than a machine: the processor is emulated

"$PYTHON" -B tests/soak/run.py "$BUILD" only=idle_and_busy slower=$slower || status=1
KERNEL_TLS=1 "$PYTHON" -m pytest -q -p no:cacheprovider tests/e2e/test_kernel_tls.py || status=1
SLOWER=$slower "$PYTHON" -m pytest -q -p no:cacheprovider tests/e2e/test_idioms.py -k "epoll_edge_before or blocking" || status=1
exit $status
