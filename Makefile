# make up, make test, make destroy, make lint: each installs what it needs, then does its work.
# What is there already is not touched, and costs no time.

PYTHON := .venv/bin/python
# Everything runs in the environment that `make -s env` prints for other shells.
ENTER := set -e; lines=$$($(PYTHON) tools/env); eval "$$lines"
HAS_STACK := pulumi stack export -s demo >/dev/null 2>&1
DEMO := stacks/Pulumi.demo.yaml
# The salt that `pulumi stack init` put into the stack's file goes with the stack: it would bind the
# next demo to this one's passphrase.
FORGET := pulumi stack rm demo --force --yes --preserve-config; \
	grep -q 'secure:' $(DEMO) || sed -i '/^encryptionsalt:/d' $(DEMO)

.PHONY: help up destroy test chaos soak lint env demo-host packages engine
.SILENT:

help:
	echo 'make up        build the demo lab: a hypervisor in a container, and machines on it'
	echo 'make destroy   remove what make up built'
	echo 'make test      run all tests; ARGS="-k name" selects some'
	echo 'make chaos     kill, cut off and fill up 240 runs, and report what came of it'
	echo 'make soak      a hundred environments, random edits, refusals, runs that change nothing'
	echo 'make lint      check format, style and types'
	echo 'make -s env    print the environment for pulumi and fab: eval "$$(make -s env)"'

up: demo-host engine
	$(PYTHON) tools/image tiny >/dev/null
	$(ENTER); \
	if ! $(PYTHON) tools/hypervisor status | grep -q '^demo ' && $(HAS_STACK); then \
	    echo 'the demo hypervisor is gone, and with it what the stack demo remembers'; \
	    $(FORGET); \
	fi; \
	$(PYTHON) tools/hypervisor up demo >/dev/null; \
	$(HAS_STACK) || pulumi stack init demo --no-select; \
	pulumi up -s demo --yes
	echo
	echo 'The lab is up. To go on:'
	echo '    eval "$$(make -s env)"             # pulumi and fab, in this shell'
	echo '    uv run fab ssh demo tiny-0        # a shell on a node'
	echo '    make destroy                      # remove it all'

# The hypervisor stays while another environment lives on it.
destroy: engine
	$(ENTER); \
	if $(PYTHON) tools/hypervisor status | grep -q '^demo '; then \
	    $(PYTHON) tools/hypervisor up demo >/dev/null; \
	fi; \
	if $(HAS_STACK); then \
	    if $(PYTHON) tools/hypervisor status | grep -q '^demo '; then \
	        pulumi destroy -s demo --yes; \
	    fi; \
	    $(FORGET); \
	else \
	    echo 'there is no stack demo'; \
	fi; \
	if $(PYTHON) tools/hypervisor status | grep -q '^demo '; then \
	    others=$$($(PYTHON) tools/hypervisor ssh demo 'ls /var/lib/metalab/prefixes 2>/dev/null; true'); \
	    if [ -n "$$others" ]; then \
	        echo "the hypervisor stays, because of:" $$others; \
	    else \
	        $(PYTHON) tools/hypervisor down demo; \
	    fi; \
	fi

# In the order of their names: what is slow comes first, and the quick ones fill the end.
test: engine
	$(ENTER); uv run --no-sync pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

# An hour on two cores; a campaign that was stopped goes on.
chaos: engine
	$(ENTER); $(PYTHON) -m tests.chaos $(ARGS)

# A hundred environments, a hundred random edits, as many refusals, fifty runs that change nothing.
soak: engine
	$(ENTER); $(PYTHON) -m tests.soak $(ARGS)

lint: packages
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/pyright

env: engine
	$(PYTHON) tools/env

# Before minutes of building: can the demo's hypervisor run here at all?
demo-host:
	[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || { \
	    echo 'The demo makes a hypervisor in a container, which takes root on Debian or Ubuntu.' \
	        'With a hypervisor of your own, none of that is needed: README.md, "A real hypervisor".' \
        >&2; exit 1; }

packages:
	tools/bootstrap
	tools/venv

engine: packages
	$(PYTHON) tools/toolchain
