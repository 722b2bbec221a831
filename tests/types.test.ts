// The types of what the packages export: `npm run typecheck` holds them, nothing is run.
import type * as torch from "@peekaboo/torch";
import type * as peekaboo from "peekaboo";
import { describe, expectTypeOf, it } from "vitest";

type Peekaboo = typeof peekaboo;
type Torch = typeof torch;

describe("peekaboo", () => {
  it("exports these values, and no others", () => {
    expectTypeOf<keyof Peekaboo>().toEqualTypeOf<
      | "architectureNames"
      | "Bop"
      | "Bop2"
      | "buildNetwork"
      | "defineArchitecture"
      | "disguise"
      | "evaluate"
      | "findPruner"
      | "imagesOf"
      | "INIT_METHODS"
      | "initialiseWeight"
      | "inspectFile"
      | "loadNetwork"
      | "Network"
      | "openDataset"
      | "prune"
      | "prunerNames"
      | "pruners"
      | "PsgConv2d"
      | "restoreNetwork"
      | "saveNetwork"
      | "saveOnnx"
      | "savePab"
      | "SignOptimizer"
      | "thePapersPsg"
      | "train"
    >();
  });

  it("builds a network from a name or from a description", () => {
    expectTypeOf<Parameters<Peekaboo["buildNetwork"]>[0]>().toEqualTypeOf<string | peekaboo.Architecture>();
    expectTypeOf<Peekaboo["buildNetwork"]>().returns.toEqualTypeOf<peekaboo.Network>();
    expectTypeOf<{ name: string; build(context: peekaboo.BuildContext): torch.nn.Module }>().toExtend<
      Parameters<Peekaboo["defineArchitecture"]>[0]
    >();
    expectTypeOf<peekaboo.BuildContext>().toHaveProperty("layers").toEqualTypeOf<peekaboo.LayerFactory>();
    expectTypeOf<peekaboo.BuildContext["channels"]>().returns.toEqualTypeOf<number>();
  });

  it("disguises any module, by rules of names or functions", () => {
    expectTypeOf<Peekaboo["disguise"]>().returns.toEqualTypeOf<peekaboo.Network>();
    expectTypeOf<Parameters<Peekaboo["disguise"]>[0]>().toEqualTypeOf<torch.nn.Module>();
    expectTypeOf<{ prunable: string[]; inputSigned: (name: string) => boolean }>().toExtend<peekaboo.DisguiseOptions>();
    expectTypeOf<Parameters<Peekaboo["savePab"]>[0]>().toEqualTypeOf<peekaboo.Network>();
  });

  it("prunes with any object that scores, and asks for a density", () => {
    type Own = {
      name: string;
      needsData: boolean;
      score(context: peekaboo.ScoreContext): Map<string, torch.Tensor>;
    };
    expectTypeOf<Own>().toExtend<peekaboo.Pruner>();
    type Factors = Map<string, Omit<peekaboo.WeightFactors, "geometry"> & { geometry: { stride?: number } }>;
    expectTypeOf<Own & { factors(context: peekaboo.ScoreContext): Factors | null }>().toExtend<peekaboo.Pruner>();
    expectTypeOf<Peekaboo["pruners"]["synFlow"]>().toExtend<peekaboo.Pruner>();
    expectTypeOf<{ pruner: Own; density: number }>().toExtend<peekaboo.PruneOptions>();
    expectTypeOf<{ pruner: Own }>().not.toExtend<peekaboo.PruneOptions>();
    expectTypeOf<Peekaboo["prune"]>().returns.resolves.toEqualTypeOf<peekaboo.PruneReport>();
    expectTypeOf<peekaboo.PruneReport>().toExtend<{
      kept: number;
      total: number;
      layers: readonly peekaboo.LayerKept[];
    }>();
  });

  it("trains as an iterator of epochs", () => {
    expectTypeOf<ReturnType<Peekaboo["train"]>>().toExtend<AsyncIterable<peekaboo.TrainedEpoch>>();
    expectTypeOf<{ data: peekaboo.Images; epochs: number }>().toExtend<peekaboo.TrainOptions>();
    expectTypeOf<{ data: peekaboo.Images }>().not.toExtend<peekaboo.TrainOptions>();
    expectTypeOf<peekaboo.TrainedEpoch["test"]>().toEqualTypeOf<peekaboo.Evaluation>();
    expectTypeOf<ReturnType<peekaboo.BatchSource["plain"]>>().toEqualTypeOf<AsyncIterable<peekaboo.Batch>>();
  });
});

it("has a type for studies", () => {
  expectTypeOf<{ name: string; grid: { seed: number[] } }>().toExtend<peekaboo.StudyFile>();
  expectTypeOf<{ name: string; grid: { seed: number[] }[] }>().toExtend<peekaboo.StudyFile>();
  expectTypeOf<{ about: string }>().not.toExtend<peekaboo.StudyFile>();
});

describe("@peekaboo/torch", () => {
  it("gives back what a body gives back", () => {
    const scope = (() => {}) as unknown as Torch["scope"];
    expectTypeOf(scope(() => [1, "a"] as const)).toEqualTypeOf<readonly [1, "a"]>();
    const noGrad = scope as unknown as Torch["noGrad"];
    expectTypeOf(noGrad(() => 7)).toEqualTypeOf<number>();
  });

  it("has null among gradients only where an input may be unused", () => {
    const grad = (() => []) as unknown as Torch["grad"];
    expectTypeOf(grad([], [])).toEqualTypeOf<torch.Tensor[]>();
    expectTypeOf(grad([], [], { allowUnused: true })).toEqualTypeOf<(torch.Tensor | null)[]>();
  });

  it("types operators by their schemas", () => {
    type Conv2d = Torch["ops"]["conv2d"];
    expectTypeOf<Parameters<Conv2d>[2]>().toEqualTypeOf<torch.Tensor | null | undefined>();
    expectTypeOf<Parameters<Conv2d>[3]>().toEqualTypeOf<number | readonly number[] | undefined>();
    expectTypeOf<Conv2d>().returns.toEqualTypeOf<torch.Tensor>();
    expectTypeOf<Torch["ops"]["topk"]>().returns.toEqualTypeOf<[torch.Tensor, torch.Tensor]>();
  });

  it("makes tensors of nested numbers and of typed arrays", () => {
    expectTypeOf<Parameters<Torch["Tensor"]["of"]>[0]>().toEqualTypeOf<torch.NestedNumbers>();
    expectTypeOf<[[1, 2], [3, 4]]>().toExtend<torch.NestedNumbers>();
    expectTypeOf<["a"]>().not.toExtend<torch.NestedNumbers>();
    expectTypeOf<torch.Tensor["grad"]>().toEqualTypeOf<torch.Tensor | null>();
    expectTypeOf<InstanceType<Torch["nn"]["Linear"]>>().toExtend<torch.nn.Module>();
  });
});
