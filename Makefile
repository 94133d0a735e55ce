# tapline: one Makefile, not recursive. `make` builds build/tapline and build/libtapline.so;
# `make help` lists the rest. SAN=address|undefined|thread builds beside, into build-$(SAN)/.

CC      ?= cc
CFLAGS  ?= -O2 -g
PREFIX  ?= /usr/local
BINDIR  ?= $(PREFIX)/bin
LIBDIR  ?= $(PREFIX)/lib/tapline
DATADIR ?= $(PREFIX)/share/tapline
DOCDIR  ?= $(PREFIX)/share/doc/tapline
BASHDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR  ?= $(PREFIX)/share/zsh/site-functions
FISHDIR ?= $(PREFIX)/share/fish/vendor_completions.d
MANDIR  ?= $(PREFIX)/share/man
PKG_CONFIG ?= pkg-config
PYTHON  ?= /usr/bin/python3

B := build$(if $(SAN),-$(SAN))
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer)
FUZZER   :=
WARN := -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes \
        -Wvla -Wundef -Wwrite-strings -Wformat=2 $(if $(CI)$(WERROR),-Werror)
# The directory of the build is not in what is built: two builds of a tree are equal wherever they are made.
STD  := -std=gnu11 -MMD -MP -ffile-prefix-map=$(CURDIR)=.

# The relay: a normal program, hardened.
PKGS := libuv libconfig jansson openssl libnghttp2 zlib
RELAY_CPP := -D_GNU_SOURCE -Irelay -Iinclude -I$B/page -DTAPLINE_LIBDIR='"$(LIBDIR)"' -DTAPLINE_DATADIR='"$(DATADIR)"'
# On x86, control-flow enforcement: one object without it takes it from the whole process.
CET       := $(if $(filter x86_64-% i686-%,$(shell $(CC) -dumpmachine)),-fcf-protection)
RELAY_C   := -fPIE -fstack-protector-strong -fstack-clash-protection $(CET) $(if $(SAN),,-D_FORTIFY_SOURCE=2)
RELAY_LD  := -pie -Wl,-z,relro,-z,now
RELAY_LIBS = $(shell $(PKG_CONFIG) --libs $(PKGS)) -lhttp_parser -lpthread

# The library: libc only. No fortify and no large-file macros, they would rename what it hooks. Each program of a run pays
# for its loading: no start files (four symbols that are nowhere, and a page to write at the end), and two mappings less (what is
# constant lies with the code, as it did in all libraries before binutils 2.31): 15 us of each start.
PRELOAD_CPP := -D_GNU_SOURCE -Iinclude -Ipreload -U_FORTIFY_SOURCE -U_FILE_OFFSET_BITS
PRELOAD_C   := -fPIC -fvisibility=hidden -ftls-model=initial-exec -fno-stack-protector $(CET)
PRELOAD_LD  := -shared -nostartfiles -Wl,-z,relro,-z,now,-z,noseparate-code,-z,defs,--version-script=preload/exports.map -Wl,-Bsymbolic-functions,-soname,libtapline.so

