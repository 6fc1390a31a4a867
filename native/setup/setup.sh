#!/bin/sh
# Makes this machine ready for the project, then runs the command given: sh native/setup/setup.sh [--with-models] [--with-postgres] [COMMAND…]
# --with-models: also what only the model checks need; --with-postgres: also the database server that only the tests start.
#
# Missing Debian packages are installed with apt-get, node_modules with npm ci, and the pinned Node with it. Prints nothing
# and changes nothing when all is there. Exit 3: something is missing that this user may not install; the message says what.
# Debian 12 and 13. The same on Ubuntu 24.04, untested there.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
# Daemons live in sbin, which is not in everybody's PATH; the pinned Node must come before any other.
PATH="$root/node_modules/.bin:$PATH:/usr/sbin:/sbin"
export PATH
stamp="$root/node_modules/.touchstone-lock.json"

with_models=
with_postgres=
while :; do
  case ${1-} in
  --with-models) with_models=yes ;;
  --with-postgres) with_postgres=yes ;;
  *) break ;;
  esac
  shift
done

say() { printf 'setup: %s\n' "$*" >&2; }

have_library() {
  for found in "/usr/lib/"*"/$1" "/lib/"*"/$1" "/usr/lib/$1" "/usr/local/lib/$1" "/usr/lib64/$1"; do
    [ ! -e "$found" ] || return 0
  done
  return 1
}

# Sets $missing to the Debian packages that are not there. Asks for the files, not for the packages: no process is started.
find_missing() {
  missing=
  command -v swtpm >/dev/null || missing="$missing swtpm"
  command -v swtpm_setup >/dev/null || missing="$missing swtpm-tools"
  command -v mosquitto >/dev/null || missing="$missing mosquitto"
  command -v tpm2 >/dev/null || missing="$missing tpm2-tools"
  command -v openssl >/dev/null || missing="$missing openssl"
  if [ -n "$with_models" ]; then
    command -v spin >/dev/null || missing="$missing spin"
    command -v gcc >/dev/null || missing="$missing gcc libc6-dev"
  fi
  [ -z "$with_postgres" ] || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
  have_library libtss2-tctildr.so.0 || missing="$missing libtss2-tctildr0"
  have_library libtss2-tcti-swtpm.so.0 || missing="$missing libtss2-tcti-swtpm0"
  have_library libtss2-tcti-device.so.0 || missing="$missing libtss2-tcti-device0"
}

have_modules() {
  [ -x "$root/node_modules/.bin/node" ] && cmp -s "$root/package-lock.json" "$stamp"
}

install_missing() {
  if ! command -v apt-get >/dev/null; then
    say "this is not Debian or Ubuntu; please install what these Debian packages hold:$missing"
    exit 3
  fi
  # shellcheck disable=SC2086 # lists of words
  if [ "$(id -u)" = 0 ]; then
    say "installing Debian packages:$missing"
    sh "$root/native/setup/install-packages.sh" $missing
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    say "installing Debian packages with sudo:$missing"
    sudo -n env "http_proxy=${http_proxy-}" "https_proxy=${https_proxy-}" "no_proxy=${no_proxy-}" \
      sh "$root/native/setup/install-packages.sh" $missing
  else
    say "Debian packages are missing, and only root may install them:$missing"
    say 'please run this, and then the same command again:'
    say "  sudo sh '$root/native/setup/install-packages.sh'$missing"
    exit 3
  fi
  find_missing
  if [ -n "$missing" ]; then
    say "still missing after the installation:$missing"
    exit 3
  fi
}

# npm leaves out optional packages, native parts of our tools among them, that do not want the Node it runs on. So where the
# machine's Node is older than ours, npm ci runs on the pinned Node, with an npm that suits it, both in a folder for the moment.
borrow_tools() {
  if node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 22 || (a == 22 && b >= 14) ? 0 : 1)'; then
    return
  fi
  tools=$(mktemp -d)
  trap 'rm -rf "$tools"' EXIT
  trap 'exit 3' INT TERM HUP
  say "fetching Node $wanted, because the machine's $(node --version) is too old for the modules"
  npm install --prefix "$tools" --no-save --ignore-scripts --no-package-lock --no-fund --no-audit --loglevel=error \
    "node-linux-$(node -p process.arch)@$wanted" npm@10.9.4 </dev/null >&2
  PATH="$tools/node_modules/.bin:$PATH"
}

# In a subshell: it changes PATH. Inside `npm run`, PATH begins with node_modules/.bin, whose Node is not the one that the
# machine's npm was made for, and which npm ci takes away.
install_modules() (
  cd "$root"
  PATH=$(printf '%s' "$PATH" | tr ':' '\n' | grep -v '/node_modules/\.bin$' | paste -s -d : -)
  if ! command -v npm >/dev/null; then
    say 'npm is missing; please install it: apt-get install npm'
    exit 3
  fi
  wanted=$(node -p 'require("./package-lock.json").packages["node_modules/node"].version')
  # Whoever ran `npm install` by hand has the right modules already, and must not lose them to npm ci.
  if ! node native/setup/modules-match.mjs; then
    borrow_tools
    say 'installing node_modules (npm ci)'
    npm ci --no-fund --no-audit --loglevel=error </dev/null >&2
  fi
  if [ "$(node_modules/.bin/node --version 2>/dev/null || true)" != "v$wanted" ]; then
    say "installing Node $wanted into node_modules"
    # The only install script that may run: it fetches the binary of this architecture from the same registry.
    npm rebuild node --ignore-scripts=false --no-fund --no-audit --loglevel=error </dev/null >&2 || true
    if [ ! -x node_modules/node/bin/node ]; then
      # An npm that refuses install scripts altogether: the same step by hand.
      (cd node_modules/node && node installArchSpecificPackage.js </dev/null >&2)
    fi
    mkdir -p node_modules/.bin
    [ -e node_modules/.bin/node ] || ln -sf ../node/bin/node node_modules/.bin/node
  fi
  if [ "$(node_modules/.bin/node --version)" != "v$wanted" ]; then
    say "node_modules/.bin/node is not Node $wanted; remove node_modules and run this again"
    exit 3
  fi
  cp package-lock.json "$stamp"
)

find_missing
if [ -n "$missing" ] || ! have_modules; then
  # One at a time; who waited looks again. The lock is on the folder itself, so it leaves no file behind.
  if command -v flock >/dev/null; then
    exec 9<"$root"
    flock 9
  fi
  find_missing
  [ -z "$missing" ] || install_missing 9<&-
  have_modules || install_modules 9<&-
  exec 9<&-
fi

[ "$#" -eq 0 ] || exec "$@"
