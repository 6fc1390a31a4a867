// Which commands a device takes, and which it passes over.
import { describe, expect, it } from 'vitest';
import { CommandDesk } from '../../src/agent/command-desk.ts';
import type { Report } from '../../src/evidence/claims.ts';
import type { Command } from '../../src/protocol/messages.ts';

const owner = { fleetId: 'aa'.repeat(16), deviceId: 'device', session: 'bb'.repeat(16) };
const command = (changes: Partial<Command> = {}): Command => ({
  v: 1,
  ...owner,
  seq: 1,
  id: 'one',
  body: { kind: 'measure', order: 1 },
  ...changes,
});
const report = (subject: string): Report => ({
  session: Buffer.alloc(16),
  n: 1,
  kind: 'interrupted',
  rule: 'interrupted',
  slot: null,
  subject,
  detail: 'x',
  at: 0,
});

describe('the command desk', () => {
  it('takes a command of its session and remembers its number', () => {
    const desk = new CommandDesk(owner);
    expect(desk.judge(command({ seq: 7 }), [], false)).toEqual({ take: true });
    expect(desk.lastSeq).toBe(7);
  });

  it.each([
    ['another session', { session: 'cc'.repeat(16) }],
    ['another device', { deviceId: 'other' }],
    ['another fleet', { fleetId: 'dd'.repeat(16) }],
    ['number nought', { seq: 0 }],
  ])('does not take a command of %s, and does not move on', (_title, changes) => {
    const desk = new CommandDesk(owner);
    expect(desk.judge(command({ seq: 9, ...changes }), [], false).take).toBe(false);
    expect(desk.lastSeq).toBe(0);
  });

  it('takes no number twice and none that it has passed', () => {
    const desk = new CommandDesk(owner);
    desk.judge(command({ seq: 5 }), [], false);
    expect(desk.judge(command({ seq: 5, id: 'two' }), [], false).take).toBe(false);
    expect(desk.judge(command({ seq: 4, id: 'three' }), [], false).take).toBe(false);
  });

  it('carries out an id once, also when it is signed again under a fresh number, and then moves on', () => {
    const desk = new CommandDesk(owner);
    desk.judge(command({ seq: 1 }), [], false);
    expect(desk.judge(command({ seq: 2 }), [], false).take).toBe(false);
    expect(desk.lastSeq).toBe(2);
  });

  it('does not run again what a report of an earlier start says was run', () => {
    expect(new CommandDesk(owner).judge(command(), [report('one')], false).take).toBe(false);
  });

  it('refuses new commands while the report table is full, and may take the same one later', () => {
    const desk = new CommandDesk(owner);
    expect(desk.judge(command(), [], true)).toMatchObject({ take: false, silent: false });
    expect(desk.judge(command(), [], false)).toEqual({ take: true });
  });
});
