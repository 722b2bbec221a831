import { dirname, join, parse } from "node:path";
import { refuseUnwritable, writeFileAtomic } from "@peekaboo/files";
import { decodePab } from "@peekaboo/seed";
import { isPabFile, readPab } from "../checkpoint/pab-file.js";
import type { Guard } from "../console/interrupt.js";
import { INPUT, type OnnxSource, OUTPUT, onnxOf } from "../onnx/model-of.js";
import { refuseOverwriting } from "./output.js";

export interface ExportOnnxOptions {
  /** Null: beside the file, `best.safetensors` becoming `best.onnx`. */
  output: string | null;
  /** Replaces a file that is there. */
  force: boolean;
}

/** What {@link exportOnnx} wrote. */
export interface ExportedOnnx {
  output: string;
  bytes: number;
  /** The names and sizes of the images and the logits; N is free. */
  input: { name: string; sizes: (string | number)[] };
  logits: { name: string; sizes: (string | number)[] };
  /** The first tensor that holds NaN or infinity; absent where all are finite. */
  nonfinite?: string;
}

/**
 * Writes a checkpoint's network, or a .pab file's, in ONNX, with dense weights; a .pab file's needs no libtorch.
 * @throws {UserError} when the file is neither, and when the output is there already or can't be written; Interrupted after a
 * signal, with nothing written.
 */
export async function exportOnnx(
  file: string,
  options: ExportOnnxOptions,
  guard?: Pick<Guard, "check">,
): Promise<ExportedOnnx> {
  const output = options.output ?? join(dirname(file), `${parse(file).name}.onnx`);
  refuseOverwriting("export", file, output, options.force);
  refuseUnwritable("export", output);
  const { nonfinite, ...source } = await sourceOf(file);
  const bytes = onnxOf(source);
  await guard?.check();
  writeFileAtomic(output, [bytes]);
  return {
    output,
    bytes: bytes.length,
    input: { name: INPUT, sizes: ["N", ...source.graph.input] },
    logits: { name: OUTPUT, sizes: ["N", source.classes.length] },
    ...(nonfinite === undefined ? {} : { nonfinite }),
  };
}

async function sourceOf(file: string): Promise<OnnxSource & { nonfinite?: string }> {
  if (isPabFile("export", file)) {
    const { description, tensors } = readPab("export", file, decodePab);
    return { ...description, tensors };
  }
  const { checkpointSource } = await import("../onnx/checkpoint-source.js");
  return checkpointSource(file);
}
