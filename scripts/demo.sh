#!/usr/bin/env bash
# The demo: prunes a random CNN and learns its signs on CIFAR-10, in two to four minutes on two cores.
# Further arguments go to `peekaboo train` and win over these, e.g. --max-steps 30 --train-limit 2000 --test-limit 1000
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/setup.sh

settings=(
  # A quarter of the paper's channels: small enough for a laptop.
  --arch PsgResNet18 --width 0.25 --init-method kaiming_normal
  # Thirty of a hundred random weights stay, and one of a hundred at least in each layer.
  --pruner SynFlow --prune-ratio 0.3 --min-kept 1% --prune-iters 100
  # Many flips at first and few at the end: the paper's rates are for 180 epochs.
  --optimizer BOP --ar 5e-3 --ar-schedule linear --ar-final 1e-5 --tau 1e-5
  --lr 0.1 --lr-schedule linear --bs 64 --epochs 4
  --msb-bits 8 --msb-bits-weight 8 --msb-bits-grad 16 --psg-threshold 1e-7 --psg-no-take-sign --psg-sparsify
  --exp-name demo --resume never
)
printf '$ npx peekaboo train %s\n\n' "${settings[*]} $*"
exec node packages/peekaboo/bin/peekaboo.js train "${settings[@]}" "$@"