RELAY_SRC   := $(sort $(wildcard relay/*/*.c))
PRELOAD_SRC := $(sort $(wildcard preload/*.c))
# include/tapline_program.h: what both halves ask of a program before it is started.
SHARED_SRC  := preload/program.c preload/choose.c
UNIT_SRC    := $(sort $(wildcard tests/unit/test_*.c))
FUZZ_SRC    := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_HEADERS := $(wildcard tests/fuzz/*.h)
CLIENT_SRC  := $(sort $(wildcard tests/clients/*.c))

RELAY_OBJ   := $(RELAY_SRC:%.c=$B/%.o)
PRELOAD_OBJ := $(PRELOAD_SRC:%.c=$B/%.o)
SHARED_OBJ  := $(SHARED_SRC:%.c=$B/%.o)
MAIN_OBJ    := $B/relay/cli/main.o
UNIT_BIN    := $(UNIT_SRC:tests/unit/%.c=$B/unit/%)
SOAK_BIN    := $B/soak/load $B/soak/origin
COUNTS_BIN  := $B/counts/drive_preload $B/counts/drive_relay $B/counts/drive_inspect
FUZZ_BIN    := $(FUZZ_SRC:tests/fuzz/%.c=$B/fuzz/%)
FUZZ_REPLAY := $(FUZZ_SRC:tests/fuzz/%.c=$B/replay/%)
CLIENT_BIN  := $(CLIENT_SRC:tests/clients/%.c=$B/clients/%)

.DEFAULT_GOAL := all
.PHONY: all help deps try check check-unit \
        check-corpus check-counts counts-accept check-e2e check-live check-catalogue \
        check-compat check-clients check-faults check-kills coverage fuzz fuzz-targets \
        dist deb bench lint install uninstall \
        clean clients FORCE
.DELETE_ON_ERROR:

all: $B/tapline $B/libtapline.so $B/catalogue.conf

help:
	@sed -n 's/^#: //p' Makefile

# A flag change rebuilds: every object depends on this file, which changes only when the flags do.
FLAGS_NOW := $(CC) $(CFLAGS) $(CPPFLAGS) $(LDFLAGS) $(SANFLAGS) $(WARN) $(RELAY_CPP) $(RELAY_C) $(PRELOAD_C) $(RELAY_LD) $(PRELOAD_LD)
$B/flags: FORCE
	@mkdir -p $B
	@printf '%s\n' '$(subst ','\'',$(FLAGS_NOW))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(FLAGS_NOW))' >$@

# Missing packages are named here, before the compiler trips over a header.
$B/deps: contrib/packages contrib/deps.sh
	@mkdir -p $B
	@CC='$(CC)' PKG_CONFIG='$(PKG_CONFIG)' sh contrib/deps.sh check build
	@touch $@

$(RELAY_OBJ): $B/%.o: %.c $B/flags | $B/deps
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARN) $(RELAY_CPP) $(CPPFLAGS) $(CFLAGS) $(RELAY_C) $(SANFLAGS) $(FUZZER) -c -o $@ $<

# The report's style and script are files of their own; the program has them as string literals.
$B/page/%.inc: relay/explain/%
	@mkdir -p $(@D)
	sed 's/[\\"]/\\&/g; s/.*/"&\\n"/' $< >$@

$B/relay/explain/report_html.o: $B/page/report.css.inc $B/page/report.js.inc

$(PRELOAD_OBJ): $B/%.o: %.c $B/flags | $B/deps
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARN) $(PRELOAD_CPP) $(CFLAGS) $(PRELOAD_C) $(if $(FUZZER),$(SANFLAGS) $(FUZZER)) -c -o $@ $<

$B/tapline: $(RELAY_OBJ) $(SHARED_OBJ)
	$(CC) $(CFLAGS) $(SANFLAGS) $(LDFLAGS) $(RELAY_LD) -o $@ $^ $(RELAY_LIBS)

$B/libtapline.so: $(PRELOAD_OBJ) preload/exports.map
	$(CC) $(CFLAGS) $(LDFLAGS) $(PRELOAD_LD) -o $@ $(PRELOAD_OBJ)

# The program finds its data beside itself when it is not installed.
$B/catalogue.conf: contrib/catalogue.conf
	@mkdir -p $B
	cp $< $@

$B/librelay.a: $(filter-out $(MAIN_OBJ),$(RELAY_OBJ)) $(SHARED_OBJ)
	rm -f $@ && ar rcs $@ $^

$(UNIT_BIN): $B/unit/%: tests/unit/%.c $B/librelay.a
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARN) $(RELAY_CPP) $(CFLAGS) $(RELAY_C) $(SANFLAGS) $(LDFLAGS) -o $@ $< $B/librelay.a -lcmocka $(RELAY_LIBS)

$(CLIENT_BIN): $B/clients/%: tests/clients/%.c $B/flags
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARN) -D_GNU_SOURCE -Iinclude $(CFLAGS) $(CLIENT_LD) -o $@ $< -lpthread

$B/clients/deepbind: CLIENT_LD := -Wl,--enable-new-dtags,-rpath,'$$ORIGIN'

$B/counts/drive_preload: tests/counts/drive_preload.c $B/flags
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARN) -D_GNU_SOURCE $(CFLAGS) -o $@ $<

$B/counts/drive_relay $B/counts/drive_inspect: $B/counts/%: tests/counts/%.c $B/librelay.a
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARN) $(RELAY_CPP) $(CFLAGS) $(RELAY_C) $(LDFLAGS) -o $@ $< $B/librelay.a $(RELAY_LIBS)

CLIENT_LIB = $(CC) $(STD) $(WARN) -D_GNU_SOURCE $(CFLAGS) -fPIC -shared -o $@ $<
$B/clients/%.so: tests/clients/lib/%.c $B/flags
	@mkdir -p $(@D)
	$(CLIENT_LIB) -Wl,-z,lazy

