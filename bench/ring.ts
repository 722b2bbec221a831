/** A step of data-parallel training, and what it sends. */
export interface Plant {
  /** Seconds of a step's forward, backward and optimiser on one device, and its images. */
  compute: number;
  batch: number;
  /** Bytes of all gradients, and of the bucket that is sent when it is full. */
  bytes: number;
  bucket: number;
  /** Of one link of the ring, in bytes a second, and seconds a message. */
  bandwidth: number;
  latency: number;
  /** Images a second that one device's loader gives. */
  loader: number;
}

export interface Step {
  seconds: number;
  /** Of these, what no computation hides. */
  exposed: number;
  /** Whether the images come slower than they are used up. */
  starved: boolean;
}

/** Of a step, forward takes a third and backward, during which buckets fill, the rest. */
const FORWARD = 1 / 3;

/** Seconds of a ring all-reduce among `devices`: each sends 2(N-1)/N of the bytes, in 2(N-1) messages. */
export function ringSeconds(devices: number, bytes: number, { bandwidth, latency }: Plant): number {
  const hops = 2 * (devices - 1);
  return (hops / devices) * (bytes / bandwidth) + hops * latency;
}

/** One step on each number of devices: a bucket is sent once backward has filled it and the one before is through. */
export function simulate(devices: number, plant: Plant): Step {
  const { compute, bytes, bucket, batch, loader } = plant;
  const buckets = Math.max(1, Math.ceil(bytes / bucket));
  let through = 0;
  for (let i = 1; i <= buckets && devices > 1; i++) {
    const filled = Math.min(1, (i * bucket) / bytes);
    const size = i < buckets ? bucket : bytes - (buckets - 1) * bucket;
    const ready = compute * (FORWARD + (1 - FORWARD) * filled);
    through = Math.max(through, ready) + ringSeconds(devices, size, plant);
  }
  // Loss, hits, images and a signal: four doubles.
  const figures = devices > 1 ? ringSeconds(devices, 32, plant) : 0;
  const step = Math.max(compute, through) + figures;
  const images = batch / loader;
  return { seconds: Math.max(step, images), exposed: step - compute, starved: images > step };
}
