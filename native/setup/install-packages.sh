#!/bin/sh
# Installs Debian packages without a question and without starting their services. As root: install-packages.sh PACKAGE…
set -eu
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
ours=
log=$(mktemp)
finish() {
  rm -f "$log"
  [ -z "$ours" ] || rm -f "$policy"
}
trap finish EXIT
trap 'exit 3' INT TERM HUP

# Debian's way to say "no service may be started now". Whoever has a policy already keeps it.
if [ ! -e "$policy" ]; then
  ours=yes
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi

# Debian's PostgreSQL would make a database of its own that runs from the next start of the machine on. Who has it already keeps it so.
case " $* " in
*' postgresql '*)
  clusters=/etc/postgresql-common/createcluster.conf
  if [ ! -e "$clusters" ]; then
    mkdir -p "${clusters%/*}"
    echo 'create_main_cluster = false' >"$clusters"
  fi
  ;;
esac

# Debian 13 and Ubuntu 24.04 gave the libraries' packages a name that tells of 64-bit time.
names_here() {
  names=
  for name in "$@"; do
    case $name in
    lib*) if apt-cache show "${name}t64" >/dev/null 2>&1; then name="${name}t64"; fi ;;
    esac
    names="$names $name"
  done
}

# Hundreds of lines that nobody needs, unless it fails.
apt_get() { apt-get -q -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@" </dev/null >"$log" 2>&1; }

try_install() {
  names_here "$@"
  # shellcheck disable=SC2086 # a list of words
  apt_get install -y --no-install-recommends $names
}

# The package lists may be absent (a fresh container) or older than the archive (404): then once more with new ones.
if ! apt-cache show "$1" >/dev/null 2>&1 || ! try_install "$@"; then
  # An update that fails for one foreign archive may still have brought what is needed.
  apt_get update || tail -n 20 "$log" >&2
  if ! try_install "$@"; then
    tail -n 20 "$log" >&2
    exit 3
  fi
fi
