#!/bin/sh
# Makes ready what `npm run fuzz` needs beside setup.sh, then runs the command given: sh native/setup/fuzz.sh [COMMAND…]
#
# The fuzzer's own modules (fuzzer/package-lock.json) go to node_modules/.cache/fuzz/modules. It wants the C library of Debian 13. On an older system it is taken out of Debian's own packages, verified by their keys,
# into node_modules/.cache/fuzz/libc; nothing is installed in the system. Prints nothing and changes nothing when all is there. Exit 3: it cannot be had.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache="$root/node_modules/.cache/fuzz"
wanted=2.38

say() { printf 'setup: %s\n' "$*" >&2; }

is_new_enough() {
  have=$(getconf GNU_LIBC_VERSION 2>/dev/null | cut -d ' ' -f 2)
  [ -n "$have" ] && [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n 1)" = "$wanted" ]
}

# Where apt has Debian from: the same mirror has the next release.
mirror() { apt-cache policy libc6 2>/dev/null | grep -oE 'https?://[^ ]*/debian ' | head -n 1 | tr -d ' '; }

fetch_libc() (
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  trap 'exit 3' INT TERM HUP
  # apt fetches as a user of its own.
  chmod 755 "$work"
  from=$(mirror)
  keys=/usr/share/keyrings/debian-archive-keyring.gpg
  if [ -z "$from" ] || [ ! -e "$keys" ]; then
    say "the fuzzer needs glibc $wanted or newer, and this system has ${have:-another} and no Debian packages to take it from"
    exit 3
  fi
  say "fetching the C library of Debian 13 for the fuzzer"
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/debs" "$work/tree"
  : >"$work/status"
  printf 'deb [signed-by=%s] %s trixie main\n' "$keys" "$from" >"$work/sources.list"
  with_its_own_lists() {
    apt-get -q -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists="$work/lists" \
      -o Dir::Cache="$work/cache" -o Dir::State::status="$work/status" -o Acquire::Languages=none "$@" >>"$work/log" 2>&1
  }
  if ! with_its_own_lists update || ! (cd "$work/debs" && with_its_own_lists download libc6 libstdc++6 libgcc-s1); then
    cat "$work/log" >&2
    say 'the C library of Debian 13 could not be fetched'
    exit 3
  fi
  for package in "$work"/debs/*.deb; do dpkg-deb -x "$package" "$work/tree"; done
  mkdir -p "$cache/libc.new"
  cp "$work"/tree/usr/lib/*-linux-gnu/*.so* "$cache/libc.new/"
  # Last, and by renaming: whoever sees it has everything.
  mv "$cache/libc.new" "$cache/libc"
)

# By an npm that suits the Node it runs on: inside `npm run`, PATH begins with the pinned Node.
install_fuzzer() (
  say 'installing the fuzzer (npm ci)'
  rm -rf "$cache/modules"
  mkdir -p "$cache/modules"
  cp "$root/.npmrc" "$here"/fuzzer/package*.json "$cache/modules/"
  PATH=$(printf '%s' "$PATH" | tr ':' '\n' | grep -v '/node_modules/\.bin$' | paste -s -d : -)
  cd "$cache/modules"
  npm ci --no-fund --no-audit --loglevel=error </dev/null >&2
  cp package-lock.json installed.json
)

is_new_enough || [ -d "$cache/libc" ] || fetch_libc
cmp -s "$here/fuzzer/package-lock.json" "$cache/modules/installed.json" || install_fuzzer

[ "$#" -eq 0 ] || exec "$@"
