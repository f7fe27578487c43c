# SPDX-License-Identifier: GPL-2.0
#
# DSM: a distributed shared memory allocator. 'make help' says what can be made.

VERSION	:= 0.1.0
O	?= build
KERNEL	?= 6.12
PREFIX	?= /usr/local

out	:= $(abspath $(O))
sub	= $(MAKE) --no-print-directory O=$(out) PREFIX=$(PREFIX) -C

ifeq ($(origin CC),default)
export CC := $(if $(shell command -v ccache),ccache) gcc
endif

all: modules lib tools selftests

help:
	@echo 'make                   everything below, up to selftests'
	@echo 'make modules           dsm.ko for the kernel KERNEL: 6.12, 6.1, or a build directory'
	@echo 'make lib               libdsm'
	@echo 'make tools             dsmd, dsmctl and the example programs'
	@echo 'make selftests         the test programs'
	@echo 'make check             runs the tests; ONLY=GLOB: those whose names match'
	@echo 'make check-all         runs those as well that take long'
	@echo 'make kunit             the tests inside a user mode kernel; COVERAGE=1: what they leave out'
	@echo 'make check-debug       most of them, and failing allocations, in a kernel that checks what it does;'
	@echo '                       KCSAN=1: some of them, in one that looks for data races'
	@echo 'make fuzz              looks for inputs that break us; SECONDS=60: for so long, each target'
	@echo 'make explore           walks through every state of the protocol; DEEP=1: of larger clusters'
	@echo 'make mutants           makes mistakes in the protocol, and tells what finds them'
	@echo 'make sim               simulates clusters of up to 4,096 nodes; writes $(O)/sim.json'
	@echo 'make demo              counts the words of INPUT on NODES virtual machines'
	@echo 'make bench             faults, scans and waiting, against what one would use instead;'
	@echo '                       ONLY=ID,ID: these; SCALE=S: applications that take one node S seconds'
	@echo 'make bench-heap        compares the heap with other mallocs, and other nodes'\'' objects with'
	@echo '                       own ones; ONLY=WORKLOAD,WORKLOAD'
	@echo 'make install           library, tools and module sources, below DESTDIR and PREFIX'
	@echo 'make clean             removes what was built'
	@echo
	@echo 'O=DIR builds elsewhere than in build/, WERROR=1 makes warnings errors.'

#
# The module is built in a copy of its sources, one for each kernel, so that the
# kernels do not get in each other's way and the source tree stays clean.
#
ifneq ($(filter all modules cluster-parts,$(or $(MAKECMDGOALS),all)),)
release	:= $(shell O=$(out) selftests/vm/kernel '$(KERNEL)' release)
kdir	:= $(shell O=$(out) selftests/vm/kernel '$(KERNEL)' build)
ifeq ($(and $(release),$(kdir)),)
$(error KERNEL=$(KERNEL) cannot be built for: see above)
endif
endif

mdir	:= $(out)/module-$(release)

modules: $(mdir)/module/dsm.ko

$(mdir)/module/dsm.ko: Kbuild $(shell find module uapi -type f) $(kdir)/Module.symvers
	@mkdir -p $(mdir)
	rsync -a Kbuild module uapi $(mdir)
	$(MAKE) --no-print-directory -C $(kdir) O=$(kdir) M=$(mdir) \
		$(if $(WERROR),KCFLAGS=-Werror) \
		$(if $(shell command -v ccache),DEBIAN_KERNEL_USE_CCACHE=1) modules
	@touch $@

lib:
	$(sub) lib

tools: lib
	$(sub) tools

selftests: lib tools vm
	$(sub) lib test
	$(sub) selftests

# What the virtual machines need beside the above.
vm: $(out)/vm/stream $(out)/vm/tsc-khz

$(out)/vm/stream: selftests/vm/guest/stream.c
$(out)/vm/tsc-khz: selftests/vm/tsc-khz.c
$(out)/vm/stream $(out)/vm/tsc-khz:
	@mkdir -p $(@D)
	$(CC) -O2 -Wall -Wextra $(if $(WERROR),-Werror) -D_GNU_SOURCE -static -o $@ $<

# What a machine has no use for is most of the module.
$(mdir)/dsm.ko: $(mdir)/module/dsm.ko
	strip --strip-debug -o $@ $<

# All that selftests/vm/cluster puts into a virtual machine.
cluster-parts: $(mdir)/dsm.ko lib tools vm

comma := ,

# On a kernel of our own, which is much quieter than a distribution's.
bench:
	@selftests/vm/deps gnuplot-nox
	$(sub) lib tools
	$(sub) selftests
	@O=$(out) selftests/bench/run $(if $(filter-out file,$(origin KERNEL)),-k '$(KERNEL)') \
		$(if $(SCALE),-s '$(SCALE)') $(subst $(comma), ,$(ONLY))

bench-heap:
	@selftests/vm/deps libjemalloc2 libmimalloc2.0
	$(sub) lib bench
	$(sub) tools
	$(sub) selftests
	@O=$(out) selftests/bench/heap-compare $(subst $(comma), ,$(ONLY))

check:
	@selftests/vm/deps
	@O=$(out) selftests/check '$(ONLY)'

check-all:
	@selftests/vm/deps
	@O=$(out) selftests/check -l selftests/check.list -l selftests/check-all.list '$(ONLY)'

kunit:
	@selftests/vm/deps
	@O=$(out) selftests/kunit $(if $(COVERAGE),--coverage)

check-debug:
	@selftests/vm/deps
	@O=$(out) KCSAN='$(KCSAN)' selftests/check-debug '$(ONLY)'

fuzz:
	@selftests/vm/deps
	$(sub) selftests/fuzz fuzz

explore:
	$(sub) selftests explore
	$(out)/selftests/explore $(if $(DEEP),--deep) $(EXPLORE)

mutants:
	$(sub) selftests explore sim
	O=$(out) selftests/mutants/mutants $(MUTANTS)

# Clusters of up to 4,096 nodes, around the protocol as it ships: figures in sim.json.
sim:
	$(sub) selftests sim
	$(out)/selftests/dsm-sim --tap --runs selftests/sim/standing.runs --json $(out)/sim.json

demo:
	@selftests/vm/deps
	@O=$(out) selftests/demo '$(INPUT)' '$(NODES)'

dkms	:= $(DESTDIR)/usr/src/dsm-$(VERSION)

install: lib tools
	$(sub) lib install
	$(sub) tools install
	install -d $(dkms)
	cp -r Kbuild module uapi COPYING $(dkms)
	sed 's/@version@/$(VERSION)/' module/dkms.conf >$(dkms)/dkms.conf
	rm $(dkms)/module/dkms.conf

# The kernels are not made here, and stay.
clean:
	find $(out) -mindepth 1 -maxdepth 1 ! -name 'kernels*' -exec rm -rf {} +

.PHONY: all help modules lib tools selftests vm cluster-parts bench bench-heap check \
	check-all check-debug kunit explore mutants fuzz sim demo install clean
