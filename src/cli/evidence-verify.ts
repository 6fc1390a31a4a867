// `touchstone evidence verify RECORD`: judges again, without a network, what a controller once accepted.
import { timeText } from '../bytes/text.ts';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { ConfigError } from '../errors.ts';
import { judgeRecord } from '../verifier/record.ts';
import type { JudgedRecord } from '../verifier/record.ts';
import { EXIT } from './exit.ts';
import { findingDocuments, findingLines } from './findings.ts';
import { cleanText, outputOf } from './output.ts';
import type { Output } from './output.ts';

export interface VerifyRecordOptions {
  /** Folder of fleet.json, and of root.json if the reader has one. */
  readonly fleet: string;
}

async function read(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    throw new ConfigError('CONFIG_MISSING', `cannot read ${file}`, { cause });
  }
}

/** Null where there is none. */
async function readIfThere(file: string): Promise<Buffer | null> {
  return existsSync(file) ? read(file) : null;
}

function text(output: Output, file: string, { findings, record, result, verdict }: JudgedRecord): string {
  if (findings.length > 0 || record === null || result === null || verdict === null) {
    return [output.paint('red', `${cleanText(file)}: worth nothing`), ...findingLines(output, findings)].join('\n');
  }
  const colour = result.status === 'affirming' ? 'green' : result.status === 'warning' ? 'yellow' : 'red';
  const when = timeText(record.now);
  return [
    `device ${record.deviceId}: ${output.paint(colour, result.status)}, ${result.assurance}, appraised ${when}`,
    `Appraised again here from the recorded evidence, with the same verdict byte for byte${record.aside ? '; an operator had set the device aside' : ''}.`,
    'That the challenge was the controller’s own is its word: its key for challenges is secret.',
    ...findingLines(output, verdict.findings),
  ].join('\n');
}

/** `touchstone evidence verify`. */
export async function verifyRecord(file: string, options: VerifyRecordOptions, command: Command): Promise<void> {
  const output = outputOf(command);
  const [bytes, fleet, root] = await Promise.all([
    read(file),
    read(join(options.fleet, 'fleet.json')),
    readIfThere(join(options.fleet, 'root.json')),
  ]);
  const judged = judgeRecord(bytes, fleet, root);
  const { findings, record, result, verdict } = judged;
  const trusted = findings.length === 0 && (result?.status === 'affirming' || result?.status === 'warning');
  if (!trusted) process.exitCode = EXIT.against;
  output.result(
    {
      file,
      genuine: findings.length === 0,
      findings: findingDocuments(findings),
      device: record?.deviceId ?? null,
      appraisedAt: record?.now ?? null,
      aside: record?.aside ?? null,
      verdict:
        findings.length > 0 || result === null || verdict === null
          ? null
          : {
              status: result.status,
              assurance: result.assurance,
              slots: result.slots.map(({ slot, status }) => ({ slot, status })),
              findings: findingDocuments(verdict.findings),
            },
    },
    () => text(output, file, judged),
  );
}
