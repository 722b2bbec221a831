// One part of the device's tests, in a process of its own: node part.js PART DEVICE. Exit status: 0 all well, 1 not.
import { meta } from "./meta.js";
import { operators } from "./operators.js";
import { Report } from "./report.js";
import { runs } from "./runs.js";
import { broken, steps } from "./steps.js";

const [part = "", device = ""] = process.argv.slice(2);
const report = new Report(part, device);
const parts: Record<string, () => Promise<void> | void> = {
  meta: () => meta(report),
  operators: () => operators(report),
  runs: () => runs(report),
  steps: async () => {
    await steps(report);
    await broken(report);
  },
};
await parts[part]?.();
process.exitCode = report.failed > 0 || parts[part] === undefined ? 1 : 0;
