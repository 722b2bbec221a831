import { env, InferenceSession, Tensor } from "onnxruntime-web";

env.wasm.numThreads = 1;

/** The logits [N, classes] of images, by onnxruntime. */
export async function run(model: Uint8Array, images: Float32Array, shape: readonly number[]) {
  const session = await InferenceSession.create(model, { executionProviders: ["wasm"] });
  const { logits } = await session.run({ image: new Tensor("float32", images, [...shape]) });
  const { inputNames, outputNames } = session;
  await session.release();
  return { data: logits?.data as Float32Array, dims: logits?.dims, inputNames, outputNames };
}
