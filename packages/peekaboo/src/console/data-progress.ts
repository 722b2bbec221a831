import { printable } from "@peekaboo/files/errors";
import type { DataProgress } from "../data/source.js";
import { formatBytes } from "./format.js";
import { createProgress, type Progress, type ProgressStream } from "./progress.js";

const STAGES = {
  wait: "waiting for another process that is fetching it",
  unpack: "unpacking",
  verify: "verifying",
  store: "storing",
};

/** Shows how a data set is being fetched: a bar for each download, a line for what comes after. */
export function fetchProgress(name: string, stream: ProgressStream) {
  let bar: Progress | undefined;
  let source: string | undefined;

  const stop = (): void => {
    bar?.stop();
    bar = undefined;
  };

  const onProgress = (progress: DataProgress): void => {
    if (progress.stage === "download") {
      if (bar === undefined || progress.location !== source) {
        stop();
        source = progress.location;
        stream.write(`${name}: downloading ${formatBytes(progress.total)} from ${printable(source)}\n`);
        bar = createProgress({ total: progress.total, start: progress.bytes, title: name, unit: "bytes", stream });
      }
      bar.update(progress.bytes);
      return;
    }
    stop();
    const { stage } = progress;
    const told =
      stage === "unreachable"
        ? `${printable(progress.location)} can't be used: ${printable(progress.reason)}`
        : STAGES[stage];
    stream.write(`${name}: ${told}\n`);
  };

  return { onProgress, stop };
}
