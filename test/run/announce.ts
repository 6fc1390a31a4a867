// Runs in front of every test file: tells the watchdog of this run which process works on which file, and since when.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { WATCH_VARIABLE } from './watchdog.ts';

const folder = process.env[WATCH_VARIABLE];
if (folder !== undefined) writeFileSync(join(folder, String(process.pid)), expect.getState().testPath ?? 'unknown');
