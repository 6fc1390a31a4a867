// The mailbox and the log lines.
import { describe, expect, it } from 'vitest';
import { lineLog } from '../../src/log.ts';
import { Mailbox } from '../../src/agent/mailbox.ts';

describe('the mailbox', () => {
  it('works one thing at a time, in order, and goes on after a failure', async () => {
    const seen: string[] = [];
    const box = new Mailbox((error) => seen.push(`failed ${String(error)}`));
    const gate = Promise.withResolvers<void>();
    void box.put(async () => {
      await gate.promise;
      seen.push('first');
      throw new Error('x');
    });
    const second = Promise.withResolvers<void>();
    void box.put(async () => {
      seen.push('second');
      second.resolve();
      await Promise.resolve();
    });
    gate.resolve();
    await second.promise;
    expect(seen).toEqual(['first', 'failed Error: x', 'second']);
  });

  it('begins nothing after it was closed, and waits for what runs', async () => {
    const seen: string[] = [];
    const gate = Promise.withResolvers<void>();
    const box = new Mailbox(() => seen.push('failed'));
    void box.put(async () => {
      await gate.promise;
      seen.push('ran');
    });
    void box.put(async () => {
      seen.push('never');
      await Promise.resolve();
    });
    await Promise.resolve();
    const closed = box.close();
    gate.resolve();
    await closed;
    expect(seen).toEqual(['ran']);
  });
});

describe('log lines', () => {
  it('write no control characters that others named into a terminal', () => {
    const lines: string[] = [];
    lineLog(
      'text',
      () => 0,
      (line) => lines.push(line),
    ).write('info', 'x', 'file \u001B[31mred\nline');
    expect(lines).toEqual(['1970-01-01T00:00:00.000Z file ?[31mred?line\n']);
  });
  it('are one JSON document a line when asked', () => {
    const lines: string[] = [];
    lineLog(
      'json',
      () => 0,
      (line) => lines.push(line),
    ).write('error', 'tpm-lost', 'gone', { code: 'TPM_TIMEOUT' });
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      at: '1970-01-01T00:00:00.000Z',
      level: 'error',
      event: 'tpm-lost',
      message: 'gone',
      code: 'TPM_TIMEOUT',
    });
  });
});
