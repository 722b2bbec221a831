import { execFileSync } from "node:child_process";
import { readFileSync, realpathSync } from "node:fs";
import { arch, cpus, platform } from "node:os";
import { fileURLToPath } from "node:url";
import { flushesDenormals, torchVersion } from "@peekaboo/torch";
import { z } from "zod";
import { chosenKernels } from "../native/kernels.js";
import { version } from "../version.js";

const text = z.string().max(1000);

/** What a run's `config.json` tells of what it ran on; older files tell less. */
export const environmentSchema = z
  .object({
    version: text,
    /** The commit of a clone, with `-dirty` after it when files were changed; null outside of one. */
    commit: text.nullable(),
    node: text,
    libtorch: text,
    platform: text,
    cpu: z.object({ model: text, features: z.array(text) }),
    /** The instructions that our kernels used. */
    kernels: z.object({ fast: text, integers: text, threshold: text, float64: text }),
    /** Of each process. */
    threads: z.int().positive(),
    /** What said how many. */
    threadsFrom: text,
    /** Whether denormal numbers became zero. */
    flushDenormals: z.boolean(),
    device: text,
    /** How many processes trained together. */
    worldSize: z.int().positive(),
    /** The images' checksums. */
    data: z.record(z.string(), text),
    commandLine: z.array(z.string()),
  })
  .partial();

/** Why there are so many threads where the settings say how many: what config.json has always had there. */
export const THREADS_SETTING = "--threads";

/** What a process computes with. */
export interface Threads {
  count: number;
  /** What says so. */
  why: string;
}

export type Environment = z.infer<typeof environmentSchema>;

export interface EnvironmentParts {
  device: string;
  threads: Threads;
  worldSize: number;
  data: Readonly<Record<string, string>>;
  /** The command line without node and script. */
  argv: readonly string[];
}

/** What this process runs on. */
export function environmentOf({ device, threads, worldSize, data, argv }: EnvironmentParts): Required<Environment> {
  return {
    version: version(),
    commit: commit(),
    node: process.versions.node,
    libtorch: torchVersion(),
    platform: `${platform()}-${arch()}`,
    cpu: { model: cpus()[0]?.model ?? "unknown", features: cpuFeatures() },
    kernels: chosenKernels(),
    threads: threads.count,
    threadsFrom: threads.why,
    flushDenormals: flushesDenormals(),
    device,
    worldSize,
    data: { ...data },
    commandLine: [...argv],
  };
}

const REPOSITORY = fileURLToPath(new URL("../../../..", import.meta.url));

/** The commit that is checked out, when this is a clone and not a package inside of another repository. */
function commit(): string | null {
  const git = (...args: string[]) =>
    execFileSync("git", ["-C", REPOSITORY, ...args], {
      encoding: "utf8",
      timeout: 10_000,
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  try {
    if (realpathSync(git("rev-parse", "--show-toplevel")) !== realpathSync(REPOSITORY)) return null;
    return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*");
  } catch {
    return null;
  }
}

/** Instruction sets by which libtorch and its libraries choose their kernels, whose sums differ in rounding. */
const FEATURES = new Set([
  ...["avx", "avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni", "avx512_bf16", "avx_vnni"],
  ...["amx_tile", "amx_bf16", "asimd", "asimddp", "sve", "sve2", "bf16", "i8mm"],
]);

/** The processor's features that matter, in alphabetical order; none where the system doesn't tell as Linux does. */
export function cpuFeatures(path = "/proc/cpuinfo"): string[] {
  try {
    const [, flags = ""] = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(readFileSync(path, "utf8")) ?? [];
    return [...new Set(flags.split(/\s+/))].filter((name) => FEATURES.has(name)).sort();
  } catch {
    return [];
  }
}
