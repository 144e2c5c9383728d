# Ringline. `make help` tells what there is; every target installs what it needs from npm.
SHELL := /bin/bash
.DEFAULT_GOAL := help

NODE ?= node
ARGS ?=
FUZZ_SECONDS ?= 60
SOAK_SECONDS ?= 600
# More than processors: many tests wait for another process, or for time, more than they compute.
TEST_JOBS ?= 3
VOICE_SECONDS ?= 60
PARSER_BENCH := test/bench/parser
# Each fails where a goal is missed; the others are run all the same.
BENCHES := parser/parser sip/sip identity/identity media/codecs media/srtp \
  media/garbage/garbage media/cold-start media/media media/mixing/mixing media/jitter-buffer media/quality process load/load

# Compiled tests by their sources, so that one that was deleted is not run from an old build.
TESTS := $(shell find test -name '*.test.ts' | sed 's,^,dist/,; s,\.ts$$,.js,' | sort)

.PHONY: help run build native test lint format interop browser lan bench simulate fuzz soak clean

help: ## this list
	@echo 'Ringline: a SIP desk phone that needs no server.'
	@echo
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | while IFS=$$'\t' read -r target text; do \
	  printf '  make %-8s %s\n' "$$target" "$$text"; done
	@echo
	@echo '  make run ARGS="--name alice --listen :5070"    with options; `npx ringline --help` has them all'

run: build ## be a phone on this network (stop with ^C)
	@$(NODE) dist/bin/ringline/main.js run $(ARGS)

build: node_modules/.package-lock.json ## compile; the native part too where there is a C compiler
	@[ -d dist/src ] || echo 'Compiling …'
	@npx tsc -b
	@$(NODE) scripts/bundle.mjs
	@$(NODE) scripts/build-native.mjs

native: node_modules/.package-lock.json ## compile the native addon (DSCP marking); honours CC and CFLAGS
	@$(NODE) scripts/build-native.mjs

test: build ## unit tests, on virtual time and loopback
	@rm -rf dist/tap && mkdir dist/tap
	@printf '%s\n' $(TESTS) | NODE=$(NODE) xargs -P $(TEST_JOBS) -n 1 scripts/run-test.sh
	@echo; npx tap --reporter=terse dist/tap/*.tap

lint: build ## formatting, lint, which room imports which
	@npx biome check --error-on-warnings .
	@npx depcruise src test --config .dependency-cruiser.cjs

format: node_modules/.package-lock.json ## rewrite the sources in the house style
	@npx biome check --write .

interop: build ## calls with baresip, SIPp, Kamailio, linphone (packages: see README.md)
	@$(NODE) dist/test/interop/main.js $(ARGS)

browser: build ## stock JsSIP in Chromium, by WebSocket, with WebRTC (apt install chromium)
	@$(NODE) dist/test/browser/main.js $(ARGS)

lan: build ## several hosts in network namespaces (root or unshare; apt install avahi-daemon avahi-utils baresip-core tshark)
	@$(NODE) dist/test/lan/main.js $(ARGS)

bench: build ## figures: parser, SIP, keys, media, whole process, calls (apt install baresip-core sip-tester linphone-cli)
	@[ -d $(PARSER_BENCH)/node_modules ] || npm ci --silent --prefix $(PARSER_BENCH)
	@status=0; for bench in $(BENCHES); do \
	  $(NODE) --expose-gc dist/test/bench/$$bench.bench.js $(ARGS) || { status=$$?; [ $$status != 130 ] || exit 130; }; \
	done; exit $$status

simulate: build ## what is asked of a ring of super-nodes, at full size (half an hour; ARGS=--quick a tenth)
	@$(NODE) dist/test/simulation/experiments.js $(ARGS)

fuzz: build ## random schedules, a million broken inputs, then noise at every port for FUZZ_SECONDS (60)
	@$(NODE) dist/test/fuzz/schedules.js $(ARGS)
	@$(NODE) dist/test/sip-parser/fuzz.js $(ARGS)
	@$(NODE) dist/test/fuzz/framing.js $(ARGS)
	@$(NODE) dist/test/fuzz/transactions.js $(ARGS)
	@$(NODE) dist/test/fuzz/ring-messages.js $(ARGS)
	@$(NODE) dist/test/fuzz/codecs.js $(ARGS)
	@$(NODE) dist/test/fuzz/frames.js $(ARGS)
	@$(NODE) dist/test/fuzz/rtp.js $(ARGS)
	@FUZZ_SECONDS=$(FUZZ_SECONDS) $(NODE) dist/test/fuzz/noise.js $(ARGS)

soak: build ## a minute of voice by every codec, then calls for SOAK_SECONDS (600): memory and descriptors
	@VOICE_SECONDS=$(VOICE_SECONDS) npx tap --reporter=terse --timeout=600 dist/test/media/every-voice.test.js
	@SOAK_SECONDS=$(SOAK_SECONDS) $(NODE) dist/test/fuzz/soak.js $(ARGS)

clean: ## remove what was built
	@rm -rf dist src/sip-parser/dist src/slp/dist

node_modules/.package-lock.json: package.json package-lock.json
	@$(NODE) -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20 ? 1 : 0)' || \
	  { echo 'Ringline needs Node.js 20 or later; this is '"$$($(NODE) --version)"' (on Debian 13: sudo apt install nodejs npm).'; exit 1; }
	@echo 'Installing packages (once) …'
	@npm ci --no-progress --silent
	@touch $@
