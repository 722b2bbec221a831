import { describe, expect, it } from "vitest";
import { answersOf } from "../support/ranks.js";

describe("collectives of three processes", () => {
  it("give the values that their definitions say, for every dtype", async () => {
    const answers = await answersOf(
      3,
      `
      const group = await join();
      const values = {};
      for (const dtype of ["float32", "float64", "int64", "int32", "uint8"]) {
        const of = (...numbers) => Tensor.of(numbers, { dtype });
        values[dtype] = {
          sum: (await group.allReduce(of(rank + 1, 10))).toArray(),
          max: (await group.allReduce(of(rank, 5 - rank), { op: "max" })).toArray(),
          min: (await group.allReduce(of(rank, 5 - rank), { op: "min" })).toArray(),
          broadcast: (await group.broadcast(of(rank, 7 * rank), { root: 1 })).toArray(),
          gathered: (await group.allGather(of(rank, rank * rank))).map((tensor) => tensor.toArray()),
        };
      }
      values.average = (await group.allReduce(Tensor.of([[rank], [2 - rank]]), { op: "avg" })).toArray();
      values.waited = group.allReduce(Tensor.of([rank])).wait().toArray();
      await group.barrier();
      values.place = [group.rank, group.size, group.backend];
      group.destroy();
      return values;`,
    );
    const all = {
      sum: [6, 30],
      max: [2, 5],
      min: [0, 3],
      broadcast: [1, 7],
      gathered: [
        [0, 0],
        [1, 1],
        [2, 4],
      ],
    };
    for (const [rank, answer] of answers.entries()) {
      expect(answer).toEqual({
        ...{ float32: all, float64: all, int64: all, int32: all, uint8: all },
        average: [[1], [1]],
        waited: [3],
        place: [rank, 3, "gloo"],
      });
    }
  });

  it("leave the event loop alone, refuse what they can't take, and leak nothing", async () => {
    const answers = await answersOf(
      2,
      `
      const group = await join();
      const { store } = group;
      const order = [];
      if (rank === 0) {
        const work = group.allReduce(Tensor.of([1]));
        const over = work.then(() => order.push("reduced"));
        await new Promise((resolve) => setTimeout(resolve, 50));
        order.push("turned");
        await store.set("go", "");
        await over;
      } else {
        await store.wait(["go"]);
        await group.allReduce(Tensor.of([1]));
      }
      const refused = await Promise.all([
        caught(() => group.allReduce(Tensor.of([[1, 2], [3, 4]]).t())),
        caught(() => group.allReduce(Tensor.of([1], { dtype: "bool" }))),
        caught(() => group.allReduce(Tensor.of([1], { dtype: "int32" }), { op: "avg" })),
        caught(() => group.broadcast(Tensor.of([1]), { root: 2 })),
        caught(() => group.allReduce(Tensor.of([1]), { op: "product" })),
      ]);
      const before = liveTensorCount();
      for (let i = 0; i < 50; i++) scope(() => { group.allReduce(Tensor.of([i, rank])).wait(); });
      for (let i = 0; i < 50; i++) {
        const tensor = Tensor.of([i, rank]);
        await group.allReduce(tensor);
        tensor.dispose();
      }
      const leaked = liveTensorCount() - before;
      await store.set("text/" + rank, "größer");
      await store.wait(["text/0", "text/1"]);
      const kept = [await store.get("text/" + (1 - rank)), await store.get("nothing")];
      await group.barrier();
      const counted = [await store.add("sum", rank + 1), await store.delete("text/" + rank), await store.delete("nothing")];
      await group.monitoredBarrier();
      await group.monitoredBarrier();
      group.destroy();
      group.destroy();
      const ended = await caught(() => group.barrier());
      return { order, refused: refused.map((error) => error.message), leaked, kept, counted, ended };`,
    );
    const sums = answers.map((answer) => (answer as { counted: number[] }).counted[0]).sort();
    expect([
      [1, 3],
      [2, 3],
    ]).toContainEqual(sums);
    for (const [rank, answer] of answers.entries()) {
      expect(answer).toMatchObject({
        order: rank === 0 ? ["turned", "reduced"] : [],
        leaked: 0,
        kept: ["größer", null],
        counted: [sums[rank] ?? 0, true, false].map((value, i) => (i === 0 ? expect.any(Number) : value)),
        ended: { name: "TorchError" },
      });
      expect((answer as { refused: string[] }).refused).toEqual([
        expect.stringMatching(/^allReduce: expected a contiguous tensor/),
        expect.stringMatching(/^allReduce: expected a tensor of float32, .*received bool\[1\]/),
        expect.stringMatching(/^allReduce: expected a tensor of floating-point numbers to average/),
        expect.stringMatching(/^broadcast: expected an integer from 0 to 1 for 'root'/),
        expect.stringMatching(/^allReduce: expected "sum", "avg", "max" or "min" for 'op'/),
      ]);
    }
  });
});
