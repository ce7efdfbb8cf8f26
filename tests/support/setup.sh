# shellcheck shell=bash
# What the scripts in tests/ need to run. They source it in the top folder of the checkout.

mkdir -p .cache

# Install the packages of programs that are missing.
need() { # PROGRAM=PACKAGE…
  local pair missing=()
  for pair in "$@"; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
  done
  [ ${#missing[@]} -eq 0 ] || deploy/apt.sh "${missing[@]}"
}

# Set PYTHON to the Python of the tests, unless it is set.
find_python() {
  [ -n "${PYTHON:-}" ] || PYTHON=$(deploy/venv.sh "$PWD/.cache/venv" tests/lock.txt)/bin/python
}

# Run a command in its own network namespace, with the Internet's packet size (as root).
exec_in_own_network() { # COMMAND…
  # shellcheck disable=SC2016  # expanded by the inner shell
  exec unshare --net sh -c 'ip link set lo mtu 1500 up && exec "$@"' sh "$@"
}
