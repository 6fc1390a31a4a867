// `touchstone evidence record`, `touchstone device ear`: what the next evidence of a device is accepted as, for people and systems elsewhere.
import type { Command } from 'commander';
import { askController } from '../controller/control-client.ts';
import type { DeviceDetail } from '../controller/views.ts';
import { writeFileDurably } from '../files/durable.ts';
import { deviceText } from './device-text.ts';
import { EXIT } from './exit.ts';
import { outputOf } from './output.ts';
import type { Json } from './output.ts';

export interface AskOptions {
  readonly state: string;
  readonly timeout: number;
  readonly out?: string;
}

interface Answer {
  readonly record?: string | null;
  readonly token?: string | null;
  readonly device: DeviceDetail;
}

/** True when the device is trusted; else says so by the exit code. */
function judgeExit({ verdict }: DeviceDetail): void {
  if (verdict?.status !== 'affirming' && verdict?.status !== 'warning') process.exitCode = EXIT.against;
}

async function askFor(action: 'record' | 'ear', device: string, options: AskOptions, self: Command): Promise<Answer> {
  const answer = (await askController(options.state, action, {
    device,
    waitMs: Math.round(options.timeout * 1000),
  })) as Answer;
  if ((answer.record ?? answer.token ?? null) === null) {
    outputOf(self).note(
      `no evidence was accepted within ${options.timeout} s: the device may be off, or busy measuring`,
    );
    process.exitCode = EXIT.failed;
  } else judgeExit(answer.device);
  return answer;
}

/** `touchstone evidence record`. */
export async function recordEvidence(name: string, options: AskOptions, self: Command): Promise<void> {
  const output = outputOf(self);
  const { record, device } = await askFor('record', name, options, self);
  const file = options.out ?? `${device.id}.record.json`;
  if (typeof record === 'string') await writeFileDurably(file, Buffer.from(record, 'base64'), 0o644);
  const written = typeof record === 'string' ? file : null;
  output.result({ record: written, device } as unknown as Json, () =>
    [
      deviceText(output, device, Date.now()),
      ...(written === null
        ? []
        : ['', `Anybody with your fleet.json can judge it again: touchstone evidence verify ${written} --fleet DIR`]),
    ].join('\n'),
  );
}

/** `touchstone device ear`. */
export async function deviceEar(name: string, options: AskOptions, self: Command): Promise<void> {
  const output = outputOf(self);
  const { token, device } = await askFor('ear', name, options, self);
  if (typeof token !== 'string') return;
  if (options.out !== undefined) await writeFileDurably(options.out, `${token}\n`, 0o644);
  output.result({ token, device: device.id, file: options.out ?? null }, () => options.out ?? token);
}
