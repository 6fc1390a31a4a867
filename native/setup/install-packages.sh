#!/bin/sh
# Installs Debian packages without a question and without starting their services. As root: install-packages.sh PACKAGE…
set -eu
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d

# Debian's way to say "no service may be started now". Whoever has a policy already keeps it.
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 3' INT TERM HUP
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi

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

try_install() {
  names_here "$@"
  # shellcheck disable=SC2086 # a list of words
  apt-get install -y -q --no-install-recommends -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 $names </dev/null >&2
}

# The package lists may be absent (a fresh container) or older than the archive (404): then once more with new ones.
if ! apt-cache show "$1" >/dev/null 2>&1 || ! try_install "$@"; then
  apt-get update -q -o DPkg::Lock::Timeout=300 </dev/null >&2
  try_install "$@"
fi
