// `touchstone bundle apply`: hands a bundle, or the signed result of a receipt, to the agent that runs here, and follows what becomes of it.
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { BundleEnd, BundleProgress, ReceiptWhen } from '../agent/bundle-desk.ts';
import { BUNDLE_SOCKET } from '../agent/bundle-socket.ts';
import type { BundleAsk } from '../agent/bundle-socket.ts';
import { ConfigError } from '../errors.ts';
import { writeFileDurably } from '../files/durable.ts';
import { looksLikeResult } from '../protocol/bundle.ts';
import { RULES } from '../rules/catalogue.ts';
import type { Rule } from '../rules/rule.ts';
import { hearAgent, reachAgent } from './ask-agent.ts';
import { EXIT } from './exit.ts';
import { cleanText, outputOf } from './output.ts';
import type { Json, Output } from './output.ts';
import { ProgressBar } from './progress.ts';

export interface BundleApplyOptions {
  readonly state: string;
  readonly receipt?: string;
  readonly when: ReceiptWhen;
}

/** As the agent's line has it. */
type ToldEnd = Omit<BundleEnd, 'receipt'> & { readonly receipt: string | null };

interface ToldResult {
  readonly taken: boolean;
  readonly lease: boolean;
  readonly why: string | null;
  readonly verdict: string | null;
}

const PIECE = 1024 * 1024;

/** Sends the file until it ends or nobody reads it any more: an answer may come before. */
async function send(file: FileHandle, socket: Socket, bar: ProgressBar): Promise<void> {
  const pieces = file.createReadStream({ start: 0, highWaterMark: PIECE, autoClose: false });
  for await (const piece of pieces as AsyncIterable<Buffer>) {
    if (!socket.writable) return;
    bar.advance(piece.length);
    if (!socket.write(piece)) await Promise.race([once(socket, 'drain'), once(socket, 'close')]);
  }
  if (socket.writable) socket.end();
}

async function ask(
  file: FileHandle,
  state: string,
  what: BundleAsk,
  tell: (progress: BundleProgress) => void,
): Promise<object> {
  const socket = await reachAgent(join(state, BUNDLE_SOCKET), 'only its own user and root may hand it a bundle');
  using bar = new ProgressBar({ label: 'handing over', total: (await file.stat()).size });
  try {
    socket.write(`${JSON.stringify(what)}\n`);
    const answer = hearAgent(socket, (progress) => {
      tell(progress as BundleProgress);
    });
    const sent = send(file, socket, bar);
    const end = await answer;
    socket.destroy();
    await sent.catch(() => undefined);
    return end;
  } finally {
    socket.destroy();
  }
}

const WAITS = {
  health: 'on trial: its health check runs',
  result: 'on trial: healthy',
  floor: 'passed its trial: the version floor is being raised',
} as const;

function isShown(): boolean {
  return process.stderr.isTTY && (process.env['CI'] ?? '') === '';
}

function exitOf({ stands, outcome }: ToldEnd): number {
  if (outcome.rule === 'failed' || outcome.kind === 'interrupted') return EXIT.failed;
  return stands === 'committed' || stands === 'trial' ? EXIT.done : EXIT.against;
}

function endText(output: Output, end: ToldEnd, receipt: string | null): string {
  const { stands, outcome } = end;
  const good = stands === 'committed' || stands === 'trial';
  const rule: Rule | undefined = Object.hasOwn(RULES, outcome.rule)
    ? RULES[outcome.rule as keyof typeof RULES]
    : undefined;
  const lines = [output.paint(good ? 'green' : 'red', `${stands}: ${cleanText(outcome.detail)}`)];
  if (!good && rule !== undefined) lines.push(`  what to do: ${rule.now}`);
  if (stands === 'trial') lines.push('  Its trial ends with the result of this receipt, or as the profile says.');
  if (receipt !== null) {
    lines.push(
      `  receipt: ${cleanText(receipt)}`,
      '',
      `Next, at the controller: touchstone bundle accept ${cleanText(receipt)} --result RESULT`,
    );
  }
  return lines.join('\n');
}

async function applyBundle(file: FileHandle, options: BundleApplyOptions, output: Output): Promise<void> {
  const { state, when, receipt: to } = options;
  let release = '';
  const end = (await ask(file, state, { v: 1, do: 'bundle', when }, (progress) => {
    if (progress.at === 'installing') release = progress.release.slice(0, 12);
    if (!isShown()) return;
    output.note(
      progress.at === 'installing'
        ? `release ${cleanText(release)}: here, now verified and activated`
        : `release ${cleanText(release)}: ${WAITS[progress.waitsFor]}`,
    );
  })) as ToldEnd;
  process.exitCode = exitOf(end);
  const written = to !== undefined && end.receipt !== null ? to : null;
  if (written !== null && end.receipt !== null)
    await writeFileDurably(written, Buffer.from(end.receipt, 'base64'), 0o644);
  if (to !== undefined && written === null)
    output.note('there is no receipt: the bundle does not ask this device for one');
  output.result({ ...end, receipt: written } as unknown as Json, () => endText(output, end, written));
}

async function applyResult(file: FileHandle, { state }: BundleApplyOptions, output: Output): Promise<void> {
  const told = (await ask(file, state, { v: 1, do: 'result' }, () => undefined)) as ToldResult;
  const good = told.taken && (!told.lease || told.verdict === 'affirming' || told.verdict === 'warning');
  if (!good) process.exitCode = EXIT.against;
  output.result({ ...told }, () => {
    if (!told.taken) return output.paint('red', `not taken: ${cleanText(told.why ?? '')}`);
    if (!told.lease)
      return 'taken: reports are acknowledged. The agent was started since that evidence: its lease stays as it is.';
    return output.paint(good ? 'green' : 'red', `taken: the controller says ${cleanText(told.verdict ?? '')}`);
  });
}

/** `touchstone bundle apply`. */
export async function applyCarried(path: string, options: BundleApplyOptions, command: Command): Promise<void> {
  const output = outputOf(command);
  const file = await open(path).catch((cause: unknown) => {
    throw new ConfigError('CONFIG_MISSING', `cannot read ${path}`, { cause });
  });
  try {
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, 0);
    await (looksLikeResult(buffer) ? applyResult : applyBundle)(file, options, output);
  } finally {
    await file.close();
  }
}
