// `touchstone bundle accept`: the evidence in a receipt, judged and accepted as if the broker had brought it.
import { createReadStream } from 'node:fs';
import type { Command } from 'commander';
import type { AcceptedReceipt } from '../controller/bundle-office.ts';
import { askController } from '../controller/control-client.ts';
import type { DeviceDetail } from '../controller/views.ts';
import { ConfigError, TouchstoneError, WireError } from '../errors.ts';
import { writeFileDurably } from '../files/durable.ts';
import { readReceipt } from '../protocol/bundle.ts';
import type { Receipt } from '../protocol/bundle.ts';
import { readChallenge } from '../protocol/challenge.ts';
import { decodeEvidence } from '../protocol/codec.ts';
import { deviceText } from './device-text.ts';
import { EXIT } from './exit.ts';
import { findingDocuments, findingLines } from './findings.ts';
import { cleanText, outputOf } from './output.ts';
import type { Json } from './output.ts';

export interface BundleAcceptOptions {
  readonly state: string;
  readonly result?: string;
}

type Answer = Omit<AcceptedReceipt, 'id'> & { readonly device: DeviceDetail };

/** Of whom it says it is. Errors: WireError, ConfigError. */
async function read(file: string): Promise<{ readonly receipt: Receipt; readonly device: string }> {
  try {
    const receipt = await readReceipt(createReadStream(file));
    return { receipt, device: readChallenge(decodeEvidence(receipt.evidence).challenge).deviceId };
  } catch (cause) {
    if (cause instanceof WireError)
      throw new TouchstoneError('USAGE', `${file} is no receipt: ${cause.message}`, { cause });
    if (cause instanceof Error && 'syscall' in cause) {
      throw new ConfigError('CONFIG_MISSING', `cannot read ${file}: ${cause.message}`, { cause });
    }
    throw cause;
  }
}

/** What is special about a receipt that came too late: nobody asks again by himself. */
const ADVICE: Readonly<Record<string, string>> = {
  superseded:
    'Something newer of this device was accepted since the bundle was made, or the policy was changed: what is known of it is newer than this receipt. If you need it proven anew, make another bundle of the same release and carry it there: it installs nothing twice.',
  late: 'The bundle was good for less time than the way took: make another one of the same release, with a longer --valid-for. It installs nothing twice.',
  'challenge-mac':
    'No challenge of this controller: the bundle came from another fleet, was changed, or the registry was put back from a copy since. Make another bundle.',
  'log-parts': 'The log of the device did not come whole: copy the receipt again.',
  'registry-unavailable': 'The database of the controller did not answer: try again when it does.',
  dropped: 'The controller has too much to judge at the moment: try again.',
  unknown:
    'The device was never let in here, or the controller does not have its profile: touchstone device show DEVICE',
};

/** `touchstone bundle accept`. */
export async function acceptReceipt(
  file: string,
  { state, result }: BundleAcceptOptions,
  command: Command,
): Promise<void> {
  const output = outputOf(command);
  const { receipt, device } = await read(file);
  for (const part of receipt.logParts) {
    await askController(state, 'receipt-log', { device, part: part.toString('base64') });
  }
  const answer = (await askController(state, 'receipt', { evidence: receipt.evidence.toString('base64') })) as Answer;
  const { accepted, why, findings } = answer;
  if (!accepted) {
    process.exitCode = EXIT.against;
    const advice = ADVICE[why ?? ''] ?? null;
    output.result({ accepted, why, advice, findings: findingDocuments(findings), device: answer.device.id }, () =>
      [
        output.paint('red', `not accepted: ${cleanText(why ?? '')}`),
        ...findingLines(output, findings),
        ...(advice === null ? [] : ['', advice]),
      ].join('\n'),
    );
    return;
  }
  const { verdict } = answer.device;
  if (verdict?.status !== 'affirming' && verdict?.status !== 'warning') process.exitCode = EXIT.against;
  if (result !== undefined && answer.result !== null) await writeFileDurably(result, answer.result, 0o644);
  output.result({ accepted, result: result ?? null, device: answer.device } as unknown as Json, () =>
    [
      deviceText(output, answer.device, Date.now()),
      ...(result === undefined ? [] : ['', `Next, on the device: touchstone bundle apply ${cleanText(result)}`]),
    ].join('\n'),
  );
}
