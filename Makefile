# Every target is one command of deploy/local/bootstrap.py, which works without make too.
# More words for a command: make test ARGS="-k ordering"
DO := python3 deploy/local/bootstrap.py

.DEFAULT_GOAL := help
.PHONY: help setup run demo stop test test-fast faults faults-quick campaign soak sabotage lint types bench deploy-check rehearse docs lock clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## make the virtual environment (the others do it by themselves)
	@$(DO) setup

run:  ## start everything: database, broker, front and back service; Ctrl-C stops it
	@$(DO) run $(ARGS)

demo:  ## beside `make run`: submit the example documents and watch them being processed
	@$(DO) demo $(ARGS)

stop:  ## stop what `make run` started, from another terminal
	@$(DO) stop

test:  ## the whole test suite on real servers of its own (it may run beside `make run`)
	@$(DO) test $(ARGS)

test-fast:  ## only the tests that need no servers, in random order
	@$(DO) test-fast $(ARGS)

faults:  ## what `make test` leaves out: clusters, failovers and losses, on real servers
	@$(DO) faults $(ARGS)

faults-quick:  ## the drills that every change is held against (about 5 minutes)
	@$(DO) faults-quick $(ARGS)

campaign:  ## all drills with three seeds and more load, summed up and held against the goals
	@$(DO) campaign $(ARGS)

soak:  ## two hours of random faults: is memory flat, do tables stay small? (UKETSUKE_TEST_SOAK=300)
	@$(DO) soak $(ARGS)

sabotage:  ## take guards away, one by one in copies: a named test must notice each
	@$(DO) sabotage $(ARGS)

lint:  ## rules and format of the code; no host name in a lock file
	@$(DO) lint
	@! grep -n '://' requirements/*.lock

types:  ## check the types
	@$(DO) types

bench:  ## measure throughput and latency on this machine
	@$(DO) bench $(ARGS)

deploy-check:  ## is what lies in deploy/ sound? (images, manifests, alerts; minutes; says what it cannot tell)
	@$(DO) deploy-check $(ARGS)

rehearse:  ## run what the manifests say on this machine, roll and scale it under load (3 minutes)
	@$(DO) rehearse $(ARGS)

docs:  ## write the generated pages anew
	@$(DO) docs

lock:  ## pin the dependencies of pyproject.toml anew
	@$(DO) lock

clean:  ## stop, and remove data, environment and caches
	@$(DO) clean
