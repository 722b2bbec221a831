import { distUrl } from "../dist-url.js";
import { choice, flag, integer, number, optional } from "../kinds.js";
import { option } from "../table.js";

const seconds = number({ above: 0, atMost: 7 * 24 * 3600 });

/** Who else trains along, and how they talk. */
export const distributed = {
  nprocPerNode: option({
    flags: "--nproc-per-node <n>",
    kind: optional(integer(1, 1024)),
    default: null,
    defaultText: "this process alone",
    help: "Starts n processes on this machine that train together; --world-size then counts machines, and --rank is this one's.",
  }),
  multiprocessing: option({
    flags: "--multiprocessing-distributed",
    kind: flag(),
    default: false,
    bare: true,
    help: "The same with a process for each CUDA device where training is on CUDA, and one on the CPU.",
  }),
  worldSize: option({
    flags: "--world-size <n>",
    kind: optional(integer(1, 2 ** 20)),
    default: null,
    defaultText: "the environment's, else 1",
    help: "How many processes train together, of which this is one; with the two flags above, how many machines.",
  }),
  rank: option({
    flags: "--rank <r>",
    kind: optional(integer(0, 2 ** 20 - 1)),
    default: null,
    defaultText: "the environment's",
    help: "This process's number among them, from 0; with the two flags above, this machine's.",
  }),
  url: option({
    flags: "--dist-url <url>",
    kind: optional(distUrl()),
    default: null,
    defaultText: "the environment's, else a free port here",
    help: "Where rank 0 listens: tcp://HOST:PORT, the same for all, or env:// for RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT as torchrun, Slurm or Kubernetes set them (without any flag they count, too; flags win).",
  }),
  backend: option({
    flags: "--dist-backend <gloo|nccl>",
    kind: optional(choice(["gloo", "nccl"])),
    default: null,
    defaultText: "gloo on the CPU, nccl on CUDA",
    help: "What the processes talk through; nccl trains on CUDA, process i of a machine on its device i. Gloo's network interface is GLOO_SOCKET_IFNAME.",
  }),
  timeout: option({
    flags: "--dist-timeout <seconds>",
    kind: seconds,
    default: 300,
    help: "How long a process waits for the others in the midst of training before it gives up.",
  }),
  startTimeout: option({
    flags: "--dist-start-timeout <seconds>",
    kind: optional(seconds),
    default: null,
    defaultText: "--dist-timeout",
    help: "How long it waits for them to come at the start.",
  }),
  maxRestarts: option({
    flags: "--max-restarts <k>",
    kind: integer(0, 1000),
    default: 0,
    help: "With --nproc-per-node on one machine: starts all processes again, from the run's last checkpoint, up to k times after one was lost.",
  }),
};
