#!/usr/bin/env bash
# The demo: prunes a random CNN and learns its signs on CIFAR-10, in about four minutes on two cores.
# Further arguments go to `peekaboo train` and win over these, e.g. --max-steps 30 --train-limit 2000 --test-limit 1000
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/setup.sh

settings=(
  # A quarter of the paper's channels: small enough for a laptop.
  --arch PsgResNet18 --width 0.25 --init-method kaiming_normal
  # Thirty of a hundred random weights stay.
  --pruner SynFlow --prune-ratio 0.3 --prune-iters 100
  # Many flips at first and few at the end: the paper's rates are for 180 epochs.
  --optimizer BOP --ar 1e-2 --ar-schedule linear --ar-final 2e-4 --tau 1e-5
  --lr 0.1 --lr-schedule linear --bs 64 --epochs 3 --max-steps 2000
  --msb-bits 8 --msb-bits-weight 8 --msb-bits-grad 16 --psg-threshold 1e-7 --psg-no-take-sign --psg-sparsify
  --exp-name demo --resume never
)
printf '$ npx peekaboo train %s\n\n' "${settings[*]} $*"
exec node packages/peekaboo/bin/peekaboo.js train "${settings[@]}" "$@"