# All bound when it is loaded, and read-only from then on.
$B/clients/%_now.so: tests/clients/lib/%.c $B/flags
	@mkdir -p $(@D)
	$(CLIENT_LIB) -Wl,-z,relro,-z,now

clients: $(CLIENT_BIN) $(addprefix $B/clients/,clock.so deep.so deep_now.so)

$(SOAK_BIN): $B/soak/%: tests/soak/%.c $B/flags
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARN) -D_GNU_SOURCE $(CFLAGS) -o $@ $<

#: make            build build/tapline and build/libtapline.so
#: make deps       install the packages for building (Debian, Ubuntu; needs root or sudo)
deps:
	sh contrib/deps.sh install build

#: make try        install what is missing, build, and show the main job on a real Poetry
try:
	sh contrib/deps.sh install build try
	$(MAKE) all
	sh contrib/try.sh $B

#: make check      install what the tests need, then run them all
check:
	sh contrib/deps.sh install build check
	$(MAKE) all clients check-unit check-corpus check-counts
	$(MAKE) check-e2e

check-unit: $(UNIT_BIN)
	@set -e; for t in $(UNIT_BIN); do echo "== $$t"; $$t; done

# Figures are compared for what `make` builds, not for a build with sanitizers.
check-counts: all $(COUNTS_BIN)
	CC='$(CC)' $(PYTHON) tests/counts/count.py $B

#: make counts-accept  write today's instruction counts of the hot paths into tests/counts/counts.txt
counts-accept: all $(COUNTS_BIN)
	CC='$(CC)' $(PYTHON) tests/counts/count.py $B --accept

# The committed corpora once through their targets, without a fuzzer.
check-corpus: $(FUZZ_REPLAY)
	@set -e; for t in $(FUZZ_REPLAY); do $$t tests/fuzz/corpus/$${t##*/fuzz_}; done

$(FUZZ_REPLAY): $B/replay/%: tests/fuzz/%.c tests/fuzz/replay.c $(FUZZ_HEADERS) $B/librelay.a
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARN) $(RELAY_CPP) -Ipreload $(CFLAGS) $(RELAY_C) $(SANFLAGS) $(LDFLAGS) -o $@ $< tests/fuzz/replay.c $B/librelay.a $(RELAY_LIBS)

#: make fuzz       libFuzzer on every parser, FUZZ_SECONDS each (default 600); FUZZ="head socks" chooses
FUZZ_SECONDS ?= 600
FUZZ ?= $(FUZZ_SRC:tests/fuzz/fuzz_%.c=%)
fuzz:
	sh contrib/deps.sh install build fuzz
	$(MAKE) CC=clang B=build-fuzz SANFLAGS='-fsanitize=address,undefined -fno-sanitize-recover=undefined' FUZZER=-fsanitize=fuzzer-no-link fuzz-targets
	FUZZ_SECONDS=$(FUZZ_SECONDS) sh contrib/fuzz.sh build-fuzz $(FUZZ)

fuzz-targets: $(FUZZ_BIN)

$(FUZZ_BIN): $B/fuzz/%: tests/fuzz/%.c $(FUZZ_HEADERS) $B/librelay.a
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARN) $(RELAY_CPP) -Ipreload $(CFLAGS) $(RELAY_C) $(SANFLAGS) -fsanitize=fuzzer $(LDFLAGS) -o $@ $< $B/librelay.a $(RELAY_LIBS)

#: make check-san  unit tests and corpora with sanitizers, 2 minutes (SANITIZE=thread; SAN_TESTS=tests/e2e/test_tap.py: these too)
SANITIZE ?= address,undefined
# AddressSanitizer's shared runtime would have to be loaded before what tests preload into the program.
SAN_MAKE = $(MAKE) B=build-san SAN=$(SANITIZE) CFLAGS='-O1 -g -fno-sanitize-recover=undefined' LDFLAGS='$(if $(findstring address,$(SANITIZE)),-static-libasan)'
check-san:
	LSAN_OPTIONS=suppressions=tests/fuzz/leaks.txt:print_suppressions=0 $(SAN_MAKE) all check-unit check-corpus
	$(if $(SAN_TESTS),$(SAN_MAKE) clients)
	$(if $(SAN_TESTS),BUILD=$(abspath build-san) $(PYTHON) -m pytest -q $(SAN_TESTS))

