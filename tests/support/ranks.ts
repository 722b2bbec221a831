import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";

const TORCH = new URL("../../packages/torch/dist/index.js", import.meta.url).href;
const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** How a rank ended. */
export interface Outcome {
  /** What its body returned, or `{ error: { name, message, ranks } }`. */
  answer: unknown;
  status: number | null;
  signal: NodeJS.Signals | null;
  stderr: string;
}

export interface RankOptions {
  port: number;
  rank: number;
  worldSize: number;
  env?: Record<string, string>;
}

/** What a body finds: `torch`'s exports, its place, and `join` for a group of one machine. */
function scriptOf(body: string): string {
  return `
    import * as torch from ${JSON.stringify(TORCH)};
    const { Tensor, distributed, full, liveTensorCount, nn, noGrad, ops, optim, scope } = torch;
    const [port, rank, worldSize] = JSON.parse(process.env.TEST_PLACE);
    const join = (options = {}) => distributed.initProcessGroup({
      initMethod: { host: "127.0.0.1", port }, rank, worldSize, timeoutMs: 60_000, ...options,
    });
    const tell = (answer) => process.stdout.write("ANSWER " + JSON.stringify(answer ?? null) + "\\n");
    const caught = async (body) => {
      try { await body(); } catch ({ name, message, ranks }) { return { name, message, ranks }; }
      return null;
    };
    torch.setThreads(1);
    const main = async () => { ${body} };
    main().then(tell, ({ name, message, ranks, stack }) => tell({ error: { name, message, ranks, stack } }));`;
}

/** A process of one rank. */
export class RankProcess {
  readonly child: ChildProcess;
  readonly outcome: Promise<Outcome>;
  #stdout = "";
  #stderr = "";

  constructor(body: string, { port, rank, worldSize, env = {} }: RankOptions) {
    this.child = spawn(process.execPath, ["--expose-gc", "--input-type=module", "-e", scriptOf(body)], {
      cwd: ROOT,
      env: { ...process.env, ...env, TEST_PLACE: JSON.stringify([port, rank, worldSize]) },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.child.stdout?.on("data", (bytes) => {
      this.#stdout += bytes;
    });
    this.child.stderr?.on("data", (bytes) => {
      this.#stderr += bytes;
    });
    this.outcome = new Promise((resolve) => {
      this.child.once("close", (status, signal) => resolve(this.#ended(status, signal)));
    });
  }

  /** Resolves when it prints `text` in a line of its own. */
  async says(text: string): Promise<void> {
    for (;;) {
      if (this.#stdout.split("\n").includes(text)) return;
      if (this.child.exitCode !== null) throw new Error(`it ended without saying ${text}: ${this.#stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  #ended(status: number | null, signal: NodeJS.Signals | null): Outcome {
    const line = this.#stdout.split("\n").find((text) => text.startsWith("ANSWER "));
    const answer = line === undefined ? undefined : JSON.parse(line.slice(7));
    return { answer, status, signal, stderr: this.#stderr };
  }
}

/** Runs the body as each rank of a group, and gives what each returned; throws when one did not end in order. */
export async function answersOf(worldSize: number, body: string): Promise<unknown[]> {
  const port = await freePort();
  const outcomes = await Promise.all(
    Array.from({ length: worldSize }, (_, rank) => new RankProcess(body, { port, rank, worldSize }).outcome),
  );
  for (const [rank, { status, signal, stderr, answer }] of outcomes.entries()) {
    const failed = (answer as { error?: unknown } | null | undefined)?.error;
    if (status === 0 && answer !== undefined && failed === undefined) continue;
    throw new Error(`rank ${rank} ended with ${status ?? signal}: ${JSON.stringify(failed)} ${stderr}`);
  }
  return outcomes.map(({ answer }) => answer);
}

/** A port that nobody listens on now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
