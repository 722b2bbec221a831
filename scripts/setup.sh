#!/usr/bin/env bash
# Everything between a fresh clone and a running peekaboo: system packages, npm packages, the native libraries,
# TypeScript. Does only what is missing, and says nothing when nothing is.
#
# Usage: bash scripts/setup.sh [SYSTEM-PACKAGE…]     further packages to install, as CI does with clang-format
# Exit status: 0 ready; 1 a step failed; 2 the machine lacks something that only its user can add.
set -euo pipefail
# What a user names from where they are is named from everywhere.
[[ ${LIBTORCH:-/} == /* ]] || export LIBTORCH=${INIT_CWD:-$PWD}/$LIBTORCH
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly logs=.setup
readonly without_libtorch=("What a trained network needs, works without: after \`npm ci\` alone, \`npx peekaboo predict\`, \`inspect\` and" "\`evaluate\` run a .pab file.")

main() {
  check_node
  mkdir -p "$logs"
  exec 9>"$logs/lock"
  flock 9 2>/dev/null || true # Two set-ups at once would build into the same folders.
  install_system_packages "$@"
  install_npm_packages
  build_typescript # First: it knows how many compilers at once this machine, or its container, has room for.
  build_native_libraries packages/torch packages/peekaboo
}

say() { printf '%s\n' "$*"; }

# stop STATUS SENTENCE [CURE…]
stop() {
  printf '\nset-up: %s\n' "$2" >&2
  (($# < 3)) || printf '%s\n' "${@:3}" | sed 's/^/  /' >&2
  exit "$1"
}

check_node() {
  local version major minor
  local cure="Install 20.19, 22.12 or a newer version: https://nodejs.org"
  version=$(node --version 2>/dev/null) || stop 2 "Node.js is not here." "$cure"
  IFS=. read -r major minor _ <<<"${version#v}"
  ((major > 22 || major == 22 && minor >= 12 || major == 20 && minor >= 19)) ||
    stop 2 "Node.js $version is too old." "$cure"
}

# ---- System packages -----------------------------------------------------------------------------------------------

install_system_packages() {
  local missing as_root=()
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]} > 0)) || return 0

  local install="apt-get install -y --no-install-recommends ${missing[*]}"
  if ! command -v apt-get >/dev/null; then
    stop 2 "this machine has no apt-get, and these are missing: ${missing[*]}." \
      "Install a C++17 compiler, make and Python 3 by its own means; unpack a libtorch from https://pytorch.org" \
      "and set LIBTORCH to its folder." "" "${without_libtorch[@]}"
  fi
  if (($(id -u) != 0)); then
    sudo -n true 2>/dev/null || stop 2 "system packages are missing, and only root can install them." \
      "Run this, then try again:" "  sudo apt-get update && sudo $install" "" "${without_libtorch[@]}"
    as_root=(sudo -n)
  fi
  say "Installing system packages: ${missing[*]}"
  run_apt update >/dev/null || stop 1 "apt-get update failed:" "$(tail -n 15 "$logs/apt.log")"
  tell_apt_plan "${missing[@]}"
  [[ " ${missing[*]} " != *" libtorch-dev "* ]] ||
    say "  (A libtorch of your own serves as well: set LIBTORCH to its folder.)"
  run_apt install --no-install-recommends "${missing[@]}" ||
    stop 1 "apt-get install failed:" "$(tail -n 15 "$logs/apt.log")" "" "Try by hand: $install"
}

# The packages that are neither installed nor replaced by something else, one a line.
missing_packages() {
  local package
  for package in g++ make python3 "$@"; do
    command -v "$package" >/dev/null || say "$package"
  done
  if [[ -n ${LIBTORCH-} ]]; then return; fi
  case $(package_state libtorch-dev) in
    installed) ;;
    absent) if find_libtorch >/dev/null 2>&1; then return; else say libtorch-dev; fi ;;
    *) say libtorch-dev ;; # An interrupted installation: apt finishes it.
  esac
  [[ $(package_state libgloo-dev) == installed ]] || say libgloo-dev
}

package_state() {
  local state
  state=$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null) || state=absent
  case $state in not-installed | config-files | '') say absent ;; *) say "$state" ;; esac
}

find_libtorch() { node packages/torch/scripts/find-libtorch.mjs describe; }

# How much is coming, in apt's own numbers: another release, or a machine that has a part of it, has others.
tell_apt_plan() {
  LC_ALL=C apt-get install --assume-no --no-install-recommends "$@" 2>/dev/null | sed --quiet \
    --expression 's/.*upgraded, \([0-9]*\) newly installed.*/  packages: \1/p' \
    --expression 's/^Need to get \(.*\) of archives.*/  to download: \1/p' \
    --expression 's/^After this operation, \(.*\) of additional disk space.*/  on disk: \1/p' || true
}

# apt-get with what it says in a log, and a line for each tenth of its way.
run_apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get "$1" -y -o DPkg::Lock::Timeout=600 -o APT::Status-Fd=1 \
    "${@:2}" </dev/null 2>&1 | tee "$logs/apt.log" | show_apt_progress
}

show_apt_progress() {
  local kind id percent text tenth shown=
  while IFS=: read -r kind id percent text; do
    case $kind in dlstatus) kind=download ;; pmstatus) kind=install ;; *) continue ;; esac
    tenth=$kind-$((${percent%%.*} / 10))
    [[ $tenth == "$shown" ]] || say "  $kind: ${percent%%.*} %"
    shown=$tenth
  done
}

# ---- npm packages --------------------------------------------------------------------------------------------------