# Much of a test is waiting. Files go to two processes; what is in one file stays in one (PYTEST_ARGS="-n 0": one after the other).
check-e2e: all clients
	BUILD=$(abspath $B) $(PYTHON) -m pytest -q -n 2 --dist loadfile tests/gates tests/e2e $(PYTEST_ARGS)

#: make check-clients every client of docs/clients.md against a local index, bare and under tapline; writes that page (long)
check-clients: all
	sh contrib/deps.sh install build check catalogue
	BUILD=$(abspath $B) $(PYTHON) -B tests/clients_table/table.py --write docs/clients.md

#: make check-live the tests that use the public index this machine's tools are configured for
check-live: all
	sh contrib/deps.sh install build check
	BUILD=$(abspath $B) $(PYTHON) -m pytest -q tests/live $(PYTEST_ARGS)

#: make check-catalogue the catalogue's directories and variables against the real tools (7 minutes)
check-catalogue: all
	sh contrib/deps.sh install build check catalogue
	BUILD=$(abspath $B) $(PYTHON) -m pytest -q tests/catalogue $(PYTEST_ARGS)

#: make check-compat CPython's own tests, curl and Node, bare and under tapline (long; PYTHON_COMPAT=, COMPAT=names)
check-compat: all
	$(if $(PYTHON_COMPAT),,sh contrib/deps.sh install build compat)
	PYTHON_COMPAT=$(PYTHON_COMPAT) $(PYTHON) -B tests/compat/run.py $B $(COMPAT)

$B/faults/failing.so: tests/faults/failing.c $B/flags
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARN) -D_GNU_SOURCE $(CFLAGS) -fPIC -shared -o $@ $<

#: make check-faults each call of the relay that can fail is made to fail, one at a time (an hour; CALLS=send,recv OF=HTTP/2 JOBS=12)
check-faults: all $B/faults/failing.so
	$(PYTHON) -B tests/faults/faults.py $B $(if $(CALLS),--calls $(CALLS)) $(if $(OF),--of $(OF)) $(if $(JOBS),--jobs $(JOBS))

#: make check-kills  the relay or its supervisor is killed at random moments (RUNS=1000)
RUNS ?= 1000
check-kills: all
	$(PYTHON) tests/faults/kills.py $B --runs $(RUNS)

#: make coverage   lines of relay/ and preload/ that the tests run; fails below 90%
coverage:
	sh contrib/deps.sh install build check coverage
	sh contrib/coverage.sh $(PYTEST_ARGS)

# The sources as they are committed, under one name; the same commit gives the same file.
VERSION := $(shell sed -n 's/.*TAPLINE_VERSION "\(.*\)"/\1/p' include/tapline_version.h)
#: make dist       build/tapline-VERSION.tar.gz of the committed tree
dist:
	@mkdir -p $B
	git archive --format=tar --prefix=tapline-$(VERSION)/ HEAD | gzip -9n >$B/tapline-$(VERSION).tar.gz
	@echo $B/tapline-$(VERSION).tar.gz

#: make deb        build/tapline_VERSION_ARCH.deb, for this machine's architecture
deb: all
	sh contrib/deb.sh $B $(VERSION)

#: make bench      tapline beside its peers in one run, 20 minutes; writes docs/performance.md (BENCH="conn --quick")
BENCH ?= all --out $B/bench/result.json --publish docs/performance.md
bench: all
	sh contrib/deps.sh install build bench
	BUILD=$(abspath $B) $(PYTHON) tests/bench/run.py $(BENCH)

.PHONY: check-soak check-san
#: make check-soak thousands of tunnels at once, slow clients, upstreams that fail, the relay killed under load (SOAK="short=1000000 minutes=30")
check-soak: all $(SOAK_BIN)
	$(PYTHON) -B tests/soak/run.py $B $(SOAK)

.PHONY: check-vm
#: make check-vm   what this machine's limits or kernel do not allow, in a virtual machine with a kernel of Debian's (10 minutes; VM="uname -a")
VM ?= sh tests/vm/checks.sh
check-vm: all clients $(SOAK_BIN)
	sh contrib/deps.sh install build check vm
	BUILD=$(abspath $B) PYTHON=$(PYTHON) $(PYTHON) -B tests/vm/vm.py $(VM)

.PHONY: check-testssl check-gibibyte
#: make check-gibibyte a file of 1 GiB down and up, with and without inspection, by its SHA-256 (a minute)
check-gibibyte: all
	sh contrib/deps.sh install build check
	BUILD=$(abspath $B) GIBIBYTE=1 $(PYTHON) -m pytest -q tests/e2e/test_inspect_bytes.py -k big $(PYTEST_ARGS)

