import { formatCount, formatDuration } from "../console/format.js";
import type { ReportedEpoch } from "../training/reporter.js";
import type { StepResult } from "../training/trainer.js";

/** Below so many classes top-5 accuracy says little. */
const CLASSES_FOR_FIVE = 100;

/** What is told, where a line every so many steps is asked for, after the step `epochStep` of an epoch (from 0) that has `epochSteps`. */
export function stepInWords(
  { epoch, epochStep, epochSteps }: { epoch: number; epochStep: number; epochSteps: number },
  { loss, correct, images, flips }: Pick<StepResult, "loss" | "correct" | "images" | "flips">,
): string {
  const accuracy = ((100 * correct) / images).toFixed(2);
  return `Epoch ${epoch + 1}, step ${epochStep} of ${epochSteps}: loss ${loss.toFixed(4)}, accuracy ${accuracy} %, ${formatCount(flips)} flips`;
}

/** What is told after an epoch's test. */
export function epochInWords({ epoch, means, result, best, numClasses, secondsLeft }: ReportedEpoch): string {
  const { loss, accuracy, top5 } = result;
  const five = numClasses < CLASSES_FOR_FIVE ? "" : `, top-5 ${top5.toFixed(2)} %`;
  const remaining = secondsLeft > 0 ? `, about ${formatDuration(secondsLeft)} left` : "";
  return (
    `Epoch ${epoch + 1}: train loss ${means.loss.toFixed(3)}, accuracy ${means.accuracy.toFixed(2)} %, ` +
    `${formatCount(means.flips)} flips a step, ${formatCount(means.imagesPerSecond)} images/s; ` +
    `test loss ${loss.toFixed(3)}, accuracy ${accuracy.toFixed(2)} %${five}${best ? " (best)" : ""}${remaining}`
  );
}
