// WebAssembly's own types come with the DOM's, which this project's libraries leave out: declared here is what we call.

/** A memory that functions and JavaScript share. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer;
}

interface WasmApi {
  validate(bytes: Uint8Array): boolean;
  instantiate(
    bytes: Uint8Array,
    imports: Record<string, Record<string, unknown>>,
  ): Promise<{ readonly instance: { readonly exports: Record<string, unknown> } }>;
  /** Compiles and links at once: for small modules only, for which a page's own thread isn't kept long. */
  readonly Module: new (
    bytes: Uint8Array,
  ) => object;
  readonly Instance: new (
    module: object,
    imports: Record<string, Record<string, unknown>>,
  ) => { readonly exports: Record<string, unknown> };
  readonly Memory: new (limits: { initial: number; maximum: number }) => WasmMemory;
}

/** The engine's WebAssembly; undefined where there is none. */
export const webAssembly = (globalThis as { WebAssembly?: WasmApi }).WebAssembly;
