import { basename, resolve } from "node:path";
import { portableName } from "../models/own-reference.js";
import { parseConfig, type TrainConfig } from "./config.js";
import { IMAGE_FOLDER } from "./options.js";

/** Where things lie on a machine and how it computes: nothing of it belongs to a network that goes elsewhere. */
const LOCAL = [
  "data",
  "dataFolder",
  "savedir",
  "expName",
  "sharePruning",
  "resume",
  "loadPretrained",
  "prunedSaveName",
  "device",
  "useCuda",
  "threads",
  "conv",
  "workers",
  "distributed",
  "json",
  "log",
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
  const told = differences(
    { ...config, arch: portableName(config.arch) } as unknown as Json,
    parseConfig({}) as unknown as Json,
    LOCAL,
  );
  // Of an image folder its own name, without which the settings wouldn't be whole.
  const { data } = config;
  return data === null || config.dataset !== IMAGE_FOLDER
    ? told
    : { ...told, data: basename(resolve(data)) || "images" };
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
