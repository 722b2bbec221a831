#!/usr/bin/env bash
# Tries the last commit elsewhere than here: in a fresh clone it runs set-up, the golden cases, a demo of 30 steps and
# all tests.
#
# Usage: npm run test:platform -- WHERE [--short | --base]
#   trixie, bookworm     a Debian 13 or 12, made from nothing by debootstrap and entered by chroot (needs root)
#   torch                the newest libtorch that pip has at hand, nothing downloaded
#   node20, node22, …    that release of Node.js, from the npm package that holds it
#   path                 a folder whose name has blanks, quotes and more in it
# --short leaves the tests out, and takes up the Debian that the last run made, with what set-up installed there. --base
# makes that Debian where there is none yet, and tries nothing.
# Exit status: 0 all passed; 1 something failed; 2 it can't be tried here, for the reason that is said.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly caches=${XDG_CACHE_HOME:-$HOME/.cache}/peekaboo data=${PEEKABOO_DATA:-${XDG_CACHE_HOME:-$HOME/.cache}/peekaboo}

say() { printf '%s\n' "$*"; }
cannot() { say "test:platform $where: skipped, $1."; exit 2; }

main() {
  where=${1-} short='' base=''
  case ${2-} in --short) short=yes ;; --base) base=yes ;; esac
  case $where in
    trixie | bookworm) try_debian "$where" ;;
    torch | path | node[1-9]*) try_here "try_$where" ;;
    *) sed -n 's/^# \{0,1\}//; 2,12p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
  esac
}

# The steps, in a clone: each word of a command is an argument. The first that fails ends them.
run_steps() {
  local start=$SECONDS
  step "set-up" bash scripts/setup.sh
  step "golden cases" npm run --silent conformance -- tests/golden
  step "demo" npm run --silent demo -- --max-steps 30 --train-limit 2000 --test-limit 1000 --exp-name platform-demo
  [[ -n $short ]] || step "tests" npm test
  say "test:platform $where: passed, $((SECONDS - start)) s"
}

step() {
  local name=$1 start=$SECONDS
  say "--- $where: $name"
  "${@:2}" </dev/null || { say "test:platform $where: $name FAILED after $((SECONDS - start)) s"; exit 1; }
  say "--- $where: $name: ok, $((SECONDS - start)) s"
}

# A clone of the last commit; what isn't committed isn't tried.
clone_into() {
  git -c advice.detachedHead=false clone --quiet --no-hardlinks "$PWD" "$1"
  [[ -z $(git status --porcelain) ]] || say "What isn't committed is left out: $(git log -1 --format=%h) is tried."
}

# ---- On this system --------------------------------------------------------------------------------------------------

try_here() {
  work=$(mktemp -d "${TMPDIR:-/tmp}/peekaboo-platform-XXXXXX")
  chmod 755 "$work" # Tests start this Node as another user.
  trap 'rm -rf "$work"' EXIT
  clone=$work/peekaboo
  case $where in
    torch) newest_torch ;;
    path) clone="$work/My Projects (é) #1 \$HOME's \"x\" & co/peekaboo"; mkdir -p "${clone%/*}" ;;
    node*) take_node "${where#node}" "$work/node"; export PATH=$work/node/bin:$PATH; say "Node.js $(node --version)" ;;
  esac
  clone_into "$clone"
  cd "$clone"
  run_steps
}

newest_torch() {
  command -v python3 >/dev/null || cannot "there is no python3"
  # --no-index: only what find-links names, so nothing of half a gigabyte is fetched.
  python3 -m pip install --quiet --no-index --no-deps --target "$work/python" torch >/dev/null 2>&1 ||
    cannot "pip has no wheel of torch at hand"
  export LIBTORCH=$work/python/torch
  say "libtorch $(sed -n "s/^__version__ = '\(.*\)'/\1/p" "$LIBTORCH/version.py")"
}

# Node.js of a major version into FOLDER/bin, with an npm of its own.
take_node() {
  local version=$1 folder=$2 package
  package=node-$(node -p 'process.platform + "-" + process.arch')
  npm install --silent --no-save --ignore-scripts --prefix "$folder" "$package@$version" "npm@${3:-10}" >/dev/null 2>&1 ||
    cannot "npm has no $package@$version for it"
  mkdir -p "$folder/bin"
  ln -s "../node_modules/$package/bin/node" ../node_modules/npm/bin/np{m,x}-cli.js "$folder/bin"
  mv "$folder/bin/npm-cli.js" "$folder/bin/npm"
  mv "$folder/bin/npx-cli.js" "$folder/bin/npx"
}

# ---- Another Debian --------------------------------------------------------------------------------------------------

