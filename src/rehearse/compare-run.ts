// Compares what the device did with what was predicted: record by record, and by the value that its TPM holds.
import { readFile } from 'node:fs/promises';
import { equalBytes } from '../crypto/digest.ts';
import { decodeEvent } from '../cel/record.ts';
import type { CelRecord } from '../cel/record.ts';
import type { AgentStartEvent } from '../cel/events.ts';
import { toHex } from '../bytes/text.ts';
import { HashPool } from '../files/hash-pool.ts';
import { measureComponents } from '../measure/components.ts';
import type { Profile } from '../profile/profile.ts';
import type { Sandbox } from '../testing/sandbox.ts';
import { observeLog } from './observe.ts';
import { predictedLog, predictedPcr } from './predict.ts';
import type { Install } from './predict.ts';

export interface ComparedRun {
  readonly asPredicted: boolean;
  /** One line. */
  readonly words: string;
  /** What the device recorded. */
  readonly records: readonly CelRecord[];
  readonly predictedPcr: Buffer;
  readonly measuredPcr: Buffer;
}

export interface RunParts {
  readonly sandbox: Sandbox;
  readonly profile: Profile;
  readonly profileDigest: Uint8Array;
  readonly installs: readonly Install[];
}

/** The session is the one thing that nobody can predict: it is taken from the log. */
function sessionIn(records: readonly CelRecord[]): Uint8Array {
  const events = records.map((record) => decodeEvent(record.content));
  const start = events.find((event): event is AgentStartEvent => event.type === 'agent-start');
  return start?.session ?? Buffer.alloc(16);
}

function firstDifference(predicted: readonly CelRecord[], found: readonly CelRecord[]): string | null {
  const length = Math.max(predicted.length, found.length);
  for (let index = 0; index < length; index += 1) {
    const [expected, got] = [predicted[index], found[index]];
    if (expected !== undefined && got !== undefined && equalBytes(expected.digest, got.digest)) continue;
    const name = (record: CelRecord | undefined): string =>
      record === undefined ? 'nothing' : `${decodeEvent(record.content).type} ${toHex(record.digest).slice(0, 16)}`;
    return `event ${index + 1} is ${name(got)}, predicted was ${name(expected)}`;
  }
  return null;
}

/** The agent must have ended. Errors: StoreError, TpmError, MeasureError. */
export async function compareRun({ sandbox, profile, profileDigest, installs }: RunParts): Promise<ComparedRun> {
  const { stage, deviceId, deviceState, tcti } = sandbox;
  const { records, pcr } = await observeLog(deviceState, tcti, profile.tpm.eventPcr);
  const firmware = ['fleet.json', 'root.json'].map(async (name) => readFile(stage.path('fleet', 'device', name)));
  await using pool = new HashPool();
  const components = await measureComponents({
    profileDigest,
    trustBytes: Buffer.concat(await Promise.all(firmware)),
    runtime: profile.runtime,
    pool,
  });
  const predicted = predictedLog(profile, installs, { deviceId, session: sessionIn(records), components });
  const expected = predictedPcr(predicted);
  const different = firstDifference(predicted, records);
  const asPredicted = different === null && equalBytes(expected, pcr);
  const value = `PCR ${profile.tpm.eventPcr} = ${toHex(pcr).slice(0, 16)}…`;
  const words = asPredicted
    ? `${records.length} events as predicted, ${value}`
    : (different ?? `the events are as predicted, and yet ${value}`);
  return { asPredicted, words, records, predictedPcr: expected, measuredPcr: pcr };
}
