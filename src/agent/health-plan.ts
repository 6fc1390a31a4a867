// A release's description of its own health check: golden inputs and outputs, and what it may take. A signed file inside the model.
import { parseJsonStrict } from '../bytes/json-strict.ts';
import { parseShape, uint, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';

export interface HealthCase {
  /** What the runtime is given, one line of JSON. */
  readonly input: unknown;
  /** What it must answer. */
  readonly output: unknown;
  /** How far each number of the answer may be off; 0 where left out. Everything else must be equal. */
  readonly tolerance?: number;
}

/**
 * The JSON file that passport.healthCheck names. Example:
 * {"v": 1, "cases": [{"input": [0, 1], "output": [0.25, 0.75], "tolerance": 0.001}], "latencyMs": 200, "memoryMiB": 256}
 */
export interface HealthPlan {
  readonly v: 1;
  readonly cases: readonly HealthCase[];
  /** Longest time from an input's line to its answer; the first one includes loading the model. */
  readonly latencyMs?: number;
  /** Most resident memory of the runtime's process, ever. */
  readonly memoryMiB?: number;
}

/** Bytes of the file. */
export const HEALTH_PLAN_BYTES: number = 1024 * 1024;

const anything = v.unknown();

const healthPlanShape: Shape<HealthPlan> = v.strictObject({
  v: v.literal(1),
  cases: v.pipe(
    v.array(
      v.strictObject({
        input: anything,
        output: anything,
        tolerance: v.exactOptional(v.pipe(v.number(), v.finite(), v.minValue(0))),
      }),
    ),
    v.minLength(1),
    v.maxLength(64),
  ),
  latencyMs: v.exactOptional(v.pipe(uint(3_600_000), v.minValue(1))),
  memoryMiB: v.exactOptional(v.pipe(uint(1024 * 1024), v.minValue(1))),
});

/** Errors: WireError. */
export function readHealthPlan(bytes: Uint8Array): HealthPlan {
  const limits = { maxBytes: HEALTH_PLAN_BYTES, maxDepth: 16 };
  return parseShape(healthPlanShape, parseJsonStrict(bytes, limits), 'health check');
}

/** Where `found` is not as `expected`: a path such as `[2].score`, or null. */
export function differsAt(expected: unknown, found: unknown, tolerance: number, at = ''): string | null {
  if (typeof expected === 'number' && typeof found === 'number') {
    return Math.abs(expected - found) <= tolerance ? null : at;
  }
  if (typeof expected !== 'object' || expected === null || typeof found !== 'object' || found === null) {
    return expected === found ? null : at;
  }
  if (Array.isArray(expected) !== Array.isArray(found)) return at;
  const [wanted, given] = [Object.entries(expected), new Map(Object.entries(found))];
  if (wanted.length !== given.size) return at;
  for (const [key, value] of wanted) {
    const place = Array.isArray(expected) ? `${at}[${key}]` : `${at}.${key}`;
    if (!given.has(key)) return place;
    const inside = differsAt(value, given.get(key), tolerance, place);
    if (inside !== null) return inside;
  }
  return null;
}
