// `touchstone profile learn`: a reference file for a boot that its logs explain, exit 1 and no file for any other.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { readFirmwareLog } from '../../src/boot/event-log.ts';
import { replayFirmwareLog } from '../../src/boot/pcr-replay.ts';
import { readBootReferenceFile } from '../../src/boot/reference-file.ts';
import { toHex } from '../../src/bytes/text.ts';
import { runProgram } from '../../src/cli/program.ts';
import { firmwareLog, HONEST } from '../boot/log-builder.ts';
import { TEST_PROFILE } from '../support/fleet.ts';

let dir: string;
let stdout = '';
const at = (name: string): string => join(dir, name);

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'learn-'));
  const log = firmwareLog(...HONEST, { pcr: 1, type: 5, data: Buffer.from('\u001b[2J evil') });
  const pcrs = [...replayFirmwareLog(readFirmwareLog(log))].map(([pcr, value]) => `${pcr} ${toHex(value)}\n`).join('');
  writeFileSync(at('profile.json'), JSON.stringify(TEST_PROFILE));
  writeFileSync(at('log'), log);
  writeFileSync(at('pcrs'), pcrs);
  writeFileSync(at('others'), pcrs.replace(/^0 ./, '0 f'));
});
afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});
beforeEach(() => {
  stdout = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((stdout += String(text)), true));
  vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
});
afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
});

async function learn(out: string, pcrs: string, ...more: string[]): Promise<unknown> {
  const given = ['--profile', at('profile.json'), '--event-log', at('log'), '--pcrs', at(pcrs), '--out', at(out)];
  return runProgram(['profile', 'learn', ...given, ...more]);
}

describe('learning', () => {
  test('writes a file that a controller takes, and explains every event', async () => {
    expect(await learn('one.json', 'pcrs', '--covers-agent', '--name', 'image 7')).toBe(0);
    const file = readBootReferenceFile(readFileSync(at('one.json')), 'one.json');
    expect(file).toMatchObject({ profile: TEST_PROFILE.id, coversAgent: true, components: null });
    expect(file.boots.map(({ name, pcrs }) => [name, Object.keys(pcrs)])).toEqual([['image 7', ['0', '7']]]);
    expect(stdout).toMatch(/PCR {2}7 {2}[0-9a-f]{64} {2}secure boot: who may sign/);
    expect(stdout).toMatch(/secure boot: on/);
    expect(stdout).toMatch(/EV_EFI_BOOT_SERVICES_APPLICATION .* not proved/);
    expect(stdout).not.toContain('\u001b[2J');
  });

  test('prints one document with --json', async () => {
    expect(await learn('json.json', 'pcrs', '--json')).toBe(0);
    const document = JSON.parse(stdout) as { learned: boolean; reference: unknown; events: unknown[] };
    expect(document.learned).toBe(true);
    expect(document.events).toHaveLength(HONEST.length + 1);
    expect(document.reference).toEqual(JSON.parse(readFileSync(at('json.json'), 'utf8')));
  });

  test('of a log that does not explain the TPM’s values judges against it and writes nothing', async () => {
    expect(await learn('none.json', 'others')).toBe(1);
    expect(existsSync(at('none.json'))).toBe(false);
    expect(stdout).toMatch(/fault: PCR 0: the event log gives/);
  });

  test('keeps the boot before with --merge, and only that', async () => {
    for (const [index, name] of ['a', 'b', 'c'].entries()) {
      writeFileSync(at('log'), firmwareLog(...HONEST, { pcr: 7, type: 5, data: Buffer.from(name) }));
      const given = [
        '--profile',
        at('profile.json'),
        '--event-log',
        at('log'),
        '--out',
        at('merged.json'),
        '--name',
        name,
      ];
      const merge = index === 0 ? [] : ['--merge', at('merged.json')];
      expect(await runProgram(['profile', 'learn', ...given, ...merge])).toBe(0);
    }
    const { boots } = readBootReferenceFile(readFileSync(at('merged.json')), 'merged.json');
    expect(boots.map(({ name }) => name)).toEqual(['c', 'b']);
  });

  test('of a file that is no event log fails and names it', async () => {
    writeFileSync(at('log'), 'not a log');
    expect(await learn('none.json', 'pcrs')).toBe(3);
  });
});
