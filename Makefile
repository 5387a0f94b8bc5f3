.PHONY: build run test soak check bench microbench fuzz packages programs

# Where the race detector pays: what has goroutines or is called from many.
CONCURRENT = ./core/... ./bridge/... ./mqttsn/gateway/... ./mqttsn/transport/... ./mqttsn/client/...
FUZZTIME   = 100000x
FUZZFOR    = 0
SOAKFUZZ   = 600
MQTTJS     = cmd/dormouse/e2e/testdata/mqttjs
GOVULN     = golang.org/x/vuln/cmd/govulncheck@v1.1.4
LINT       = go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

build:
	go build -trimpath -o bin/dormouse ./cmd/dormouse

run: build
	bin/dormouse serve

# All tests, from a cold start, within ten minutes on two cores.
# Never from the cache: go test does not see that some run the whole binary.
test: packages
	test -z "$$(gofmt -l . | tee /dev/stderr)"
	go vet ./...
	go test -count=1 ./...
	go test -race -short $(CONCURRENT)

# 200 brokers killed five times each and more, and 1,000 worlds by seed in
# virtual time, in each of which the power goes six times and more. A failure
# names its seed; -crash.seed=N repeats that plan alone. Then 100,000 sensors for
# half an hour, and 1,000 over DTLS, each of which does one handshake; twice the load that can be done, for a minute; and each decoder
# for SOAKFUZZ seconds.
soak: build
	go test -count=1 -timeout 1h -v ./cmd/dormouse/e2e/crash -run 'Nothing|Clock' -crash.kills=1000 -crash.seeds=1000
	go test -count=1 -timeout 1h -v ./cmd/dormouse/e2e/soak -soak.for=30m -soak.sensors=100000
	bin/dormouse bench table overload --for 60s
	$(MAKE) fuzz FUZZFOR=$(SOAKFUZZ)

# What the end-to-end tests talk to and ask.
packages: $(MQTTJS)/node_modules/.package-lock.json

programs:
	@PATH=$$PATH:/usr/sbin; for p in mosquitto_sub:mosquitto-clients mosquitto:mosquitto openssl:openssl tshark:tshark haproxy:haproxy ip:iproute2 \
			unshare:util-linux mount:mount \
			node:nodejs npm:npm chromium:chromium gcc:gcc; do \
		command -v $${p%:*} >/dev/null || missing="$$missing $${p#*:}"; \
	done; \
	/usr/bin/python3 -c 'import paho.mqtt.client' 2>/dev/null || missing="$$missing python3-paho-mqtt"; \
	for p in stdio.h:libc6-dev mbedtls/ssl.h:libmbedtls-dev wolfssl/ssl.h:libwolfssl-dev; do \
		[ -e /usr/include/$${p%:*} ] || missing="$$missing $${p#*:}"; \
	done; \
	[ -z "$$missing" ] || { apt-get update -q && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $$missing; }

$(MQTTJS)/node_modules/.package-lock.json: $(MQTTJS)/package-lock.json | programs
	npm --prefix $(MQTTJS) ci --no-audit --no-fund
	touch $@

# Known defects of what we build on are looked up where the list of them can be
# reached. Those of mochi are met by the guard: core/mqtt/mochi_hostile_test.go.
check:
	$(LINT) run ./...
	@GOBIN=$(CURDIR)/bin go install $(GOVULN) && bin/govulncheck ./...; status=$$?; case $$status in \
		0) ;; \
		3) exit 3 ;; \
		*) echo "check: nobody has looked for known vulnerabilities: govulncheck ends with status $$status; is https://vuln.go.dev in reach?" ;; \
	esac

# What the whole of it does on this machine: one table, and the same as JSON.
# Beside bare mochi and, if installed, Mosquitto. BENCH are flags and rows.
bench: build
	go build -trimpath -o bin/bare-mochi ./sim/bench/mochi
	bin/dormouse bench table --json bin/bench.json $(BENCH)

# What its parts cost: the codec, the core, memory per sleeping sensor, and what
# durability costs.
microbench:
	go test -run '^$$' -bench . -benchmem ./mqttsn/... ./core/... ./bridge
	go test -run '^$$' -bench . -benchtime 1x ./cmd/dormouse/e2e/crash

# Counted in runs: by the clock, go test may blame a run that it cuts off. Again
# and again for FUZZFOR seconds, each time from where the last has come to.
fuzz:
	@for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			echo "$$package $$target"; \
			end=$$(( $$(date +%s) + $(FUZZFOR) )); \
			while \
				go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
				[ $$(date +%s) -lt $$end ]; \
			do :; done; \
		done; \
	done
