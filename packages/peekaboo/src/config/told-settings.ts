import { parseConfig, type TrainConfig } from "./config.js";

/** Where things lie on a machine and how it computes: nothing of it belongs to a network that goes elsewhere. */
const LOCAL = [
  "data",
  "dataFolder",
  "savedir",
  "expName",
  "resume",
  "loadPretrained",
  "prunedSaveName",
  "device",
  "useCuda",
  "threads",
  "workers",
  "distributed",
  "json",
  "keep",
  "checkpointEvery",
  "printFreq",
  "evaluate",
];

type Json = Readonly<Record<string, unknown>>;

/**
 * The settings that a network is known by, as JSON: those that differ from their defaults, `parseConfig` adding the rest.
 */
export function toldSettings(config: TrainConfig): Json {
  return differences(config as unknown as Json, parseConfig({}) as unknown as Json, LOCAL);
}

function differences(own: Json, usual: Json, left: readonly string[] = []): Json {
  return Object.fromEntries(
    Object.entries(own).flatMap(([name, value]): [string, unknown][] => {
      const other = usual[name];
      if (left.includes(name) || JSON.stringify(value) === JSON.stringify(other)) return [];
      return [[name, isObject(value) && isObject(other) ? differences(value, other) : value]];
    }),
  );
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
