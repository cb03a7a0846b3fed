# Everything here needs Go and, for the race detector, a C compiler. Some of
# the integration tests drive other programs (openssl, curl, iperf3, socat, strace):
# they are skipped where these are missing, and fail instead with
# SLUICE_REQUIRE_TOOLS=1. "make help" lists the targets.

GO       ?= go
PREFIX   ?= /usr/local
MANDIR   ?= $(PREFIX)/share/man
DESTDIR  ?=
DIR      ?= build/man
BENCH    ?= .
COUNT    ?= $(if $(BASE),10,1)
FUZZTIME ?= 30s

# Slowest package, with the race detector, on two busy cores: a test that hangs
# ends with its stack traces and not with the job.
TESTFLAGS ?= -timeout 10m

# What moves very much or opens very many connections: the race detector would
# take minutes and see what it sees elsewhere. Its own system calls are not to be
# counted either.
HEAVY = ^Test(Syscalls|Iperf|Bulk|SlowReaders|Many|Thousands|Descriptors|Pipes)

# The packages without the tests of the whole program.
units = $(GO) list ./... | grep -v '^sluice/integration'

# The packages whose tests declare a function that begins with $(1).
declaring = grep -rl --include='*_test.go' '^func $(1)' . | xargs -r -n 1 dirname | sort -u

.PHONY: build test test-unit test-integration test-race lint fuzz bench bench-quick bench-micro cover ui ui-check screenshots man install clean help

## build: the program, as build/sluice
build:
	$(GO) build -trimpath -o build/sluice ./cmd/sluice

## test: all tests; TESTFLAGS is handed to go test
test: test-unit test-integration test-race

## test-unit: the tests of every package but integration, under the race detector
test-unit:
	pkgs=$$($(units)) && $(GO) test -race $(TESTFLAGS) $$pkgs

## test-integration: the whole program against real clients, built as it is shipped
test-integration:
	$(GO) test $(TESTFLAGS) ./integration/...

## test-race: the whole program again, built with the race detector
test-race:
	$(GO) test -race $(TESTFLAGS) -skip '$(HEAVY)' ./integration/...

## lint: gofmt, go vet and staticcheck
lint:
	@unformatted=$$($$($(GO) env GOROOT)/bin/gofmt -l .) && \
	if [ -n "$$unformatted" ]; then echo "these need gofmt -w:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

## fuzz: every fuzz target of the module in turn, FUZZTIME (30s) each
fuzz:
	@set -e; for pkg in $$($(call declaring,Fuzz)); do \
		targets=$$($(GO) test -list '^Fuzz' $$pkg); \
		for target in $$(echo "$$targets" | grep '^Fuzz'); do \
			echo "$$pkg $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x $$pkg; \
		done; \
	done

## bench: beside HAProxy, nginx and a plain Go proxy, into build/bench; FLAGS as "make bench FLAGS=-h"
bench:
	$(GO) run ./integration/bench $(FLAGS)

## bench-quick: the judged rows of bench, in three minutes
bench-quick:
	$(GO) run ./integration/bench -quick $(FLAGS)

# Benchmarks of the packages that have some, in the current directory.
micro = $(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) $$($(call declaring,Benchmark))

## bench-micro: the benchmarks of the packages; BENCH is a pattern, COUNT repeats, BASE a commit to compare with
bench-micro:
ifndef BASE
	$(micro)
else
	@mkdir -p build
	@set -e; base=$$(mktemp -d); trap 'rm -rf "$$base"' EXIT; \
	git archive '$(BASE)' | tar -x -C "$$base"; \
	(cd "$$base" && $(micro)) >build/micro-base.txt; \
	$(micro) >build/micro-here.txt; \
	$(GO) tool benchstat '$(BASE)=build/micro-base.txt' here=build/micro-here.txt
endif

## cover: which statements the tests of the packages reach
cover:
	@mkdir -p build
	pkgs=$$($(units)) && $(GO) test -coverprofile build/cover.out $$pkgs
	$(GO) tool cover -func build/cover.out | tail -n 1

# A package with one test that writes what it would compare.
ui = proxy/admin/ui

## ui: the bundle of the dashboard, in proxy/admin/ui/dist, from its source
ui:
	$(GO) test ./$(ui) -run '^TestBundle$$' -count 1 -update

## ui-check: the dashboard's types, and its libraries beside what their lock file pins; needs npm
ui-check:
	cd $(ui) && npm ci --ignore-scripts --no-audit --no-fund && npm run types && npm run libraries
	git diff --exit-code -- $(ui)/third_party

## screenshots: pictures of the dashboard, in proxy/admin/ui/screenshots; needs chromium
screenshots:
	SLUICE_REQUIRE_TOOLS=1 $(GO) test ./$(ui) -run '^TestLook$$' -count 1 -screenshots screenshots

## man: the manual pages, into DIR (build/man)
man: build
	mkdir -p '$(DIR)'
	build/sluice man '$(DIR)'

## install: program and manual pages, under DESTDIR and PREFIX (/usr/local)
install: man
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(MANDIR)/man1'
	install -m 0755 build/sluice '$(DESTDIR)$(PREFIX)/bin/sluice'
	install -m 0644 '$(DIR)'/*.1 '$(DESTDIR)$(MANDIR)/man1/'

## clean: what the other targets made
clean:
	rm -rf build

## help: this list
help:
	@sed -n 's/^## \([a-z-]*\): /\1\t/p' Makefile | expand -t 18
