# make install   set up .venv and run nothing       make test    the quick tests
# make train     the whole demonstration            make bench   the speed figures, side by side
#
# ARGS="…" passes arguments on:  make train ARGS="suite:=libero_object iterations:=2"
#                                make eval ARGS="--help"
# PYTHON            what the virtual environment is made from (3.11 to 3.13; a Jazzy's own is 3.12)
# TORCH_PIP_ARGS    options of pip for torch alone, for example the --index-url of the build for your
#                   GPU, or of the one for CPUs: https://pytorch.org/get-started/locally/

PYTHON ?= python3
TORCH_PIP_ARGS ?=
ARGS ?=

SHELL := /bin/bash
.SHELLFLAGS := -eo pipefail -c
.DELETE_ON_ERROR:

venv := $(CURDIR)/.venv
build := $(CURDIR)/build/venv
stamps := $(venv)/stamps
python := $(venv)/bin/python

# A sourced Jazzy is used with its own Python and none of the wheels.
ifeq ($(ROS_DISTRO),jazzy)
ros := jazzy
extras := dev viewer
venv_options := --system-site-packages
cmake := CMAKE_PREFIX_PATH="$$AMENT_PREFIX_PATH:$$CMAKE_PREFIX_PATH" cmake
else
ros := wheels
extras := dev viewer ros-wheels
venv_options :=
cmake := env -u PYTHONPATH AMENT_PREFIX_PATH='$(venv)' CMAKE_PREFIX_PATH='$(venv)' cmake
endif

ifneq ($(MAKECMDGOALS),clean)
ifeq ($(filter jazzy,$(or $(ROS_DISTRO),jazzy)),)
$(error ROS_DISTRO=$(ROS_DISTRO) is sourced; use a shell that sources Jazzy, or none for the wheels)
endif
made_for := $(shell cat '$(stamps)/ros' 2>/dev/null)
ifneq ($(or $(made_for),$(ros)),$(ros))
$(error .venv was made for ROS 2 from "$(made_for)", this shell has "$(ros)"; run `make clean` first)
endif
endif

# The sources come first, so that an edit needs no installation. The default range of discovery
# would join multicast groups on every network interface.
run := . '$(venv)/share/smoothvla_ros/local_setup.sh' && \
  PYTHONPATH='$(CURDIR)'"$${PYTHONPATH:+:$$PYTHONPATH}" ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST
smoothvla := $(run) '$(python)' -m smoothvla_ros.cli

.PHONY: install train demos sft eval report benchmark results weights
.PHONY: test test-all bench bench-gpu bench-scale lint format clean

train: install
	$(smoothvla) launch train.launch.py $(ARGS)

demos sft eval report benchmark: install
	$(smoothvla) $@ $(ARGS)

# The shipped weights again, as docs/policy.md tells; over an hour.
weights: install
	$(smoothvla) demos --suite libero_goal --tasks 0,1,2,4,5,6,7,8,9 --out runs/weights/demos --seed 0
	$(smoothvla) demos --suite libero_goal --tasks 3 --episodes 5 --out runs/weights/demos --seed 0
	$(smoothvla) demos --suite libero_spatial --out runs/weights/demos --seed 0
	$(smoothvla) demos --suite libero_object --out runs/weights/demos --seed 0
	$(smoothvla) sft --data runs/weights/demos --out runs/weights/sft --steps 4200 --seed 0

results: install
	$(smoothvla) benchmark --table $(ARGS)

bench-gpu: install
	$(run) '$(python)' -m benchmarks.openvla_gpu $(ARGS)

bench-scale: install
	$(run) '$(python)' -m benchmarks.cluster_scaling $(ARGS)

bench: install
	$(run) '$(python)' -m benchmarks $(ARGS)

# Whole files side by side: what a file's tests share is made once. ARGS="-n 0" runs them in turn.
test: install
	$(run) '$(python)' -m pytest -m 'not slow' -n 2 --dist loadfile $(ARGS)

test-all: install
	$(run) '$(python)' -m pytest $(ARGS)

lint: install
	'$(python)' -m ruff check --no-cache .
	'$(python)' -m ruff format --check .
	'$(python)' -m mypy

format: install
	'$(python)' -m ruff check --fix .
	'$(python)' -m ruff format .

clean:
	rm -rf '$(venv)' build install log

# Installation: four steps, each done again only when what it was made from has changed.

install: $(stamps)/package

$(stamps)/system:
	PYTHON='$(PYTHON)' bash cmake/system_packages.sh
	'$(PYTHON)' -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo 'Python 3.11 to 3.13 is needed: make install PYTHON=python3.12' >&2; exit 1; }
	'$(PYTHON)' -m venv $(venv_options) '$(venv)'
	'$(python)' -m pip install --quiet --upgrade 'pip>=25'
	mkdir -p '$(stamps)'
	echo '$(ros)' > '$(stamps)/ros'
	touch '$@'

# Without what torch needs: an index of builds has no other packages, or other versions than ours.
# The next step brings those.
$(stamps)/torch: constraints.txt | $(stamps)/system
	'$(python)' -m pip install --progress-bar off --constraint constraints.txt --no-deps \
	  --force-reinstall $(TORCH_PIP_ARGS) torch
	echo '$(TORCH_PIP_ARGS)' > '$@'

# Another build of torch in the place of the one that is there.
ifneq ($(TORCH_PIP_ARGS),)
ifneq ($(TORCH_PIP_ARGS),$(shell cat '$(stamps)/torch' 2>/dev/null))
$(stamps)/torch: again
endif
endif

$(stamps)/dependencies: pyproject.toml constraints.txt $(stamps)/torch
	'$(python)' cmake/requirements.py $(extras) > '$(stamps)/requirements.txt'
	'$(python)' -m pip install --progress-bar off --constraint constraints.txt \
	  --requirement '$(stamps)/requirements.txt'
	touch '$@'

# Modules and configuration are linked, as by `colcon build --symlink-install`: an edit needs nothing,
# a new or removed file makes the links again.
linked := $(shell git ls-files --cached --others --exclude-standard -- \
  smoothvla_ros launch config rviz urdf 2>/dev/null | sort | cksum)
ifneq ($(linked),$(shell cat '$(stamps)/linked' 2>/dev/null))
$(stamps)/package: again
endif

.PHONY: again
again: ;

$(stamps)/package: CMakeLists.txt package.xml $(wildcard cmake/*.cmake cmake/*.in msg/*.msg srv/*.srv) \
  $(stamps)/dependencies
	$(cmake) -S . -B '$(build)' -DCMAKE_INSTALL_PREFIX='$(venv)' -DCMAKE_BUILD_TYPE=Release \
	  -DAMENT_CMAKE_SYMLINK_INSTALL=ON -DBUILD_TESTING=OFF -DPython3_EXECUTABLE='$(python)' \
	  > '$(stamps)/package.log'
	$(cmake) --build '$(build)' --parallel $(shell nproc) >> '$(stamps)/package.log'
	cd '$(build)' && $(cmake) --install . >> '$(stamps)/package.log'
	find '$(venv)'/lib/python*/site-packages/smoothvla_ros '$(venv)/share/smoothvla_ros' -xtype l -delete
	echo '$(linked)' > '$(stamps)/linked'
	touch '$@'