try_debian() {
  (($(id -u) == 0)) || cannot "only root can make and enter another system"
  command -v debootstrap >/dev/null || cannot "debootstrap isn't installed (apt-get install debootstrap)"
  # In a namespace of their own, mounts and processes end with this script, however it ends.
  if [[ -z ${PEEKABOO_APART-} ]]; then
    unshare --mount --pid --fork --kill-child true 2>/dev/null || cannot "this machine has no namespaces for it"
    exec env PEEKABOO_APART=1 unshare --mount --propagation private --pid --fork --kill-child \
      bash scripts/test-platform.sh "$@" ${short:+--short} ${base:+--base}
  fi
  local packages=(ca-certificates git)
  [[ $1 == bookworm ]] || packages+=(nodejs npm)
  root=$caches/systems/$1-$(printf '%s\n' "$1" "${packages[@]}" | sha256sum | cut -c 1-8)
  mkdir -p "$caches/systems"
  exec 8>"$root.lock"
  flock --nonblock 8 || cannot "another run is in $root"
  [[ -n $short$base ]] || rm -rf "$root"
  [[ -e $root ]] || make_debian "$1" "${packages[@]}"
  [[ -n $base ]] || enter_debian
}

make_debian() {
  local suite=$1 start=$SECONDS mirror
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 2>/dev/null | grep -m1 '/debian/*$' || true)
  say "Making a Debian ($suite) in $root…"
  rm -rf "$root.partial"
  debootstrap --variant=minbase "$suite" "$root.partial" ${mirror:+"$mirror"} >"$root.log" 2>&1 || made_nothing
  lend_network "$root.partial"
  mount_system "$root.partial"
  { in_debian "$root.partial" apt-get update && in_debian "$root.partial" apt-get install -y --no-install-recommends "${@:2}"; } \
    >"$root.log" 2>&1 || made_nothing
  umount --recursive "$root.partial"/{proc,dev,sys}
  [[ $suite != bookworm ]] || take_node 20 "$root.partial/usr/local"
  mv "$root.partial" "$root"
  say "  done in $((SECONDS - start)) s"
}

made_nothing() {
  tail -n 10 "$root.log"
  cannot "the system could not be made (the whole log: $root.log)"
}

# How this machine reaches Debian's and npm's packages: names, proxies, certificates, npm's settings.
lend_network() {
  local file
  for file in resolv.conf hosts; do cat "/etc/$file" >"$1/etc/$file" 2>/dev/null || true; done
  apt-config dump 2>/dev/null | grep -E '^Acquire::https?::(Proxy|CaInfo|Verify)' >"$1/etc/apt/apt.conf.d/99lent" || true
}

mount_system() {
  mkdir -p "$1"/{proc,dev,sys}
  mount -t proc proc "$1/proc"
  mount --rbind /dev "$1/dev"
  mount --rbind /sys "$1/sys"
}

# Runs a command in it, with nothing of this environment but what reaches the network.
in_debian() {
  env --ignore-environment "${lent[@]}" HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive TERM="${TERM-dumb}" \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin chroot "$@"
}

enter_debian() {
  lend_network "$root"
  mount_system "$root"
  rm -rf "$root"/srv/peekaboo-*
  work=$(mktemp -d "$root/srv/peekaboo-XXXXXX") # Not local: the trap reads it at the script's end.
  trap 'rm -rf "$work"' EXIT
  clone_into "$work/peekaboo"
  mkdir "$work/data"
  cp "$data"/*.safetensors "$work/data" 2>/dev/null || true
  lend_npm "$work"
  local inside=${work#"$root"}
  lent+=("PEEKABOO_DATA=$inside/data" "npm_config_cache=$inside/npm" "JOBS=${JOBS-}" "where=$where" "short=$short")
  in_debian "$root" bash -c "cd $inside/peekaboo && $(declare -f say step run_steps) && set -euo pipefail && run_steps"
}

# npm's own settings and certificates, for as long as the run takes.
lend_npm() {
  local authorities=${NODE_EXTRA_CA_CERTS:-$(npm config get cafile)} settings name value inside=${1#"$root"}
  settings=$(npm config get userconfig)
  if [[ -f $authorities ]]; then
    cp "$authorities" "$1/authorities.pem"
    lent+=("NODE_EXTRA_CA_CERTS=$inside/authorities.pem" "npm_config_cafile=$inside/authorities.pem")
  fi
  if [[ -f $settings ]]; then
    cp "$settings" "$1/npmrc"
    lent+=("npm_config_userconfig=$inside/npmrc")
  fi
  for name in registry proxy https-proxy noproxy; do
    value=$(npm config get "$name")
    case $value in null | undefined | '') ;; *) lent+=("npm_config_${name//-/_}=$value") ;; esac
  done
}

lent=()
for variable in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY CI; do
  [[ -z ${!variable-} ]] || lent+=("$variable=${!variable}")
done
main "$@"
