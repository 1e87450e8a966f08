# Plain go underneath; the targets say what they install. Two matter to a newcomer: make demo, make test.

BUILD_PACKAGES  = gcc libc6-dev ca-certificates git
# For the units' own tests: systemd-analyze. Nothing is started.
UNIT_PACKAGES   = systemd
SERVER_PACKAGES = dovecot-core dovecot-imapd dovecot-lmtpd dovecot-pop3d postfix knot unbound
VERSION        ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unreleased)
LDFLAGS         = -s -w -X main.version=$(VERSION)
UNITS           = ./cmd/... ./authhook/... ./daemon/... ./dnscheck/... ./test/imports/... ./test/model/... ./test/crash/... ./test/provider/... ./test/line ./test/bench ./systemd/... ./packaging/...
FUZZ_TIME      ?= 20s
CRASH_THIN     ?= 16
FAULT_REPEATS  ?= 10
RUNS           ?= 3
# What is run again on Dovecot 2.4: everything that speaks to it.
ON_24           = Copy|Killed|FirstPass|PassWithout|Full|Login|Quota

.PHONY: build test check crash e2e faults logins bench demo deb container fresh fuzz docs golden

build: bin/mailstork bin/mailstork-checkpassword

bin/%: FORCE
	@scripts/need.sh ca-certificates
	CGO_ENABLED=0 go build -trimpath -ldflags "$(LDFLAGS)" -o $@ ./cmd/$*

FORCE:

test: ## the everyday tests, with the race detector; fault matrices thinned
	@scripts/need.sh $(BUILD_PACKAGES) $(SERVER_PACKAGES) $(UNIT_PACKAGES)
	CGO_ENABLED=1 go test -race -short $(UNITS)

check: ## format, vet, staticcheck, dependencies, generated files
	@scripts/need.sh $(BUILD_PACKAGES)
	@test -z "$$(gofmt -l .)" || { echo "gofmt wants:"; gofmt -l .; exit 1; }
	go mod tidy -diff
	go mod verify
	go vet ./...
	go run -modfile=tools/go.mod honnef.co/go/tools/cmd/staticcheck ./...
	@scripts/generated.sh

crash: ## a fault at every place, twice in a row, and the mutants; CRASH_THIN=1 looks at everything
	@scripts/need.sh ca-certificates
	go test ./test/crash -count=1 -timeout 60m -v -run TestNothing -full -thin $(CRASH_THIN) -runs 100000
	go test ./test/crash -count=1 -timeout 10m -v -run TestMatrixNotices -mutants

e2e: ## the long tests on real servers
	@scripts/need.sh $(BUILD_PACKAGES) $(SERVER_PACKAGES) debootstrap
	@scripts/dovecot-2.4.sh
	REQUIRE=1 go test -count=1 -timeout 30m ./daemon/mirror ./daemon/cutover ./test/model ./test/testbed/... ./test/corpus/... ./test/compare/... ./test/e2e/...
	REQUIRE=1 go test -count=1 -timeout 30m ./test/faults
	REQUIRE=1 go test -count=1 -timeout 30m ./test/logins ./test/live
	DOVECOT_SOURCE=2.4 DOVECOT_DESTINATION=2.4 REQUIRE=1 go test -count=1 -short -timeout 30m ./daemon/mirror ./daemon/mirror/source ./daemon/mirror/destination ./test/testbed/... ./test/compare/... ./test/corpus/...
	DOVECOT_SOURCE=2.4 DOVECOT_DESTINATION=2.4 REQUIRE=1 go test -count=1 -timeout 30m -run '$(ON_24)' ./test/e2e/...
	DOVECOT_DESTINATION=2.4 HOOK_WAY=socket REQUIRE=1 go test -count=1 ./daemon/provision
	DOVECOT_DESTINATION=2.4 REQUIRE=1 go test -count=1 ./daemon/provision
	HOOK_WAY=checkpassword REQUIRE=1 go test -count=1 ./daemon/provision

faults: ## a real process on Dovecot 2.3 and 2.4, cut and killed at every boundary on the wire, FAULT_REPEATS times
	@scripts/need.sh $(BUILD_PACKAGES) $(SERVER_PACKAGES) debootstrap
	@scripts/dovecot-2.4.sh
	REQUIRE=1 go test -count=1 -timeout 6h -v ./test/faults -thin 1 -repeats $(FAULT_REPEATS)

logins: ## first logins by every protocol and transport, crowds of them, storms and what they cost others, and live migrations, on Dovecot 2.3 and 2.4
	@scripts/need.sh $(BUILD_PACKAGES) $(SERVER_PACKAGES) debootstrap
	@scripts/dovecot-2.4.sh
	REQUIRE=1 go test -count=1 -timeout 90m -v ./test/logins -guesses 10000
	REQUIRE=1 go test -count=1 -timeout 30m -v ./test/live

bench: ## beside other tools, with the benchmark harness in BENCH, RUNS times in turn; prints medians and ratios (an hour)
	@scripts/need.sh ca-certificates $(SERVER_PACKAGES) python3 openssl isync
	@$(MAKE) --no-print-directory -s build
	scripts/bench.sh "$(BENCH)" "$(RUNS)"

demo: ## the story, on real servers; KEEP=1 leaves it running
	@scripts/need.sh ca-certificates $(SERVER_PACKAGES)
	@$(MAKE) --no-print-directory -s build
	@go run ./test/demo -binary bin/mailstork $(if $(KEEP),-keep)

deb: build ## the Debian package, in dist/
	@scripts/deb.sh "$(VERSION)"

container: deb ## install, start, log in, kill, purge under real systemd
	@scripts/need.sh debootstrap systemd-container lintian
	REQUIRE=1 go test -count=1 -timeout 30m ./test/container/...

fresh: ## make test and make demo from a clean clone in a fresh Debian 12 root
	@scripts/need.sh debootstrap
	@scripts/fresh.sh

fuzz: ## every parser of foreign bytes, FUZZ_TIME each
	@scripts/fuzz.sh $(FUZZ_TIME)

docs: ## everything generated
	go generate ./...

golden: ## the golden files anew; review the difference like code
	go test $$(grep -rl 'flag.Bool("update"' --include='*_test.go' . | xargs -n 1 dirname | sort -u) -update
