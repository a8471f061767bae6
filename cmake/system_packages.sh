#!/usr/bin/env bash
# Install the system libraries that are missing: through apt where this user may, else say which.
# PYTHON: the interpreter that the virtual environment will be made from.
set -euo pipefail

missing=()
need() { # need PACKAGE COMMAND…: ask for the package unless the command succeeds
  "${@:2}" > /dev/null 2>&1 || missing+=("$1")
}
library() { [[ $(PATH="$PATH:/sbin:/usr/sbin" ldconfig -p) == *"$1"* ]]; }
software_renderer() { compgen -G '/usr/lib/*/dri/*swrast_dri.so' || compgen -G '/usr/lib/*/libgallium-*'; }

need cmake cmake --version
need g++ g++ --version
need libegl1 library libEGL.so.1
need libgl1 library libGL.so.1
need libgl1-mesa-dri software_renderer
need python3-venv "$PYTHON" -c 'import ensurepip, venv'
need python3-dev "$PYTHON" -c "import pathlib, sysconfig
assert pathlib.Path(sysconfig.get_path('include'), 'Python.h').exists()"

if [[ ${#missing[@]} -eq 0 ]]; then
  exit
fi
root=()
if [[ $(id -u) -ne 0 ]]; then
  root=(sudo -n)
fi
if command -v apt-get > /dev/null && "${root[@]}" true 2> /dev/null; then
  "${root[@]}" apt-get update -qq
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
    "${missing[@]}"
else
  echo "system packages are missing; install them and try again: ${missing[*]}" >&2
  exit 1
fi
