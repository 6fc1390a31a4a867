#!/bin/sh
# Makes ready what `npm run test:guest` needs beside setup.sh, then runs the command given: sh native/setup/guest.sh [COMMAND…]
#
# An emulator, firmware and a static shell from Debian, and a kernel taken out of its Debian package without installing it, kept in
# node_modules/.cache/guest. Prints nothing and changes nothing when all is there. Exit 3: something is missing; the message says what.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
cache="$root/node_modules/.cache/guest"

say() { printf 'setup: %s\n' "$*" >&2; }

if [ "$(uname -m)" != x86_64 ]; then
  say 'the guest is an x86-64 machine made of this machine'"'"'s own programs, so it runs on x86-64 only'
  exit 3
fi

find_missing() {
  missing=
  command -v qemu-system-x86_64 >/dev/null || missing="$missing qemu-system-x86"
  [ -e /usr/share/OVMF/OVMF_CODE_4M.fd ] || missing="$missing ovmf"
  [ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1 || missing="$missing busybox-static"
}

have_kernel() { [ -s "$cache/vmlinuz" ] && [ -s "$cache/e1000.ko" ]; }

install_missing() {
  say "installing Debian packages:$missing"
  # shellcheck disable=SC2086 # a list of words
  if [ "$(id -u)" = 0 ]; then
    sh "$root/native/setup/install-packages.sh" $missing
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    sudo -n env "http_proxy=${http_proxy-}" "https_proxy=${https_proxy-}" "no_proxy=${no_proxy-}" \
      sh "$root/native/setup/install-packages.sh" $missing
  else
    say "only root may do that; please run: sudo sh '$root/native/setup/install-packages.sh'$missing"
    exit 3
  fi
}

# Whoever may not write the package lists still reads those that are there.
kernel_package() { apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9]\)/\1/p' | head -n 1; }

fetch_kernel() (
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  trap 'exit 3' INT TERM HUP
  # apt fetches as a user of its own.
  chmod 755 "$work"
  cd "$work"
  package=$(kernel_package)
  [ -n "$package" ] || { apt-get -q update >log 2>&1 || true; package=$(kernel_package); }
  if [ -z "$package" ]; then
    say 'no package linux-image-amd64 here; the guest needs the kernel of Debian 12 or 13'
    exit 3
  fi
  say "fetching the kernel of $package"
  if ! apt-get -q download "$package" >log 2>&1; then
    # Lists that are older than the archive.
    apt-get -q update >>log 2>&1 || true
    package=$(kernel_package)
    apt-get -q download "$package" >>log 2>&1 || { cat log >&2; exit 3; }
  fi
  dpkg-deb --fsys-tarfile ./*.deb | tar -x --wildcards './boot/vmlinuz-*' '*/e1000/e1000.ko*'
  module=$(find . -name 'e1000.ko*')
  case $module in *.xz) xz -d "$module" && module=${module%.xz} ;; esac
  mkdir -p "$cache"
  cp "$module" "$cache/e1000.ko"
  # Last, and by renaming: whoever sees it has everything.
  cp boot/vmlinuz-* "$cache/vmlinuz.new"
  mv "$cache/vmlinuz.new" "$cache/vmlinuz"
)

find_missing
if [ -n "$missing" ]; then
  install_missing
  find_missing
  if [ -n "$missing" ]; then
    say "still missing after the installation:$missing"
    exit 3
  fi
fi
have_kernel || fetch_kernel

[ "$#" -eq 0 ] || exec "$@"
