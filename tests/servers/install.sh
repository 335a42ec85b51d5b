#!/bin/sh
# Install the servers that the tests use, where that is allowed; say which are missing where not.
# With the argument "full" also the programs of the benchmarks and of `make full`.
set -u

missing=""
need() {  # program, Debian package, further places to look
    command -v "$1" >/dev/null 2>&1 && return
    package=$2; shift 2
    for place in "$@"; do [ -x "$place" ] && return; done
    missing="$missing $package"
}
need redis-server redis-server
need memcached memcached
need postgres postgresql /usr/lib/postgresql/*/bin/postgres
need mariadbd mariadb-server /usr/sbin/mariadbd
need pgbouncer pgbouncer /usr/sbin/pgbouncer
need nutcracker nutcracker /usr/sbin/nutcracker
need chromium chromium
need chromedriver chromium-driver
if [ "${1:-}" = full ]; then
    need valgrind valgrind
    need wrk wrk
fi
[ -z "$missing" ] && exit 0

if [ "$(id -u)" = 0 ]; then as_root=""
elif sudo -n true 2>/dev/null; then as_root="sudo"
else as_root="none"
fi
if [ "$as_root" = none ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "Not installed, so what needs them is left out:$missing" >&2
    echo "On Debian or Ubuntu: sudo apt-get install$missing" >&2
    exit 0
fi
echo "Installing$missing ..." >&2
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq -o Acquire::Retries=3 >&2 && \
    $as_root apt-get install -y -qq -o Acquire::Retries=3 --no-install-recommends $missing >&2 || \
    echo "Could not install$missing; what needs them is left out" >&2
