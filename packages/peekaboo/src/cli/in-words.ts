import { inFlags } from "../config/in-flags.js";
import { boardOptions, exportOptions, trainOptions } from "../config/options.js";

/** A sentence of the library as the command line says it: with flags for settings. */
export function inWords(text: string): string {
  return inFlags(text, trainOptions, exportOptions, boardOptions);
}
