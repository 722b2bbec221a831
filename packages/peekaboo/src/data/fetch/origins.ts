import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import type { Checksum } from "../checksum.js";
import { readArchive } from "../formats/archive.js";
import { type Candidate, type FetchContext, SourceUnavailable } from "../source.js";
import { wrongFile } from "../verify.js";
import { download, type RemoteFile, verifyFile } from "./download.js";
import { readFiles } from "./files.js";
import { type NpmPackage, npmArchiveName, npmArchiveUrl, npmPack } from "./npm.js";

/** A candidate without its decoder. */
export type Origin = Omit<Candidate, "decode"> & Required<Pick<Candidate, "load">>;

/** A tar archive at a fixed address. */
export function urlArchive({ files, ...remote }: RemoteFile & Pick<Candidate, "files">): Origin {
  return {
    location: remote.url,
    files,
    async load(context) {
      const path = join(context.folder, basename(new URL(remote.url).pathname));
      await download(remote, path, context);
      return unpack(path, files, context);
    },
  };
}

/**
 * An npm package, from the registry that the user's npm is configured for: downloaded directly (resumable, with
 * progress), else by `npm pack`, which knows the user's proxies, certificates and tokens.
 */
export function npmArchive(
  options: NpmPackage & Pick<Candidate, "files"> & { bytes: number; checksum: Checksum },
): Origin {
  const { files, bytes, checksum } = options;
  return {
    location: `npm package ${options.package}@${options.version}`,
    files,
    async load(context) {
      const { folder, signal } = context;
      const packed = join(folder, npmArchiveName(options));
      const partial = `${packed}.part`;
      try {
        await download({ url: await npmArchiveUrl(options, signal), bytes, checksum }, partial, context);
        return await unpack(partial, files, context);
      } catch (error) {
        if (!(error instanceof SourceUnavailable)) throw error;
        await npmPack(options, context).catch((second: Error) => {
          throw second instanceof SourceUnavailable ? combined(error, second) : second;
        });
      }
      await verifyFile(packed, checksum);
      return unpack(packed, files, context);
    },
  };
}

/** Several files, each gzipped, at one address; `zipped` tells the size and checksum of each NAME.gz. */
export function urlFiles({
  base,
  zipped,
  files,
}: Pick<Candidate, "files"> & { base: string; zipped: Readonly<Record<string, Omit<RemoteFile, "url">>> }): Origin {
  return {
    location: base,
    files,
    async load(context) {
      for (const [name, remote] of Object.entries(zipped)) {
        await download({ ...remote, url: `${base}${name}` }, join(context.folder, name), context);
      }
      context.onProgress({ stage: "unpack" });
      return readFiles(context.folder, files);
    },
  };
}

/** A folder of this machine, where a package of the system puts the files, gzipped or not. */
export function localFolder({
  folder,
  ...rest
}: Pick<Candidate, "files" | "remedy"> & { folder: string; checksums: NonNullable<Candidate["checksums"]> }): Origin {
  const { files, checksums } = rest;
  return {
    location: folder,
    ...rest,
    async load(context) {
      if (!existsSync(folder)) throw new SourceUnavailable("no such folder");
      context.onProgress({ stage: "unpack" });
      const found = await readFiles(folder, files).catch((error: Error) => {
        throw new SourceUnavailable(error.message, { cause: error });
      });
      const missing = Object.keys(files).find((name) => !found.has(name));
      if (missing !== undefined) throw new SourceUnavailable(`it holds no ${missing}`);
      const wrong = wrongFile(found, checksums);
      if (wrong !== undefined)
        throw new SourceUnavailable(`${wrong.name}: ${wrong.received} instead of ${wrong.expected}`);
      return found;
    },
  };
}

async function unpack(path: string, files: Candidate["files"], context: FetchContext) {
  context.signal?.throwIfAborted();
  context.onProgress({ stage: "unpack" });
  return readArchive(path, files);
}

function combined(first: Error, second: Error): SourceUnavailable {
  return new SourceUnavailable(`${first.message}; ${second.message}`, { cause: second });
}