#: make check-testssl all of testssl.sh's checks against the relay's side of TLS (minutes; make check does a few)
check-testssl: all
	sh contrib/deps.sh install build check
	BUILD=$(abspath $B) TESTSSL=all $(PYTHON) -m pytest -q tests/e2e/test_testssl.py $(PYTEST_ARGS)

.PHONY: check-scenarios check-quiet check-mutation disk-table
#: make check-scenarios every finding produced for real, those too that take their time
check-scenarios: all
	sh contrib/deps.sh install build check
	BUILD=$(abspath $B) SCENARIOS=all $(PYTHON) -m pytest -q tests/e2e/test_findings_*.py tests/e2e/test_poetry_faults.py $(PYTEST_ARGS)

#: make check-quiet  no false alarm: fifty kinds of installs that work, cold and warm (minutes)
check-quiet: all
	sh contrib/deps.sh install build check
	BUILD=$(abspath $B) QUIET=all $(PYTHON) -m pytest -q tests/e2e/test_quiet.py $(PYTEST_ARGS)

#: make check-mutation what each finding depends on: single events are lost and exchanged; writes docs/findings/dependencies.md
check-mutation: all
	$(PYTHON) tests/records/mutate.py $B/tapline --write

#: make disk-table what each package manager says of each fault of its cache's disk; writes docs/findings/disks.md (root)
disk-table: all
	sh contrib/deps.sh install build check catalogue
	$(PYTHON) tests/disks/table.py $B --write

# Six minutes of one core. What bounds it: uthash's unrolled hash, for which gcc's analyzer took minutes in one file, is hidden from both
# (contrib/analyze.h); clang's stops at a number of states of a function, and no file may take longer than a limit (contrib/analyze.py).
#: make lint       clang-format, cppcheck, clang-tidy, both compilers with warnings as errors and with their analyzers (6 minutes; JOBS=1)
lint:
	sh contrib/lint.sh

#: make install    into PREFIX (default /usr/local), below DESTDIR
install: all
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBDIR) $(DESTDIR)$(DATADIR) $(DESTDIR)$(MANDIR)/man1
	install -m 0755 $B/tapline $(DESTDIR)$(BINDIR)/tapline
	install -m 0755 $B/libtapline.so $(DESTDIR)$(LIBDIR)/libtapline.so
	install -m 0644 contrib/catalogue.conf $(DESTDIR)$(DATADIR)/catalogue.conf
	install -m 0644 docs/tapline.1 $(DESTDIR)$(MANDIR)/man1/tapline.1
	install -d $(DESTDIR)$(BASHDIR) $(DESTDIR)$(ZSHDIR) $(DESTDIR)$(FISHDIR)
	install -m 0644 contrib/completions/tapline.bash $(DESTDIR)$(BASHDIR)/tapline
	install -m 0644 contrib/completions/_tapline $(DESTDIR)$(ZSHDIR)/_tapline
	install -m 0644 contrib/completions/tapline.fish $(DESTDIR)$(FISHDIR)/tapline.fish
	install -d $(DESTDIR)$(DOCDIR)/findings
	install -m 0644 docs/findings/*.md $(DESTDIR)$(DOCDIR)/findings/

uninstall:
	rm -f $(DESTDIR)$(BINDIR)/tapline $(DESTDIR)$(LIBDIR)/libtapline.so \
	      $(DESTDIR)$(DATADIR)/catalogue.conf $(DESTDIR)$(MANDIR)/man1/tapline.1 \
	      $(DESTDIR)$(BASHDIR)/tapline $(DESTDIR)$(ZSHDIR)/_tapline $(DESTDIR)$(FISHDIR)/tapline.fish
	rm -rf $(DESTDIR)$(DOCDIR)/findings
	-rmdir $(DESTDIR)$(LIBDIR) $(DESTDIR)$(DATADIR) $(DESTDIR)$(DOCDIR)

#: make clean      remove what was built
clean:
	rm -rf build build-san build-fuzz build-coverage build-address build-undefined build-thread

-include $(RELAY_OBJ:.o=.d) $(PRELOAD_OBJ:.o=.d) $(UNIT_BIN:=.d) $(CLIENT_BIN:=.d) $(FUZZ_BIN:=.d) $(FUZZ_REPLAY:=.d)
