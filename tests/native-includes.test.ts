import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

// What one libtorch's headers happen to include, another's don't: so each file includes what it names, itself or through
// headers of its own project.
const HEADERS: Readonly<Record<string, RegExp>> = {
  "ATen/core/grad_mode.h": /\b(?:NoGradGuard|AutoGradMode|GradMode)\b/,
  "ATen/core/ivalue.h": /\bIValue\b/,
  "c10/core/MemoryFormat.h": /\bMemoryFormat\b/,
  "c10/core/ScalarType.h": /\bScalarType\b/,
  "c10/util/ArrayRef.h": /\b(?:Int)?ArrayRef\b/,
  "c10/util/Exception.h": /\bTORCH_CHECK\b/,
  "c10/util/intrusive_ptr.h": /\b(?:intrusive_ptr|make_intrusive)\b/,
  "c10/util/Optional.h": /c10::(?:optional|nullopt)\b/,
  "ATen/Parallel.h": /\b(?:parallel_for|[gs]et_num_threads)\b/,
  "torch/version.h": /\bTORCH_VERSION/,
  algorithm: /std::(?:min|max|sort|any_of|all_of|find|find_if|remove_if|fill|copy|nth_element|clamp|lower_bound)\b/,
  array: /std::array\b/,
  atomic: /std::atomic\b/,
  cerrno: /\berrno\b/,
  chrono: /std::chrono\b/,
  cmath: /std::(?:fabs|nearbyint|isnan|isfinite|ldexp|floor|sqrt|abs|pow|trunc|round|exp|log)\b/,
  cstddef: /\bsize_t\b/,
  cstdint: /\bu?int\d+_t\b|\bU?INT\d+_MAX\b|\bSIZE_MAX\b/,
  cstdlib: /std::(?:getenv|atoi|atexit|strtol)\b/,
  cstring: /std::(?:memcpy|memcmp|memset|strerror)\b/,
  exception: /std::(?:exception|exception_ptr|current_exception|rethrow_exception)\b/,
  functional: /std::function\b/,
  future: /std::(?:promise|future)\b/,
  limits: /std::numeric_limits\b/,
  memory: /std::(?:unique_ptr|shared_ptr|weak_ptr|make_unique|make_shared|enable_shared_from_this)\b/,
  mutex: /std::(?:mutex|lock_guard|unique_lock|once_flag|call_once)\b/,
  optional: /std::(?:optional|nullopt)\b/,
  string: /std::(?:string|to_string)\b/,
  thread: /std::(?:thread|this_thread)\b/,
  tuple: /std::(?:tuple|make_tuple|tie)\b/,
  unordered_map: /std::unordered_(?:multi)?map\b/,
  utility: /std::(?:move|pair|exchange|swap|declval|forward)\b/,
  vector: /std::vector\b/,
};

/** What a file includes, its own project's headers followed. */
function included(path: string, seen = new Set<string>()): Set<string> {
  for (const [, quote, name = ""] of readFileSync(path, "utf8").matchAll(/^#include (["<])([^">]+)/gm)) {
    const own = join(dirname(path), name);
    if (quote === '"' && existsSync(own) && !seen.has(name)) included(own, seen.add(name));
    seen.add(name);
  }
  return seen;
}

function missing(path: string): string[] {
  const code = readFileSync(path, "utf8").replaceAll(/\/\/.*|"(?:\\.|[^"\\\n])*"|^#include.*/gm, "");
  const there = included(path);
  return Object.entries(HEADERS).flatMap(([header, use]) => (use.test(code) && !there.has(header) ? [header] : []));
}

describe.each(["torch", "peekaboo"])("packages/%s/native", (name) => {
  const folder = fileURLToPath(new URL(`../packages/${name}/native/`, import.meta.url));
  const files = readdirSync(folder).filter((file) => /\.(?:cc|h)$/.test(file));

  it("includes in each file what the file names", () => {
    expect(files.length).toBeGreaterThan(20);
    const found = files.map((file) => ({ file, missing: missing(join(folder, file)) }));
    expect(found.filter((file) => file.missing.length > 0)).toEqual([]);
  });
});
