// `touchstone evidence …`: explain a message without believing it, record how one was accepted, judge such a record again.
import { open } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { MESSAGE_LIMITS } from '../bytes/cbor.ts';
import { ConfigError, WireError } from '../errors.ts';
import { EXIT } from './exit.ts';
import { isBroken, readEvidenceFile, toJson } from './evidence-document.ts';
import type { EvidenceDocument } from './evidence-document.ts';
import { stateOption } from './controller.ts';
import { timeoutOption } from './device.ts';
import { recordEvidence } from './evidence-record.ts';
import { evidenceText } from './evidence-text.ts';
import { verifyRecord } from './evidence-verify.ts';
import { cleanText, outputOf } from './output.ts';

/** As the grammar bounds a log in parts. */
const MAX_LOG_BYTES = 64 * 1024 * 1024;

/** At most `max` + 1 bytes: who names an endless file gets an answer too. */
async function readAtMost(file: string, max: number): Promise<Buffer> {
  try {
    await using handle = await open(file);
    const chunks: Buffer[] = [];
    for (let left = max + 1; left > 0;) {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(Math.min(left, 1024 * 1024)));
      if (bytesRead === 0) break;
      chunks.push(buffer.subarray(0, bytesRead));
      left -= bytesRead;
    }
    return Buffer.concat(chunks);
  } catch (cause) {
    throw new ConfigError('CONFIG_MISSING', `cannot read ${file}`, { cause });
  }
}

function brokenParts({ challenge, claims, log, quote, signature, floors }: EvidenceDocument): string[] {
  const parts = { challenge: challenge.says, claims: claims.says, log, quote, signature, floors };
  return Object.entries(parts).flatMap(([part, says]) => (isBroken(says) ? [`${part}: ${says.malformed}`] : []));
}

async function inspect(file: string, options: { readonly log?: string }, command: Command): Promise<void> {
  const output = outputOf(command);
  const [evidence, joined] = await Promise.all([
    readAtMost(file, MESSAGE_LIMITS.maxBytes),
    options.log === undefined ? null : readAtMost(options.log, MAX_LOG_BYTES),
  ]);
  try {
    if (joined !== null && joined.length > MAX_LOG_BYTES) {
      throw new WireError('WIRE_LIMIT', `more than ${MAX_LOG_BYTES} bytes`, { field: 'log', offset: 0 });
    }
    const document = readEvidenceFile(evidence, joined);
    const faults = brokenParts(document);
    if (faults.length > 0) process.exitCode = EXIT.against;
    output.result({ file, verified: false, faults, evidence: toJson(document) }, () => evidenceText(file, document));
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    process.exitCode = EXIT.against;
    output.result({ file, verified: false, faults: [error.message], evidence: null }, () =>
      [output.paint('red', `${cleanText(file)}: not an evidence message`), `  ${cleanText(error.message)}`].join('\n'),
    );
  }
}

/** `touchstone evidence`. */
export function evidenceCommand(): Command {
  const command = new Command('evidence').description('work with evidence');
  command
    .command('inspect')
    .description('explain an evidence message part by part; nothing is verified')
    .argument('<file>', 'the message as the device sent it and the registry keeps it')
    .option('--log <file>', 'its log, where that went before the message in parts: their bytes one after another')
    .action(inspect);
  command
    .command('record')
    .description('ask a device for evidence and write down all that its verdict came from, signed by the controller')
    .argument('<device>', 'id, beginning of an id, or label')
    .addOption(stateOption())
    .option('--out <file>', 'where to; DEVICE.record.json by default')
    .addOption(timeoutOption())
    .action(recordEvidence);
  command
    .command('verify')
    .description('judge a record again, offline: exit code 0 genuine and trusted, 1 not')
    .argument('<file>', 'what `touchstone evidence record` wrote')
    .addOption(
      new Option(
        '--fleet <dir>',
        'folder of the fleet.json that you trust; keys that a root.json beside it revokes count no more',
      )
        .env('TOUCHSTONE_FLEET')
        .makeOptionMandatory(),
    )
    .action(verifyRecord);
  return command;
}