install_npm_packages() {
  node scripts/packages-installed.mjs && return
  say "Installing npm packages…"
  # Without install scripts: what has to be compiled is compiled below, where a failure can be explained.
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error ||
    stop 1 "npm ci failed." "Its reason stands above; a network failure goes away by trying again."
}

# ---- Native libraries ----------------------------------------------------------------------------------------------

build_native_libraries() {
  local libtorch folder
  libtorch=$(libtorch_fingerprint) || stop 2 "${libtorch:-libtorch was not found.}"
  for folder in "$@"; do build_native "$folder" "$libtorch"; done
}

# Whether make and the shells that it starts read this path as it is.
is_plain() { (LC_ALL=C; [[ $1 =~ ^[A-Za-z0-9_./@+-]+$ ]]); }

build_native() {
  local folder=$1 libtorch=$2 sources stamp=$1/build/.setup log=$logs/build-${1##*/}.log start=$SECONDS
  mapfile -t sources < <(find "$folder/native" -type f | LC_ALL=C sort)
  sources=$(fingerprint "$folder/binding.gyp" packages/torch/scripts/units.mjs scripts/node-api/common.gypi "${sources[@]}")
  [[ $(cat "$stamp" 2>/dev/null) != "$libtorch $sources" ]] || return 0

  say "Compiling $folder (a minute or two)…"
  node packages/torch/scripts/find-libtorch.mjs notes | sed 's/^/  /'
  # Objects of another libtorch look up to date to make: its headers may be older than they are.
  [[ $(cat "$stamp" 2>/dev/null) == "$libtorch "* ]] || rm -rf "$folder/build"
  mkdir -p "$folder/build"
  say "$libtorch unfinished" >"$stamp"
  compile "$folder" </dev/null 2>&1 | tee "$log" | sed --unbuffered --quiet 's/^ *CXX.*\(native.*\)\.o$/  \1.cc/p' ||
    explain_build_failure "$folder" "$log"
  say "$libtorch $sources" >"$stamp"
  say "  done in $((SECONDS - start)) s"
}

compile() {
  if is_plain "$PWD"; then run_node_gyp "$1" "$PWD"; else compile_elsewhere "$1"; fi
}

run_node_gyp() {
  local folder=$1 root=$2
  # node-gyp puts npm's settings above its own flags, but this variable above both.
  npm_package_config_node_gyp_nodedir=$root/scripts/node-api node "$root/node_modules/node-gyp/bin/node-gyp.js" \
    configure build -C "$root/$folder" --jobs "${JOBS:-$(node scripts/compile-jobs.mjs)}" --force-process-config
}

# Below a folder whose name make would misread, the library is compiled in a copy under a plain one, and brought back.
compile_elsewhere() (
  folder=$1 place=
  for parent in "${TMPDIR:-/tmp}" /tmp /var/tmp; do
    is_plain "$parent" && place=$(mktemp -d "$parent/peekaboo-build-XXXXXX" 2>/dev/null) && break
  done
  [[ -n $place ]] || { say "No folder to compile in: neither TMPDIR nor /tmp nor /var/tmp can be written to."; exit 1; }
  trap 'rm -rf "$place"' EXIT
  mkdir -p "$place/$folder" "$place/packages/torch" "$place/scripts"
  cp -R packages/torch/{native,scripts} "$place/packages/torch"
  cp -R "$folder"/{binding.gyp,native} "$place/$folder"
  [[ ! -d $folder/scripts ]] || cp -R "$folder/scripts" "$place/$folder"
  cp -R scripts/node-api "$place/scripts"
  # What make is told of must lie there itself: gyp looks through links.
  mkdir "$place/node_modules"
  ln -s "$PWD"/node_modules/* "$place/node_modules"
  rm "$place"/node_modules/{node-gyp,node-addon-api,node-api-headers}
  cp -R node_modules/{node-gyp,node-addon-api,node-api-headers} "$place/node_modules"
  run_node_gyp "$folder" "$place" && cp -R "$place/$folder/build/Release" "$folder/build/"
)

# Where libtorch is, which one, and what of it can be compiled in.
libtorch_fingerprint() {
  local found
  found=$(find_libtorch 2>&1) || { grep -m1 'Error: ' <<<"$found" | sed 's/^Error: //'; return 1; }
  digest <<<"$found"
}

fingerprint() { { say "$@"; cat "$@"; } | digest; }

digest() { sha256sum | cut -c 1-64; }

explain_build_failure() {
  local folder=$1 log=$2 cure="Mend the first error and try again; after a change of compiler, npm run clean first."
  if grep -q 'Killed signal\|Cannot allocate memory\|out of memory' "$log"; then
    cure="The compiler ran out of memory: it needs about 1.5 GB a core. Try again with JOBS=1."
  elif grep -q 'No space left on device' "$log"; then
    cure="The disk is full: free about 200 MB, then try again."
  fi
  stop 1 "compiling $folder failed; the log's last lines:" \
    "$(grep -vE '^gyp (info|ERR! (stack at|System|command|cwd|node|not ok))' "$log" | tail -n 20)" \
    "" "The whole log: $log" "$cure"
}

# ---- TypeScript ----------------------------------------------------------------------------------------------------

build_typescript() {
  [[ -e packages/peekaboo/dist/cli/main.js ]] || say "Compiling TypeScript…"
  node_modules/.bin/tsc -b packages/peekaboo packages/peekaboo/src/board-page packages/runtime || stop 1 "compiling TypeScript failed." "The errors stand above."
}

main "$@"
