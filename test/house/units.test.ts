// The units of systemd that are shipped: what they start must be what Node takes.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT } from './modules.ts';

const unit = readFileSync(join(ROOT, 'native/systemd/touchstone-agent.service'), 'utf8');
const START = /^ExecStart=\/usr\/bin\/env node (.+) \/usr\/bin\/touchstone agent$/m;

describe('the unit of the agent', () => {
  test('starts Node with flags that Node knows, under which no memory is both written and executed', () => {
    const flags = START.exec(unit)?.[1]?.split(' ') ?? [];
    expect(flags).toContain('--jitless');
    const maps = execFileSync('node', [...flags, '-p', "require('fs').readFileSync('/proc/self/maps', 'utf8')"], {
      encoding: 'utf8',
    });
    expect(maps).not.toMatch(/ rwx[ps] /);
  });
});
