#!/usr/bin/env bash
# Formats the C++ in place; with --check, only tells what is not formatted. Other releases of clang-format break lines
# elsewhere, so there is one, Debian 12's; where it isn't installed, this does nothing but say so.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly release=14

if [[ $(clang-format --version 2>/dev/null) != *"version $release."* ]]; then
  echo "C++ format skipped: clang-format $release is not here (Debian 12: apt-get install clang-format)."
  exit 0
fi
mapfile -t files < <(find packages/*/native tests/*/native bench/native -name '*.cc' -o -name '*.h')
case ${1-} in
  --check) clang-format --dry-run --Werror "${files[@]}" ;;
  *) clang-format -i "${files[@]}" ;;
esac
