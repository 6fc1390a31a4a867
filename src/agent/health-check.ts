// The health check of a release on trial: its golden cases in the device's own runtime, then the operator's command.
import { join } from 'node:path';
import { WireError } from '../errors.ts';
import { engineFolder, releaseFolder } from '../gate/places.ts';
import type { Reason } from '../gate/settle.ts';
import type { SlotProfile } from '../profile/profile.ts';
import { MODEL_FOLDER, readBounded } from '../release/release-folder.ts';
import type { SignedRelease } from '../release/open.ts';
import { BoundedProgram, endWords } from './bounded-program.ts';
import { differsAt, HEALTH_PLAN_BYTES, readHealthPlan } from './health-plan.ts';
import type { HealthPlan } from './health-plan.ts';

/** For all of it, where the profile names no other time. */
const DEFAULT_SECONDS = 60;
const MAX_SHOWN = 200;

export interface HealthParts {
  readonly stateDir: string;
  /** ms of the process's clock. */
  monotonic(): number;
  /** Runs `work` while nothing talks to the TPM. */
  alone<T>(work: () => T): Promise<T>;
}

const shown = (value: unknown): string => JSON.stringify(value).slice(0, MAX_SHOWN);

class Check {
  readonly #slot: SlotProfile;
  readonly #model: string;
  readonly #engine: string;
  readonly #parts: HealthParts;
  readonly #until: number;

  constructor(slot: SlotProfile, release: SignedRelease, parts: HealthParts) {
    this.#slot = slot;
    this.#parts = parts;
    this.#model = join(releaseFolder(parts.stateDir, release.id), MODEL_FOLDER);
    this.#engine = engineFolder(parts.stateDir, release.id, slot.name);
    this.#until = parts.monotonic() + (slot.healthSeconds ?? DEFAULT_SECONDS) * 1000;
  }

  async #start(argv: readonly string[]): Promise<BoundedProgram> {
    const { name, engine } = this.#slot;
    const made = engine === undefined ? {} : { TOUCHSTONE_ENGINE: this.#engine };
    const env = { TOUCHSTONE_SLOT: name, TOUCHSTONE_MODEL: this.#model, ...made };
    const timeoutMs = Math.max(1, this.#until - this.#parts.monotonic());
    return BoundedProgram.start({
      argv,
      env,
      runAs: this.#slot.healthUser ?? null,
      timeoutMs,
      alone: async (work) => this.#parts.alone(work),
    });
  }

  /** The golden cases. Null: all as they should be. */
  async golden(plan: HealthPlan, argv: readonly string[]): Promise<Reason | null> {
    await using runtime = await this.#start([...argv, this.#model]);
    for (const [index, { input, output, tolerance = 0 }] of plan.cases.entries()) {
      const which = `case ${index + 1} of ${plan.cases.length}`;
      const began = this.#parts.monotonic();
      runtime.say(JSON.stringify(input));
      const line = await runtime.hear();
      const took = Math.ceil(this.#parts.monotonic() - began);
      if (line === null) {
        const detail = `the runtime gave no answer to ${which}: ${endWords(await runtime.end())}`;
        return { rule: 'health-runtime', detail };
      }
      const wrong = answerFault(line, output, tolerance);
      if (wrong !== null) return { rule: 'health-output', detail: `${which}: ${wrong}` };
      if (plan.latencyMs !== undefined && took > plan.latencyMs) {
        return { rule: 'health-latency', detail: `${which} took ${took} ms, allowed are ${plan.latencyMs} ms` };
      }
    }
    const peak = await runtime.peakKiB();
    if (plan.memoryMiB !== undefined && (peak === null || peak > plan.memoryMiB * 1024)) {
      // It must run until its input ends: of a process that is gone nobody knows what it took.
      const took = peak === null ? 'ended before its memory could be read' : `took ${Math.ceil(peak / 1024)} MiB`;
      return { rule: 'health-memory', detail: `the runtime ${took}, allowed are ${plan.memoryMiB} MiB` };
    }
    const ended = await runtime.end();
    return ended.code === 0 ? null : { rule: 'health-runtime', detail: `the runtime ended badly: ${endWords(ended)}` };
  }

  /** The operator's own check. Null: exit code 0. */
  async command(argv: readonly string[]): Promise<Reason | null> {
    await using program = await this.#start(argv);
    const ended = await program.end();
    if (ended.code === 0 && !ended.timedOut) return null;
    return { rule: 'health-command', detail: `${argv[0] ?? ''} says no: ${endWords(ended)}` };
  }

  async plan(path: string): Promise<HealthPlan | Reason> {
    const bytes = await readBounded(join(this.#model, path), HEALTH_PLAN_BYTES).catch(() => null);
    if (bytes === null) return { rule: 'health-plan', detail: `its health check ${path} cannot be read` };
    try {
      return readHealthPlan(bytes);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      return { rule: 'health-plan', detail: `its health check ${path} is not valid: ${error.message}` };
    }
  }
}

/** What is wrong with an answer; null: nothing. */
function answerFault(line: string, output: unknown, tolerance: number): string | null {
  let answer: unknown;
  try {
    answer = JSON.parse(line);
  } catch {
    return `the answer is no JSON: ${line.slice(0, MAX_SHOWN)}`;
  }
  const at = differsAt(output, answer, tolerance);
  if (at === null) return null;
  const place = at === '' ? '' : ` at ${at}`;
  return `expected ${shown(output)}${tolerance === 0 ? '' : ` within ${tolerance}`}, found ${shown(answer)}${place}`;
}

/**
 * Runs what passport and profile ask for. Null: healthy, or nothing is asked. A path that the passport names is inside of the model and was
 * verified with it. Errors: of the file system, when a program cannot even be tried.
 */
export async function checkHealth(
  slot: SlotProfile,
  release: SignedRelease,
  parts: HealthParts,
): Promise<Reason | null> {
  const check = new Check(slot, release, parts);
  const { healthCheck } = release.passport;
  if (healthCheck !== undefined) {
    if (slot.runtimeCommand === undefined) {
      const detail = 'it asks for a health check, and the profile names no runtimeCommand to run it';
      return { rule: 'health-plan', detail };
    }
    if (!release.statement.files.some(({ path }) => path === healthCheck)) {
      return { rule: 'health-plan', detail: `its health check ${healthCheck} is no file of the model` };
    }
    const plan = await check.plan(healthCheck);
    if ('rule' in plan) return plan;
    const wrong = await check.golden(plan, slot.runtimeCommand);
    if (wrong !== null) return wrong;
  }
  return slot.healthCommand === undefined ? null : check.command(slot.healthCommand);
}
